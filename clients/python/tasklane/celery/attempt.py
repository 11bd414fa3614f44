"""What Celery's parts find out about the task that runs."""

from __future__ import annotations

import threading
from typing import Any, List, Optional

from tasklane.worker.context import Context
from tasklane.worker.execution import Execution


class Attempt:
    """One run of a Celery task. It belongs to the thread that runs it."""

    def __init__(self, execution: Execution) -> None:
        self.context = Context(execution)
        # How it ended, as the backend was told.
        self.done = False
        self.result: Any = None
        self.failure: Optional[BaseException] = None
        # What update_state said last, for tasks that set their end by hand and raise Ignore.
        self.state: str = ""
        self.meta: Any = None
        # Seconds until the next attempt, once self.retry was called.
        self.retry_after: float = 0


class Attempts:
    """The attempts that run in this process, one a thread."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._lock = threading.Lock()
        self._running: List[Attempt] = []

    def enter(self, attempt: Attempt) -> None:
        self._local.attempt = attempt
        with self._lock:
            self._running.append(attempt)

    def leave(self, attempt: Attempt) -> None:
        self._local.attempt = None
        with self._lock:
            self._running.remove(attempt)

    def current(self) -> Optional[Attempt]:
        """The attempt of this thread; in a thread that a task has started, that task's, if only one can be meant."""
        mine: Optional[Attempt] = getattr(self._local, "attempt", None)
        if mine is not None:
            return mine
        with self._lock:
            return self._running[0] if len(self._running) == 1 else None

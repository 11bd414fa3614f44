"""A task that was submitted, as Celery's AsyncResult has it."""

from __future__ import annotations

import inspect
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Optional, TypeVar

from tasklane.errors import ResultTimeout
from tasklane.watch import Event

if TYPE_CHECKING:
    from tasklane.client import Client

Outcome = Dict[str, Any]
Callback = TypeVar("Callback", bound=Callable[..., Any])

_LONG_POLL_S = 20.0
_SHORTEST_POLL_S = 0.05


class Handle:
    """Names a task. Any thread may use it."""

    def __init__(self, client: "Client", task_id: str, user_id: Optional[str], cursor: Optional[str]) -> None:
        self.task_id = task_id
        self.user_id = user_id
        # A place at or before the task's first event.
        self.cursor = cursor
        self._client = client
        self._lock = threading.Lock()
        self._outcome: Optional[Outcome] = None
        self._callbacks: List[Callable[[Outcome], None]] = []
        # The thread that calls the callbacks, while it does: get() waits for the others' end there, not for its own.
        self._calling = threading.RLock()
        self._follower: Optional[threading.Thread] = None

    @property
    def id(self) -> str:
        return self.task_id

    def get(self, timeout: Optional[float] = None) -> Outcome:
        """{status, task, result, error}, also of a task that failed. ResultTimeout after timeout seconds.

        What was given to on_success and on_failure has been called when it returns.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            asked = time.monotonic()
            outcome = self._ended(_LONG_POLL_S if end is None else min(_LONG_POLL_S, max(0.0, end - asked)))
            if outcome is not None:
                return outcome
            if end is not None and time.monotonic() >= end:
                raise ResultTimeout("task %s has not ended within %g s; it goes on" % (self.task_id, timeout or 0))
            # A server that stops answers at once instead of holding the request.
            time.sleep(max(0.0, _SHORTEST_POLL_S - (time.monotonic() - asked)))

    def _ended(self, wait: float) -> Optional[Outcome]:
        if self._outcome is None:
            outcome = self._client.result(self.task_id, self.user_id, wait=wait, cursor=self.cursor)
            if outcome is None:
                return None
            with self._lock:
                self._outcome = self._outcome or outcome
        self._call()
        return self._outcome

    def ready(self) -> bool:
        """Whether the task has ended."""
        return self._ended(0) is not None

    def successful(self) -> bool:
        outcome = self._ended(0)
        return outcome is not None and outcome["status"] == "completed"

    def failed(self) -> bool:
        outcome = self._ended(0)
        return outcome is not None and outcome["status"] != "completed"

    @property
    def status(self) -> str:
        """pending, running, completed, failed, timed_out or cancelled."""
        outcome = self._outcome
        return str((outcome or self._client.get(self.task_id, self.user_id))["status"])

    def cancel(self, reason: str = "") -> bool:
        """As Client.cancel."""
        return self._client.cancel(self.task_id, self.user_id, reason=reason)

    def watch(self) -> Iterator[Event]:
        """The task's events from its first to its last."""
        return self._client.watch(self.user_id, task_id=self.task_id, since=self.cursor or "earliest")

    def on_success(self, callback: Callback) -> Callback:
        """Calls back once when the task has completed. Can be a decorator.

        It is called with the outcome if it takes one argument, else as Celery's signals are: sender (the handle) and
        result by name. A thread waits for the end meanwhile, and the program does not end before.
        """
        self._register(callback, True)
        return callback

    def on_failure(self, callback: Callback) -> Callback:
        """Calls back once when the task has ended otherwise; exc is its error where names are taken."""
        self._register(callback, False)
        return callback

    def _register(self, callback: Callable[..., Any], for_success: bool) -> None:
        def consider(outcome: Outcome) -> None:
            if (outcome["status"] == "completed") == for_success:
                _notify(callback, self, outcome)

        with self._lock:
            self._callbacks.append(consider)
            if self._outcome is None and self._follower is None:
                self._follower = threading.Thread(target=self._follow, name="tasklane-" + self.task_id)
                self._follower.start()
        if self._outcome is not None:
            self._call()

    def _follow(self) -> None:
        try:
            self.get()
        except Exception:
            print("tasklane: callbacks of task %s are not called:" % self.task_id, file=sys.stderr)
            traceback.print_exc()

    def _call(self) -> None:
        """Calls what has not been called. Whoever comes meanwhile waits until that is done."""
        with self._calling:
            with self._lock:
                callbacks, self._callbacks = self._callbacks, []
            for callback in callbacks:
                callback(self._outcome or {})


def _notify(callback: Callable[..., Any], handle: Handle, outcome: Outcome) -> None:
    """One callback's failure is told and keeps no other from being called."""
    named = {"sender": handle, "result": outcome, "exc": outcome.get("error"), "task_id": handle.task_id}
    try:
        if _takes_names(callback):
            callback(**_taken(callback, named))
        else:
            callback(outcome)
    except Exception:
        traceback.print_exc()


def _takes_names(callback: Callable[..., Any]) -> bool:
    try:
        return "sender" in inspect.signature(callback).parameters
    except (TypeError, ValueError):  # a builtin
        return False


def _taken(callback: Callable[..., Any], named: Dict[str, Any]) -> Dict[str, Any]:
    parameters = inspect.signature(callback).parameters
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
        return named
    return {name: value for name, value in named.items() if name in parameters}

"""A share of an app's calls sent to Tasklane, while the rest goes to Celery's broker as before."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import uuid
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Union

from kombu.utils.json import loads

from tasklane.celery.options import due, members, plain
from tasklane.client import FAST, Client
from tasklane.errors import TaskError
from tasklane.handle import Handle

_STATES = {"pending": "PENDING", "running": "STARTED", "completed": "SUCCESS", "failed": "FAILURE",
           "timed_out": "FAILURE", "cancelled": "REVOKED"}
User = Union[str, Callable[[str, Sequence[Any], Mapping[str, Any]], str]]


class Divert:
    """Stands before app.send_task in the programs that call tasks. undo() takes it away.

        Divert(app, mode="celery", service="proj", user="shop", tasks=["shop.tasks.mail.*"], share=0.1)

    user is whose the tasks are, or a function of name, args and kwargs. lanes are by Celery queue. Calls with chain,
    link or chord stay with Celery whole.
    """

    def __init__(self, app: Any, *, mode: str, service: str, user: User, tasks: Sequence[str] = ("*",),
                 share: float = 1, lanes: Optional[Mapping[str, str]] = None, client: Optional[Client] = None) -> None:
        if not 0 <= share <= 1:
            raise ValueError("share is from 0 to 1")
        self._app = app
        self._place = {"mode": mode, "service": service}
        self._user = user
        self._patterns = tasks
        self._share = share
        self._lanes = lanes or {}
        self._client = client or Client()
        self._celery = app.send_task
        app.send_task = self.send_task

    def undo(self) -> None:
        self._app.send_task = self._celery

    def send_task(self, name: str, args: Any = None, kwargs: Any = None, countdown: Any = None, eta: Any = None,
                  task_id: Optional[str] = None, **options: Any) -> Any:
        """As Celery.send_task."""
        task_id = task_id or str(uuid.uuid4())
        if not self._takes(name, task_id, options):
            return self._celery(name, args, kwargs, countdown, eta, task_id, **options)
        call = {"args": list(args or ()), "kwargs": dict(kwargs or {})}
        made = members(options, due(countdown, eta), self._lanes, options.get("task_type") or self._app.tasks.get(name))
        lane = made.pop("lane", FAST)
        handle = self._client.submit(lane, name, user_id=self._whose(name, call), task_id=task_id,
                                     input_data=plain(call), **self._place, **plain(made))
        return DivertedResult(handle)

    def _takes(self, name: str, task_id: str, options: Mapping[str, Any]) -> bool:
        if any(options.get(one) for one in ("chain", "chord", "link", "link_error", "retries")):
            return False
        # By the id, so that a call that is made again goes the same way.
        place = int.from_bytes(hashlib.sha256(task_id.encode()).digest()[:8], "big") / 2**64
        return place < self._share and any(fnmatch.fnmatchcase(name, pattern) for pattern in self._patterns)

    def _whose(self, name: str, call: Dict[str, Any]) -> str:
        return self._user if isinstance(self._user, str) else self._user(name, call["args"], call["kwargs"])


class DivertedResult:
    """What code asks an AsyncResult for, of a task that Tasklane runs."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    @property
    def id(self) -> str:
        return self._handle.task_id

    task_id = id

    @property
    def state(self) -> str:
        return _STATES.get(self._handle.status, "PENDING")

    status = state

    def ready(self) -> bool:
        return self._handle.ready()

    def successful(self) -> bool:
        return self._handle.successful()

    def failed(self) -> bool:
        return self._handle.failed()

    def get(self, timeout: Optional[float] = None, propagate: bool = True, **_: Any) -> Any:
        """The task's return value, or its error raised as a TaskError."""
        outcome = self._handle.get(timeout)
        if outcome["status"] == "completed":
            return loads(json.dumps(outcome["result"]))
        error = TaskError(str(outcome["error"]))
        if propagate:
            raise error
        return error

    def revoke(self, **_: Any) -> None:
        self._handle.cancel()

    def forget(self) -> None:
        """Results are events, whose retention says how long they stay."""

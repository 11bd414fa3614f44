"""A Celery app in the place of a Service."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import socket
from typing import Any, Dict, Mapping, Optional, Type

from celery import signals, states
from celery.app.trace import build_tracer
from celery.exceptions import SoftTimeLimitExceeded
from kombu.utils.json import loads

from tasklane.celery.attempt import Attempt, Attempts
from tasklane.celery.backend import Backend
from tasklane.celery.options import attempts_of
from tasklane.celery.publisher import Publisher
from tasklane.errors import Cancelled, Retry, TaskError
from tasklane.worker.execution import Execution
from tasklane.worker.handler import Handler
from tasklane.worker.service import Service

# The broker is never spoken to: new tasks go to the processor. Without this Celery imports the real one's client.
_BROKER = "memory://"


class CeleryService(Service):
    """The tasks of an app, by their names."""

    def __init__(self, app: Any, *, max_inflight: int = 1, lanes: Optional[Mapping[str, str]] = None) -> None:
        super().__init__(max_inflight=max_inflight)
        self._app = app
        self._attempts = Attempts()
        self._prepare(Publisher(app, self._attempts, lanes or {}))
        for name, task in app.tasks.items():
            if name.startswith("celery.") and name not in ("celery.map", "celery.starmap"):
                continue  # of chords, groups and the old backends' housekeeping
            self.handlers[name] = CeleryHandler(app, task, self._attempts)

    @property
    def interrupts(self) -> Mapping[str, Type[BaseException]]:
        return {"soft_time_limit": SoftTimeLimitExceeded, "cancelled": Cancelled, "shutdown": Cancelled}

    def _prepare(self, publisher: Publisher) -> None:
        app = self._app
        app.set_current()
        app.loader.import_default_modules()
        app.finalize(auto=True)
        app.conf.update(broker_url=_BROKER, broker_read_url=None, broker_write_url=None, task_always_eager=False)
        app.backend_cls = Backend
        app._backend = Backend(app=app)
        app.tasklane_attempts = self._attempts
        app.send_task = publisher.send_task

    def run(self) -> None:
        """As a worker's child does: the app's own set-up, then tasks."""
        app = self._app
        app.loader.init_worker()
        app.log.setup_logging_subsystem()
        app.loader.init_worker_process()
        signals.worker_init.send(sender=app)
        signals.worker_process_init.send(sender=app)
        signals.worker_ready.send(sender=app)
        try:
            super().run()
        finally:
            signals.worker_process_shutdown.send(sender=app, pid=os.getpid(), exitcode=0)
            signals.worker_shutdown.send(sender=app)


class CeleryHandler(Handler):
    """Runs the tasks of one name through Celery's tracer."""

    def __init__(self, app: Any, task: Any, attempts: Attempts) -> None:
        self.name = task.name
        self.is_async = False
        self._task = task
        self._attempts = attempts
        self._app = app
        self._hostname = "tasklane@" + socket.gethostname()
        # Under autoretry_for the app's own function is _orig_run.
        for attribute in ("_orig_run", "run"):
            function = getattr(task, attribute, None)
            if inspect.iscoroutinefunction(function):
                setattr(task, attribute, _in_a_loop(function))
        self._trace = build_tracer(task.name, task, app.loader, self._hostname, app=app)

    def described(self) -> Dict[str, Any]:
        told: Dict[str, Any] = {"input": {"type": "object", "additionalProperties": False, "properties": {
            "args": {"type": "array"}, "kwargs": {"type": "object"}}}}
        description = inspect.getdoc(self._task.run)
        if description:
            told["description"] = description
        told["max_attempts"] = attempts_of(self._task)
        conf = self._app.conf
        for limit in ("soft_time_limit", "time_limit"):
            seconds = getattr(self._task, limit, None) or conf.get("task_" + limit)
            if seconds:
                told[limit + "_ms"] = round(1000 * seconds)
        return told

    def call(self, execution: Execution) -> Any:
        attempt = Attempt(execution)
        self._attempts.enter(attempt)
        try:
            return self._traced(attempt)
        finally:
            self._attempts.leave(attempt)

    def _traced(self, attempt: Attempt) -> Any:
        call = loads(json.dumps(attempt.context.task.get("input_data") or {}))
        args, kwargs = call.get("args") or [], call.get("kwargs") or {}
        outcome = self._trace(attempt.context.task_id, args, kwargs, self._request(attempt, args, kwargs))
        if attempt.done:
            return attempt.result
        if attempt.failure is not None:
            raise attempt.failure
        info = outcome.info
        if info is None:
            raise TaskError("Celery could not run the task: %s" % getattr(outcome.retval, "exception", outcome.retval))
        if info.state == states.RETRY:
            raise Retry(str(info.retval), after=attempt.retry_after)
        if info.state == states.IGNORED:
            return self._ignored(attempt)
        raise TaskError("%s: %s" % (type(info.retval).__name__, info.retval))

    def _ignored(self, attempt: Attempt) -> Any:
        """Raising Ignore leaves the state as update_state has set it."""
        if attempt.state in (states.FAILURE, states.REVOKED):
            raise TaskError("the task set its state to %s: %s" % (attempt.state, attempt.meta))
        return attempt.meta if attempt.state == states.SUCCESS else None

    def _request(self, attempt: Attempt, args: Any, kwargs: Any) -> Dict[str, Any]:
        context = attempt.context
        kept = (context.task.get("context") or {}).get("celery") or {}
        return {
            "id": context.task_id, "task": self.name, "args": args, "kwargs": kwargs, "retries": context.attempt - 1,
            "hostname": self._hostname, "is_eager": False, "called_directly": False, "utc": True,
            "lang": "py", "origin": "tasklane", "correlation_id": context.task_id,
            "root_id": kept.get("root_id") or context.task_id, "parent_id": kept.get("parent_id"),
            "group": kept.get("group"), "callbacks": kept.get("link"), "errbacks": kept.get("link_error"),
            "chain": kept.get("chain"), "headers": kept.get("headers") or {},
            "ignore_result": bool(kept.get("ignore_result") or self._task.ignore_result),
            "expires": context.task.get("expires_at"), "eta": context.task.get("not_before"),
            "timelimit": [_seconds(context.task.get(limit)) for limit in ("time_limit_ms", "soft_time_limit_ms")],
            "delivery_info": {"exchange": "", "routing_key": context.lane, "redelivered": context.attempt > 1,
                              "priority": context.task.get("priority")},
            "argsrepr": repr(args)[:1000], "kwargsrepr": repr(kwargs)[:1000],
        }


def _seconds(milliseconds: Optional[int]) -> Optional[float]:
    return None if milliseconds is None else milliseconds / 1000


def _in_a_loop(function: Any) -> Any:
    """An async task, in an event loop of its own: a Celery child does one task at a time."""

    def run(*args: Any, **kwargs: Any) -> Any:
        return asyncio.run(function(*args, **kwargs))

    run.__doc__ = function.__doc__
    return run

"""Celery's result backend: what tasks say of themselves becomes events of the Tasklane task."""

from __future__ import annotations

import json
from typing import Any, NoReturn, Optional

from celery import states
from celery.backends.base import BaseBackend
from kombu.exceptions import EncodeError
from kombu.utils.json import dumps

from tasklane.celery.attempt import Attempts

_NO_RESULTS = (
    "tasks cannot wait for other tasks here: each would hold a slot that the other needs. "
    "Use chain or link, which go on when a task has completed, or ask the API for /v1/tasks/ID/result"
)
_NO_CHORD = (
    "chord (also a chain with a group before another task) is not done by Tasklane: nothing joins the results. "
    "Do the header's work in one task (celery.map, celery.starmap, or a loop that calls the functions), "
    "or leave this task with Celery's worker (docs/MOVING-FROM-CELERY.md)"
)


class Backend(BaseBackend):  # type: ignore[misc]
    """Belongs to an app whose attempts are found at app.tasklane_attempts."""

    # One for all threads: what differs between them are the attempts.
    thread_safe = True

    def _attempts(self) -> Attempts:
        attempts: Attempts = self.app.tasklane_attempts
        return attempts

    def store_result(self, task_id: str, result: Any, state: str, traceback: Any = None, request: Any = None,
                     **_: Any) -> Any:
        """What Task.update_state calls, and the tracer for STARTED."""
        attempt = self._attempts().current()
        if attempt is None or state == states.STARTED:
            return result
        attempt.state, attempt.meta = state, result
        meta = result if isinstance(result, dict) else {}
        current, total = _whole(meta.get("current")), _whole(meta.get("total"))
        if current is not None:
            message = meta.get("status") or meta.get("message")
            attempt.context.progress(current=current, total=total, message=str(message) if message else state)
        else:
            attempt.context.log("%s %s" % (state, dumps(result, default_kwargs={"skipkeys": True})))
        return result

    def mark_as_done(self, task_id: str, result: Any, request: Any = None, store_result: bool = True,
                     state: str = states.SUCCESS) -> None:
        attempt = self._attempts().current()
        if attempt is None:
            return
        attempt.result = as_json(result) if store_result else None
        attempt.done = True

    def mark_as_failure(self, task_id: str, exc: BaseException, traceback: Any = None, request: Any = None,
                        store_result: bool = True, call_errbacks: bool = True, state: str = states.FAILURE) -> None:
        attempt = self._attempts().current()
        if attempt is not None:
            attempt.failure = exc
        if request is not None and call_errbacks and request.errbacks:
            self._call_task_errbacks(request, exc, traceback)

    def mark_as_retry(self, task_id: str, exc: Any, traceback: Any = None, request: Any = None,
                      store_result: bool = True, state: str = states.RETRY) -> None:
        """The tracer's outcome says it."""

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Nothing has to be ready for a task's result."""

    def process_cleanup(self) -> None:
        """Nothing is open."""

    def ensure_chords_allowed(self) -> NoReturn:
        raise NotImplementedError(_NO_CHORD)

    def apply_chord(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError(_NO_CHORD)

    def _no_results(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError(_NO_RESULTS)

    get_state = get_status = get_result = get_traceback = _no_results
    get_task_meta = get_task_meta_for = wait_for = wait_for_pending = get_many = iter_native = _no_results
    save_group = restore_group = _no_results


def as_json(result: Any) -> Any:
    """The result as Celery's json serializer writes it: dates, Decimal and UUID as {"__type__", "__value__"}."""
    try:
        return json.loads(dumps(result))
    except (TypeError, ValueError, RecursionError) as error:
        raise EncodeError(str(error)) from error


def _whole(number: Any) -> Optional[int]:
    """The number if it counts something."""
    if isinstance(number, bool) or not isinstance(number, (int, float)) or number != number // 1:
        return None
    return int(number)

"""Where an app's new tasks go: to the processor, as tasks of the same user."""

from __future__ import annotations

import datetime
from typing import Any, Dict, Mapping, Optional

from tasklane.celery.attempt import Attempt, Attempts
from tasklane.celery.options import due, members, plain


class Publisher:
    """Stands in the place of app.send_task, through which delay, apply_async, send_task and canvas all go."""

    def __init__(self, app: Any, attempts: Attempts, lanes: Mapping[str, str]) -> None:
        self._app = app
        self._attempts = attempts
        self._lanes = lanes

    def send_task(self, name: str, args: Any = None, kwargs: Any = None, countdown: Any = None, eta: Any = None,
                  task_id: Optional[str] = None, *, result_cls: Any = None, retries: int = 0, chord: Any = None,
                  expires: Any = None, link: Any = None, link_error: Any = None, chain: Any = None,
                  add_to_parent: bool = True, task_type: Any = None, **options: Any) -> Any:
        """As Celery.send_task."""
        attempt = self._attempts.current()
        if attempt is None:
            raise RuntimeError("%s was called outside a task: only tasks can submit tasks here" % name)
        when = due(countdown, eta)
        if task_id == attempt.context.task_id and retries:
            self._note_retry(attempt, args, kwargs, when)
            return self._result(task_id, result_cls)
        if chord is not None:
            self._app.backend.ensure_chords_allowed()
        call = {"args": list(args or ()), "kwargs": dict(kwargs or {})}
        kept = {"chain": chain, "link": _listed(link), "link_error": _listed(link_error),
                "headers": options.get("headers"), "root_id": options.get("root_id"),
                "group": options.get("group_id"), "ignore_result": options.get("ignore_result"),
                "parent_id": attempt.context.task_id}
        made: Dict[str, Any] = {"context": {"celery": {key: value for key, value in kept.items() if value}}}
        made.update(members({**options, "expires": expires}, when, self._lanes,
                            task_type or self._app.tasks.get(name)))
        given = attempt.context.submit(name, plain(call), **plain(made))
        result = self._result(given, result_cls)
        parent = self._app.current_worker_task
        if add_to_parent and parent is not None:
            parent.add_trail(result)
        return result

    def _note_retry(self, attempt: Attempt, args: Any, kwargs: Any, when: Optional[datetime.datetime]) -> None:
        given = attempt.context.task.get("input_data") or {}
        now = {"args": list(args or ()), "kwargs": dict(kwargs or {})}
        if plain(now) != {"args": list(given.get("args") or ()), "kwargs": dict(given.get("kwargs") or {})}:
            raise ValueError("self.retry with other arguments is not done by Tasklane: attempts repeat their task. "
                             "call delay with them and return")
        now_there = datetime.datetime.now(datetime.timezone.utc)
        attempt.retry_after = 0 if when is None else max(0.0, (when - now_there).total_seconds())

    def _result(self, task_id: str, result_cls: Any) -> Any:
        return (result_cls or self._app.AsyncResult)(task_id)


def _listed(links: Any) -> Any:
    return links if links is None or isinstance(links, (list, tuple)) else [links]

"""The client of the API and of the notifier."""

from __future__ import annotations

import os
import uuid
from typing import Any, Dict, Iterator, Optional

from tasklane.connection import Connection, element
from tasklane.errors import APIError, Lost
from tasklane.handle import Handle
from tasklane.watch import Event, watch

FAST = "fast"
HEAVY = "heavy"

_SERVER = "http://127.0.0.1:8080"
_NOTIFIER = "http://127.0.0.1:8000"


class Client:
    """Submits tasks and finds out what becomes of them.

    What is not given is read from the environment: TASKLANE_SERVER (http://127.0.0.1:8080), TASKLANE_NOTIFIER
    (http://127.0.0.1:8000) and TASKLANE_TOKEN. A server that does not answer is asked again for give_up_after seconds.
    Clients can be used by any number of threads.
    """

    def __init__(self, server: Optional[str] = None, notifier: Optional[str] = None, token: Optional[str] = None, *,
                 give_up_after: float = 60) -> None:
        token = token or os.environ.get("TASKLANE_TOKEN")
        server = server or os.environ.get("TASKLANE_SERVER") or _SERVER
        notifier = notifier or os.environ.get("TASKLANE_NOTIFIER") or _NOTIFIER
        # `up` prints the notifier as ws://, which is the same server.
        if notifier.startswith("ws"):
            notifier = "http" + notifier[len("ws"):]
        self._api = Connection(server, token, give_up_after)
        self._notifier = Connection(notifier, token, give_up_after)
        self._give_up_after = give_up_after

    def submit(self, lane: str, task_name: str, *, mode: str, service: str, user_id: Optional[str] = None,
               task_id: Optional[str] = None, input_data: Optional[Dict[str, Any]] = None, **members: Any) -> Handle:
        """Puts a task on a lane; returns when the broker has it.

        user_id may be left out where a token says it. Without a task_id one is made before the first try, so that tries
        make one task. Other members (context, priority, not_before, retry, ...) are those of task.schema.json.
        """
        task = {"lane": lane, "task_id": task_id or str(uuid.uuid4()), "task_name": task_name, "mode": mode,
                "service": service, "input_data": input_data or {}, **members}
        if user_id is not None:
            task["user_id"] = user_id
        body = self._api.call("POST", "/v1/tasks", body=task).body
        return Handle(self, body.get("task_id", task["task_id"]), body.get("user_id", user_id), body.get("cursor"))

    def handle(self, task_id: str, user_id: Optional[str] = None) -> Handle:
        """The handle of a task that was submitted elsewhere."""
        return Handle(self, task_id, user_id, None)

    def get(self, task_id: str, user_id: Optional[str] = None) -> Dict[str, Any]:
        """Where a task stands and what is known of it."""
        return self._api.call("GET", "/v1/tasks/" + element(task_id), _user(user_id)).body

    def result(self, task_id: str, user_id: Optional[str] = None, *, wait: float = 0,
               cursor: Optional[str] = None) -> Optional[Dict[str, Any]]:
        """{status, task, result, error} of a task that ended, None if it has not within wait seconds (at most 30)."""
        query = _user(user_id)
        if cursor:
            query["cursor"] = cursor
        if wait > 0:
            query["wait"] = "%dms" % max(1, round(wait * 1000))
        try:
            answer = self._api.call("GET", "/v1/tasks/%s/result" % element(task_id), query, wait=wait)
        except APIError as error:
            if error.status == 410:
                raise Lost(str(error)) from None
            raise
        return None if answer.status == 202 else answer.body

    def cancel(self, task_id: str, user_id: Optional[str] = None, *, reason: str = "") -> bool:
        """Asks for the task's end as cancelled, wherever it waits or runs; False if it has ended already."""
        body = {"reason": reason} if reason else {}
        try:
            self._api.call("POST", "/v1/tasks/%s/cancel" % element(task_id), _user(user_id), body=body)
        except APIError as error:
            if error.status == 409:
                return False
            raise
        return True

    def watch(self, user_id: Optional[str] = None, *, task_id: Optional[str] = None,
              since: str = "now") -> Iterator[Event]:
        """The events of a user, or of one task until it has ended.

        since is "now", "earliest", a time (RFC 3339) or the cursor of an event. The loop lives through outages and
        restarts of notifiers: it misses nothing and gets nothing twice. To go on later, keep event["cursor"].
        """
        query = {**_user(user_id), **({"task_id": task_id} if task_id else {}), "since": since}
        return watch(self._notifier, query, self._give_up_after)


def _user(user_id: Optional[str]) -> Dict[str, str]:
    return {"user_id": user_id} if user_id is not None else {}

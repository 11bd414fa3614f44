"""The client's calls as requests, and what becomes of the answers."""

from __future__ import annotations

import os
import threading
from typing import Any, Dict, List
from unittest import mock

from tasklane import APIError, Client, Handle, Lost, ResultTimeout, Unreachable, execute_heavy_task, execute_task
from tests.server import Reply, Request, ServerTest

DONE: Dict[str, Any] = {"status": "completed", "task": "analyze_text", "result": {"n": 1}, "error": None}
FAILED: Dict[str, Any] = {"status": "failed", "task": "analyze_text", "result": None, "error": "no model"}
ACCEPTED: Reply = (202, {"task_id": "task_456", "user_id": "user_123", "status": "pending", "cursor": "c1"}, {})


class ClientTest(ServerTest):
    def setUp(self) -> None:
        super().setUp()
        self.client = Client(self.address, token="secret", give_up_after=30)

    def task(self, outcome: Dict[str, Any], *, held: "threading.Event | None" = None) -> Handle:
        """A task whose result is there, once `held` is set."""

        def route(request: Request) -> Reply:
            if request.method == "POST":
                return ACCEPTED
            if held is not None and not held.wait(30 if "wait" in request.query else 0):
                return 202, {"status": "running"}, {}
            return 200, outcome, {}

        self.route = route
        return self.client.submit("fast", "analyze_text", mode="chat", service="text_analyzer", user_id="user_123")

    def test_submit(self) -> None:
        self.answers = [ACCEPTED]
        handle = self.client.submit("heavy", "n", mode="m", service="s", input_data={"a": 1}, priority=7)
        request = self.requests[0]
        made = request.body.pop("task_id")
        self.assertEqual(len(made), 36)
        self.assertEqual((request.method, request.path, request.body), ("POST", "/v1/tasks", {
            "lane": "heavy", "task_name": "n", "mode": "m", "service": "s", "input_data": {"a": 1}, "priority": 7}))
        self.assertEqual(request.headers["Authorization"], "Bearer secret")
        self.assertEqual((handle.id, handle.user_id, handle.cursor), ("task_456", "user_123", "c1"))

    def test_a_submit_is_tried_again_as_the_same_task(self) -> None:
        pauses = self.without_pauses()
        self.answers = [(503, {"title": "busy"}, {"Retry-After": "3"}), (502, b"<html>", {}), ACCEPTED]
        self.client.submit("fast", "n", mode="m", service="s", user_id="u")
        self.assertEqual(len({request.body["task_id"] for request in self.requests}), 1)
        waits = [call.args[0] for call in pauses.call_args_list]
        self.assertEqual(waits[0], 3)
        self.assertLess(waits[1], 1)

    def test_a_refusal_says_why(self) -> None:
        self.answers = [(422, {"title": "Unprocessable", "detail": "mode is missing", "field": "mode"}, {})]
        with self.assertRaisesRegex(APIError, r"Unprocessable: mode is missing \(HTTP 422\)") as caught:
            self.client.submit("fast", "n", mode="", service="s")
        self.assertEqual((caught.exception.status, caught.exception.problem["field"]), (422, "mode"))
        self.assertEqual(len(self.requests), 1)

    def test_giving_up(self) -> None:
        self.answers = [(503, {"title": "No broker"}, {})]
        with self.assertRaisesRegex(APIError, "No broker"):
            Client(self.address, give_up_after=0).submit("fast", "n", mode="m", service="s")
        nobody = Client("http://127.0.0.1:1", give_up_after=0)
        with self.assertRaisesRegex(Unreachable, "http://127.0.0.1:1 does not answer"):
            nobody.get("t")
        with self.assertRaisesRegex(ValueError, "no address"):
            Client("localhost:8080")

    def test_get_waits(self) -> None:
        self.answers = [ACCEPTED, (202, {"status": "running"}, {}), (200, DONE, {})]
        handle = self.client.submit("fast", "n", mode="m", service="s", user_id="user_123")
        self.assertEqual(handle.get(timeout=30), DONE)
        query = self.requests[-1].query
        self.assertEqual((query["user_id"], query["cursor"]), ("user_123", "c1"))
        self.assertRegex(query["wait"], r"^\d+ms$")
        asked = len(self.requests)
        self.assertEqual((handle.get(), handle.ready(), handle.successful(), handle.failed(), handle.status),
                         (DONE, True, True, False, "completed"))
        self.assertEqual(len(self.requests), asked, "a task that has ended is not asked for again")

    def test_get_of_a_failure_returns_it(self) -> None:
        handle = self.task(FAILED)
        self.assertEqual(handle.get(), FAILED)
        self.assertEqual((handle.successful(), handle.failed()), (False, True))

    def test_get_with_a_timeout(self) -> None:
        handle = self.task(DONE, held=threading.Event())
        with self.assertRaisesRegex(ResultTimeout, "has not ended within 0 s; it goes on"):
            handle.get(timeout=0)
        self.assertIsInstance(ResultTimeout(), TimeoutError)

    def test_a_lost_task(self) -> None:
        self.answers = [(410, {"title": "Lost", "detail": "its record is gone"}, {})]
        with self.assertRaisesRegex(Lost, "its record is gone"):
            self.client.handle("t").get()

    def test_cancel(self) -> None:
        self.answers = [(202, {}, {}), (409, {"task_status": "completed"}, {}), (404, {"title": "No task"}, {})]
        handle = self.client.handle("a/b", "ada")
        self.assertTrue(handle.cancel("enough"))
        self.assertEqual((self.requests[0].path, self.requests[0].query, self.requests[0].body),
                         ("/v1/tasks/a%2Fb/cancel", {"user_id": "ada"}, {"reason": "enough"}))
        self.assertFalse(handle.cancel())
        with self.assertRaisesRegex(APIError, "No task"):
            handle.cancel()

    def test_callbacks_are_called_once_with_the_outcome(self) -> None:
        held = threading.Event()
        handle = self.task(DONE, held=held)
        seen: List[Any] = []
        handle.on_success(seen.append)
        handle.on_failure(lambda outcome: seen.append("failure"))

        @handle.on_success
        def signal(sender: Any, result: Any, **kwargs: Any) -> None:
            seen.append((sender, result, kwargs["task_id"]))

        self.assertEqual(seen, [])
        held.set()
        handle.get(timeout=30)
        self.assertEqual(seen, [DONE, (handle, DONE, "task_456")])
        handle.on_success(seen.append)  # late ones are called at once
        handle.get()
        self.assertEqual(len(seen), 3)

    def test_callbacks_are_called_without_get(self) -> None:
        handle = self.task(FAILED)
        called: "threading.Event" = threading.Event()
        seen: List[Any] = []

        def broken(outcome: Any) -> None:
            raise ValueError("a callback that fails keeps no other from being called")

        def failure(sender: Any, exc: Any) -> None:
            seen.append(exc)
            self.assertEqual(sender.get(), FAILED, "a callback may ask too")
            called.set()

        with mock.patch("traceback.print_exc") as told:
            handle.on_failure(broken)
            handle.on_failure(failure)
            self.assertTrue(called.wait(30))
            handle.get()
        self.assertEqual((seen, told.call_count), (["no model"], 1))

    def test_the_old_calls(self) -> None:
        environment = {"TASKLANE_SERVER": self.address, "TASKLANE_TOKEN": "from the environment"}
        held = {"task_id": "t", "user_id": "u"}
        self.answers = [(202, held, {})]
        with mock.patch.dict(os.environ, environment):
            execute_task.delay(task_name="a", user_id="u", task_id="t", step=2, mode="m", service="s",
                               input_data={"x": 1}, context={"language": "en"})
            execute_heavy_task.delay("a", "u", "t", 1, "m", "s", {"x": 1}, {})
            execute_task.apply_async(kwargs={"task_name": "a", "mode": "m", "service": "s"}, priority=9)
        named, by_place, asynchronous = (request.body for request in self.requests)
        want = {"task_name": "a", "user_id": "u", "task_id": "t", "step": 2, "mode": "m", "service": "s",
                "input_data": {"x": 1}, "context": {"language": "en"}, "lane": "fast"}
        self.assertEqual(named, want)
        self.assertEqual(by_place, {**want, "step": 1, "context": {}, "lane": "heavy"})
        self.assertEqual((asynchronous["priority"], asynchronous["lane"]), (9, "fast"))
        self.assertEqual(self.requests[0].headers["Authorization"], "Bearer from the environment")

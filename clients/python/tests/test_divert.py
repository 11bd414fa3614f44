"""A share of calls that goes to Tasklane."""

from __future__ import annotations

import datetime
import decimal
from typing import Any, List

from celery import Celery, chain

from tasklane import Client, TaskError
from tasklane.celery.divert import Divert, DivertedResult
from tests.server import Reply, Request, ServerTest


class DivertTest(ServerTest):
    def setUp(self) -> None:
        super().setUp()
        self.app = Celery("shop", broker="memory://", set_as_current=False)
        self.outcome: Any = {"status": "completed", "error": None,
                             "result": {"__type__": "decimal", "__value__": "1.50"}}

        @self.app.task(name="shop.add", max_retries=5, time_limit=20)
        def add(a: Any, b: Any) -> Any:
            return a + b

        self.add = add
        self.celery: List[Any] = []
        self.app.send_task = lambda name, *args, **options: self.celery.append((name, args))

        def route(request: Request) -> Reply:
            if request.method == "POST":
                return 202, {"task_id": request.body["task_id"], "cursor": "c"}, {}
            return 200, self.outcome, {}

        self.route = route

    def divert(self, **options: Any) -> Divert:
        return Divert(self.app, mode="celery", service="proj", client=Client(self.address),
                      **{"user": "shop", **options})

    def test_a_call_becomes_a_task(self) -> None:
        self.divert(lanes={"slow": "heavy"}, user=lambda name, args, kwargs: "%s-%s" % (name, kwargs["b"]))
        when = datetime.datetime(2040, 1, 1, tzinfo=datetime.timezone.utc)
        result = self.add.apply_async((decimal.Decimal("1"),), {"b": 2}, eta=when, queue="slow", priority=3)
        body = self.requests[0].body
        self.assertEqual(body, {
            "lane": "heavy", "task_id": result.id, "task_name": "shop.add", "mode": "celery", "service": "proj",
            "user_id": "shop.add-2", "priority": 3, "not_before": "2040-01-01T00:00:00.000000Z",
            "time_limit_ms": 20_000, "retry": {"max_attempts": 6},
            "input_data": {"args": [{"__type__": "decimal", "__value__": "1"}], "kwargs": {"b": 2}}})
        self.assertEqual((result.get(timeout=30), result.state, result.ready(), result.successful()),
                         (decimal.Decimal("1.50"), "SUCCESS", True, True))
        self.assertEqual(self.celery, [])

    def test_a_failure(self) -> None:
        self.divert()
        self.outcome = {"status": "timed_out", "result": None, "error": "took too long"}
        result = self.add.delay(1, 2)
        with self.assertRaisesRegex(TaskError, "took too long"):
            result.get()
        self.assertIsInstance(result.get(propagate=False), TaskError)
        self.assertEqual((result.status, result.failed()), ("FAILURE", True))

    def test_what_stays_with_celery(self) -> None:
        divert = self.divert(tasks=["mail.*"])
        self.add.delay(1, 2)
        divert.undo()
        self.divert(tasks=["shop.*"])
        chain(self.add.s(1, 2), self.add.s(3)).apply_async()
        self.assertEqual([name for name, _ in self.celery], ["shop.add", "shop.add"])
        self.assertEqual(self.requests, [])

    def test_a_share(self) -> None:
        self.divert(share=0.25)
        ids = ["task-%d" % n for n in range(400)]
        for ident in ids:
            self.add.apply_async((1, 2), task_id=ident)
        taken = [request.body["task_id"] for request in self.requests]
        self.assertEqual(len(taken) + len(self.celery), 400)
        self.assertEqual(len(taken), 94, "a quarter, and always the same")
        self.assertIsInstance(self.add.apply_async((1, 2), task_id=taken[0]), DivertedResult)
        with self.assertRaisesRegex(ValueError, "share"):
            self.divert(share=2)

"""A Celery app as a service, beside Celery's own worker."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import subprocess
import sys
import unittest
from typing import Any, Dict, List, Tuple

from tests.processor import ChildTest, Processor

EXAMPLE = pathlib.Path(__file__).resolve().parents[3] / "examples" / "celery"

SALES = [["2026-01-05", "lamp", 2], ["2026-01-06", "rug", 1], ["2026-02-01", "desk", 1]]
# Calls whose outcome Celery's worker and the service are compared by.
CALLS: List[Tuple[str, List[Any], Dict[str, Any]]] = [
    ("shop.tasks.orders.price", [[["lamp", 2], ["rug", 1]]], {}),
    ("shop.tasks.orders.add_fee", [], {"amount": "10", "fee": "0.5"}),
    ("shop.tasks.orders.receipt", ["5.00"], {"customer": "ada"}),
    ("shop.tasks.orders.parcel", ["O-1"], {}),
    ("shop.tasks.orders.charge", ["O-1", "3.00"], {}),
    ("shop.tasks.orders.refund", ["O-1"], {}),
    ("shop.tasks.orders.settle", [[["lamp", 0]]], {}),
    ("shop.tasks.orders.settle", [[["sofa", 1]]], {}),
    ("shop.tasks.orders.place", ["ada", [["shelf", 1]]], {}),
    ("shop.tasks.mail.render", ["Dear {name}"], {"name": "Ada"}),
    ("shop.tasks.mail.send", ["ada@example.org", "hi"], {}),
    ("shop.tasks.mail.send", ["busy@example.org", "hi"], {}),
    ("shop.tasks.mail.send", ["busiest@example.org", "hi"], {}),
    ("shop.tasks.mail.send", ["full@example.org", "hi"], {}),
    ("shop.tasks.mail.send", ["nobody"], {"text": "hi"}),
    ("shop.tasks.mail.send", [], {}),
    ("shop.tasks.catalogue.thumbnails", [[[400, 300], [50, 1000]]], {"box": 50}),
    ("shop.tasks.catalogue.index", ["chair"], {}),
    ("catalogue.about", [1, "two"], {"three": [3]}),
    ("shop.tasks.reports.weekly", [SALES], {}),
    ("shop.tasks.reports.best", [["lamp", "desk"]], {}),
    ("celery.starmap", [], {"task": {"task": "shop.tasks.catalogue.fit"}, "it": [[100, 50], [10, 10]]}),
    ("celery.map", [], {"task": {"task": "shop.tasks.catalogue.index"}, "it": ["lamp", "rug"]}),
]
# Runs the calls on Celery's worker over a broker in memory and prints what is stored of each.
WORKER = '''
import json, sys
from celery.contrib.testing.worker import start_worker
from kombu.utils.json import dumps
from shop import app

app.loader.import_default_modules()
with start_worker(app, pool="solo", perform_ping_check=False, loglevel="CRITICAL", shutdown_timeout=60,
                  queues=["celery", "heavy_tasks", "fast_tasks"]):
    results = [app.send_task(name, args, kwargs) for name, args, kwargs in json.loads(sys.argv[1])]
    stored = []
    for result in results:
        try:
            value = result.get(timeout=60)
            stored.append(["completed", json.loads(dumps(value))])
        except Exception as error:
            stored.append(["failed", type(error).__name__ + ": " + str(error)])
print(json.dumps(stored))
'''


class CeleryTest(ChildTest):
    def app(self, *options: str) -> Processor:
        return self.start("-m", "tasklane.celery", *options, "shop:app",
                          env={"PYTHONPATH": os.pathsep.join([str(EXAMPLE), str(pathlib.Path(__file__).parents[1])])})

    def call(self, p: Processor, ident: str, name: str, *args: Any, attempt: int = 1, **more: Any) -> None:
        p.task(ident, name, {"args": list(args), "kwargs": more.pop("kwargs", {})}, attempt=attempt, **more)

    def outcome(self, p: Processor, name: str, args: List[Any], kwargs: Dict[str, Any]) -> List[Any]:
        """Runs a task through its attempts, as a processor does."""
        for attempt in range(1, 10):
            self.call(p, "%s-%d" % (name, attempt), name, *args, kwargs=kwargs, attempt=attempt)
            word = p.last_word()
            if word["type"] != "retry":
                return ["completed", word["result"]] if word["type"] == "result" else ["failed", word["message"]]
        raise AssertionError("%s is retried without an end" % name)

    def test_outcomes_are_those_of_celerys_own_worker(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(EXAMPLE), "SHOP_BROKER": "memory://",
                       "SHOP_RESULTS": "cache+memory://"}
        done = subprocess.run([sys.executable, "-c", WORKER, json.dumps(CALLS)], env=environment, timeout=120,
                              stdout=subprocess.PIPE, check=True)
        theirs = json.loads(done.stdout)
        p = self.app()
        for call, want in zip(CALLS, theirs):
            with self.subTest(call):
                self.assertEqual(self.outcome(p, *call), want)

    def test_ready_has_the_tasks_and_their_limits(self) -> None:
        self.app()
        tasks = self.ready["tasks"]
        self.assertEqual((tasks["shop.tasks.reports.slow"]["soft_time_limit_ms"],
                          tasks["shop.tasks.reports.slow"]["time_limit_ms"]), (1500, 30_000))
        self.assertEqual(tasks["shop.tasks.orders.price"]["time_limit_ms"], 600_000)
        self.assertEqual([tasks["shop.tasks." + name]["max_attempts"] for name in (
            "mail.send", "orders.charge", "reports.slow")], [4, 3, 4], "max_retries, which is 3 if not given, and one")
        self.assertEqual({name for name in tasks if name.startswith("celery.")}, {"celery.map", "celery.starmap"})

    def test_progress_and_soft_time_limit(self) -> None:
        p = self.app()
        self.call(p, "1", "shop.tasks.catalogue.thumbnails", [[9, 9], [8, 8]])
        self.assertEqual([p.next() for _ in range(2)], [
            {"type": "progress", "id": "1", "percent": 0, "current": 0, "total": 2, "message": "picture 0"},
            {"type": "progress", "id": "1", "percent": 50, "current": 1, "total": 2, "message": "picture 1"}])
        p.last_word()
        self.call(p, "2", "shop.tasks.reports.slow", 5)
        self.assertEqual(p.next()["current"], 0)
        p.send(type="cancel", id="2", reason="soft_time_limit")
        self.assertEqual(p.next()["result"], {"pages": 0, "complete": False})
        self.call(p, "3", "shop.tasks.reports.slow", 5)
        p.next()
        p.send(type="cancel", id="3", reason="cancelled")
        self.assertEqual(p.next(), {"type": "cancelled", "id": "3"})

    def submitted(self, p: Processor, ident: str) -> List[Dict[str, Any]]:
        """The tasks that a task submits until it ends; its last word is kept."""
        tasks = []
        while True:
            message = p.next()
            if message["type"] != "submit":
                self.word = message
                return tasks
            tasks.append(message["task"])
            p.send(type="submitted", id=ident, ref=message["ref"], task_id="new-" + message["ref"])

    def test_tasks_that_tasks_submit(self) -> None:
        p = self.app("--lane", "heavy_tasks=gpu")
        self.call(p, "1", "shop.tasks.orders.place", "ada", [["lamp", 1]])
        charge, mail = self.submitted(p, "1")
        number = self.word["result"]["number"]
        self.assertEqual(charge, {
            "task_name": "shop.tasks.orders.charge", "input_data": {"args": [number, "59.38"], "kwargs": {}},
            "priority": 9, "retry": {"max_attempts": 3}, "context": {"celery": {"parent_id": "t-1"}},
            "soft_time_limit_ms": 300_000, "time_limit_ms": 600_000})
        self.assertEqual((mail["input_data"]["args"][0], mail["retry"]), ("ada@example.org", {"max_attempts": 4}))
        self.call(p, "2", "shop.tasks.orders.remind", ["ada", "bob"])
        sent = self.submitted(p, "2")
        self.assertEqual(self.word["result"], 2)
        self.assertEqual([task["input_data"]["args"][0] for task in sent], [
            "ada@example.org", "bob@example.org", "late@example.org", "soon@example.org"])
        late, soon = sent[2:]
        self.assertEqual((late["not_before"], late["expires_at"]),
                         ("2040-01-01T00:00:00.000000Z", "2040-01-02T00:00:00.000000Z"))
        self.assertEqual((soon["soft_time_limit_ms"], soon["time_limit_ms"]), (10_000, 20_000))
        due = datetime.datetime.fromisoformat(soon["not_before"].replace("Z", "+00:00"))
        rest = due - datetime.datetime.now(datetime.timezone.utc)
        self.assertLessEqual(rest, datetime.timedelta(hours=1))
        self.assertGreater(rest, datetime.timedelta(minutes=55))

    def test_a_chain_goes_on_with_each_result(self) -> None:
        p = self.app()
        self.call(p, "1", "shop.tasks.orders.check_out", "ada", [["lamp", 1]])
        words, names = [], []
        ident, sent = "1", self.submitted(p, "1")
        while sent:
            words.append(self.word["result"])
            (task,) = sent
            names.append(task.pop("task_name").rpartition(".")[2])
            ident += "x"
            given = task.pop("input_data")
            self.call(p, ident, "shop.tasks.orders." + names[-1], *given["args"], kwargs=given["kwargs"], members=task)
            sent = self.submitted(p, ident)
        words.append(self.word["result"])
        self.assertEqual(names, ["price", "add_fee", "receipt"])
        self.assertEqual(words, ["set off", {"__type__": "decimal", "__value__": "59.38"}, "64.28", "ada pays 64.28"])

    def test_what_is_refused_says_what_to_use(self) -> None:
        p = self.app()
        self.call(p, "1", "shop.tasks.reports.compare", ["lamp", "rug"])
        self.assertIn("celery.starmap", p.last_word()["message"])
        self.call(p, "2", "shop.tasks.reports.wait_for_another", SALES)
        self.submitted(p, "2")
        self.assertIn("tasks cannot wait for other tasks here", self.word["message"])
        self.call(p, "3", "shop.tasks.orders.skip", "ignore")
        self.assertEqual(p.last_word(), {"type": "result", "id": "3", "result": None})
        self.call(p, "5", "shop.tasks.orders.tags", ["a"])
        self.assertEqual(p.last_word()["message"], "EncodeError: Object of type set is not JSON serializable")
        self.call(p, "4", "shop.tasks.orders.skip", "no")
        self.assertIn("Reject", p.last_word()["message"])

    def test_retries_wait_as_celery_says(self) -> None:
        p = self.app()
        self.call(p, "1", "shop.tasks.orders.charge", "O-1", "3")
        word = p.last_word()
        self.assertEqual(word["type"], "retry")
        self.assertLessEqual(word["after_ms"], 1000, "retry_backoff_max with jitter")
        self.assertIn("PaymentUnavailable", word["message"])

    def test_an_async_task_and_handlers(self) -> None:
        p = self.app()
        self.call(p, "1", "shop.tasks.mail.deliver_many", ["a", "b"])
        self.assertEqual(p.last_word()["result"], ["A", "B"])
        self.call(p, "2", "shop.tasks.mail.remember", "ada@example.org")
        self.assertIsNone(p.last_word()["result"])
        self.file("notes.py", '''
            from shop import app
            from shop.journal import journal

            @app.task(name="notes")
            def notes(name):
                return [journal.has("worker_process_init"), journal.of(name)]
        ''')
        p = self.start("-m", "tasklane.celery", "notes:app", env={
            "PYTHONPATH": os.pathsep.join([str(EXAMPLE), self.directory, str(pathlib.Path(__file__).parents[1])])})
        self.call(p, "1", "catalogue.about")
        p.last_word()
        self.call(p, "2", "shop.tasks.orders.settle", [["lamp", 0]])
        p.last_word()
        self.call(p, "3", "notes", "catalogue.about")
        self.assertEqual(p.last_word()["result"], [True, [
            "prerun catalogue.about", "before_start catalogue.about", "on_success catalogue.about",
            "after_return catalogue.about SUCCESS", "postrun catalogue.about SUCCESS"]])
        self.call(p, "4", "notes", "shop.tasks.orders.settle")
        self.assertIn("on_failure shop.tasks.orders.settle DivisionByZero", p.last_word()["result"][1])

    def test_without_an_app(self) -> None:
        for arguments, said in [(["shop:nothing"], "nothing"), (["--lane", "heavy", "shop:app"], "is not QUEUE=LANE")]:
            done = subprocess.run([sys.executable, "-m", "tasklane.celery", *arguments], cwd=EXAMPLE,
                                  env={**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[1])},
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(said, done.stderr.decode())


if __name__ == "__main__":
    unittest.main()

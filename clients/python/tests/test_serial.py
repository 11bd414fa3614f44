"""Functions without async, one at a time in the main thread."""

from __future__ import annotations

import os
import signal
from typing import Any, Dict

from tests.processor import ChildTest


class SerialTest(ChildTest):
    def test_ready_describes_the_tasks(self) -> None:
        self.serve('''
            from dataclasses import dataclass
            from typing import List, Optional
            service = Service(version="3")

            @dataclass
            class Point:
                x: int
                label: Optional[str] = None

            @service(soft_time_limit=1.5, time_limit=90)
            def place(ctx: Context, points: List[Point], scale: float = 1.0) -> dict:
                """Places points."""
        ''')
        point = {"type": "object", "additionalProperties": False, "required": ["x"], "properties": {
            "x": {"type": "integer"}, "label": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}
        self.assertEqual(self.ready, {
            "type": "ready", "protocol": 1, "max_inflight": 1, "version": "3", "tasks": {"place": {
                "description": "Places points.", "soft_time_limit_ms": 1500, "time_limit_ms": 90000,
                "result": {"type": "object"},
                "input": {"type": "object", "additionalProperties": False, "required": ["points"], "properties": {
                    "points": {"type": "array", "items": point}, "scale": {"type": "number"}}}}}})

    def test_result_and_everything_that_is_said_before(self) -> None:
        p = self.serve('''
            service = Service()

            @service
            def work(ctx: Context, text: str) -> dict:
                ctx.progress(current=1, total=4, unit="pages", message="reading")
                ctx.progress(50)
                ctx.output(text)
                ctx.log("hm", level="warn")
                ctx.usage("m", input_tokens=3, output_tokens=4)
                return {"who": ctx.user_id, "attempt": ctx.attempt, "of": ctx.max_attempts, "id": ctx.task_id,
                        "lane": ctx.lane, "label": ctx.task["labels"]["a"]}
        ''')
        p.task("1", "work", {"text": "\u00e9\U0001F600"}, attempt=2, members={"labels": {"a": "b"}})
        self.assertEqual([p.next() for _ in range(6)], [
            {"type": "progress", "id": "1", "percent": 25, "current": 1, "total": 4, "unit": "pages",
             "message": "reading"},
            {"type": "progress", "id": "1", "percent": 50},
            {"type": "output", "id": "1", "text": "\u00e9\U0001F600"},
            {"type": "log", "id": "1", "level": "warn", "message": "hm"},
            {"type": "usage", "id": "1", "usage": {"model": "m", "input_tokens": 3, "output_tokens": 4}},
            {"type": "result", "id": "1", "result": {
                "who": "ada", "attempt": 2, "of": 3, "id": "t-1", "lane": "fast", "label": "b"}},
        ])

    def test_each_way_to_end(self) -> None:
        p = self.serve('''
            import datetime, decimal, uuid
            service = Service()

            class Silent(Exception):
                def __str__(self):
                    raise ValueError("no text")

            @service("*")
            def end(ctx: Context, **rest):
                name = ctx.task["task_name"]
                if name == "plain": raise ValueError("bad value")
                if name == "marked": raise TaskError("busy", retryable=True, after=2.5)
                if name == "retry": ctx.retry(3, "again", max_attempts=7)
                if name == "silent": raise Silent()
                if name == "exit": sys.exit(3)
                if name == "set": return {"a": {1}}
                if name == "nan": return float("nan")
                if name == "object": return object()
                if name == "deep":
                    rest = None
                    for _ in range(100_000): rest = [rest]
                    return rest
                if name == "large": return "x" * (1 << 20)
                if name == "surrogate": return "a\\udc80b"
                if name == "plenty":
                    return [datetime.date(2026, 1, 2), decimal.Decimal("1.50"), uuid.UUID(int=1), b"hi"]
                return name
        ''')
        cases: Dict[str, Dict[str, Any]] = {
            "plain": {"type": "error", "message": "ValueError: bad value", "retryable": False},
            "marked": {"type": "error", "message": "busy", "retryable": True, "after_ms": 2500},
            "retry": {"type": "retry", "message": "again", "after_ms": 3000, "max_attempts": 7},
            "silent": {"type": "error", "message": "Silent: (an error without a readable text)", "retryable": False},
            "exit": {"type": "error", "message": "SystemExit: 3", "retryable": False},
            "set": {"type": "error", "retryable": False,
                    "message": "the result is no JSON: a set has no order and is no JSON: use sorted() or list()"},
            "surrogate": {"type": "result", "result": "a?b"},
            "plenty": {"type": "result", "result": ["2026-01-02", "1.50", "00000000-0000-0000-0000-000000000001",
                                                    "aGk="]},
            "fine": {"type": "result", "result": "fine"},
        }
        for name, want in cases.items():
            with self.subTest(name):
                p.task(name, name)
                got = p.last_word()
                if want["type"] == "error":
                    self.assertIn("Traceback" if name not in ("set",) else "TaskError", got.pop("details"))
                self.assertEqual(got, {**want, "id": name})
        for name, text in {"nan": "no JSON", "object": "object is no JSON", "deep": "no JSON",
                           "large": "too large (1048619 bytes"}.items():
            with self.subTest(name):
                p.task(name, name)
                got = p.last_word()
                self.assertEqual((got["type"], got["retryable"]), ("error", False))
                self.assertIn(text, got["message"])

    def test_input_that_does_not_suit(self) -> None:
        p = self.serve('''
            service = Service()

            @service
            def add(a: int, b: int = 1) -> int:
                return a + b
        ''')
        for ident, name, given, message in [
            ("1", "add", {}, "add: input_data has no a"),
            ("2", "add", {"a": 1, "c": 2}, "add: input_data has c, which is not known"),
            ("3", "sub", {}, "no task is named sub here; there are: add"),
        ]:
            p.task(ident, name, given)
            self.assertEqual(p.last_word()["message"], message)
        p.task("4", "add", {"a": 1})
        self.assertEqual(p.last_word()["result"], 2)

    def test_a_generator_streams(self) -> None:
        p = self.serve('''
            service = Service()

            @service
            def count(to: int, end: bool = False):
                for n in range(to):
                    yield str(n)
                if end:
                    return {"counted": to}

            @service
            def wrong():
                yield 1
        ''')
        p.task("1", "count", {"to": 3})
        self.assertEqual([p.next().get("text") for _ in range(3)], ["0", "1", "2"])
        self.assertEqual(p.next()["result"], "012")
        p.task("2", "count", {"to": 1, "end": True})
        self.assertEqual(p.last_word()["result"], {"counted": 1})
        p.task("3", "wrong")
        self.assertIn("output is text, not int", p.last_word()["message"])

    def test_stopped_out_of_a_sleep(self) -> None:
        p = self.serve('''
            service = Service()

            @service
            def sleep(ctx: Context, keep: bool = False):
                try:
                    ctx.output("sleeping")
                    time.sleep(1000)
                except SoftTimeLimitExceeded:
                    if not keep:
                        raise
                    ctx.log("saved")  # what is said after an interrupt is not interrupted again
                    return "what there is"
                except BaseException as error:
                    ctx.output(type(error).__name__ + " " + ctx.cancel_reason)
                    raise
        ''')
        for ident, reason, keep, want in [
            ("1", "cancelled", False, "cancelled"), ("2", "soft_time_limit", False, "cancelled"),
            ("3", "soft_time_limit", True, "result"), ("4", "shutdown", False, "cancelled"),
        ]:
            p.task(ident, "sleep", {"keep": keep})
            self.assertEqual(p.until("output")["text"], "sleeping")
            p.send(type="cancel", id=ident, reason=reason)
            if reason != "soft_time_limit":
                self.assertEqual(p.next()["text"], "Cancelled " + reason)
            self.assertEqual(p.last_word()["type"], want)

    def test_a_cancel_of_a_task_that_has_not_begun(self) -> None:
        p = self.serve('''
            service = Service(max_inflight=1)

            @service
            def work():
                return "done"
        ''')
        task = b'{"type":"task","id":"%d","attempt":1,"task":{"task_id":"t","user_id":"u","task_name":"work"}}\n'
        for ident in range(200):
            # In one piece: the cancel is read before, while or after the task runs.
            p.write(task % ident + b'{"type":"cancel","id":"%d","reason":"cancelled"}\n' % ident)
            word = p.last_word()
            self.assertEqual(word["id"], str(ident))
            self.assertIn(word["type"], ("result", "cancelled"))

    def test_submit_waits_for_the_id(self) -> None:
        p = self.serve('''
            service = Service()

            @service
            def parent(ctx: Context):
                one = ctx.submit("child", {"n": 1}, lane="heavy")
                try:
                    ctx.submit("other")
                except TaskError as error:
                    return [one, str(error)]
        ''')
        p.task("1", "parent")
        self.assertEqual(p.next(), {"type": "submit", "id": "1", "ref": "1", "task": {
            "task_name": "child", "input_data": {"n": 1}, "lane": "heavy"}})
        p.send(type="submitted", id="1", ref="1", task_id="t-1~1")
        self.assertEqual(p.next()["ref"], "2")
        p.send(type="submitted", id="1", ref="2", error="over the limit")
        self.assertEqual(p.last_word()["result"], ["t-1~1", "submit a task: over the limit"])

    def test_prints_are_no_messages(self) -> None:
        p = self.serve('''
            service = Service()

            @service
            def loud():
                print("out \\udcff", end="")
                print("err", file=sys.stderr)
                os.write(1, b"{\\"type\\":\\"result\\"}\\n")
                for fd in range(3, 100):  # as programs do that become daemons
                    try: os.close(fd)
                    except OSError: pass
                return "fine"
        ''')
        p.task("1", "loud")
        self.assertEqual(p.next()["result"], "fine")
        p.close()
        self.assertEqual(p.wait(), 0)
        self.assertIn("out \\udcff", p.printed())

    def test_a_fork_says_nothing(self) -> None:
        p = self.serve('''
            service = Service()

            @service
            def fork(ctx: Context):
                read, write = os.pipe()
                if os.fork():
                    os.close(write)
                    return os.read(read, 1000).decode()
                try:
                    ctx.progress(1)
                except RuntimeError as error:
                    os.write(write, str(error).encode())
                return "from the fork"
        ''')
        p.task("1", "fork")
        self.assertIn("a fork of the service", p.next()["result"])
        p.close()
        self.assertEqual(p.rest(), [])
        self.assertEqual(p.wait(), 0)
        self.assertEqual(p.printed(), "")

    def test_lines_stay_whole_while_tasks_are_interrupted(self) -> None:
        p = self.serve('''
            service = Service()

            @service
            def talk(ctx: Context):
                while True:
                    ctx.output("x" * 60_000)
        ''')
        for ident in range(100):
            name = str(ident)
            p.task(name, "talk")
            self.assertEqual(len(p.next()["text"]), 60_000)
            # The pipe is full by then: the signal ends a write in the middle of a line.
            p.send(type="cancel", id=name, reason="cancelled")
            self.assertEqual(p.until("result", "error", "retry", "cancelled"), {"type": "cancelled", "id": name})

    def test_a_thread_that_is_left_behind_says_nothing_after_the_end(self) -> None:
        p = self.serve('''
            import threading
            service = Service()
            ended = threading.Event()
            said = threading.Event()

            @service
            def leave(ctx: Context):
                def late():
                    ended.wait()
                    ctx.output("late")
                    said.set()
                threading.Thread(target=late, daemon=True).start()

            @service
            def after():
                ended.set()
                said.wait()
        ''')
        for ident, name in [("1", "leave"), ("2", "after")]:
            p.task(ident, name)
            self.assertEqual((p.next()["id"]), ident)
        p.close()
        self.assertEqual(p.rest(), [])

    def test_pings_are_answered_while_a_task_runs(self) -> None:
        p = self.serve('''
            service = Service()

            @service
            def busy(ctx: Context):
                ctx.output("begun")
                time.sleep(1000)
        ''')
        p.task("1", "busy")
        p.next()
        p.send(type="ping")
        p.send(type="a newer message")
        self.assertEqual(p.next(), {"type": "pong"})
        # Finish what runs, then end: here by the cancel.
        p.send(type="shutdown")
        p.send(type="cancel", id="1", reason="shutdown")
        self.assertEqual(p.last_word()["type"], "cancelled")
        self.assertEqual(p.wait(), 0)

    def test_a_processor_that_is_gone_ends_the_child(self) -> None:
        p = self.serve('''
            service = Service()

            @service
            def talk(ctx: Context):
                ctx.output("begun")
                while True:
                    ctx.output("x" * 60_000)
        ''')
        p.task("1", "talk")
        p.next()
        p._lines.close()
        self.assertEqual(p.wait(), 1)
        self.assertIn("the processor cannot be reached", p.printed())

    def test_the_signal_does_not_reach_what_is_idle(self) -> None:
        p = self.serve('''
            service = Service()

            @service
            def work():
                return 1
        ''')
        p.task("1", "work")
        p.last_word()
        os.kill(p.child.pid, signal.SIGUSR1)
        p.task("2", "work")
        self.assertEqual(p.last_word()["result"], 1)

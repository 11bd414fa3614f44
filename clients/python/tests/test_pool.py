"""Functions without async, several at once in threads."""

from __future__ import annotations

from tests.processor import ChildTest


class PoolTest(ChildTest):
    def test_tasks_run_at_once(self) -> None:
        p = self.serve('''
            import threading
            service = Service(max_inflight=8)
            barrier = threading.Barrier(8)

            @service
            def meet():
                return barrier.wait() >= 0
        ''')
        self.assertEqual(self.ready["max_inflight"], 8)
        for ident in range(8):
            p.task(str(ident), "meet")
        self.assertEqual([p.last_word()["result"] for _ in range(8)], [True] * 8)

    def test_one_is_interrupted_in_its_thread(self) -> None:
        p = self.serve('''
            import threading
            service = Service(max_inflight=2)
            go = threading.Event()

            @service
            def spin(ctx: Context):
                try:
                    ctx.output("spinning")
                    while True:
                        time.sleep(0.001)
                except SoftTimeLimitExceeded:
                    ctx.log("soft limit")
                    return "in time"

            @service
            def ask(ctx: Context):
                ctx.submit("child")  # whose answer never comes

            @service
            def wait(ctx: Context):
                ctx.output("waiting")
                go.wait()
                return "not touched"

            @service
            def release():
                go.set()
        ''')
        p.task("w", "wait")
        p.until("output")
        p.task("s", "spin")
        p.until("output")
        p.send(type="cancel", id="s", reason="soft_time_limit")
        self.assertEqual(p.next(), {"type": "log", "id": "s", "level": "info", "message": "soft limit"})
        self.assertEqual(p.next(), {"type": "result", "id": "s", "result": "in time"})
        p.task("a", "ask")
        p.until("submit")
        p.send(type="cancel", id="a", reason="cancelled")
        self.assertEqual(p.next(), {"type": "cancelled", "id": "a"})
        p.task("r", "release")
        words = {word["id"]: word.get("result") for word in (p.last_word(), p.last_word())}
        self.assertEqual(words, {"r": None, "w": "not touched"})

    def test_the_last_word_is_said_once_however_a_cancel_comes(self) -> None:
        p = self.serve('''
            service = Service(max_inflight=4)

            @service
            def work(ctx: Context):
                ctx.output("working")
                return "done"
        ''')
        task = b'{"type":"task","id":"%d","attempt":1,"task":{"task_id":"t","user_id":"u","task_name":"work"}}\n'
        for ident in range(300):
            p.write(task % ident)
            if ident % 2:
                p.until("output")
            p.send(type="cancel", id=str(ident), reason="cancelled")
            word = p.last_word()
            self.assertEqual(word["id"], str(ident))
            self.assertIn(word["type"], ("result", "cancelled"))
        p.close()
        self.assertEqual(p.rest(), [])

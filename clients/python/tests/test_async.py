"""Async functions: many at once in one child."""

from __future__ import annotations

from tests.processor import ChildTest


class AsyncTest(ChildTest):
    def test_a_thousand_at_once(self) -> None:
        p = self.serve('''
            import asyncio
            service = Service(max_inflight=1000)
            running = 0
            all_there = asyncio.Event() if sys.version_info >= (3, 10) else None

            @service
            async def meet() -> int:
                """Ends when a thousand are there, so it never would if they did not run at once."""
                global running, all_there
                all_there = all_there or asyncio.Event()
                running += 1
                if running == 1000:
                    all_there.set()
                await all_there.wait()
                return running
        ''')
        self.assertEqual(self.ready["max_inflight"], 1000)
        for ident in range(1000):
            p.task(str(ident), "meet")
        words = [p.last_word() for _ in range(1000)]
        self.assertEqual({word["result"] for word in words}, {1000})
        self.assertEqual({word["id"] for word in words}, {str(ident) for ident in range(1000)})
        p.close()
        self.assertEqual(p.wait(), 0)

    def test_cancel_is_a_cancelled_error(self) -> None:
        p = self.serve('''
            import asyncio
            service = Service()

            @service
            async def wait(ctx: AsyncContext, keep: bool = False):
                try:
                    ctx.output("waiting")
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    if keep:
                        return ctx.cancel_reason
                    raise

            @service
            async def itself():
                raise asyncio.CancelledError
        ''')
        for ident, keep, word in [("1", False, {"type": "cancelled"}),
                                  ("2", True, {"type": "result", "result": "soft_time_limit"})]:
            p.task(ident, "wait", {"keep": keep})
            p.until("output")
            p.send(type="cancel", id=ident, reason="soft_time_limit")
            self.assertEqual(p.next(), {**word, "id": ident})
        p.task("3", "itself")
        self.assertIn("nobody told it to", p.last_word()["message"])

    def test_a_cancel_of_a_task_that_has_not_begun(self) -> None:
        p = self.serve('''
            service = Service()

            @service
            async def work():
                return "done"
        ''')
        task = b'{"type":"task","id":"%d","attempt":1,"task":{"task_id":"t","user_id":"u","task_name":"work"}}\n'
        for ident in range(200):
            p.write(task % ident + b'{"type":"cancel","id":"%d","reason":"cancelled"}\n' % ident)
            word = p.last_word()
            self.assertEqual(word["id"], str(ident))
            self.assertIn(word["type"], ("result", "cancelled"))

    def test_streams_submits_and_threads_beside_the_loop(self) -> None:
        p = self.serve('''
            import threading
            service = Service()

            @service
            async def stream(ctx: AsyncContext, to: int):
                for n in range(to):
                    yield str(n)

            @service
            async def parent(ctx: AsyncContext):
                return await ctx.submit("child")

            @service
            def plain(ctx: Context):
                return threading.current_thread() is threading.main_thread()
        ''')
        p.task("1", "stream", {"to": 2})
        self.assertEqual([p.next().get("text"), p.next().get("text"), p.next().get("result")], ["0", "1", "01"])
        p.task("2", "parent")
        self.assertEqual(p.next(), {"type": "submit", "id": "2", "ref": "1",
                                    "task": {"task_name": "child", "input_data": {}}})
        p.send(type="submitted", id="2", ref="1", task_id="new")
        self.assertEqual(p.next()["result"], "new")
        p.task("3", "plain")
        self.assertIs(p.next()["result"], False)

    def test_what_runs_is_finished(self) -> None:
        p = self.serve('''
            import asyncio
            service = Service()
            go = None

            @service
            async def wait(ctx: AsyncContext):
                global go
                go = asyncio.get_running_loop().create_future()
                ctx.output("waiting")
                return await go

            @service
            async def release():
                go.set_result("released")
        ''')
        p.task("1", "wait")
        p.until("output")
        p.task("2", "release")
        p.close()
        self.assertEqual([message.get("id") for message in p.rest()], ["2", "1"])
        self.assertEqual(p.wait(), 0)

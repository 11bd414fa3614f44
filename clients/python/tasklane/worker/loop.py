"""Tasks of async functions: all in one event loop."""

from __future__ import annotations

import asyncio
import collections
from typing import Deque, Dict, Optional, Set, Tuple

from tasklane.worker.channel import Channel
from tasklane.worker.execution import Execution
from tasklane.worker.handler import Handler
from tasklane.worker.runner import Forget, Runner
from tasklane.worker.service import Service
from tasklane.worker.threads import PoolRunner


class AsyncRunner(Runner):
    """Runs async functions in the main thread's loop; other functions of the service get threads."""

    def __init__(self, service: Service, forget: Forget, channel: Channel) -> None:
        super().__init__(service, forget)
        self._channel = channel
        self._threads = PoolRunner(service, forget)
        self._loop = asyncio.new_event_loop()
        self._finished: "asyncio.Future[None]" = self._loop.create_future()
        # The loop alone touches these.
        self._tasks: Dict[str, "asyncio.Task[None]"] = {}
        self._started: Set[str] = set()
        # From the reader to the loop, which is woken once for all that wait.
        self._arrived: Deque[Tuple[Execution, Handler]] = collections.deque()
        self._woken = False

    def run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._channel.gather(self._loop.call_soon)
        self._loop.run_until_complete(self._serve())
        self._threads.finish()
        self._threads.run()

    async def _serve(self) -> None:
        await self._finished
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    def start(self, execution: Execution, handler: Handler) -> None:
        if not handler.is_async:
            self._threads.start(execution, handler)
            return
        self._arrived.append((execution, handler))
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        self._woken = False  # first: what comes from here on wakes again
        while self._arrived:
            execution, handler = self._arrived.popleft()
            self._tasks[execution.id] = self._loop.create_task(self._perform(execution, handler))

    async def _perform(self, execution: Execution, handler: Handler) -> None:
        failure: Optional[BaseException] = None
        result = None
        try:
            self._started.add(execution.id)
            if execution.cancel_reason is not None:
                raise asyncio.CancelledError
            result = await handler.call_async(execution)
        except BaseException as error:  # SystemExit too: one task does not end the others
            failure = error
        self.end_of_fork(failure)
        del self._tasks[execution.id]
        self._started.remove(execution.id)
        self.forget(execution)
        if failure is None:
            execution.succeed(result)
        else:
            execution.fail(failure)

    def cancel(self, execution: Execution) -> None:
        self._threads.cancel(execution)
        self._loop.call_soon_threadsafe(self._cancel, execution)

    def _cancel(self, execution: Execution) -> None:
        # One that has not begun would never begin, and say no last word: it looks at cancel_reason itself.
        if execution.id in self._started:
            self._tasks[execution.id].cancel()

    def finish(self) -> None:
        self._loop.call_soon_threadsafe(self._no_more)

    def _no_more(self) -> None:
        if not self._finished.done():
            self._finished.set_result(None)

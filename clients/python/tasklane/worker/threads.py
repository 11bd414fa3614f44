"""Tasks of functions without async: one after the other, or a thread each."""

from __future__ import annotations

import concurrent.futures
import queue
import threading
from typing import Optional, Tuple

from tasklane.worker.execution import Execution
from tasklane.worker.handler import Handler
from tasklane.worker.interrupt import Interrupt, MainInterrupt, ThreadInterrupt
from tasklane.worker.runner import Forget, Runner
from tasklane.worker.service import Service


class Threads(Runner):
    """Runs a task in the thread that it is called in, and interrupts it there."""

    def __init__(self, service: Service, forget: Forget) -> None:
        super().__init__(service, forget)
        # Keeps a cancel from passing between the look at an execution and its arming.
        self._arming = threading.Lock()

    def cancel(self, execution: Execution) -> None:
        with self._arming:
            if execution.interrupt is None:
                return  # it has not begun and looks at cancel_reason when it does
        execution.interrupt.request(self._kind(execution))
        execution.wake()

    def _kind(self, execution: Execution) -> "type[BaseException]":
        kinds = self.service.interrupts
        return kinds.get(execution.cancel_reason or "", kinds["cancelled"])

    def perform(self, execution: Execution, handler: Handler, interrupt: Interrupt) -> None:
        """Runs the task to its last word. The interrupt is new, of this thread."""
        failure: Optional[BaseException] = None
        result = None
        try:
            try:
                with self._arming:
                    execution.interrupt = interrupt
                if execution.cancel_reason is not None:
                    raise self._kind(execution)()
                result = handler.call(execution)
            finally:
                interrupt.disarm()
        except BaseException as error:  # SystemExit too: one task does not end the others
            interrupt.disarm()  # again: an interrupt may have come just before the first
            failure = error
        self.end_of_fork(failure)
        self.forget(execution)
        if failure is None:
            execution.succeed(result)
        else:
            execution.fail(failure)


class SerialRunner(Threads):
    """One task at a time in the main thread, where signals and what insists on that thread work."""

    def __init__(self, service: Service, forget: Forget) -> None:
        super().__init__(service, forget)
        self._waiting: "queue.SimpleQueue[Optional[Tuple[Execution, Handler]]]" = queue.SimpleQueue()

    def start(self, execution: Execution, handler: Handler) -> None:
        self._waiting.put((execution, handler))

    def finish(self) -> None:
        self._waiting.put(None)

    def run(self) -> None:
        while True:
            work = self._waiting.get()
            if work is None:
                return
            self.perform(work[0], work[1], MainInterrupt())


class PoolRunner(Threads):
    """A thread for each task that runs at once."""

    def __init__(self, service: Service, forget: Forget) -> None:
        super().__init__(service, forget)
        self._pool = concurrent.futures.ThreadPoolExecutor(service.max_inflight, "tasklane-task")
        self._finished = threading.Event()

    def start(self, execution: Execution, handler: Handler) -> None:
        self._pool.submit(self._work, execution, handler)

    def _work(self, execution: Execution, handler: Handler) -> None:
        self.perform(execution, handler, ThreadInterrupt())

    def finish(self) -> None:
        self._finished.set()

    def run(self) -> None:
        self._finished.wait()
        self._pool.shutdown(wait=True)

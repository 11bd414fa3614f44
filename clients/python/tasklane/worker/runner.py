"""Where a child's tasks run."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Callable, Optional

from tasklane.worker.execution import Execution
from tasklane.worker.handler import Handler
from tasklane.worker.service import Service

Forget = Callable[[Execution], None]


class Runner:
    """start, cancel and finish are called by the reader's thread, run by the main one."""

    def __init__(self, service: Service, forget: Forget) -> None:
        self.service = service
        self.forget = forget
        self._process = os.getpid()

    def run(self) -> None:
        """Returns after finish, when no task runs any more."""
        raise NotImplementedError

    def start(self, execution: Execution, handler: Handler) -> None:
        raise NotImplementedError

    def cancel(self, execution: Execution) -> None:
        raise NotImplementedError

    def finish(self) -> None:
        """No more tasks come."""
        raise NotImplementedError

    def end_of_fork(self, failure: Optional[BaseException]) -> None:
        """A fork that comes back from the task's function ends here: its parent tells how the task ended."""
        if os.getpid() != self._process:
            if failure is not None and not isinstance(failure, SystemExit):
                traceback.print_exception(type(failure), failure, failure.__traceback__)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0 if failure is None else 1)

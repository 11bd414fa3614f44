"""The life of a child: ready, tasks, the end."""

from __future__ import annotations

import sys
import threading
from typing import Any, Callable, Dict, Protocol, TextIO

from tasklane.errors import TaskError
from tasklane.worker.channel import Channel, Message
from tasklane.worker.execution import Execution
from tasklane.worker.loop import AsyncRunner
from tasklane.worker.runner import Runner
from tasklane.worker.service import Service
from tasklane.worker.threads import PoolRunner, SerialRunner

PROTOCOL = 1


class Child:
    """Reads what the processor says, in a thread of its own so that a busy task keeps nobody waiting."""

    def __init__(self, service: Service, channel: Channel) -> None:
        self._service = service
        self._channel = channel
        self._executions: Dict[str, Execution] = {}
        self._runner = self._new_runner()
        self._on: Dict[str, Callable[[Message], None]] = {
            "task": self._begin, "cancel": self._cancel, "submitted": self._submitted, "ping": self._pong,
            "shutdown": lambda _: self._runner.finish(),
        }

    def _new_runner(self) -> Runner:
        if self._service.is_async:
            return AsyncRunner(self._service, self._forget, self._channel)
        if self._service.max_inflight == 1:
            return SerialRunner(self._service, self._forget)
        return PoolRunner(self._service, self._forget)

    def run(self) -> None:
        """Returns when the processor has said shutdown, or is gone, and what ran has ended."""
        for stream in (sys.stdout, sys.stderr):
            _make_safe(stream)
        ready: Message = {"type": "ready", "protocol": PROTOCOL, "max_inflight": self._service.max_inflight,
                          "tasks": self._service.described()}
        if self._service.version:
            ready["version"] = self._service.version
        self._channel.send(ready)
        threading.Thread(target=self._read, name="tasklane-reader", daemon=True).start()
        self._runner.run()

    def _read(self) -> None:
        for batch in self._channel.batches():
            for message in batch:
                act = self._on.get(message.get("type", ""))
                if act is not None:  # what is not known is of a newer protocol
                    act(message)
        self._runner.finish()

    def _begin(self, message: Message) -> None:
        execution = Execution(self._channel, message)
        handler = self._service.handler(execution.task["task_name"])
        if handler is None:
            names = ", ".join(sorted(self._service.handlers)) or "none"
            execution.fail(TaskError("no task is named %s here; there are: %s" % (
                execution.task["task_name"], names)))
        elif len(self._executions) >= self._service.max_inflight:
            execution.fail(TaskError("more tasks at once than max_inflight says", retryable=True))
        else:
            self._executions[execution.id] = execution
            self._runner.start(execution, handler)

    def _forget(self, execution: Execution) -> None:
        self._executions.pop(execution.id, None)

    def _cancel(self, message: Message) -> None:
        execution = self._executions.get(message["id"])
        if execution is not None:  # else its last word is on the way
            execution.cancel_reason = message.get("reason", "cancelled")
            self._runner.cancel(execution)

    def _submitted(self, message: Message) -> None:
        execution = self._executions.get(message["id"])
        if execution is not None:
            execution.submitted(message)

    def _pong(self, _: Message) -> None:
        self._channel.send({"type": "pong"})


class _Reconfigurable(Protocol):
    def reconfigure(self, **settings: Any) -> None: ...


def _make_safe(stream: TextIO) -> None:
    """A print is a line of the log at once, and no character in it fails."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)

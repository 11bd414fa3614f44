"""What a service's function knows of its task, and what it can say while it runs."""

from __future__ import annotations

import asyncio
import queue
from typing import Any, Dict, NoReturn, Optional

from tasklane.errors import Retry, TaskError
from tasklane.worker.channel import Message
from tasklane.worker.execution import MAX_PIECE, Execution


class _Context:
    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    @property
    def task(self) -> Dict[str, Any]:
        """The task as it was sent, with all members."""
        return self._execution.task

    @property
    def task_id(self) -> str:
        return str(self.task["task_id"])

    @property
    def user_id(self) -> str:
        return str(self.task["user_id"])

    @property
    def attempt(self) -> int:
        """Counts the starts of this task from 1."""
        return int(self._execution.message.get("attempt", 1))

    @property
    def max_attempts(self) -> int:
        return int(self._execution.message.get("max_attempts", 1))

    @property
    def lane(self) -> str:
        return str(self._execution.message.get("lane", ""))

    @property
    def deadline(self) -> Optional[str]:
        """When the attempt is ended by force (RFC 3339)."""
        return self._execution.message.get("deadline")

    @property
    def cancel_reason(self) -> Optional[str]:
        """cancelled, soft_time_limit or shutdown once the task was told to stop, else None."""
        return self._execution.cancel_reason

    def progress(self, percent: Optional[float] = None, *, current: Optional[int] = None, total: Optional[int] = None,
                 unit: Optional[str] = None, message: Optional[str] = None) -> None:
        """Tells the user how far the task is. Percent is taken from current and total if it is not given."""
        if percent is None and current is not None and total:
            percent = 100 * current / total
        said = {"percent": percent, "current": current, "total": total, "unit": unit, "message": message}
        self._execution.tell("progress", **{name: value for name, value in said.items() if value is not None})

    def output(self, text: str) -> None:
        """Streams a piece of output to the user."""
        if not isinstance(text, str):
            raise TypeError("output is text, not %s" % type(text).__qualname__)
        for start in range(0, len(text), MAX_PIECE):
            self._execution.tell("output", text=text[start:start + MAX_PIECE])

    def log(self, message: str, level: str = "info") -> None:
        """Writes a log event of the task: debug, info, warn or error."""
        self._execution.tell("log", level=level, message=str(message)[:MAX_PIECE])

    def usage(self, model: str, *, input_tokens: int, output_tokens: int, **more: Any) -> None:
        """Reports what a model was asked for: one request. The members are those of `usage` in docs/TOPICS.md."""
        told = {"model": model, "input_tokens": input_tokens, "output_tokens": output_tokens, **more}
        self._execution.tell("usage", usage=told)

    def retry(self, after: float = 0, message: str = "", *, max_attempts: Optional[int] = None) -> NoReturn:
        """Ends this attempt; another one begins after some seconds."""
        raise Retry(message, after=after, max_attempts=max_attempts)


class Context(_Context):
    """For functions without async. Its methods may be called from any thread of the task."""

    def submit(self, task_name: str, input_data: Optional[Dict[str, Any]] = None, **members: Any) -> str:
        """Submits a task of the same user and returns its id.

        mode, service and lane are this task's own if they are not among the members. An attempt that is made again
        submits the same tasks, with the same ids: each runs once.
        """
        answer: "queue.SimpleQueue[Message]" = queue.SimpleQueue()
        self._execution.submit(_task(task_name, input_data, members), answer)
        while True:
            message = answer.get()
            if message:
                return _accepted(message)
            # Woken for an interrupt, which is raised before this line or at the next; an answer still comes.


class AsyncContext(_Context):
    """For async functions."""

    async def submit(self, task_name: str, input_data: Optional[Dict[str, Any]] = None, **members: Any) -> str:
        """As Context.submit."""
        answer: "asyncio.Future[Message]" = asyncio.get_running_loop().create_future()
        self._execution.submit(_task(task_name, input_data, members), answer)
        return _accepted(await answer)


def _task(task_name: str, input_data: Optional[Dict[str, Any]], members: Dict[str, Any]) -> Dict[str, Any]:
    return {"task_name": task_name, "input_data": input_data or {}, **members}


def _accepted(message: Message) -> str:
    if message.get("error"):
        raise TaskError("submit a task: %s" % message["error"])
    return str(message["task_id"])

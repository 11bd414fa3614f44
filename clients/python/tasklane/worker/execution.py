"""One attempt of a task in this child."""

from __future__ import annotations

import asyncio
import queue
import threading
import traceback
from typing import Any, Dict, Optional, Union

from tasklane.errors import Cancelled, Retry, SoftTimeLimitExceeded, TaskError
from tasklane.worker.channel import Channel, Message, TooLong
from tasklane.worker.interrupt import Interrupt

# Errors and tracebacks are for people: more of them is shown to nobody.
MAX_TEXT = 4 << 10
# A piece of output or a log line; the rest of a longer one follows in others.
MAX_PIECE = 64 << 10

# How a task says that it obeyed.
_STOPPED = (Cancelled, SoftTimeLimitExceeded, asyncio.CancelledError)

Answer = Union["queue.SimpleQueue[Message]", "asyncio.Future[Message]"]


class Execution:
    """Speaks for one task until its last word, once."""

    def __init__(self, channel: Channel, message: Message) -> None:
        self.id: str = message["id"]
        self.message = message
        self.task: Dict[str, Any] = message["task"]
        self.cancel_reason: Optional[str] = None
        # Set by the runner, in the thread that runs the task.
        self.interrupt: Optional[Interrupt] = None
        self._channel = channel
        self._lock = threading.Lock()
        self._ended = False
        self._submits: Dict[str, Answer] = {}

    def tell(self, kind: str, **members: Any) -> None:
        """Sends what is not a last word. After that one nothing is sent any more."""
        self._send({"type": kind, "id": self.id, **members}, False)

    def succeed(self, result: Any) -> None:
        """Ends the task with its result, or with an error if that cannot be sent."""
        try:
            self._end({"type": "result", "result": result})
        except TooLong as error:
            self.fail(TaskError("the result is too large (%s): keep it as a file and return where" % error))
        except (TypeError, ValueError, RecursionError) as error:
            self.fail(TaskError("the result is no JSON: %s" % error))

    def fail(self, error: BaseException) -> None:
        """Ends the task as the error says."""
        if isinstance(error, _STOPPED) and self.cancel_reason is None:
            error = TaskError("the service stopped itself (%s) though nobody told it to" % type(error).__qualname__)
        self._end(last_word(error))

    def submit(self, task: Dict[str, Any], answer: Answer) -> None:
        """Asks for a new task; its id, or why there is none, comes as the answer."""
        with self._lock:
            ref = str(len(self._submits) + 1)
            self._submits[ref] = answer
        self.tell("submit", ref=ref, task=task)

    def submitted(self, message: Message) -> None:
        """Hands an answer of the processor to who waits for it."""
        answer = self._submits.get(message["ref"])
        if isinstance(answer, asyncio.Future):
            answer.get_loop().call_soon_threadsafe(_settle, answer, message)
        elif answer is not None:
            answer.put(message)

    def wake(self) -> None:
        """Lets a thread that waits for an answer see that it was interrupted."""
        with self._lock:
            waiting = list(self._submits.values())
        for answer in waiting:
            if not isinstance(answer, asyncio.Future):
                answer.put({})

    def _end(self, word: Message) -> None:
        self._send({**word, "id": self.id}, True)

    def _send(self, message: Message, last: bool) -> None:
        interrupt = self.interrupt
        if interrupt is None:
            return self._send_once(message, last)
        with interrupt:
            self._send_once(message, last)

    def _send_once(self, message: Message, last: bool) -> None:
        # The lock keeps a thread that the task left behind from speaking after the last word.
        with self._lock:
            if self._ended:
                return
            self._channel.send(message, last=last)
            self._ended = last


def _settle(answer: "asyncio.Future[Message]", message: Message) -> None:
    if not answer.done():
        answer.set_result(message)


def last_word(error: BaseException) -> Message:
    """How an exception ends its task."""
    if isinstance(error, _STOPPED):
        return {"type": "cancelled"}
    text = _text(error)
    if isinstance(error, Retry):
        word: Message = {"type": "retry", "after_ms": _milliseconds(error.after), "message": text}
        if error.max_attempts is not None:
            word["max_attempts"] = error.max_attempts
        return word
    word = {"type": "error", "message": text, "retryable": False, "details": _details(error)}
    if isinstance(error, TaskError):
        word["retryable"] = error.retryable
        if error.after is not None:
            word["after_ms"] = _milliseconds(error.after)
    return word


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))


def _text(error: BaseException) -> str:
    """The error for people; also of one whose own text fails."""
    try:
        text = str(error)
    except Exception:
        text = "(an error without a readable text)"
    if not isinstance(error, (TaskError, Retry)):
        text = "%s: %s" % (type(error).__qualname__, text) if text else type(error).__qualname__
    return text[:MAX_TEXT]


def _details(error: BaseException) -> str:
    try:
        lines = traceback.format_exception(type(error), error, error.__traceback__)
    except Exception:
        return ""
    # Where it happened stands at the end.
    return "".join(lines)[-MAX_TEXT:]

"""What services raise to say how a task ends, and what clients are told."""

from __future__ import annotations

from typing import Any, Optional


class TaskError(Exception):
    """A task failed. Any other exception ends it too; this one says more.

    retryable: another attempt may succeed. after: seconds until then; the task's own
    back-off if not given.
    """

    def __init__(self, message: str, *, retryable: bool = False, after: Optional[float] = None) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.after = after


class Retry(Exception):
    """The task is to be tried again after some seconds, whatever its retry policy says."""

    def __init__(self, message: str = "", *, after: float = 0, max_attempts: Optional[int] = None) -> None:
        super().__init__(message or "asked for another attempt")
        self.after = after
        self.max_attempts = max_attempts


class SoftTimeLimitExceeded(Exception):
    """Raised in a task's thread at its soft time limit: what there is can still be returned."""


class Cancelled(BaseException):
    """Raised in a task's thread when it is cancelled or the processor stops.

    No Exception, so that `except Exception` does not hold it up.
    """


class APIError(Exception):
    """The server refused a request for good, with an RFC 9457 problem."""

    def __init__(self, status: int, problem: "dict[str, Any]") -> None:
        self.status = status
        self.problem = problem
        title = problem.get("title") or "HTTP status %d" % status
        detail = problem.get("detail")
        super().__init__("%s: %s (HTTP %d)" % (title, detail, status) if detail else "%s (HTTP %d)" % (title, status))


class Unreachable(Exception):
    """No usable answer came in time. What was asked for may have been done: the same task_id can be sent again."""


class Lost(Exception):
    """The task will never end: its record was gone before a processor had read it."""


class ResultTimeout(TimeoutError):
    """The task has not ended within the timeout. It goes on."""

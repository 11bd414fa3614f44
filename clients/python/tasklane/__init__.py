"""Tasklane for Python: services that processors run, and clients that submit tasks and follow them."""

from tasklane.client import Client
from tasklane.errors import (
    APIError,
    Cancelled,
    Lost,
    ResultTimeout,
    Retry,
    SoftTimeLimitExceeded,
    TaskError,
    Unreachable,
)
from tasklane.handle import Handle
from tasklane.legacy import execute_heavy_task, execute_task
from tasklane.worker.context import AsyncContext, Context
from tasklane.worker.service import Service

__all__ = [
    "APIError", "AsyncContext", "Cancelled", "Client", "Context", "Handle", "Lost", "ResultTimeout", "Retry", "Service",
    "SoftTimeLimitExceeded", "TaskError", "Unreachable", "execute_heavy_task", "execute_task",
]

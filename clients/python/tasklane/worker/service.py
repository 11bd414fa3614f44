"""A service: functions by the names of their tasks."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Optional, Type, TypeVar, Union, overload

from tasklane.errors import Cancelled, SoftTimeLimitExceeded
from tasklane.worker.channel import Channel
from tasklane.worker.handler import Handler

Function = TypeVar("Function", bound=Callable[..., Any])

ANY = "*"
MAX_INFLIGHT = 10_000


class Service:
    """Collects functions, as a decorator, and runs them as a child of a processor.

        service = Service()

        @service
        def greet(name: str) -> str:
            return "Hello, " + name

        service.run()

    max_inflight is how many tasks run at once in this child: 1 if it is not given, or 100 where a function is async.
    """

    def __init__(self, *, version: str = "", max_inflight: Optional[int] = None) -> None:
        if max_inflight is not None and not 1 <= max_inflight <= MAX_INFLIGHT:
            raise ValueError("max_inflight is from 1 to %d" % MAX_INFLIGHT)
        self.version = version
        self.handlers: Dict[str, Handler] = {}
        self._max_inflight = max_inflight

    @overload
    def __call__(self, function: Function) -> Function: ...

    @overload
    def __call__(self, function: str = "", *, soft_time_limit: Optional[float] = None,
                 time_limit: Optional[float] = None,
                 max_attempts: Optional[int] = None) -> Callable[[Function], Function]: ...

    def __call__(self, function: Union[str, Callable[..., Any]] = "", *, soft_time_limit: Optional[float] = None,
                 time_limit: Optional[float] = None, max_attempts: Optional[int] = None) -> Any:
        """@service, @service("name") or @service(time_limit=90): time limits in seconds, and how many attempts may
        fail, of tasks that do not say so. The name "*" takes the tasks of all names that no other function has."""
        if callable(function):
            return self._register(function, Handler(function, function.__name__))
        name = function

        def decorate(decorated: Function) -> Function:
            return self._register(decorated, Handler(
                decorated, name or decorated.__name__, soft_time_limit=soft_time_limit, time_limit=time_limit,
                max_attempts=max_attempts))

        return decorate

    def _register(self, function: Function, handler: Handler) -> Function:
        if handler.name in self.handlers:
            raise ValueError("two functions for tasks named %s" % handler.name)
        self.handlers[handler.name] = handler
        return function

    @property
    def is_async(self) -> bool:
        return any(handler.is_async for handler in self.handlers.values())

    @property
    def max_inflight(self) -> int:
        return self._max_inflight or (100 if self.is_async else 1)

    @property
    def interrupts(self) -> Mapping[str, Type[BaseException]]:
        """What is raised in a task's thread for each reason to stop it."""
        return {"soft_time_limit": SoftTimeLimitExceeded, "cancelled": Cancelled, "shutdown": Cancelled}

    def described(self) -> Dict[str, Any]:
        """The tasks by their names."""
        return {name: handler.described() for name, handler in self.handlers.items()}

    def handler(self, task_name: str) -> Optional[Handler]:
        return self.handlers.get(task_name) or self.handlers.get(ANY)

    def run(self) -> None:
        """Serves until the processor says that it is enough. Call it last: what is loaded before is warm."""
        from tasklane.worker.child import Child  # here, so that a service can be imported and tested anywhere

        Child(self, Channel.inherited()).run()

"""A function that does the tasks of one name."""

from __future__ import annotations

import asyncio
import collections.abc
import dataclasses
import enum
import inspect
import typing
from typing import Any, Callable, Dict, List, Optional

from tasklane.errors import TaskError
from tasklane.worker import schema
from tasklane.worker.context import AsyncContext, Context
from tasklane.worker.execution import Execution

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)
# A stream whose text is longer than this has no result beside it.
_MAX_STREAM_RESULT = 256 << 10


class Handler:
    """Calls a function with the members of a task's input_data as its arguments.

    A parameter annotated with Context or AsyncContext gets the task's context, one named **anything all other members.
    """

    def __init__(self, function: Callable[..., Any], name: str, *, soft_time_limit: Optional[float] = None,
                 time_limit: Optional[float] = None, max_attempts: Optional[int] = None) -> None:
        self.name = name
        self.is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
        self._function = function
        self._limits = {"soft_time_limit_ms": soft_time_limit, "time_limit_ms": time_limit}
        self._max_attempts = max_attempts
        self._hints = typing.get_type_hints(function)
        self._context: Optional[str] = None
        self._parameters: Dict[str, inspect.Parameter] = {}
        self._takes_rest = False
        for parameter in inspect.signature(function).parameters.values():
            self._add(parameter)

    def _add(self, parameter: inspect.Parameter) -> None:
        wanted, other = (AsyncContext, Context) if self.is_async else (Context, AsyncContext)
        hint = self._hints.get(parameter.name)
        if hint is other:
            raise TypeError("%s: %s is %san async function: annotate %s with %s" % (
                self.name, self._function.__qualname__, "" if self.is_async else "not ", parameter.name,
                wanted.__name__))
        if hint is wanted:
            self._context = parameter.name
        elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
            self._takes_rest = True
        elif parameter.kind in _POSITIONAL:
            raise TypeError("%s: parameter %s cannot be given by name, and input_data has names only" % (
                self.name, parameter.name))
        else:
            self._parameters[parameter.name] = parameter

    def described(self) -> Dict[str, Any]:
        """What the processor tells others of these tasks."""
        told: Dict[str, Any] = {"input": self._input_schema()}
        result = self._result_schema()
        if result:
            told["result"] = result
        description = inspect.getdoc(self._function)
        if description:
            told["description"] = description
        told.update({name: round(1000 * limit) for name, limit in self._limits.items() if limit is not None})
        if self._max_attempts is not None:
            told["max_attempts"] = self._max_attempts
        return told

    def _input_schema(self) -> schema.Schema:
        properties = {name: schema.of(self._hints.get(name, Any)) for name in self._parameters}
        needed = [name for name, one in self._parameters.items() if one.default is inspect.Parameter.empty]
        made = schema.record(properties, needed)
        if self._takes_rest:
            del made["additionalProperties"]
        return made

    def _result_schema(self) -> schema.Schema:
        hint = self._hints.get("return", Any)
        streams = inspect.isgeneratorfunction(self._function) or inspect.isasyncgenfunction(self._function)
        return {} if streams else schema.of(hint)

    def call(self, execution: Execution) -> Any:
        """Runs a function without async to its result."""
        context = Context(execution)
        value = self._function(**self._arguments(execution, context))
        return _stream(value, context) if inspect.isgenerator(value) else value

    async def call_async(self, execution: Execution) -> Any:
        """Runs an async function to its result."""
        context = AsyncContext(execution)
        value = self._function(**self._arguments(execution, context))
        return await value if inspect.isawaitable(value) else await _stream_async(value, context)

    def _arguments(self, execution: Execution, context: Any) -> Dict[str, Any]:
        given = execution.task.get("input_data") or {}
        missing = [name for name, one in self._parameters.items()
                   if name not in given and one.default is inspect.Parameter.empty]
        unknown = [] if self._takes_rest else [name for name in given if name not in self._parameters]
        if missing or unknown:
            raise TaskError("%s: %s" % (self.name, _complaint(missing, unknown)))
        arguments = {name: _converted(value, self._hints.get(name)) for name, value in given.items()}
        if self._context is not None:
            arguments[self._context] = context
        return arguments


def _complaint(missing: List[str], unknown: List[str]) -> str:
    said = []
    if missing:
        said.append("input_data has no %s" % ", ".join(missing))
    if unknown:
        said.append("input_data has %s, which is not known" % ", ".join(unknown))
    return "; ".join(said)


def _converted(value: Any, hint: Any) -> Any:
    """The value as its hint says where JSON has no such type: records and enumerations, also in lists."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(value, list) and origin in (list, collections.abc.Sequence) and inner:
        return [_converted(one, inner[0]) for one in value]
    if not isinstance(hint, type):
        return value
    if issubclass(hint, enum.Enum):
        return hint(value)
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        hints = typing.get_type_hints(hint)
        return hint(**{name: _converted(one, hints.get(name)) for name, one in value.items()})
    return value


class _Streamed:
    """The pieces of a generator, which are the result too where that has none and they are not too long."""

    def __init__(self, context: Any) -> None:
        self._output = context.output
        self._pieces: List[str] = []
        self._size = 0

    def add(self, piece: str) -> None:
        self._output(piece)
        self._size += len(piece)
        if self._size <= _MAX_STREAM_RESULT:
            self._pieces.append(piece)

    def text(self) -> Optional[str]:
        return "".join(self._pieces) if self._size <= _MAX_STREAM_RESULT else None


def _stream(pieces: Any, context: Context) -> Any:
    streamed = _Streamed(context)
    while True:
        try:
            streamed.add(next(pieces))
        except StopIteration as end:
            return streamed.text() if end.value is None else end.value


async def _stream_async(pieces: Any, context: AsyncContext) -> Optional[str]:
    streamed = _Streamed(context)
    async for piece in pieces:
        streamed.add(piece)
        # A generator that never waits would keep all others from running.
        await asyncio.sleep(0)
    return streamed.text()

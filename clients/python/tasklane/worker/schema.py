"""JSON Schemas from type hints, so that wrong input is refused before a task is run."""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import decimal
import enum
import types
import typing
import uuid
from typing import Any, Dict, List, Tuple, Union

Schema = Dict[str, Any]

_PLAIN: Dict[Any, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    type(None): {"type": "null"},
    dict: {"type": "object"},
    list: {"type": "array"},
    tuple: {"type": "array"},
    datetime.datetime: {"type": "string", "format": "date-time"},
    datetime.date: {"type": "string", "format": "date"},
    datetime.time: {"type": "string"},
    decimal.Decimal: {"type": "string"},
    uuid.UUID: {"type": "string"},
    bytes: {"type": "string"},
}
_LISTS = (list, collections.abc.Sequence, collections.abc.Iterable)
_MAPS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
# `X | Y` has a type of its own, from Python 3.10 on.
_UNIONS = (Union, getattr(types, "UnionType", Union))


def of(hint: Any) -> Schema:
    """The schema of a type; one that is not known takes anything."""
    if hint in (Any, object):
        return {}
    if isinstance(hint, type) and hint in _PLAIN:
        return dict(_PLAIN[hint])
    if hint is None:
        return {"type": "null"}
    if isinstance(hint, type):
        return _of_class(hint)
    return _of_generic(typing.get_origin(hint), typing.get_args(hint))


def _of_class(hint: type) -> Schema:
    if issubclass(hint, enum.Enum):
        return {"enum": [member.value for member in hint]}
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        fields = [field for field in dataclasses.fields(hint) if field.init]
        needed = [field.name for field in fields if not _has_default(field)]
        return record({field.name: of(hints[field.name]) for field in fields}, needed)
    needed_keys = getattr(hint, "__required_keys__", None)
    if needed_keys is not None:  # a TypedDict
        return record({name: of(kind) for name, kind in typing.get_type_hints(hint).items()}, sorted(needed_keys))
    return _of_generic(typing.get_origin(hint), typing.get_args(hint))


def _has_default(field: "dataclasses.Field[Any]") -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _of_generic(origin: Any, arguments: Tuple[Any, ...]) -> Schema:
    if origin in _UNIONS:
        return _of_union([of(argument) for argument in arguments])
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin in _LISTS and arguments:
        return {"type": "array", "items": of(arguments[0])}
    if origin in _MAPS and len(arguments) == 2:
        return {"type": "object", "additionalProperties": of(arguments[1])}
    if origin is tuple and arguments:
        return _of_tuple(arguments)
    if origin in _PLAIN:
        return dict(_PLAIN[origin])
    if str(origin).endswith("Annotated"):
        return of(arguments[0])
    return {}


def _of_union(members: List[Schema]) -> Schema:
    if {} in members:
        return {}
    return {"anyOf": members} if len(members) > 1 else members[0]


def _of_tuple(arguments: Tuple[Any, ...]) -> Schema:
    if len(arguments) == 2 and arguments[1] is ...:
        return {"type": "array", "items": of(arguments[0])}
    size = len(arguments)
    return {"type": "array", "prefixItems": [of(argument) for argument in arguments], "minItems": size,
            "maxItems": size}


def record(properties: Dict[str, Schema], required: List[str]) -> Schema:
    """An object with these members and no others."""
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        schema["required"] = required
    return schema

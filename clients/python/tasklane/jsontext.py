"""JSON as it goes over the wire: UTF-8, one line, nothing that strict readers refuse."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import decimal
import enum
import json
import uuid
from typing import Any


def encode(value: Any) -> bytes:
    """The value in one line, without its end. TypeError and ValueError say what is no JSON."""
    text = json.dumps(value, default=_plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A lone surrogate (half of a pair, from a file name or a cut text) is no UTF-8, and other readers refuse the line.
    return text.encode("utf-8", "replace")


def _plain(value: Any) -> Any:
    """What json does not know and people return all the same."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (decimal.Decimal, uuid.UUID)):
        return str(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, (set, frozenset)):
        raise TypeError("a set has no order and is no JSON: use sorted() or list()")
    raise TypeError("%s is no JSON: use dict, list, str, int, float, bool or None" % type(value).__qualname__)

"""Events over server-sent events, resumed by cursor."""

from __future__ import annotations

import http.client
import json
import random
import time
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional

from tasklane.connection import Connection, temporary
from tasklane.errors import APIError, Unreachable

Event = Dict[str, Any]

# A sign of life comes every 25 s.
_SILENCE_S = 60.0
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0
_MAX_LINE_BYTES = 16 << 20
_TERMINAL = ("completed", "failed", "timed_out", "cancelled")


class Block(NamedTuple):
    """One server-sent event. name is "message" if it has none."""

    name: str
    id: str
    data: str


def watch(connection: Connection, query: Mapping[str, str], give_up_after: float) -> Iterator[Event]:
    """Events after the query's `since`, each with its cursor; of one task until it has ended."""
    asked = dict(query)
    pause = _FIRST_PAUSE_S
    failing: Optional[float] = None
    while True:
        try:
            with connection.stream("/sse", asked, _SILENCE_S) as response:
                for block in blocks(response):
                    pause, failing = _FIRST_PAUSE_S, None
                    # `hello` and `resume` move a watch on too: one that began `now` and broke before its first event
                    # comes back where it began.
                    asked["since"] = block.id or asked["since"]
                    if block.name == "closing":
                        _refuse(json.loads(block.data))
                    elif block.name == "message":
                        event: Event = json.loads(block.data)
                        yield event
                        if "task_id" in query and event["kind"] == "state" and event["status"] in _TERMINAL:
                            return
        except (OSError, http.client.HTTPException, Unreachable) as error:
            failing = _since(failing, error, give_up_after)
        except APIError as error:
            if not temporary(error):
                raise
            failing = _since(failing, error, give_up_after)
        # At random, so that the clients of a notifier that was restarted do not all come at once.
        time.sleep(pause * random.uniform(0.5, 1))
        pause = min(2 * pause, _LONGEST_PAUSE_S)


def _since(failing: Optional[float], error: Exception, give_up_after: float) -> float:
    """When the failures began that this one belongs to. Raises it if that is too long ago."""
    now = time.monotonic()
    if failing is None:
        return now
    if now - failing <= give_up_after:
        return failing
    if isinstance(error, (APIError, Unreachable)):
        raise error
    raise Unreachable("the notifier does not answer: %s" % error) from error


def _refuse(closing: Event) -> None:
    """Raises if a client that comes back would be closed again: codes of 44xx are for good."""
    code = closing.get("code", 0)
    if 4400 <= code < 4500:
        raise APIError(code - 4000, {"title": "The notifier ended the watch", "detail": closing.get("reason", "")})


def blocks(stream: Any) -> Iterator[Block]:
    """The blocks of a stream that have data, until it ends. One that is cut off is left out."""
    name, ident, data = "message", "", []  # type: str, str, List[str]
    while True:
        raw = stream.readline(_MAX_LINE_BYTES)
        if not raw.endswith(b"\n"):
            return
        line = raw.decode("utf-8").rstrip("\r\n")
        if not line:
            if data:
                yield Block(name, ident, "\n".join(data))
            name, data = "message", []
            continue
        field, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if field == "event":
            name = value
        elif field == "id":
            ident = value
        elif field == "data":
            data.append(value)

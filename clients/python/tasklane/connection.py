"""HTTP with the standard library: an address, a token, and tries that are made again."""

from __future__ import annotations

import http.client
import json
import random
import time
import urllib.parse
from typing import Any, Dict, Mapping, NamedTuple, Optional

from tasklane.errors import APIError, Unreachable
from tasklane.jsontext import encode

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_LONGEST_ADVICE_S = 30.0
_ANSWER_S = 30.0
# What passes: too many requests, no broker for the moment, a proxy without its server.
_TEMPORARY = (408, 425, 429, 500, 502, 503, 504)


class Answer(NamedTuple):
    status: int
    body: Dict[str, Any]


class Connection:
    """Sends requests to one server, each over a connection of its own."""

    def __init__(self, address: str, token: Optional[str], give_up_after: float) -> None:
        split = urllib.parse.urlsplit(address)
        if split.scheme not in ("http", "https") or not split.hostname:
            raise ValueError("%r is no address of a server: it begins with http:// or https://" % address)
        self._split = split
        self._token = token
        self._give_up_after = give_up_after

    def call(self, method: str, path: str, query: Optional[Mapping[str, str]] = None, *, body: Any = None,
             wait: float = 0) -> Answer:
        """Sends until there is an answer for good. wait: seconds that the server may take before it answers."""
        payload = None if body is None else encode(body)
        target = _with_query(path, query)
        since = time.monotonic()
        pause = _FIRST_PAUSE_S
        while True:
            try:
                return self._once(method, target, payload, wait)
            except _Again as again:
                rest = max(pause * random.uniform(0.5, 1), min(again.after, _LONGEST_ADVICE_S))
                if time.monotonic() - since + rest > self._give_up_after:
                    raise again.cause from again.cause.__cause__
                time.sleep(rest)
                pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _once(self, method: str, target: str, payload: Optional[bytes], wait: float) -> Answer:
        headers = {"Content-Type": "application/json"} if payload is not None else {}
        connection = self._open(_ANSWER_S + wait)
        try:
            connection.request(method, self._split.path.rstrip("/") + target, payload, self._headers(headers))
            response = connection.getresponse()
            status, after, text = response.status, _seconds(response.getheader("Retry-After")), response.read()
        except (OSError, http.client.HTTPException) as error:
            raise _Again(self._unreachable(error), 0) from error
        finally:
            connection.close()
        body = _object(text)
        if 200 <= status < 300:
            return Answer(status, body)
        refusal = APIError(status, body)
        if status in _TEMPORARY:
            raise _Again(refusal, after)
        raise refusal

    def stream(self, path: str, query: Mapping[str, str], silence: float) -> http.client.HTTPResponse:
        """Begins to read an answer without an end; silence of that many seconds breaks it."""
        connection = self._open(silence)
        try:
            connection.request("GET", self._split.path.rstrip("/") + _with_query(path, query),
                               headers=self._headers({"Accept": "text/event-stream"}))
            response = connection.getresponse()
            if response.status != 200:
                raise APIError(response.status, _object(response.read()))
            return response
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._unreachable(error) from error
        except BaseException:
            connection.close()
            raise

    def _open(self, timeout: float) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._split.scheme == "https" else http.client.HTTPConnection
        return kind(self._split.hostname or "", self._split.port, timeout=timeout)

    def _headers(self, more: Dict[str, str]) -> Dict[str, str]:
        accept = {"Accept": "application/json, application/problem+json"}
        bearer = {"Authorization": "Bearer " + self._token} if self._token else {}
        return {**accept, **bearer, **more}

    def _unreachable(self, error: BaseException) -> Unreachable:
        return Unreachable("%s://%s does not answer: %s" % (
            self._split.scheme, self._split.netloc.rpartition("@")[2], error))


class _Again(Exception):
    """A try that failed in a way that passes."""

    def __init__(self, cause: Exception, after: float) -> None:
        super().__init__()
        self.cause = cause
        self.after = after


def temporary(error: APIError) -> bool:
    """Whether the same request may be answered later."""
    return error.status in _TEMPORARY


def element(text: str) -> str:
    """The text as one element of a path."""
    return urllib.parse.quote(text, safe="") if text.strip(".") else text.replace(".", "%2E")


def _with_query(path: str, query: Optional[Mapping[str, str]]) -> str:
    return path + "?" + urllib.parse.urlencode(query) if query else path


def _seconds(header: Optional[str]) -> float:
    return float(header) if header and header.isdigit() else 0


def _object(text: bytes) -> Dict[str, Any]:
    """The answer's object; an empty one where a proxy answered with a page of its own."""
    try:
        value = json.loads(text) if text else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}

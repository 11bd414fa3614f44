"""An API and a notifier in memory, scripted by the test."""

from __future__ import annotations

import http.server
import json
import threading
import unittest
from typing import Any, Callable, Dict, List, Optional, Tuple
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

# What a request is answered: a status, a body, headers. Bytes are sent as they are, as an event stream.
Reply = Tuple[int, Any, Dict[str, str]]


class Request:
    def __init__(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        split = urlsplit(handler.path)
        self.method = handler.command or ""
        self.path = split.path
        self.query = dict(parse_qsl(split.query))
        self.headers = handler.headers
        size = int(handler.headers.get("Content-Length") or 0)
        self.body = json.loads(handler.rfile.read(size)) if size else None


class ServerTest(unittest.TestCase):
    """Each test has a server; self.answers says what it answers, one after the other, then the last again."""

    def setUp(self) -> None:
        self.requests: List[Request] = []
        self.answers: List[Reply] = []
        test = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def reply(self) -> None:
                request = Request(self)
                test.requests.append(request)
                status, body, headers = test.answer(request)
                raw = isinstance(body, bytes)
                payload = body if raw else json.dumps(body).encode()
                self.send_response(status)
                headers = {"Content-Type": "text/event-stream" if raw else "application/json", **headers}
                if not raw:
                    headers["Content-Length"] = str(len(payload))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(payload)

            do_GET = do_POST = reply

            def log_message(self, *_: Any) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.address = "http://127.0.0.1:%d" % server.server_address[1]
        self.route: Optional[Callable[[Request], Reply]] = None

    def answer(self, request: Request) -> Reply:
        if self.route is not None:
            return self.route(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def without_pauses(self) -> "mock.MagicMock":
        """Pauses are noted and not made."""
        patcher = mock.patch("time.sleep")
        self.addCleanup(patcher.stop)
        return patcher.start()

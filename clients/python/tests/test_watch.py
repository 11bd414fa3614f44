"""Watches that live through broken connections."""

from __future__ import annotations

import io
import itertools
import json
from typing import Any

from tasklane import APIError, Client, Unreachable
from tasklane.watch import blocks
from tests.server import ServerTest


def event(cursor: str, status: str = "running", **more: Any) -> bytes:
    told = {"kind": "state", "status": status, "cursor": cursor, **more}
    return b"id: %s\ndata: %s\n\n" % (cursor.encode(), json.dumps(told).encode())


def named(name: str, **more: Any) -> bytes:
    return b"event: %s\nid: %s\ndata: %s\n\n" % (
        name.encode(), str(more.get("cursor", "")).encode(), json.dumps(more).encode())


class WatchTest(ServerTest):
    def test_goes_on_at_the_last_cursor(self) -> None:
        self.without_pauses()
        self.answers = [
            (200, b"retry: 1000\n" + named("hello", cursor="c0"), {}),
            (503, {"title": "starting"}, {}),
            (200, event("c1") + event("c2")[:-20], {}),  # cut off: not seen
            (200, event("c2") + named("resume", cursor="c3"), {}),
            (200, named("closing", code=1013, reason="come back"), {}),
            (200, b": a sign of life\n" + event("c4", "completed"), {}),
        ]
        client = Client(notifier=self.address.replace("http", "ws"), token="secret")
        seen = [one["cursor"] for one in client.watch("ada", task_id="t")]
        self.assertEqual(seen, ["c1", "c2", "c4"])
        self.assertEqual([request.query["since"] for request in self.requests], ["now", "c0", "c0", "c1", "c3", "c3"])
        first = self.requests[0]
        self.assertEqual((first.path, first.query["user_id"], first.query["task_id"]), ("/sse", "ada", "t"))
        self.assertEqual(first.headers["Authorization"], "Bearer secret")

    def test_a_watch_of_a_user_does_not_end_with_a_task(self) -> None:
        self.without_pauses()
        self.answers = [(200, event("c1", "completed"), {}), (200, event("c2", "completed"), {})]
        watch = Client(notifier=self.address).watch("ada", since="earliest")
        self.assertEqual([one["cursor"] for one in itertools.islice(watch, 2)], ["c1", "c2"])
        self.assertEqual(self.requests[0].query["since"], "earliest")

    def test_what_is_refused_for_good(self) -> None:
        self.answers = [(422, {"title": "Unprocessable", "detail": "since is no cursor"}, {}),
                        (200, named("closing", code=4403, reason="another user"), {})]
        client = Client(notifier=self.address)
        with self.assertRaisesRegex(APIError, "since is no cursor"):
            next(client.watch("ada"))
        with self.assertRaisesRegex(APIError, "another user"):
            next(client.watch("ada"))

    def test_giving_up(self) -> None:
        self.without_pauses()
        with self.assertRaisesRegex(Unreachable, "does not answer"):
            next(Client(notifier="http://127.0.0.1:1", give_up_after=0).watch("ada"))

    def test_blocks(self) -> None:
        raw = b"\r\n: comment\r\nevent: a\r\nid:1\r\ndata: x\r\ndata:  y\r\n\r\nid: 2\n\n"
        raw += b"data:\n\nretry: 5\nnonsense\n\ndata: cut"
        self.assertEqual([tuple(block) for block in blocks(io.BytesIO(raw))],
                         [("a", "1", "x\n y"), ("message", "2", "")])

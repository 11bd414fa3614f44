"""A small processor: starts a child and speaks the protocol with it."""

from __future__ import annotations

import fcntl
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import textwrap
import threading
import unittest
from typing import Any, Dict, List, Optional

PACKAGE = pathlib.Path(__file__).resolve().parent.parent
# Far beyond what anything takes: a child that hangs fails its test instead of hanging it.
PATIENCE_S = 60


class Processor:
    """Descriptors 3 and 4 of a child, and what it prints."""

    def __init__(self, command: List[str], directory: str, env: Optional[Dict[str, str]] = None) -> None:
        to_child, self._to = os.pipe()
        self._from, from_child = os.pipe()
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for fd in (to_child, from_child)]

        def descriptors() -> None:
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self._printed = tempfile.TemporaryFile(dir=directory)
        environment = {"PATH": os.environ["PATH"], "HOME": directory, "PYTHONPATH": str(PACKAGE), **(env or {})}
        self.child = subprocess.Popen(command, cwd=directory, env=environment, stdin=subprocess.DEVNULL,
                                      stdout=self._printed, stderr=self._printed, close_fds=False,
                                      preexec_fn=descriptors)
        for fd in (to_child, from_child, *high):
            os.close(fd)
        self._lines = os.fdopen(self._from, "rb")
        self._watchdog = threading.Timer(PATIENCE_S, self.child.kill)
        self._watchdog.start()

    def send(self, **message: Any) -> None:
        self.write(json.dumps(message).encode() + b"\n")

    def write(self, raw: bytes) -> None:
        rest = memoryview(raw)
        while rest:
            rest = rest[os.write(self._to, rest):]

    def task(self, ident: str, task_name: str, input_data: Optional[Dict[str, Any]] = None, **more: Any) -> None:
        task = {"task_id": "t-" + ident, "user_id": "ada", "task_name": task_name, "mode": "m", "service": "s",
                "input_data": input_data or {}, **more.pop("members", {})}
        self.send(**{"type": "task", "id": ident, "attempt": 1, "max_attempts": 3, "lane": "fast", "task": task,
                     **more})

    def next(self) -> Dict[str, Any]:
        line = self._lines.readline()
        if not line:
            raise AssertionError("the child ended (%s) and printed:\n%s" % (self.child.wait(), self.printed()))
        message: Dict[str, Any] = json.loads(line)
        return message

    def until(self, *types: str) -> Dict[str, Any]:
        """The next message of one of these types."""
        while True:
            message = self.next()
            if message["type"] in types:
                return message

    def last_word(self) -> Dict[str, Any]:
        return self.until("result", "error", "retry", "cancelled")

    def close(self) -> None:
        """End of file on the child's descriptor 3."""
        if self._to >= 0:
            os.close(self._to)
            self._to = -1

    def rest(self) -> List[Dict[str, Any]]:
        """What the child still says until it ends."""
        return [json.loads(line) for line in self._lines]

    def wait(self) -> int:
        return self.child.wait(PATIENCE_S)

    def printed(self) -> str:
        self._printed.seek(0)
        return self._printed.read().decode()

    def end(self) -> None:
        self.close()
        self.child.kill()
        self.child.wait()
        self._watchdog.cancel()
        self._watchdog.join()
        self._lines.close()
        self._printed.close()


class ChildTest(unittest.TestCase):
    """Runs programs as children."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def file(self, name: str, text: str) -> None:
        pathlib.Path(self.directory, name).write_text(textwrap.dedent(text), encoding="utf-8")

    def start(self, *command: str, env: Optional[Dict[str, str]] = None) -> Processor:
        """Runs Python with these arguments; the child's ready is kept."""
        processor = Processor([sys.executable, *command], self.directory, env)
        self.addCleanup(processor.end)
        self.ready = processor.next()
        self.assertEqual(self.ready["type"], "ready")
        return processor

    def serve(self, text: str) -> Processor:
        """Runs a service of this text, which defines `service`."""
        self.file("app.py", "from tasklane import *\nimport os, sys, time\n" + textwrap.dedent(text))
        return self.start("-m", "tasklane", "app:service")

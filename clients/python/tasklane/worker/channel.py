"""The two descriptors between a child and its processor."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional

from tasklane.jsontext import encode

READING = 3
WRITING = 4
MAX_LINE_BYTES = 1 << 20

_CHUNK_BYTES = 1 << 16
# Programs that become daemons close the low descriptors.
_FIRST_DESCRIPTOR = 200

Message = Dict[str, Any]


class TooLong(ValueError):
    """A line that the processor would end the child for."""

    def __init__(self, size: int) -> None:
        super().__init__("%d bytes, more than the %d that a line may have" % (size, MAX_LINE_BYTES))


class Channel:
    """Whole lines in and out. Any thread may send; one reads."""

    def __init__(self, reading: int, writing: int) -> None:
        self._reading = reading
        self._writing = writing
        self._lock = threading.Lock()
        self._abandoned = False
        # Last words that are written together, and how to have that done; see gather.
        self._gathered: List[bytes] = []
        self._later: Optional[Callable[[Callable[[], None]], object]] = None
        self._thread = 0
        os.register_at_fork(after_in_child=self.abandon)

    @classmethod
    def inherited(cls) -> "Channel":
        """The descriptors that the processor gave, moved to where neither programs that this one starts nor prints of
        native libraries get at them."""
        try:
            moved = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_DESCRIPTOR) for fd in (READING, WRITING)]
        except OSError:
            raise SystemExit(
                "descriptors 3 and 4 are not open: a service is started by Tasklane, "
                "with --subprocess 'MODE/NAME=COMMAND'"
            ) from None
        for fd in (READING, WRITING):
            os.close(fd)
        return cls(*moved)

    def abandon(self) -> None:
        """A fork does not speak for its parent, and must not keep the processor from seeing the parent's end."""
        self._abandoned = True
        for fd in (self._reading, self._writing):
            try:
                os.close(fd)
            except OSError:
                pass

    def batches(self) -> Iterator[List[Message]]:
        """The messages of each read, until the processor closes its end."""
        rest = b""
        while True:
            try:
                chunk = os.read(self._reading, _CHUNK_BYTES)
            except OSError:
                return
            if not chunk:
                return
            if b"\n" not in chunk:
                rest += chunk
                continue
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            yield [json.loads(line) for line in lines if line]

    def gather(self, later: Callable[[Callable[[], None]], object]) -> None:
        """Lets last words that this thread sends wait until `later` calls back: with many tasks in one thread a write
        for each would cost more than the rest."""
        self._later = later
        self._thread = threading.get_ident()

    def send(self, message: Mapping[str, Any], *, last: bool = False) -> None:
        """Writes a line. It blocks while the processor does not read: a flood is slowed down here."""
        line = encode(message) + b"\n"
        if len(line) > MAX_LINE_BYTES:
            raise TooLong(len(line))
        if self._abandoned:
            raise RuntimeError("this process is a fork of the service: only the service itself can report")
        with self._lock:
            self._gathered.append(line)
            if not last or self._later is None or threading.get_ident() != self._thread:
                self._write_gathered()
            elif len(self._gathered) == 1:
                self._later(self.flush)

    def flush(self) -> None:
        """Writes what waits."""
        with self._lock:
            self._write_gathered()

    def _write_gathered(self) -> None:
        if self._gathered:
            lines, self._gathered = b"".join(self._gathered), []
            self._write(lines)

    def _write(self, line: bytes) -> None:
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self._writing, rest):]
        except OSError as error:
            # Nobody is left to tell, and no later line could make sense.
            os.write(2, b"tasklane: the processor cannot be reached (%s): ending\n" % str(error).encode())
            os._exit(1)

"""Exceptions raised in a thread that is busy with a task."""

from __future__ import annotations

import ctypes
import signal
import threading
from types import TracebackType
from typing import Any, Optional, Type

Kind = Type[BaseException]

# What wakes the main thread, also out of a sleep or a read.
SIGNAL = signal.SIGUSR1


class Interrupt:
    """Interrupts one run of a task, at most while it is armed.

    `with interrupt:` holds it back while a line is written, which must not be cut. Any thread may request; the rest is
    for the task's own thread.
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._armed = True
        self._holds = 0
        self._wanted: Optional[Kind] = None

    def request(self, kind: Kind) -> None:
        raise NotImplementedError

    def disarm(self) -> None:
        """Nothing is raised from here on."""
        raise NotImplementedError

    def __enter__(self) -> None:
        raise NotImplementedError

    def __exit__(self, kind: Optional[Kind], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        raise NotImplementedError

    def _elsewhere(self) -> bool:
        """A thread that the task started is not interrupted, and holds nothing back."""
        return threading.get_ident() != self._thread


class MainInterrupt(Interrupt):
    """Interrupts the main thread by a signal, which also ends a sleep or a read from a socket."""

    def __init__(self) -> None:
        super().__init__()
        signal.signal(SIGNAL, self._deliver)

    def request(self, kind: Kind) -> None:
        self._wanted = kind
        signal.pthread_kill(self._thread, SIGNAL)

    def disarm(self) -> None:
        self._armed = False

    def __enter__(self) -> None:
        if not self._elsewhere():
            self._holds += 1

    def __exit__(self, kind: Optional[Kind], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        if not self._elsewhere():
            self._holds -= 1
            self._deliver()

    def _deliver(self, *_: Any) -> None:
        # A signal's handler runs in the main thread between two steps of it: there is no race with what it reads here.
        kind = self._wanted
        if kind is None or not self._armed or self._holds:
            return
        self._wanted = None
        raise kind()


class ThreadInterrupt(Interrupt):
    """Interrupts any other thread, at its next step in Python: a call into C is waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def request(self, kind: Kind) -> None:
        with self._lock:
            if not self._armed:
                return
            self._wanted = kind
            if not self._holds:
                _raise_in(self._thread, self._noting(kind))

    def _noting(self, kind: Kind) -> Kind:
        """The exception's class, which notes that it was raised: Python does not tell whether one still waits."""

        def noted(error: BaseException, *_: Any) -> None:
            BaseException.__init__(error)
            self._wanted = None

        return type(kind.__name__, (kind,), {"__init__": noted, "__module__": kind.__module__})

    def disarm(self) -> None:
        while True:
            try:
                with self._lock:
                    self._armed = False
                    _raise_in(self._thread, None)
                return
            except BaseException:  # it came too late: the task has its outcome
                continue

    def __enter__(self) -> None:
        if self._elsewhere():
            return
        with self._lock:
            _raise_in(self._thread, None)  # what waits is raised after the hold, and nothing can be raised in it
            self._holds += 1

    def __exit__(self, kind: Optional[Kind], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        if self._elsewhere():
            return
        with self._lock:
            self._holds -= 1
            wanted = None if self._holds or not self._armed else self._wanted
            if wanted is not None:
                self._wanted = None
        if wanted is not None:
            raise wanted()


def _raise_in(thread: int, kind: Optional[Kind]) -> None:
    """Raises in a thread, or takes back what has not been raised yet."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind) if kind else None)

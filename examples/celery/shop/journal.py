"""What happened in this process, in order."""

import collections
import threading


class Journal:
    """Keeps the newest notes. Any thread may note."""

    def __init__(self, most=10_000):
        self._notes = collections.deque(maxlen=most)
        self._lock = threading.Lock()

    def note(self, *what):
        with self._lock:
            self._notes.append(" ".join(str(one) for one in what))

    def of(self, name):
        """The notes about the task of a name."""
        with self._lock:
            return [note for note in self._notes if name in note.split()]

    def has(self, note):
        with self._lock:
            return note in self._notes


journal = Journal()

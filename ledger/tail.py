"""The end of the log in memory: what this process appended last, so that its own followers need not ask the database.

Entries are kept as they were committed, up to a number of bytes; older ones are forgotten, and whoever wants them reads
the database. Any thread may read while the writer's thread keeps.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final

from ledger.copy_binary import Entry, RecordedEntry

TAIL_BYTES: Final = 4 << 20
TAIL_ENTRIES: Final = 4_096
APPEND_BYTES_MAX: Final = 1 << 20
"""An append of more is not kept: reading it back costs less than what was done for it."""


class Tail:
    """The last entries of a log that has one writer, which is here."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[RecordedEntry] = deque()
        self._bytes = 0

    def keep(self, first_position: int, entries: Sequence[Entry]) -> None:
        """Keep committed entries, which follow on those before them."""
        size = sum(len(state) for _, _, _, state in entries)
        if size > APPEND_BYTES_MAX:
            self.forget()
            return
        with self._lock:
            for position, (stream, version, topic, state) in enumerate(entries, first_position):
                self._entries.append(RecordedEntry(position, stream, version, topic, bytes(state)))
            self._bytes += size
            while self._bytes > TAIL_BYTES or len(self._entries) > TAIL_ENTRIES:
                self._bytes -= len(self._entries.popleft().state)

    def forget(self) -> None:
        """Keep nothing of what came before: what follows is not kept, or nobody knows what was committed."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0

    def page(self, start: int, stop: int, rows: int, max_bytes: int) -> list[RecordedEntry] | None:
        """Entries of start..stop, at most `rows`, at most `max_bytes` of state but at least one; None where the first
        of them is not here.
        """
        with self._lock:
            if not self._entries or start < self._entries[0].position or start > self._entries[-1].position:
                return None
            at = start - self._entries[0].position
            found: list[RecordedEntry] = []
            size = 0
            for entry in islice(self._entries, at, at + min(rows, stop - start + 1)):
                size += len(entry.state)
                if found and size > max_bytes:
                    break
                found.append(entry)
            return found

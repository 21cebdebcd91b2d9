"""What waits to be written to one socket, with a bound.

A reader that is slower than its channels is not followed by ever more memory: what waits of its public channels is
dropped, and when it has read the rest it is told where they stand. Answers and private messages are never dropped:
where they alone pass the bound, the socket has failed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from api.live import Key

QUEUE_MESSAGES: Final = 1_024
QUEUE_BYTES: Final = 2 << 20


class Outbox:
    """A queue of texts; a subscriber of channels."""

    def __init__(self, snapshot: Callable[[Key], list[str]], wake: Callable[[], object]) -> None:
        """`snapshot`: where a public channel stands; `wake` is called when something waits."""
        self.failed = False
        """Whether more waits that must not be dropped than the bound allows."""
        self.conflated = 0
        """How often messages of public channels were dropped."""
        self._snapshot = snapshot
        self._wake = wake
        self._queue: deque[tuple[Key | None, str]] = deque()
        self._bytes = 0
        self._stale: dict[Key, None] = {}
        """Channels whose messages were dropped: they get a snapshot when all else is written."""

    def __len__(self) -> int:
        return len(self._queue)

    def answer(self, text: str) -> None:
        """Add what belongs to no channel."""
        self._add(None, text)

    def tell(self, key: Key, text: str) -> None:
        """Add the next message of a channel."""
        if key not in self._stale:
            self._add(key, text)

    def restart(self, key: Key, snapshot: list[str]) -> None:
        """Add where a channel stands."""
        self._stale.pop(key, None)
        for text in snapshot:
            self._add(key, text)

    def forget(self, key: Key) -> None:
        """The channel is no longer read."""
        self._stale.pop(key, None)

    def clear(self) -> None:
        """Drop everything: the socket is given up."""
        self._queue.clear()
        self._stale.clear()
        self._bytes = 0

    def take(self) -> str | None:
        """The next text to write, or None."""
        while not self._queue and self._stale:
            key = next(iter(self._stale))
            self.restart(key, self._snapshot(key))
        if not self._queue:
            return None
        _, text = self._queue.popleft()
        self._bytes -= len(text)
        return text

    def _add(self, key: Key | None, text: str) -> None:
        if self.failed:
            return
        self._queue.append((key, text))
        self._bytes += len(text)
        if self._is_over():
            self._conflate()
        self._wake()

    def _is_over(self) -> bool:
        return len(self._queue) > QUEUE_MESSAGES or self._bytes > QUEUE_BYTES

    def _conflate(self) -> None:
        kept: deque[tuple[Key | None, str]] = deque()
        for key, text in self._queue:
            if key is None or key.private:
                kept.append((key, text))
            else:
                self._stale[key] = None
                self._bytes -= len(text)
        self.conflated += len(kept) < len(self._queue)
        self._queue = kept
        self.failed = self.failed or self._is_over()

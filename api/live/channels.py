"""Channels: what can be subscribed to, and how the past of one is kept so that a reader can go on where it was.

A channel is a sequence of messages. `seq` of a message is the log position up to which it tells, `prev_seq` the `seq`
of the message before it: a reader whose last `seq` is not the next message's `prev_seq` has missed something. What does
not fit into one message goes out in parts: all but the last have `more` and repeat `prev_seq` as their `seq`, so a
reader's last `seq` is always a place where it holds everything.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import Final, NamedTuple


class Channel(StrEnum):
    BOOK = "book"
    TRADES = "trades"
    TICKER = "ticker"
    CANDLES = "candles"
    ORDERS = "orders"
    FILLS = "fills"
    BALANCES = "balances"


PRIVATE: Final = frozenset((Channel.ORDERS, Channel.FILLS, Channel.BALANCES))
"""Channels of one party; their messages are never dropped, so a reader that is too slow is cut off."""
RING_MESSAGES: Final = 1_024
RING_BYTES: Final = 1 << 20


class Key(NamedTuple):
    """One channel."""

    channel: Channel
    number: int
    """Of the series, or of the party for a private channel."""
    minutes: int = 0
    """Of a candle."""

    @property
    def private(self) -> bool:
        return self.channel in PRIVATE


class Message(NamedTuple):
    """One message, encoded once for all who read the channel."""

    key: Key
    prev_seq: int
    seq: int
    """Of the last part, whichever part this is."""
    text: str


class Ring:
    """The last messages of a channel, bounded by number and size."""

    def __init__(self, seq: int) -> None:
        """`seq`: what a reader knows that has read a snapshot and no message yet."""
        self.seq = seq
        self._messages: deque[Message] = deque()
        self._bytes = 0
        self._dropped_seq = 0
        """`seq` of the last message that was dropped."""

    def append(self, message: Message) -> None:
        assert message.prev_seq == self.seq or (self._messages and self._messages[-1].seq == message.seq), message.key
        self._messages.append(message)
        self._bytes += len(message.text)
        self.seq = message.seq
        while len(self._messages) > RING_MESSAGES or (self._bytes > RING_BYTES and len(self._messages) > 1):
            dropped = self._messages.popleft()
            self._bytes -= len(dropped.text)
            self._dropped_seq = dropped.seq

    def since(self, seq: int) -> list[str] | None:
        """The messages after `seq`, or None where they are gone or no message ends there."""
        if seq == self.seq:
            return []
        texts: list[str] = []
        for message in reversed(self._messages):
            if message.seq == seq:
                return texts[::-1]
            texts.append(message.text)
        # Of a message in parts whose first was dropped nobody can be given the whole.
        if self._messages and self._messages[0].prev_seq == seq and self._messages[0].seq != self._dropped_seq:
            return texts[::-1]
        return None

"""The depth of one series: what rests at each price, the best `DEPTH` prices of each side.

The window bounds what a reader must hold and what one message may say. Whoever keeps a copy from messages (this is
what a client does) and whoever keeps the whole book agree on the window, level by level and by checksum.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from api.live.texts import Texts

DEPTH: Final = 500
"""Levels of each side that are published. One that better prices push out of the window is told as gone."""
CHECKSUM_LEVELS: Final = 10

Level: TypeAlias = tuple[int, int, int]
"""(price in ticks, lots, orders); zero lots: the level is gone."""


class Depth(NamedTuple):
    """The window of one series at one moment; each side from the best price outward."""

    position: int
    """Log position of the last entry that changed it."""
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    checksum: int
    """Of the best ten of each side: see `checksum`."""


EMPTY: Final = Depth(0, (), (), zlib.crc32(b"|"))
"""A series in which nothing rests."""


class Side:
    """One side of a book.

    Levels are kept under `key = sign × price`: 1 for asks and −1 for bids, so the smallest key is the best price.
    """

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._keys: list[int] = []
        self._levels: dict[int, Level] = {}

    def window(self) -> tuple[Level, ...]:
        return tuple(map(self._levels.__getitem__, self._keys[:DEPTH]))

    def best(self) -> Level | None:
        return self._levels[self._keys[0]] if self._keys else None

    def change(self, changes: Mapping[int, tuple[int, int]]) -> list[Level]:
        """Set levels, price -> (lots, orders), zero lots to remove; what of the window has changed, best first."""
        keys, levels, sign = self._keys, self._levels, self._sign
        before = keys[:DEPTH]
        crowded = len(keys) > DEPTH
        touched: dict[int, bool] = {}
        for ticks, (lots, orders) in changes.items():
            key = sign * ticks
            was_there = key in levels
            touched[key] = was_there
            if lots:
                if not was_there:
                    insort(keys, key)
                levels[key] = (ticks, lots, orders)
            elif was_there:
                del levels[key]
                del keys[bisect_left(keys, key)]
        if crowded or len(keys) > DEPTH:
            return self._moved(set(before), touched)
        return [levels.get(key) or (sign * key, 0, 0) for key in sorted(touched) if touched[key] or key in levels]

    def _moved(self, before: set[int], touched: Iterable[int]) -> list[Level]:
        """The same where levels lie beyond the window: some come in and some go out without having been touched."""
        after = set(self._keys[:DEPTH])
        told = (before ^ after) | {key for key in touched if key in after}
        return [self._levels[key] if key in after else (self._sign * key, 0, 0) for key in sorted(told)]


class Book:
    """Both sides of one series."""

    def __init__(self, texts: Texts) -> None:
        self.texts = texts
        self.bids = Side(-1)
        self.asks = Side(1)

    def depth(self, position: int) -> Depth:
        bids, asks = self.bids.window(), self.asks.window()
        return Depth(position, bids, asks, checksum(self.texts, bids, asks))


def checksum(texts: Texts, bids: Sequence[Level], asks: Sequence[Level]) -> int:
    """`checksum_of_texts` of the best ten levels of each side."""
    price, quantity = texts.price, texts.quantity
    return checksum_of_texts(
        [(price(ticks), quantity(lots)) for ticks, lots, _ in bids[:CHECKSUM_LEVELS]],
        [(price(ticks), quantity(lots)) for ticks, lots, _ in asks[:CHECKSUM_LEVELS]],
    )


def checksum_of_texts(bids: Sequence[tuple[str, str]], asks: Sequence[tuple[str, str]]) -> int:
    """CRC-32 (ISO-HDLC, as zlib computes it) of the ASCII text of the best ten levels of each side, best first.

    A level is `price:quantity;` with both texts exactly as they stand in messages. The bids come first, then one `|`,
    then the asks. An empty book is the text `|`.
    """
    parts = [f"{price}:{quantity};" for price, quantity in bids[:CHECKSUM_LEVELS]]
    parts.append("|")
    parts += [f"{price}:{quantity};" for price, quantity in asks[:CHECKSUM_LEVELS]]
    return zlib.crc32("".join(parts).encode())

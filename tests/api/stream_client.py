"""What a client of the stream keeps: a book out of messages, checked by `prev_seq` and checksum as the reference says.

It knows nothing of the house's own code: texts come in, texts are compared.
"""

from __future__ import annotations

import zlib
from typing import Any


class Gap(Exception):
    """A message is missing before this one."""


class ClientBook:
    """The copy of one book."""

    def __init__(self) -> None:
        self.seq: int | None = None
        self.bids: dict[str, tuple[str, int]] = {}
        self.asks: dict[str, tuple[str, int]] = {}
        self.snapshots = 0
        self.updates = 0

    def take(self, message: dict[str, Any]) -> None:
        """Apply a message of the book. Raises Gap."""
        assert message["channel"] == "book"
        if message["type"] == "snapshot":
            self.bids.clear()
            self.asks.clear()
            self.snapshots += 1
        else:
            if message["prev_seq"] != self.seq:
                raise Gap(f"{message['prev_seq']} after {self.seq}")
            self.updates += 1
        for side, levels in ((self.bids, message["bids"]), (self.asks, message["asks"])):
            for price, quantity, orders in levels:
                if quantity == "0":
                    del side[price]
                else:
                    side[price] = (quantity, orders)
        self.seq = message["seq"]
        assert message["checksum"] == self.checksum(), message

    def sides(self) -> tuple[list[tuple[str, str, int]], list[tuple[str, str, int]]]:
        """Both sides, best first."""
        bids = sorted(self.bids, key=_ticks, reverse=True)
        asks = sorted(self.asks, key=_ticks)
        return [(price, *self.bids[price]) for price in bids], [(price, *self.asks[price]) for price in asks]

    def checksum(self) -> int:
        bids, asks = self.sides()
        text = "|".join("".join(f"{price}:{quantity};" for price, quantity, _ in side[:10]) for side in (bids, asks))
        return zlib.crc32(text.encode("ascii"))


def _ticks(price: str) -> int:
    """All prices of a series have the same number of decimals."""
    return int(price.replace(".", ""))

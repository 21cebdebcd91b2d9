"""Matching alone: orders against books by price and time, without money, units or limits.

Whoever needs only a book uses this; the ledger's pass puts the same steps of `matching.book` between its own checks and
postings. Rules: the better price trades first, at one price the earlier order; a trade has the price of the order
that rested; what is left of a GTC order rests, of an IOC or market order is dropped. The twin is `matching.reference`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy import uint32 as unsigned

from matching.book import (
    crossing_maker,
    free_slot,
    has_room,
    new_book,
    order_slot,
    rest,
    room_left,
    take_lots,
    take_slot,
    with_indexes_grown,
)
from matching.layout import COMMAND, FILL, FLAG_MARKET, NONE, Book, Kind, TimeInForce, direct, kernel

NEW, CANCEL, REDUCE = int(Kind.NEW), int(Kind.CANCEL), int(Kind.REDUCE)
GTC = int(TimeInForce.GTC)


def match(book: Book, commands: Any, fills: Any, at: int = 0, left: int = NONE) -> tuple[Book, int, int, int]:
    """Run `commands[at:]` (COMMAND: NEW, CANCEL, REDUCE) against `book` and write `fills` (FILL).

    Every NEW takes the next order number. Returns (book, commands taken, fills written, left). It stops early when
    `fills` is full: `left` is then what the order before `at` still wants (NONE: nothing), to be passed in again.
    Raises MemoryError when the book has no room for another order, ValueError for arrays of another kind.
    """
    for rows, layout in ((commands, COMMAND), (fills, FILL)):
        if rows.dtype != layout or not rows.flags.c_contiguous:
            raise ValueError(f"contiguous rows of COMMAND and FILL are wanted, not {rows.dtype}")
    written = 0
    while True:
        at, written, left, grow = _machine_code()(book, commands, fills, at, written, left)
        if not grow:
            return book, at, written, left
        if not has_room(book):
            raise MemoryError(f"the book is full: {len(book.orders)} orders, {len(book.levels)} levels")
        book = with_indexes_grown(book)


@cache
def _machine_code() -> Any:
    book = new_book(series_max=1, orders_max=1, levels_max=1)
    return direct(run, book, np.zeros(0, COMMAND), np.zeros(0, FILL), 0, 0, NONE)


@kernel
def run(book: Book, commands: Any, fills: Any, at: int, written: int, left: int) -> tuple[int, int, int, bool]:
    """`match` until it ends, `fills` is full, or the index must grow (true)."""
    room = 0  # orders that may rest before one must look again
    while at < len(commands) or left != NONE:
        if left == NONE:
            row = commands[unsigned(at)]
            if row["kind"] != NEW:
                at += 1
                change(book, row)
                continue
            if room < 1:
                room = room_left(book)
                if room < 1:
                    return at, written, NONE, True
            room -= 1
            at += 1
            left = row["lots"]
            book.tally[0]["next_order"] += 1
        row = commands[unsigned(at - 1)]
        order = book.tally[0]["next_order"] - 1
        series = int(row["series"])
        side = int(row["side"])
        price = row["price"]
        while left > 0:
            maker = crossing_maker(book, series, side, price)
            if maker == NONE:
                break
            if written == len(fills):
                return at, written, left, False
            resting = book.orders[unsigned(maker)]
            lots = min(left, resting["lots"])
            left -= lots
            fill = fills[unsigned(written)]
            written += 1
            fill["command"] = row["command"]
            fill["maker"] = resting["number"]
            fill["taker"] = order
            fill["price"] = book.levels[unsigned(resting["level"])]["price"]
            fill["lots"] = lots
            take_lots(book, maker, lots)
            if resting["lots"] == 0:
                free_slot(book, maker)
        if left > 0 and row["tif"] == GTC and int(row["flags"]) & FLAG_MARKET == 0:
            rest(book, take_slot(book), order, int(row["account"]), series, side, price, left)
        left = NONE
    return at, written, NONE, False


@kernel
def change(book: Book, row: Any) -> None:
    """Cancel an open order or take lots off it; anything else changes nothing."""
    slot = order_slot(book, row["target"])
    if slot == NONE:
        return
    left = book.orders[unsigned(slot)]["lots"]
    if row["kind"] == CANCEL:
        take_lots(book, slot, left)
        free_slot(book, slot)
    elif row["kind"] == REDUCE and 0 < row["lots"] < left:
        take_lots(book, slot, row["lots"])

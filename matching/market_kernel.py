"""The kernels of `matching.market`: a batch of commands against many books, and what a book holds, as rows.

The rules are those of `matching.kernel`, with two more: a replaced order keeps its number, and a series that gathers
orders for an auction lets them rest without trading. Everything is built from the steps of `matching.book`; no money.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from matching.book import (
    crossing_maker,
    find_level,
    free_slot,
    has_room,
    indexes_are_full,
    next_worse,
    order_slot,
    rest,
    take_lots,
    take_slot,
)
from matching.layout import FLAG_MARKET, NONE, Book, Code, TimeInForce, kernel
from matching.rulebook_layout import HIGHEST, LOWEST, Kind

NEW, CANCEL, REDUCE = int(Kind.NEW), int(Kind.CANCEL), int(Kind.REDUCE)
REPLACE = int(Kind.REPLACE)
"""Gives `target` new `lots` left and, unless it is 0, a new `price`."""
GTC, IOC = int(TimeInForce.GTC), int(TimeInForce.IOC)

OK = int(Code.OK)
UNKNOWN_SERIES = int(Code.UNKNOWN_SERIES)
PRICE_OUT_OF_RANGE = int(Code.PRICE_OUT_OF_RANGE)
LOTS_OUT_OF_RANGE = int(Code.LOTS_OUT_OF_RANGE)
UNKNOWN_ORDER = int(Code.UNKNOWN_ORDER)
ORDER_NOT_OPEN = int(Code.ORDER_NOT_OPEN)
UNKNOWN_KIND = int(Code.UNKNOWN_KIND)
COMMAND_MALFORMED = int(Code.COMMAND_MALFORMED)
CAPACITY_EXHAUSTED = int(Code.CAPACITY_EXHAUSTED)
LOTS_NOT_REDUCIBLE = int(Code.LOTS_NOT_REDUCIBLE)

PRICE_MAX = (1 << 62) - 1
"""Ticks a limit may have at most."""
LOTS_SUM_MAX = 1 << 62
"""An order may have at most this, divided by the room for orders, so that all lots together add up within 63 bits."""
CONTINUOUS, GATHERING = 0, 1
"""What a series does with an order that crosses: trade, or rest until the uncrossing."""

DONE, FILLS_FULL, INDEX_FULL = 0, 1, 2
"""Why `run_commands` returned."""

TOP = np.dtype([("bid", "<i8"), ("bid_lots", "<i8"), ("ask", "<i8"), ("ask_lots", "<i8")])
"""Best prices and their lots after a command, in the command's series; a side without orders is price 0, lots 0."""
DEPTH = np.dtype([("price", "<i8"), ("lots", "<i8"), ("orders", "<i8")])
"""A price level: ticks, lots in all, number of orders."""
QUEUED = np.dtype([("order", "<i8"), ("lots", "<i8"), ("account", "<i8")])
"""A resting order: its number, the lots it has left, who sent it."""
ACTIVE = np.dtype(
    [
        ("order", "<i8"),  # 0 while no command is under way
        ("price", "<i8"),
        ("left", "<i8"),
        ("series", "<i4"),
        ("account", "<i4"),
        ("side", "<i4"),
        ("rests", "<i4"),  # whether what is left rests
    ]
)
"""The order that is trading, kept between calls when the room for fills ran out."""


@kernel
def run_commands(
    book: Book, active: Any, phases: Any, commands: Any, results: Any, fills: Any, tops: Any, at: int
) -> tuple[int, int, int]:
    """Run `commands[at:]` (COMMAND) and write one row of `results` (RESULT) each, and `fills` (FILL).

    Returns (commands taken, fills written, why it returned). After FILLS_FULL or INDEX_FULL call again with the number
    of commands taken, room for fills, or larger indexes. `tops` (TOP) is written if it has rows.
    """
    written = 0
    now = active[0]
    while at < len(commands) or now["order"] != 0:
        if now["order"] == 0:
            if indexes_are_full(book):
                return at, written, INDEX_FULL
            row = commands[at]
            result = results[at]
            result["command"] = row["command"]
            result["order"] = 0
            result["lots"] = 0
            result["hold_minor"] = 0
            result["fills"] = 0
            series = begin(book, now, phases, row, result)
            at += 1
            if now["order"] == 0:
                if len(tops) > 0:
                    write_top(book, series, tops[at - 1])
                continue
        result = results[at - 1]
        series = int(now["series"])
        side = int(now["side"])
        gathers = phases[series] == GATHERING
        while now["left"] > 0 and not gathers:
            slot = crossing_maker(book, series, side, now["price"])
            if slot == NONE:
                break
            if written == len(fills):
                return at, written, FILLS_FULL
            maker = book.orders[slot]
            lots = min(now["left"], maker["lots"])
            fill = fills[written]
            written += 1
            fill["command"] = result["command"]
            fill["maker"] = maker["number"]
            fill["taker"] = now["order"]
            fill["price"] = book.levels[maker["level"]]["price"]
            fill["lots"] = lots
            now["left"] -= lots
            result["fills"] += 1
            take_lots(book, slot, lots)
            if maker["lots"] == 0:
                free_slot(book, slot)
        if now["left"] > 0 and now["rests"] != 0:
            rest(book, take_slot(book), now["order"], int(now["account"]), series, side, now["price"], now["left"])
            result["lots"] = now["left"]
        result["order"] = now["order"]
        now["order"] = 0
        if len(tops) > 0:
            write_top(book, series, tops[at - 1])
    return at, written, DONE


@kernel
def begin(book: Book, now: Any, phases: Any, row: Any, result: Any) -> int:
    """Check a command; carry it out, or put an order that may trade into `now`. Returns its series (0 if unknown)."""
    kind = int(row["kind"])
    if kind == NEW:
        code = check_new(book, phases, row)
        if code == OK and not has_room(book):
            code = CAPACITY_EXHAUSTED
        result["code"] = code
        if code != OK:
            return int(row["series"]) if code != UNKNOWN_SERIES else 0
        flags = int(row["flags"])
        side = int(row["side"])
        gathers = phases[row["series"]] == GATHERING
        tally = book.tally[0]
        now["order"] = tally["next_order"]
        tally["next_order"] += 1
        now["price"] = row["price"]
        if row["price"] == 0:
            now["price"] = LOWEST if side == 1 else HIGHEST
        now["left"] = row["lots"]
        now["series"] = row["series"]
        now["account"] = row["account"]
        now["side"] = side
        now["rests"] = 1 if int(row["tif"]) == GTC and (flags & FLAG_MARKET == 0 or gathers) else 0
        return int(row["series"])
    if kind not in (CANCEL, REDUCE, REPLACE):
        result["code"] = UNKNOWN_KIND
        return 0
    slot = NONE
    result["code"] = UNKNOWN_ORDER
    if 0 < row["target"] < book.tally[0]["next_order"]:
        result["code"] = ORDER_NOT_OPEN
        slot = slot_of(book, row["target"])
    if slot == NONE:
        return 0
    return change(book, now, row, result, slot)


@kernel
def check_new(book: Book, phases: Any, row: Any) -> int:
    """The first rule that a new order breaks, or OK."""
    if row["series"] < 1 or row["series"] >= len(phases):
        return UNKNOWN_SERIES
    side, tif, flags = int(row["side"]), int(row["tif"]), int(row["flags"])
    if side < 0 or side > 1 or tif < GTC or tif > IOC or flags & ~FLAG_MARKET != 0:
        return COMMAND_MALFORMED
    if tif == IOC and phases[row["series"]] == GATHERING:
        return COMMAND_MALFORMED
    lowest = 0 if flags & FLAG_MARKET != 0 else 1
    if row["price"] < lowest or row["price"] > PRICE_MAX:
        return PRICE_OUT_OF_RANGE
    if row["lots"] < 1 or row["lots"] > LOTS_SUM_MAX // len(book.orders):
        return LOTS_OUT_OF_RANGE
    return OK


@kernel
def change(book: Book, now: Any, row: Any, result: Any, slot: int) -> int:
    """Cancel, reduce or replace the open order in `slot`; returns its series."""
    kind = int(row["kind"])
    order = book.orders[slot]
    left = order["lots"]
    level = book.levels[order["level"]]
    series = int(level["series"])
    price = level["price"]
    if kind == CANCEL:
        result["code"] = OK
        result["order"] = row["target"]
        take_lots(book, slot, left)
        free_slot(book, slot)
        return series
    if kind == REDUCE:
        result["code"] = LOTS_NOT_REDUCIBLE
        if 0 < row["lots"] < left:
            result["code"] = OK
            result["order"] = row["target"]
            result["lots"] = left - row["lots"]
            take_lots(book, slot, row["lots"])
        return series
    if row["price"] < 0 or row["price"] > PRICE_MAX:
        result["code"] = PRICE_OUT_OF_RANGE
        return series
    if row["lots"] < 1 or row["lots"] > LOTS_SUM_MAX // len(book.orders):
        result["code"] = LOTS_OUT_OF_RANGE
        return series
    stays = row["price"] == 0 or row["price"] == price
    if not stays and not has_room(book):
        result["code"] = CAPACITY_EXHAUSTED
        return series
    result["code"] = OK
    result["order"] = row["target"]
    if stays and row["lots"] <= left:
        result["lots"] = row["lots"]
        if row["lots"] < left:
            take_lots(book, slot, left - row["lots"])
        return series
    if not stays:
        price = row["price"]
    # More lots, or another price: the order leaves its place and comes again, under its own number.
    now["order"] = row["target"]
    now["price"] = price
    now["left"] = row["lots"]
    now["series"] = series
    now["account"] = order["party"]
    now["side"] = level["side"]
    now["rests"] = 1
    take_lots(book, slot, left)
    free_slot(book, slot)
    return series


@kernel
def write_top(book: Book, series: int, top: Any) -> None:
    """Best bid and ask of a series; series 0 has none."""
    bid, ask = NONE, NONE
    if series > 0:
        bid, ask = int(book.best[series, 0]), int(book.best[series, 1])
    top["bid"] = 0
    top["bid_lots"] = 0
    top["ask"] = 0
    top["ask_lots"] = 0
    if bid != NONE:
        top["bid"] = book.levels[bid]["price"]
        top["bid_lots"] = book.levels[bid]["lots"]
    if ask != NONE:
        top["ask"] = book.levels[ask]["price"]
        top["ask_lots"] = book.levels[ask]["lots"]


@kernel
def depth_rows(book: Book, series: int, side: int, out: Any) -> int:
    """Write the best levels of a side into `out` (DEPTH), best first; returns how many."""
    at = int(book.best[series, side])
    count = 0
    while at != NONE and count < len(out):
        level = book.levels[at]
        out[count]["price"] = level["price"]
        out[count]["lots"] = level["lots"]
        out[count]["orders"] = level["count"]
        count += 1
        at = next_worse(level)
    return count


@kernel
def queue_rows(book: Book, series: int, side: int, price: int, out: Any) -> int:
    """Write the orders of a level into `out` (QUEUED), first in time first; returns how many the level has."""
    at = find_level(book.levels, book.level_index, series, side, price)
    if at == NONE:
        return 0
    slot = int(book.levels[at]["head"])
    count = 0
    while slot != NONE and count < len(out):
        order = book.orders[slot]
        out[count]["order"] = order["number"]
        out[count]["lots"] = order["lots"]
        out[count]["account"] = order["party"]
        count += 1
        slot = int(order["behind"])
    return int(book.levels[at]["count"])


@kernel
def lots_left(book: Book, number: int) -> int:
    """Lots that an order has left; 0 if it does not rest."""
    slot = slot_of(book, number)
    if slot == NONE:
        return 0
    return int(book.orders[slot]["lots"])


@kernel
def slot_of(book: Book, number: int) -> int:
    """Slot of the open order `number`, or NONE."""
    return order_slot(book, number)

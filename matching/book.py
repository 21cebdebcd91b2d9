"""The order book: a tree of price levels per side, a queue of orders per level, and an index by order number.

The tree (`matching.price_tree`) is over slots of one pool, so any two prices may be as far apart as int64 allows, and
opening a level costs at most 1.45 log2(levels) comparisons, at a new best price none. A level that is open is found by
a hash of its price, since the comparisons of a descent are mispredicted half of the time. Levels of a side are also
linked by price: the next best level after an emptied one is one read away. Bids and asks are the same code; what
differs is which neighbor is worse.

An order is found by the last bits of its number, in an array with four places for each open order: numbers are given
in order, so most open orders have their place to themselves. Where two meet the later one has it and the earlier one
moves to a hash table, `far`.

The book knows no money and no party but the number an order carries.

Rows are indexed by unsigned numbers here: a signed index that is negative counts from the end, and looking whether it
is costs as much as many a read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import uint32 as unsigned

from matching.layout import BOOK_TALLY, LEVEL, NONE, ORDER, ORDER_INDEX, Book, kernel, zeros
from matching.price_tree import insert, neighbors_of, remove

UNTOUCHED = 2**63 - 1
"""Best price of a side without orders, as `touch` has it."""
GOLDEN = np.int64(-7046029254386353131)
"""2^64 / golden ratio, odd, as a signed integer: multiplying by it spreads dense numbers over a table (Knuth)."""


def new_book(*, series_max: int, orders_max: int, levels_max: int, index_size: int = 1 << 12) -> Book:
    """An empty book. Pools are reserved address space: only slots that were ever used occupy memory."""
    book = Book(
        levels=zeros(levels_max, LEVEL),
        orders=zeros(orders_max, ORDER),
        recent=np.full(index_size, NONE, np.int32),
        far=zeros(index_size, ORDER_INDEX),
        far_count=np.zeros(1, np.int64),
        level_index=np.full(index_size, NONE, np.int32),
        roots=np.full((series_max + 1, 2), NONE, np.int32),
        best=np.full((series_max + 1, 2), NONE, np.int32),
        touch=np.full((series_max + 1, 2), UNTOUCHED, np.int64),
        tally=np.zeros(1, BOOK_TALLY),
    )
    book.tally["next_order"] = 1
    book.tally["orders_free"] = NONE
    book.tally["levels_free"] = NONE
    return book


def with_indexes_grown(book: Book) -> Book:
    """The same book with room in all indexes. They are no part of the state: they follow from orders and levels."""
    recent, far, levels = len(book.recent), len(book.far), len(book.level_index)
    while 4 * (int(book.tally["open_orders"][0]) + 1) > recent:
        recent *= 2
    while 4 * (int(book.tally["levels_open"][0]) + 1) > levels:
        levels *= 2
    numbers = book.orders["number"][: int(book.tally["orders_top"][0])]
    numbers = numbers[numbers > 0]
    taken = np.zeros(recent, np.bool_)
    taken[numbers & (recent - 1)] = True
    while 2 * (len(numbers) - int(taken.sum()) + 1) > far:
        far *= 2
    book = book._replace(
        recent=np.full(recent, NONE, np.int32),
        far=zeros(far, ORDER_INDEX),
        far_count=np.zeros(1, np.int64),
        level_index=np.full(levels, NONE, np.int32),
    )
    reindex(book)
    return book


def bytes_in_use(book: Book) -> int:
    """Memory of the book: the rows that were ever used, and the indexes whole."""
    tally = book.tally[0]
    pools = int(tally["orders_top"]) * book.orders.itemsize + int(tally["levels_top"]) * book.levels.itemsize
    return pools + sum(
        index.nbytes for index in (book.recent, book.far, book.level_index, book.roots, book.best, book.touch)
    )


@kernel
def reindex(book: Book) -> None:
    """Enter every open order and every level into the empty indexes, and the best prices."""
    for slot in range(book.tally[0]["orders_top"]):
        if book.orders[unsigned(slot)]["number"] > 0:
            enter_number(book, slot, book.orders[unsigned(slot)]["number"])
    for at in range(book.tally[0]["levels_top"]):
        if book.levels[unsigned(at)]["count"] > 0:
            level = book.levels[at]
            level_index_put(book.levels, book.level_index, at)
            if book.best[unsigned(level["series"]), unsigned(level["side"])] == at:
                book.touch[unsigned(level["series"]), unsigned(level["side"])] = touch_of(
                    int(level["side"]), level["price"]
                )


@kernel
def touch_of(side: int, price: int) -> int:
    """The price as `touch` holds it: the better, the lower, on both sides and without overflow."""
    return price ^ (side - 1)


@kernel
def enter_number(book: Book, slot: int, number: int) -> None:
    """Let the open order `number` be found in `slot`; an earlier one that has its place goes to `far`."""
    place = unsigned(number & (len(book.recent) - 1))
    there = int(book.recent[place])
    if there != NONE:
        index_put(book.far, book.orders[unsigned(there)]["number"], there)
        book.far_count[0] += 1
    book.recent[place] = slot


@kernel
def leave_number(book: Book, slot: int, number: int) -> None:
    """Let `number`, which is entered for `slot`, be found no more."""
    place = unsigned(number & (len(book.recent) - 1))
    if book.recent[place] == slot:
        book.recent[place] = NONE
    else:
        index_remove(book.far, number)
        book.far_count[0] -= 1


@kernel
def order_slot(book: Book, number: int) -> int:
    """Slot of the open order `number`, or NONE."""
    slot = int(book.recent[unsigned(number & (len(book.recent) - 1))])
    if slot != NONE and book.orders[unsigned(slot)]["number"] == number:
        return slot
    if book.far_count[0] == 0:
        return NONE
    return find_order(book.far, number)


@kernel
def home_of(number: int, mask: int) -> int:
    """Preferred place of an order number in the index. Four numbers in a row share a cache line, since orders that came
    one after the other are often entered, and leave, one after the other.
    """
    line = (np.int64(number) >> 2) * GOLDEN >> 20
    return ((line << 2) | (number & 3)) & mask  # type: ignore[return-value]


@kernel
def index_put(index: Any, number: int, slot: int) -> None:
    mask = len(index) - 1
    place = home_of(number, mask)
    while index[unsigned(place)]["number"] != 0:
        place = (place + 1) & mask
    index[unsigned(place)]["number"] = number
    index[unsigned(place)]["slot"] = slot


@kernel
def find_order(index: Any, number: int) -> int:
    """Slot of the open order `number`, or NONE."""
    mask = len(index) - 1
    place = home_of(number, mask)
    while True:
        there = index[unsigned(place)]["number"]
        if there == 0:
            return NONE
        if there == number:
            return int(index[unsigned(place)]["slot"])
        place = (place + 1) & mask


@kernel
def index_remove(index: Any, number: int) -> None:
    """Remove `number` and close the gap, so that no marker of the deleted stays behind."""
    mask = len(index) - 1
    place = home_of(number, mask)
    while index[unsigned(place)]["number"] != number:
        place = (place + 1) & mask
    gap = place
    while True:
        place = (place + 1) & mask
        there = index[unsigned(place)]["number"]
        if there == 0:
            break
        # An entry may move into the gap unless its home lies after the gap.
        if ((place - home_of(there, mask)) & mask) >= ((place - gap) & mask):
            index[unsigned(gap)]["number"] = there
            index[unsigned(gap)]["slot"] = index[unsigned(place)]["slot"]
            gap = place
    index[unsigned(gap)]["number"] = 0


@kernel
def level_home(series: int, side: int, price: int, mask: int) -> int:
    """Preferred place of a level in the index."""
    mixed = (np.int64(price) ^ ((np.int64(series) * 2 + side) << 40)) * GOLDEN
    return ((mixed ^ (mixed >> 31)) >> 16) & mask  # type: ignore[return-value]


@kernel
def find_level(levels: Any, index: Any, series: int, side: int, price: int) -> int:
    """Slot of the level of (series, side, price), or NONE."""
    mask = len(index) - 1
    place = level_home(series, side, price, mask)
    while True:
        at = int(index[unsigned(place)])
        if at == NONE:
            return NONE
        level = levels[unsigned(at)]
        if level["price"] == price and level["series"] == series and level["side"] == side:
            return at
        place = (place + 1) & mask


@kernel
def level_index_put(levels: Any, index: Any, at: int) -> None:
    mask = len(index) - 1
    level = levels[unsigned(at)]
    place = level_home(int(level["series"]), int(level["side"]), level["price"], mask)
    while index[unsigned(place)] != NONE:
        place = (place + 1) & mask
    index[unsigned(place)] = at


@kernel
def level_index_remove(levels: Any, index: Any, at: int) -> None:
    """Remove the level `at` and close the gap."""
    mask = len(index) - 1
    level = levels[unsigned(at)]
    place = level_home(int(level["series"]), int(level["side"]), level["price"], mask)
    while index[unsigned(place)] != at:
        place = (place + 1) & mask
    gap = place
    while True:
        place = (place + 1) & mask
        there = int(index[unsigned(place)])
        if there == NONE:
            break
        other = levels[unsigned(there)]
        home = level_home(int(other["series"]), int(other["side"]), other["price"], mask)
        if ((place - home) & mask) >= ((place - gap) & mask):
            index[unsigned(gap)] = there
            gap = place
    index[unsigned(gap)] = NONE


@kernel
def has_room(book: Book) -> bool:
    """Whether one more order can rest, whatever its price."""
    tally = book.tally[0]
    orders = tally["orders_free"] != NONE or tally["orders_top"] < len(book.orders)
    levels = tally["levels_free"] != NONE or tally["levels_top"] < len(book.levels)
    return orders and levels


@kernel
def indexes_are_full(book: Book) -> bool:
    """Whether an index must grow before the next order may rest."""
    tally = book.tally[0]
    return (
        4 * (tally["open_orders"] + 1) > len(book.recent)
        or 2 * (book.far_count[0] + 1) > len(book.far)
        or 4 * (tally["levels_open"] + 1) > len(book.level_index)
    )


@kernel
def room_left(book: Book) -> int:
    """How many orders may rest, whatever their prices, before an index must grow or a pool has no slot left.

    Only for a book that is all that takes slots of its pools: then what is free is what is not open.
    """
    tally = book.tally[0]
    orders = min(len(book.recent) >> 2, len(book.orders)) - tally["open_orders"]
    levels = min(len(book.level_index) >> 2, len(book.levels)) - tally["levels_open"]
    return min(orders, levels, (len(book.far) >> 1) - book.far_count[0])


@kernel
def take_slot(book: Book) -> int:
    """A free slot of the order pool."""
    tally = book.tally[0]
    slot = tally["orders_free"]
    if slot != NONE:
        tally["orders_free"] = book.orders[unsigned(slot)]["behind"]
    else:
        slot = tally["orders_top"]
        tally["orders_top"] = slot + 1
    return int(slot)


@kernel
def free_slot(book: Book, slot: int) -> None:
    """Give `slot` back. The row is cleared, so that equal books are equal bytes."""
    tally = book.tally[0]
    order = book.orders[unsigned(slot)]
    order["number"] = 0
    order["lots"] = 0
    order["level"] = 0
    order["ahead"] = 0
    order["behind"] = tally["orders_free"]
    order["party"] = 0
    order["hold"] = 0
    order["earlier"] = 0
    order["later"] = 0
    order["series"] = 0
    order["cash"] = 0
    order["units"] = 0
    order["side"] = 0
    order["primary"] = 0
    tally["orders_free"] = slot


@kernel
def rest(book: Book, slot: int, number: int, party: int, series: int, side: int, price: int, lots: int) -> None:
    """Put a new order into `slot` at the tail of its price level."""
    at = level_at(book, series, side, price)
    level = book.levels[unsigned(at)]
    order = book.orders[unsigned(slot)]
    order["number"] = number
    order["lots"] = lots
    order["level"] = at
    order["party"] = party
    order["ahead"] = level["tail"]
    order["behind"] = NONE
    if level["tail"] == NONE:
        level["head"] = slot
    else:
        book.orders[unsigned(level["tail"])]["behind"] = slot
    level["tail"] = slot
    level["lots"] += lots
    level["count"] += 1
    enter_number(book, slot, number)
    book.tally[0]["open_orders"] += 1


@kernel
def take_lots(book: Book, slot: int, lots: int) -> None:
    """Take lots off a resting order, which keeps its place; with nothing left it leaves the queue.

    The slot itself stays valid (with `lots` 0 and its number) until `free_slot`, so that the caller can still read
    what it keeps beside the order.
    """
    order = book.orders[unsigned(slot)]
    at = int(order["level"])
    level = book.levels[unsigned(at)]
    order["lots"] -= lots
    level["lots"] -= lots
    if order["lots"] > 0:
        return
    ahead = int(order["ahead"])
    behind = int(order["behind"])
    if ahead == NONE:
        level["head"] = behind
    else:
        book.orders[unsigned(ahead)]["behind"] = behind
    if behind == NONE:
        level["tail"] = ahead
    else:
        book.orders[unsigned(behind)]["ahead"] = ahead
    level["count"] -= 1
    leave_number(book, slot, order["number"])
    book.tally[0]["open_orders"] -= 1
    if level["count"] == 0:
        close_level(book, at)


@kernel
def crossing_maker(book: Book, series: int, side: int, price: int) -> int:
    """Slot of the first order that an aggressor of `side` at `price` would trade with, or NONE."""
    other = 1 - side
    if book.touch[unsigned(series), unsigned(other)] > touch_of(other, price):
        return NONE
    at = int(book.best[unsigned(series), unsigned(other)])
    if at == NONE:
        return NONE
    return int(book.levels[unsigned(at)]["head"])


@kernel
def next_worse(level: Any) -> int:
    """The level that is best once this one is gone."""
    if level["side"] == 0:
        return int(level["below"])
    return int(level["above"])


@kernel
def level_at(book: Book, series: int, side: int, price: int) -> int:
    """Slot of the level at `price`, opened if there is none."""
    found = find_level(book.levels, book.level_index, series, side, price)
    if found != NONE:
        return found
    return open_level(book, series, side, price)


@kernel
def open_level(book: Book, series: int, side: int, price: int) -> int:
    """Slot of a new level at a price that has none."""
    levels = book.levels
    tally = book.tally[0]
    new = int(tally["levels_free"])
    if new != NONE:
        tally["levels_free"] = levels[unsigned(new)]["above"]
    else:
        new = int(tally["levels_top"])
        tally["levels_top"] = new + 1
    tally["levels_open"] += 1
    level = levels[unsigned(new)]
    level["price"] = price
    level["lots"] = 0
    level["head"] = NONE
    level["tail"] = NONE
    level["count"] = 0
    level["series"] = series
    level["side"] = side
    touch = touch_of(side, price)
    if touch < book.touch[unsigned(series), unsigned(side)]:
        best = int(book.best[unsigned(series), unsigned(side)])
        above, below = (NONE, best) if side == 0 else (best, NONE)
        book.best[unsigned(series), unsigned(side)] = new
        book.touch[unsigned(series), unsigned(side)] = touch
    else:
        above, below = neighbors_of(levels, int(book.roots[unsigned(series), unsigned(side)]), price)
    insert(levels, book.roots, new, above, below)
    level_index_put(levels, book.level_index, new)
    return new


@kernel
def close_level(book: Book, at: int) -> None:
    """Take the empty level `at` out of its side and give its slot back."""
    levels = book.levels
    level_index_remove(levels, book.level_index, at)
    level = levels[unsigned(at)]
    series = int(level["series"])
    side = int(level["side"])
    if book.best[unsigned(series), unsigned(side)] == at:
        worse = next_worse(level)
        book.best[unsigned(series), unsigned(side)] = worse
        book.touch[unsigned(series), unsigned(side)] = (
            UNTOUCHED if worse == NONE else touch_of(side, levels[unsigned(worse)]["price"])
        )
    remove(levels, book.roots, at)
    tally = book.tally[0]
    level["price"] = 0
    level["head"] = 0
    level["tail"] = 0
    level["series"] = 0
    level["side"] = 0
    level["below"] = 0
    level["parent"] = 0
    level["lower"] = 0
    level["higher"] = 0
    level["lean"] = 0
    level["above"] = tally["levels_free"]
    tally["levels_free"] = at
    tally["levels_open"] -= 1

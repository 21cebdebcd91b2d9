"""The order book: a tree of price levels per side, a queue of orders per level, and an index by order number.

The tree is an AVL tree (Adelson-Velsky and Landis, 1962) over slots of one pool, so any two prices may be as far
apart as int64 allows, and opening or closing a level costs at most 1.45 log2(levels) comparisons. A level that is open
is found by a hash of its price, since the comparisons of a descent are mispredicted half of the time. Levels of a side
are also linked by price: the next best level after an emptied one is one read away. Bids and asks are the same code;
what differs is which neighbor is worse.

The book knows no money and no party but the number an order carries.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from matching.layout import BOOK_TALLY, LEVEL, NONE, ORDER, ORDER_INDEX, Book, kernel, zeros

GOLDEN = np.int64(-7046029254386353131)
"""2^64 / golden ratio, odd, as a signed integer: multiplying by it spreads dense numbers over a table (Knuth)."""


def new_book(*, series_max: int, orders_max: int, levels_max: int, index_size: int = 1 << 12) -> Book:
    """An empty book. Pools are reserved address space: only slots that were ever used occupy memory."""
    book = Book(
        levels=zeros(levels_max, LEVEL),
        orders=zeros(orders_max, ORDER),
        order_index=zeros(index_size, ORDER_INDEX),
        level_index=np.full(index_size, NONE, np.int32),
        roots=np.full((series_max + 1, 2), NONE, np.int32),
        best=np.full((series_max + 1, 2), NONE, np.int32),
        path=np.zeros(64, np.int32),
        tally=np.zeros(1, BOOK_TALLY),
    )
    book.tally["next_order"] = 1
    book.tally["orders_free"] = NONE
    book.tally["levels_free"] = NONE
    return book


def with_indexes_grown(book: Book) -> Book:
    """The same book with room in both indexes. They are no part of the state: they follow from orders and levels."""
    orders, levels = len(book.order_index), len(book.level_index)
    while 2 * (int(book.tally["open_orders"][0]) + 1) > orders:
        orders *= 2
    while 2 * (int(book.tally["levels_open"][0]) + 1) > levels:
        levels *= 2
    book = book._replace(order_index=zeros(orders, ORDER_INDEX), level_index=np.full(levels, NONE, np.int32))
    reindex(book)
    return book


@kernel
def reindex(book: Book) -> None:
    """Enter every open order and every level into the empty indexes."""
    for slot in range(book.tally[0]["orders_top"]):
        if book.orders[slot]["number"] > 0:
            index_put(book.order_index, book.orders[slot]["number"], slot)
    for at in range(book.tally[0]["levels_top"]):
        if book.levels[at]["count"] > 0:
            level_index_put(book.levels, book.level_index, at)


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
    while index[place]["number"] != 0:
        place = (place + 1) & mask
    index[place]["number"] = number
    index[place]["slot"] = slot


@kernel
def find_order(index: Any, number: int) -> int:
    """Slot of the open order `number`, or NONE."""
    mask = len(index) - 1
    place = home_of(number, mask)
    while True:
        there = index[place]["number"]
        if there == 0:
            return NONE
        if there == number:
            return int(index[place]["slot"])
        place = (place + 1) & mask


@kernel
def index_remove(index: Any, number: int) -> None:
    """Remove `number` and close the gap, so that no marker of the deleted stays behind."""
    mask = len(index) - 1
    place = home_of(number, mask)
    while index[place]["number"] != number:
        place = (place + 1) & mask
    gap = place
    while True:
        place = (place + 1) & mask
        there = index[place]["number"]
        if there == 0:
            break
        # An entry may move into the gap unless its home lies after the gap.
        if ((place - home_of(there, mask)) & mask) >= ((place - gap) & mask):
            index[gap]["number"] = there
            index[gap]["slot"] = index[place]["slot"]
            gap = place
    index[gap]["number"] = 0


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
        at = int(index[place])
        if at == NONE:
            return NONE
        level = levels[at]
        if level["price"] == price and level["series"] == series and level["side"] == side:
            return at
        place = (place + 1) & mask


@kernel
def level_index_put(levels: Any, index: Any, at: int) -> None:
    mask = len(index) - 1
    level = levels[at]
    place = level_home(int(level["series"]), int(level["side"]), level["price"], mask)
    while index[place] != NONE:
        place = (place + 1) & mask
    index[place] = at


@kernel
def level_index_remove(levels: Any, index: Any, at: int) -> None:
    """Remove the level `at` and close the gap."""
    mask = len(index) - 1
    level = levels[at]
    place = level_home(int(level["series"]), int(level["side"]), level["price"], mask)
    while index[place] != at:
        place = (place + 1) & mask
    gap = place
    while True:
        place = (place + 1) & mask
        there = int(index[place])
        if there == NONE:
            break
        other = levels[there]
        home = level_home(int(other["series"]), int(other["side"]), other["price"], mask)
        if ((place - home) & mask) >= ((place - gap) & mask):
            index[gap] = there
            gap = place
    index[gap] = NONE


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
    return 2 * (tally["open_orders"] + 1) > len(book.order_index) or 2 * (tally["levels_open"] + 1) > len(
        book.level_index
    )


@kernel
def take_slot(book: Book) -> int:
    """A free slot of the order pool."""
    tally = book.tally[0]
    slot = tally["orders_free"]
    if slot != NONE:
        tally["orders_free"] = book.orders[slot]["behind"]
    else:
        slot = tally["orders_top"]
        tally["orders_top"] = slot + 1
    return int(slot)


@kernel
def free_slot(book: Book, slot: int) -> None:
    """Give `slot` back. The row is cleared, so that equal books are equal bytes."""
    tally = book.tally[0]
    order = book.orders[slot]
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
    level = book.levels[at]
    order = book.orders[slot]
    order["number"] = number
    order["lots"] = lots
    order["level"] = at
    order["party"] = party
    order["ahead"] = level["tail"]
    order["behind"] = NONE
    if level["tail"] == NONE:
        level["head"] = slot
    else:
        book.orders[level["tail"]]["behind"] = slot
    level["tail"] = slot
    level["lots"] += lots
    level["count"] += 1
    index_put(book.order_index, number, slot)
    book.tally[0]["open_orders"] += 1


@kernel
def take_lots(book: Book, slot: int, lots: int) -> None:
    """Take lots off a resting order, which keeps its place; with nothing left it leaves the queue.

    The slot itself stays valid (with `lots` 0 and its number) until `free_slot`, so that the caller can still read
    what it keeps beside the order.
    """
    order = book.orders[slot]
    at = int(order["level"])
    level = book.levels[at]
    order["lots"] -= lots
    level["lots"] -= lots
    if order["lots"] > 0:
        return
    ahead = int(order["ahead"])
    behind = int(order["behind"])
    if ahead == NONE:
        level["head"] = behind
    else:
        book.orders[ahead]["behind"] = behind
    if behind == NONE:
        level["tail"] = ahead
    else:
        book.orders[behind]["ahead"] = ahead
    level["count"] -= 1
    index_remove(book.order_index, order["number"])
    book.tally[0]["open_orders"] -= 1
    if level["count"] == 0:
        close_level(book, at)


@kernel
def crossing_maker(book: Book, series: int, side: int, price: int) -> int:
    """Slot of the first order that an aggressor of `side` at `price` would trade with, or NONE."""
    at = int(book.best[series, 1 - side])
    if at == NONE:
        return NONE
    sign = 1 - 2 * side
    if sign * (price - book.levels[at]["price"]) < 0:
        return NONE
    return int(book.levels[at]["head"])


@kernel
def next_worse(level: Any) -> int:
    """The level that is best once this one is gone."""
    if level["side"] == 0:
        return int(level["below"])
    return int(level["above"])


@kernel
def level_at(book: Book, series: int, side: int, price: int) -> int:
    """Slot of the level at `price`, opened if there is none."""
    levels = book.levels
    found = find_level(levels, book.level_index, series, side, price)
    if found != NONE:
        return found
    path = book.path
    node = int(book.roots[series, side])
    depth = 0
    while node != NONE:
        path[depth] = node
        depth += 1
        node = int(levels[node]["left"]) if price < levels[node]["price"] else int(levels[node]["right"])

    tally = book.tally[0]
    new = int(tally["levels_free"])
    if new != NONE:
        tally["levels_free"] = levels[new]["above"]
    else:
        new = int(tally["levels_top"])
        tally["levels_top"] = new + 1
    tally["levels_open"] += 1
    level = levels[new]
    level["price"] = price
    level["lots"] = 0
    level["head"] = NONE
    level["tail"] = NONE
    level["count"] = 0
    level["series"] = series
    level["side"] = side
    level["left"] = NONE
    level["right"] = NONE
    level["height"] = 1
    above = NONE
    below = NONE
    if depth == 0:
        book.roots[series, side] = new
    else:
        parent = int(path[depth - 1])
        if price < levels[parent]["price"]:
            levels[parent]["left"] = new
            above = parent
            below = int(levels[parent]["below"])
        else:
            levels[parent]["right"] = new
            below = parent
            above = int(levels[parent]["above"])
    level["above"] = above
    level["below"] = below
    if above != NONE:
        levels[above]["below"] = new
    if below != NONE:
        levels[below]["above"] = new
    better = above if side == 0 else below
    if better == NONE:
        book.best[series, side] = new
    rebalance(levels, book.roots, path, depth, series, side)
    level_index_put(levels, book.level_index, new)
    return new


@kernel
def close_level(book: Book, at: int) -> None:
    """Take the empty level `at` out of its side and give its slot back."""
    levels = book.levels
    level_index_remove(levels, book.level_index, at)
    path = book.path
    level = levels[at]
    series = int(level["series"])
    side = int(level["side"])
    price = level["price"]
    above = int(level["above"])
    below = int(level["below"])
    if book.best[series, side] == at:
        book.best[series, side] = next_worse(level)
    if above != NONE:
        levels[above]["below"] = below
    if below != NONE:
        levels[below]["above"] = above

    node = int(book.roots[series, side])
    depth = 0
    while node != at:
        path[depth] = node
        depth += 1
        node = int(levels[node]["left"]) if price < levels[node]["price"] else int(levels[node]["right"])
    left = int(level["left"])
    right = int(level["right"])
    if left != NONE and right != NONE:  # noqa: PLR1714  (plain for the JIT)
        # The next higher level takes this one's place in the tree; it has no left child.
        heir_depth = depth
        path[depth] = above
        depth += 1
        node = right
        while node != above:
            path[depth] = node
            depth += 1
            node = int(levels[node]["left"])
        orphan = int(levels[above]["right"])
        if right == above:
            right = orphan
        else:
            levels[path[depth - 1]]["left"] = orphan
        levels[above]["left"] = left
        levels[above]["right"] = right
        levels[above]["height"] = level["height"]
        attach(levels, book.roots, path, heir_depth, series, side, at, above)
    else:
        attach(levels, book.roots, path, depth, series, side, at, left if left != NONE else right)
    rebalance(levels, book.roots, path, depth, series, side)

    tally = book.tally[0]
    level["price"] = 0
    level["head"] = 0
    level["tail"] = 0
    level["series"] = 0
    level["side"] = 0
    level["left"] = 0
    level["right"] = 0
    level["height"] = 0
    level["below"] = 0
    level["above"] = tally["levels_free"]
    tally["levels_free"] = at
    tally["levels_open"] -= 1


@kernel
def attach(levels: Any, roots: Any, path: Any, depth: int, series: int, side: int, old: int, new: int) -> None:
    """Let the node above place `depth` of the path point to `new` where it pointed to `old`."""
    if depth == 0:
        roots[series, side] = new
    elif levels[path[depth - 1]]["left"] == old:
        levels[path[depth - 1]]["left"] = new
    else:
        levels[path[depth - 1]]["right"] = new


@kernel
def height_of(levels: Any, node: int) -> int:
    if node == NONE:
        return 0
    return int(levels[node]["height"])


@kernel
def update_height(levels: Any, node: int) -> None:
    left = height_of(levels, int(levels[node]["left"]))
    right = height_of(levels, int(levels[node]["right"]))
    levels[node]["height"] = 1 + max(left, right)


@kernel
def rotate(levels: Any, node: int, left_up: bool) -> int:
    """Lift the left (or right) child over `node`; returns the child."""
    if left_up:
        child = int(levels[node]["left"])
        levels[node]["left"] = levels[child]["right"]
        levels[child]["right"] = node
    else:
        child = int(levels[node]["right"])
        levels[node]["right"] = levels[child]["left"]
        levels[child]["left"] = node
    update_height(levels, node)
    update_height(levels, child)
    return child


@kernel
def rebalance(levels: Any, roots: Any, path: Any, depth: int, series: int, side: int) -> None:
    """Restore heights and balance from the end of the path up to the root."""
    for at in range(depth - 1, -1, -1):
        node = int(path[at])
        before = int(levels[node]["height"])
        left = int(levels[node]["left"])
        right = int(levels[node]["right"])
        lean = height_of(levels, left) - height_of(levels, right)
        if lean > 1:
            if height_of(levels, int(levels[left]["left"])) < height_of(levels, int(levels[left]["right"])):
                levels[node]["left"] = rotate(levels, left, False)
            top = rotate(levels, node, True)
        elif lean < -1:
            if height_of(levels, int(levels[right]["right"])) < height_of(levels, int(levels[right]["left"])):
                levels[node]["right"] = rotate(levels, right, True)
            top = rotate(levels, node, False)
        else:
            update_height(levels, node)
            top = node
        if top != node:
            attach(levels, roots, path, at, series, side, node, top)
        if int(levels[top]["height"]) == before:
            return

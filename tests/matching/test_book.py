"""The book of trees and queues equals the plain one, and its tree is what an AVL tree must be."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from matching.book import (
    UNTOUCHED,
    crossing_maker,
    free_slot,
    indexes_are_full,
    new_book,
    order_slot,
    rest,
    take_lots,
    take_slot,
    touch_of,
    with_indexes_grown,
)
from matching.layout import NONE, Book, Side
from matching.reference import ReferenceBook

FAR_APART = [1, 2, 3, 5, 8, 1_000, 999_999, 2_000_000_000, 2_000_000_001, 2**62]


def new_small_book() -> Book:
    return new_book(series_max=2, orders_max=1 << 10, levels_max=1 << 8, index_size=1 << 4)


def levels_of(book: Book, series: int, side: Side) -> list[Any]:
    """Levels by the links between neighbors, best first."""
    at = int(book.best[series, side])
    levels = []
    while at != NONE:
        levels.append(book.levels[at])
        at = int(book.levels[at]["below" if side == Side.BUY else "above"])
    return levels


def assert_balanced(book: Book, node: int, low: int, high: int) -> tuple[int, list[int]]:
    """(height, prices in order) of a subtree whose prices lie between `low` and `high`."""
    if node == NONE:
        return 0, []
    level = book.levels[node]
    price = int(level["price"])
    assert low < price < high
    for child in ("lower", "higher"):
        assert level[child] == NONE or book.levels[level[child]]["parent"] == node
    lower, below = assert_balanced(book, int(level["lower"]), low, price)
    higher, above = assert_balanced(book, int(level["higher"]), price, high)
    assert level["lean"] == lower - higher
    assert abs(lower - higher) <= 1
    return 1 + max(lower, higher), [*below, price, *above]


class BookMachine(RuleBasedStateMachine):
    """Rests, takes and ends orders in both books."""

    orders: Bundle[tuple[int, int, Side]] = Bundle("orders")

    def __init__(self) -> None:
        super().__init__()
        self.book = new_small_book()
        self.plain = {series: ReferenceBook() for series in (1, 2)}
        self.slots: dict[int, int] = {}
        self.next_order = 1

    @rule(
        target=orders,
        series=st.sampled_from([1, 2]),
        side=st.sampled_from(Side),
        price=st.one_of(st.integers(1, 12), st.sampled_from(FAR_APART)),
        lots=st.integers(1, 9),
        unused=st.sampled_from([0, 0, 0, 1, 15, 16, 31]),
    )
    def rest(self, series: int, side: Side, price: int, lots: int, unused: int) -> tuple[int, int, Side]:
        """`unused` numbers are skipped, as those of orders that never rest, so that numbers meet in one place."""
        if indexes_are_full(self.book):
            self.book = with_indexes_grown(self.book)
        number = self.next_order + unused
        self.next_order = number + 1
        slot = take_slot(self.book)
        rest(self.book, slot, number, 7, series, int(side), price, lots)
        self.plain[series].rest(order=number, side=side, price=price, lots=lots)
        self.slots[number] = slot
        return number, series, side

    @rule(order=consumes(orders))
    def cancel(self, order: tuple[int, int, Side]) -> None:
        number, series, _ = order
        lots = self.plain[series].cancel(number)
        slot = self.slots.pop(number)
        assert self.book.orders[slot]["lots"] == lots
        take_lots(self.book, slot, lots)
        free_slot(self.book, slot)

    @rule(target=orders, order=consumes(orders))
    def reduce(self, order: tuple[int, int, Side]) -> Any:
        number, series, _ = order
        slot = self.slots[number]
        if self.book.orders[slot]["lots"] > 1:
            take_lots(self.book, slot, 1)
            self.plain[series].reduce(order=number, lots=1)
        return multiple(order)

    @rule()
    def index_anew(self) -> None:
        """As after a restart: indexes and best prices follow from orders and levels."""
        self.book = with_indexes_grown(self.book._replace(touch=np.full_like(self.book.touch, UNTOUCHED)))

    @invariant()
    def levels_queues_and_makers_are_those_of_the_plain_book(self) -> None:
        for series, plain in self.plain.items():
            for side in Side:
                levels = levels_of(self.book, series, side)
                assert [(int(level["price"]), int(level["lots"])) for level in levels] == [
                    (depth.price, depth.lots) for depth in plain.depth(side)
                ]
                best = int(self.book.touch[series, side])
                assert best == (touch_of(side, int(levels[0]["price"])) if levels else UNTOUCHED)
                numbers = []
                for level in levels:
                    slot = int(level["head"])
                    while slot != NONE:
                        numbers.append(int(self.book.orders[slot]["number"]))
                        slot = int(self.book.orders[slot]["behind"])
                assert numbers == [resting.order for resting in plain.in_priority(side)]
                height, prices = assert_balanced(self.book, int(self.book.roots[series, side]), 0, 2**63)
                assert prices == sorted(int(level["price"]) for level in levels)
                assert height <= 1.45 * np.log2(len(prices) + 2)

    @invariant()
    def the_index_finds_open_orders_and_no_others(self) -> None:
        for number in range(1, self.next_order):
            assert order_slot(self.book, number) == self.slots.get(number, NONE)


TestBook = BookMachine.TestCase
TestBook.settings = settings(max_examples=40, stateful_step_count=60)


def test_a_maker_crosses_only_at_its_price_or_better() -> None:
    book = new_small_book()
    slot = take_slot(book)
    rest(book, slot, 1, 7, 1, int(Side.SELL), 100, 5)
    assert crossing_maker(book, 1, int(Side.BUY), 99) == NONE
    assert crossing_maker(book, 1, int(Side.BUY), 100) == slot
    assert crossing_maker(book, 1, int(Side.SELL), 1) == NONE


def test_an_order_is_found_though_a_later_one_took_its_place_among_the_recent() -> None:
    book = new_small_book()
    places = len(book.recent)
    slots = {}
    for number in (3, 3 + places, 3 + 2 * places):
        slots[number] = take_slot(book)
        rest(book, slots[number], number, 7, 1, int(Side.BUY), 10, 1)
    assert book.far_count[0] == 2
    assert {number: order_slot(book, number) for number in slots} == slots
    for number in (3 + places, 3 + 2 * places):
        take_lots(book, slots[number], 1)
        free_slot(book, slots[number])
        assert order_slot(book, number) == NONE
    assert (int(book.far_count[0]), order_slot(book, 3)) == (1, slots[3])


def test_an_emptied_book_has_no_level_and_no_order_in_whatever_order_it_was_emptied() -> None:
    for order in ([1, 2, 3], [3, 1, 2]):
        book = new_small_book()
        slots = {}
        for number in (1, 2, 3):
            slots[number] = take_slot(book)
            rest(book, slots[number], number, 7, 1, int(Side.BUY), 10 * number, 1)
        for number in order:
            take_lots(book, slots[number], 1)
        assert (book.best == NONE).all()
        assert (book.roots == NONE).all()
        assert book.tally["levels_open"] == 0
        assert book.tally["open_orders"] == 0

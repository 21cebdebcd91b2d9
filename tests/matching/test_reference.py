"""Price-time priority by example, and against the shortest possible statement of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from matching.layout import Side
from matching.reference import Depth, ReferenceBook, Resting


def a_book(*orders: tuple[Side, int, int]) -> ReferenceBook:
    """A book with (side, price, lots) resting in this order, numbered from 1."""
    book = ReferenceBook()
    for number, (side, price, lots) in enumerate(orders, 1):
        book.rest(order=number, side=side, price=price, lots=lots)
    return book


def test_the_best_price_is_the_highest_bid_and_the_lowest_ask() -> None:
    book = a_book((Side.BUY, 98, 1), (Side.BUY, 99, 1), (Side.SELL, 102, 1), (Side.SELL, 101, 1))
    assert (book.best(Side.BUY), book.best(Side.SELL)) == (99, 101)
    assert not book.is_crossed()


def test_an_empty_side_has_no_best_and_crosses_nobody() -> None:
    book = a_book((Side.BUY, 98, 1))
    assert book.best(Side.SELL) is None
    assert book.crossing_maker(side=Side.BUY, price=10**9) is None
    assert not book.is_crossed()


def test_who_rested_first_at_the_best_price_is_next() -> None:
    book = a_book((Side.SELL, 102, 1), (Side.SELL, 101, 2), (Side.SELL, 101, 3))
    assert book.crossing_maker(side=Side.BUY, price=101) == Resting(order=2, price=101, lots=2)
    assert book.crossing_maker(side=Side.BUY, price=100) is None
    assert book.cancel(2) == 2
    assert book.crossing_maker(side=Side.BUY, price=105) == Resting(order=3, price=101, lots=3)


def test_a_reduced_order_keeps_its_place_and_leaves_with_its_last_lot() -> None:
    book = a_book((Side.BUY, 99, 5), (Side.BUY, 99, 1))
    assert book.reduce(order=1, lots=3) == 2
    assert [resting.order for resting in book.in_priority(Side.BUY)] == [1, 2]
    assert book.reduce(order=1, lots=2) == 0
    assert book.depth(Side.BUY) == [Depth(price=99, lots=1, orders=1)]


def test_a_level_is_gone_with_its_last_order() -> None:
    book = a_book((Side.BUY, 99, 5), (Side.BUY, 98, 1))
    book.cancel(1)
    assert (book.best(Side.BUY), book.level_count()) == (98, 1)


def test_depth_is_best_first_on_both_sides() -> None:
    book = a_book((Side.BUY, 98, 1), (Side.BUY, 99, 2), (Side.SELL, 101, 3), (Side.SELL, 103, 4), (Side.SELL, 101, 5))
    assert book.depth(Side.BUY) == [Depth(99, 2, 1), Depth(98, 1, 1)]
    assert book.depth(Side.SELL) == [Depth(101, 8, 2), Depth(103, 4, 1)]


def test_a_book_that_rests_through_the_other_side_is_crossed() -> None:
    assert a_book((Side.BUY, 100, 1), (Side.SELL, 100, 1)).is_crossed()


orders = st.lists(st.tuples(st.sampled_from(Side), st.integers(95, 105), st.integers(1, 9)), max_size=40)


@given(orders=orders, gone=st.sets(st.integers(1, 40)))
def test_priority_is_the_order_of_price_then_arrival(orders: list[tuple[Side, int, int]], gone: set[int]) -> None:
    book = a_book(*orders)
    for number in gone:
        if number <= len(orders):
            book.cancel(number)
    for side, sign in ((Side.BUY, -1), (Side.SELL, 1)):
        left = [
            (sign * price, number, lots)
            for number, (own, price, lots) in enumerate(orders, 1)
            if own == side and number not in gone
        ]
        expected = [Resting(order=number, price=sign * key, lots=lots) for key, number, lots in sorted(left)]
        assert list(book.in_priority(side)) == expected
        assert sum(level.lots for level in book.depth(side)) == sum(lots for _, _, lots in left)
        other = Side.BUY if side == Side.SELL else Side.SELL
        worst = 10**6 if other == Side.BUY else 0
        assert book.crossing_maker(side=other, price=worst) == (expected[0] if expected else None)

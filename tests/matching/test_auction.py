"""The price of an uncrossing is what the rule says over all candidates, and its certificate proves just that price."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from matching.auction import UNCROSS, demand_at, supply_at
from matching.auction_certificate import Order, at_price, flaw
from matching.layout import Side
from matching.market import Market
from matching.rulebook_layout import NO_PRICE

BUY, SELL = Side.BUY, Side.SELL


def gathered(orders: list[Order], **room: int) -> Market:
    """A market that gathers these orders, numbered from 1."""
    market = Market(orders=1 << 10, levels=1 << 8, **room)
    market.gather()
    for side, price, lots in orders:
        market.submit(side=side, price=price, lots=lots)
    return market


def rule(orders: list[Order], reference: int | None) -> tuple[int, int]:
    """(price, volume) by trying every candidate, or (NO_PRICE, 0)."""
    limits = [price for _, price, _ in orders if price is not None] + ([] if reference is None else [reference])
    if not limits:
        return NO_PRICE, 0
    at = {price: at_price(orders, price) for price in range(min(limits), max(limits) + 1)}
    volume = max(found.volume for found in at.values())
    if volume == 0:
        return NO_PRICE, 0
    remain = [price for price, found in at.items() if found.volume == volume]
    surplus = min(abs(at[price].left) for price in remain)
    remain = [price for price in remain if abs(at[price].left) == surplus]
    if all(at[price].left > 0 for price in remain):
        remain = [max(remain)]
    elif all(at[price].left < 0 for price in remain):
        remain = [min(remain)]
    if reference is None:
        return max(remain), volume
    return min(remain, key=lambda price: (abs(price - reference), -price)), volume


def order(prices: st.SearchStrategy[int]) -> st.SearchStrategy[Order]:
    return st.tuples(st.sampled_from(Side), st.one_of(st.none(), prices, prices, prices), st.integers(1, 6))


ORDERS = st.lists(order(st.integers(10, 24)), max_size=14)
REFERENCES = st.one_of(st.none(), st.integers(6, 28))


@settings(max_examples=400)
@given(ORDERS, REFERENCES)
def test_the_price_is_what_the_rule_says_over_all_candidates(orders: list[Order], reference: int | None) -> None:
    found = gathered(orders).indicative(reference=reference)[0]
    assert (int(found["price"]), int(found["volume"])) == rule(orders, reference)


@settings(max_examples=200)
@given(ORDERS, REFERENCES)
def test_the_certificate_proves_the_price_and_no_other(orders: list[Order], reference: int | None) -> None:
    right = gathered(orders).indicative(reference=reference)[0]
    assert_proves_just_this(right, orders, reference)


def assert_proves_just_this(right: Any, orders: list[Order], reference: int | None) -> None:
    assert flaw(right, orders, reference=reference) is None
    lowest, highest = int(right["lowest"]), int(right["highest"])
    turn = max((price for price in range(lowest, highest + 1) if at_price(orders, price).left > 0), default=lowest - 1)
    for price in {NO_PRICE, *range(lowest - 1, highest + 2)} - {int(right["price"])}:
        for claimed in {turn, price, price - 1} if price != NO_PRICE else {0}:
            assert flaw(forged(orders, right, price, claimed), orders, reference=reference) is not None


def forged(orders: list[Order], right: Any, price: int, turn: int) -> Any:
    """The best certificate that somebody could write for another price: every figure in it is true."""
    row = np.zeros(1, UNCROSS)[0]
    for name in ("reference", "lowest", "highest"):
        row[name] = right[name]
    row["price"] = price
    if price == NO_PRICE:
        return row
    row["turn"], row["volume"] = turn, at_price(orders, price).volume
    for name, where in (
        ("", price),
        ("_below", price - 1),
        ("_above", price + 1),
        ("_turn", turn),
        ("_past", turn + 1),
    ):
        row[f"demand{name}"], row[f"supply{name}"] = at_price(orders, where)
    return row


@given(ORDERS, REFERENCES, st.sampled_from(list(UNCROSS.fields or {})), st.sampled_from([-1, 1]))
def test_every_figure_of_a_certificate_counts(orders: list[Order], reference: int | None, name: str, step: int) -> None:
    right = gathered(orders).indicative(reference=reference)[0]
    assume(name not in {"command", "series", "unused"})
    right[name] += step
    assert flaw(right, orders, reference=reference) is not None


@settings(max_examples=150)
@given(ORDERS, REFERENCES, st.integers(1, 3))
def test_the_walk_trades_the_volume_in_priority_and_leaves_nothing_crossed(
    orders: list[Order], reference: int | None, room: int
) -> None:
    market = gathered(orders, fills=room)
    certificate, fills = market.uncross(reference=reference, command=7)
    price, volume = rule(orders, reference)
    assert (fills["price"] == price).all() and (fills["command"] == 7).all()
    for side, column in ((BUY, "maker"), (SELL, "taker")):
        assert traded(fills, column) == first_in_priority(orders, side, volume)
    bid, ask = market.best(BUY), market.best(SELL)
    assert bid is None or ask is None or bid.price < ask.price
    unpriced = [number for number, (_, limit, _) in enumerate(orders, 1) if limit is None]
    assert not any(market.lots_left(number) for number in unpriced)
    assert int(certificate["volume"][0]) == volume


def traded(fills: Any, column: str) -> list[tuple[int, int]]:
    """Order and lots in the order of the trades; trades of one order after another are one."""
    found: list[tuple[int, int]] = []
    for number, lots in fills[[column, "lots"]].tolist():
        if found and found[-1][0] == number:
            found[-1] = (number, found[-1][1] + lots)
        else:
            found.append((number, lots))
    return found


def first_in_priority(orders: list[Order], side: Side, volume: int) -> list[tuple[int, int]]:
    """The orders of a side that trade, and their lots: without a price first, then by price, then by time."""
    sign = -1 if side == BUY else 1
    queue = [(limit is not None, sign * (limit or 0), number, lots)
             for number, (whose, limit, lots) in enumerate(orders, 1) if whose == side]  # fmt: skip
    found = []
    for _, _, number, lots in sorted(queue):
        if volume > 0:
            found.append((number, min(lots, volume)))
            volume -= lots
    return found


@pytest.mark.parametrize(
    ("why", "orders", "reference", "price", "volume"),
    [
        ("volume", [(BUY, 105, 5), (BUY, 100, 5), (SELL, 95, 3), (SELL, 100, 6)], 95, 100, 9),
        ("surplus: the next bid is smaller", [(BUY, 20, 5), (BUY, 10, 2), (SELL, 5, 5), (SELL, 11, 3)], 15, 10, 5),
        ("surplus: the next ask is smaller", [(BUY, 20, 5), (BUY, 10, 3), (SELL, 5, 5), (SELL, 11, 2)], 8, 11, 5),
        ("pressure of buyers: the highest", [(BUY, 20, 9), (SELL, 5, 5)], 7, 20, 5),
        ("pressure of sellers: the lowest", [(BUY, 20, 5), (SELL, 5, 9)], 19, 5, 5),
        ("no pressure: nearest the reference", [(BUY, 20, 5), (SELL, 5, 5)], 7, 7, 5),
        ("the reference lies above", [(BUY, 20, 5), (SELL, 5, 5)], 90, 20, 5),
        ("without a reference: the highest", [(BUY, 20, 5), (SELL, 5, 5)], None, 20, 5),
        ("as much is left over on either side", [(BUY, 20, 5), (BUY, 10, 2), (SELL, 5, 5), (SELL, 11, 2)], 3, 5, 5),
        ("down to the bid below", [(BUY, 20, 5), (BUY, 10, 2), (BUY, 7, 9), (SELL, 5, 5), (SELL, 11, 2)], 3, 8, 5),
        ("up to the ask above", [(BUY, 20, 5), (BUY, 10, 2), (SELL, 5, 5), (SELL, 11, 2), (SELL, 14, 9)], 30, 13, 5),
        ("only market orders: the reference", [(BUY, None, 5), (SELL, None, 3)], 40, 40, 3),
        ("only market orders, no reference", [(BUY, None, 5), (SELL, None, 3)], None, NO_PRICE, 0),
        ("a market order meets the best limit", [(BUY, None, 5), (SELL, 30, 5), (SELL, 31, 5)], None, 30, 5),
        ("nothing crosses", [(BUY, 10, 5), (SELL, 11, 5)], 10, NO_PRICE, 0),
        ("one side is empty", [(BUY, 10, 5)], 10, NO_PRICE, 0),
        ("far apart", [(BUY, 2_000_000_000, 7), (BUY, 1, 5), (SELL, 1, 7), (SELL, 1_999_999_999, 1)], 5, 5, 7),
        ("far apart, pressure", [(BUY, 2_000_000_000, 8), (SELL, 1, 7)], 5, 2_000_000_000, 7),
    ],
)  # fmt: skip
def test_each_step_of_the_rule_decides_somewhere(
    why: str, orders: list[Order], reference: int | None, price: int, volume: int
) -> None:
    found = gathered(orders).indicative(reference=reference)[0]
    assert (int(found["price"]), int(found["volume"])) == (price, volume), why
    assert flaw(found, orders, reference=reference) is None
    if int(found["highest"]) < 1_000:
        assert_proves_just_this(found, orders, reference)


@given(ORDERS, st.integers(1, 30))
def test_demand_and_supply_are_those_of_the_orders(orders: list[Order], price: int) -> None:
    book = gathered(orders)._book
    assert (demand_at(book, 1, price), supply_at(book, 1, price)) == at_price(orders, price)

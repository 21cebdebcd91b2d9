"""The market for researchers: what it answers equals a plain one's, in single commands and in batches alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matching.layout import COMMAND, FLAG_MARKET, Code, Kind, Side, TimeInForce
from matching.market import Market, MarketError
from matching.market_kernel import LOTS_SUM_MAX, PRICE_MAX, REPLACE

BUY, SELL = Side.BUY, Side.SELL
NEW, CANCEL, REDUCE = Kind.NEW, Kind.CANCEL, Kind.REDUCE


def small_market(**room: int) -> Market:
    return Market(**{"series": 2, "orders": 1 << 10, "levels": 1 << 8, **room})


def rows_of(*commands: tuple[Any, ...]) -> Any:
    """COMMAND rows of (kind, target, series, side, price, lots, tif, flags), numbered from 1."""
    rows = np.zeros(len(commands), COMMAND)
    names = ("kind", "target", "series", "side", "price", "lots", "tif", "flags")
    for number, (row, values) in enumerate(zip(rows, commands, strict=True), 1):
        row["command"] = number
        for name, value in zip(names, values, strict=True):
            row[name] = value
    return rows


Answer = tuple[Code, int, list[tuple[int, int, int, int]]]


class PlainMarket:
    """One list of resting orders, [number, series, side, price, lots], in the order in which they came."""

    def __init__(self) -> None:
        self.resting: list[list[int]] = []
        self.count = 0

    def run(self, row: Any) -> Answer:
        """(code, lots resting, [(maker, taker, price, lots)])"""
        return self.new(row) if row["kind"] == NEW else self.change(row)

    def new(self, row: Any) -> Answer:
        series, side, price, lots = (int(row[name]) for name in ("series", "side", "price", "lots"))
        is_market = int(row["flags"]) == FLAG_MARKET
        if series not in {1, 2}:
            return Code.UNKNOWN_SERIES, 0, []
        if price < (0 if is_market else 1):
            return Code.PRICE_OUT_OF_RANGE, 0, []
        if lots < 1:
            return Code.LOTS_OUT_OF_RANGE, 0, []
        self.count += 1
        rests = row["tif"] == TimeInForce.GTC and not is_market
        if is_market and price == 0:
            price = 1 << 62 if side == BUY else 0
        return self.come([self.count, series, side, price, lots], rests)

    def change(self, row: Any) -> Answer:
        kind, target, price, lots = (int(row[name]) for name in ("kind", "target", "price", "lots"))
        if not 1 <= target <= self.count:
            return Code.UNKNOWN_ORDER, 0, []
        order = next((order for order in self.resting if order[0] == target), None)
        if order is None:
            return Code.ORDER_NOT_OPEN, 0, []
        if kind == CANCEL:
            self.resting.remove(order)
            return Code.OK, 0, []
        if kind == REDUCE:
            if not 0 < lots < order[4]:
                return Code.LOTS_NOT_REDUCIBLE, 0, []
            order[4] -= lots
            return Code.OK, order[4], []
        if price < 0:
            return Code.PRICE_OUT_OF_RANGE, 0, []
        if lots < 1:
            return Code.LOTS_OUT_OF_RANGE, 0, []
        if price in {0, order[3]} and lots <= order[4]:
            order[4] = lots
            return Code.OK, lots, []
        self.resting.remove(order)
        return self.come([target, order[1], order[2], price or order[3], lots], rests=True)

    def come(self, order: list[int], rests: bool) -> Answer:
        number, series, side, price, _ = order
        sign = 1 if side == BUY else -1
        fills = []
        others = [other for other in self.resting if other[1] == series and other[2] != side]
        for maker in sorted(others, key=lambda other: sign * other[3]):
            if order[4] == 0 or sign * (price - maker[3]) < 0:
                break
            lots = min(order[4], maker[4])
            fills.append((maker[0], number, maker[3], lots))
            order[4] -= lots
            maker[4] -= lots
            if maker[4] == 0:
                self.resting.remove(maker)
        if order[4] and rests:
            self.resting.append(order)
            return Code.OK, order[4], fills
        return Code.OK, 0, fills

    def levels(self, series: int, side: Side) -> list[tuple[int, int, int]]:
        of = [order for order in self.resting if order[1:3] == [series, side]]
        prices = sorted({order[3] for order in of}, reverse=side == BUY)
        at = {price: [order[4] for order in of if order[3] == price] for price in prices}
        return [(price, sum(lots), len(lots)) for price, lots in at.items()]


NEWS = st.tuples(
    st.just(NEW),
    st.just(0),
    st.integers(0, 3),
    st.sampled_from(Side),
    st.integers(0, 6),
    st.integers(0, 9),
    st.sampled_from(TimeInForce),
    st.sampled_from([0, 0, 0, FLAG_MARKET]),
)
CHANGES = st.tuples(
    st.sampled_from([CANCEL, REDUCE, REPLACE, REPLACE]),
    st.integers(-1, 20),
    st.just(0),
    st.just(BUY),
    st.integers(-1, 7),
    st.integers(-1, 9),
    st.just(0),
    st.just(0),
)
COMMANDS = st.lists(st.one_of(NEWS, NEWS, CHANGES), min_size=1, max_size=50)


@settings(max_examples=400)
@given(COMMANDS, st.integers(1, 3), st.integers(1, 50))
def test_the_market_answers_as_a_plain_one_however_commands_are_cut(
    drawn: list[tuple[Any, ...]], room: int, cut: int
) -> None:
    commands = rows_of(*drawn)
    market, plain = small_market(fills=room), PlainMarket()
    batches = [market.run(part, tops=True) for part in (commands[:cut], commands[cut:])]
    results, fills, tops = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    expected = []
    for row, result, top in zip(commands, results, tops, strict=True):
        code, resting, made = plain.run(row)
        assert (Code(int(result["code"])), int(result["lots"]), int(result["fills"])) == (code, resting, len(made))
        assert result["command"] == row["command"]
        expected += [(int(row["command"]), *fill) for fill in made]
        if row["kind"] == NEW and code == Code.OK:
            bids, asks = plain.levels(int(row["series"]), BUY), plain.levels(int(row["series"]), SELL)
            assert top.item() == ((bids or [(0, 0, 0)])[0][:2] + (asks or [(0, 0, 0)])[0][:2])
    assert fills.tolist() == expected
    assert market.open_orders == len(plain.resting)
    assert market.next_order == plain.count + 1
    for series in (1, 2):
        for side in Side:
            levels = plain.levels(series, side)
            assert market.depth(side, series=series, levels=99).tolist() == levels
            for price, _, _ in levels:
                queue = [[order[0], order[4]] for order in plain.resting if order[1:4] == [series, side, price]]
                assert [[order, lots] for order, lots, _ in market.queue(side, price, series=series).tolist()] == queue


@given(COMMANDS)
def test_single_commands_answer_as_a_batch_does(drawn: list[tuple[Any, ...]]) -> None:
    commands = rows_of(*drawn)
    batch = small_market().run(commands)
    market = small_market()
    fills = []
    for row, result in zip(commands, batch.results, strict=True):
        if result["code"] == Code.OK:
            fills += [fill[1:] for fill in single(market, row).tolist()]
        else:
            with pytest.raises(MarketError, match=Code(int(result["code"])).name.lower()):
                single(market, row)
    assert fills == [fill[1:] for fill in batch.fills.tolist()]


def single(market: Market, row: Any) -> Any:
    """The same by the method of the command; returns its fills."""
    target, series, side, price, lots = (int(row[name]) for name in ("target", "series", "side", "price", "lots"))
    if row["kind"] == NEW:
        limit = None if row["flags"] and price == 0 else price
        if row["flags"] and price > 0:
            # A market order with a protection price is an IOC limit order.
            return market.submit(series=series, side=Side(side), price=price, lots=lots, tif=TimeInForce.IOC).fills
        return market.submit(series=series, side=Side(side), price=limit, lots=lots, tif=TimeInForce(row["tif"])).fills
    if row["kind"] == REPLACE:
        return market.replace(target, lots=lots, price=price or None).fills
    if row["kind"] == CANCEL:
        market.cancel(target)
    else:
        market.reduce(target, lots)
    return np.zeros(0, COMMAND)


def test_a_replaced_order_keeps_its_number_and_while_it_only_gets_smaller_its_place() -> None:
    market = Market()
    first, second = (market.submit(side=BUY, price=100, lots=5).order for _ in range(2))
    assert market.replace(first, lots=3)[:2] == (first, 3)
    assert market.queue(BUY, 100)[["order", "lots"]].tolist() == [(first, 3), (second, 5)]
    market.replace(first, lots=4)
    assert market.queue(BUY, 100)[["order", "lots"]].tolist() == [(second, 5), (first, 4)]
    market.submit(side=SELL, price=103, lots=1)
    outcome = market.replace(first, lots=4, price=103)
    assert (outcome.order, outcome.resting, outcome.fills[["maker", "taker", "lots"]].tolist()) == (1, 3, [(3, 1, 1)])
    assert market.best(BUY) == (103, 3, 1)


def test_a_market_order_trades_at_any_price_and_its_rest_is_gone() -> None:
    market = Market()
    for price in (1, 2_000_000_000):
        market.submit(side=SELL, price=price, lots=1)
    outcome = market.submit(side=BUY, lots=3)
    assert outcome.fills["price"].tolist() == [1, 2_000_000_000]
    assert (outcome.resting, market.open_orders, market.best(BUY)) == (0, 0, None)


def test_one_order_may_have_more_fills_than_there_is_room_for_at_a_time() -> None:
    market = small_market(fills=3)
    for _ in range(100):
        market.submit(side=SELL, price=7, lots=1)
    assert market.submit(side=BUY, price=7, lots=100).fills["maker"].tolist() == list(range(1, 101))


def test_a_gathering_series_rests_what_crosses_and_others_trade_on() -> None:
    market = small_market()
    market.gather(1)
    for series in (1, 2):
        market.submit(series=series, side=SELL, price=5, lots=1)
        market.submit(series=series, side=BUY, price=6, lots=1)
    assert (market.best(BUY, series=1), market.best(BUY, series=2)) == ((6, 1, 1), None)
    with pytest.raises(MarketError, match="command_malformed: tif is GTC while the series gathers"):
        market.submit(side=BUY, price=6, lots=1, tif=TimeInForce.IOC)
    certificate, fills = market.uncross(1, reference=5)
    assert (int(certificate["price"][0]), fills[["maker", "taker", "price", "lots"]].tolist()) == (5, [(2, 1, 5, 1)])
    assert not market.gathers(1)
    with pytest.raises(MarketError, match="series gathers orders"):
        market.uncross(1)


A_MARKET = small_market()
A_MARKET.submit(side=BUY, price=5, lots=4)


@pytest.mark.parametrize(
    ("ask", "code", "field"),
    [
        (lambda market: market.submit(side=BUY, price=0, lots=1), "price_out_of_range", "price"),
        (lambda market: market.submit(side=BUY, price=-3, lots=1), "price_out_of_range", "price"),
        (lambda market: market.submit(side=BUY, price=PRICE_MAX + 1, lots=1), "price_out_of_range", "price"),
        (lambda market: market.submit(side=BUY, price=5, lots=0), "lots_out_of_range", "lots"),
        (lambda market: market.submit(side=BUY, price=5, lots=LOTS_SUM_MAX), "lots_out_of_range", "lots"),
        (lambda market: market.submit(side=BUY, price=5, lots=1, series=3), "unknown_series", "series"),
        (lambda market: market.depth(BUY, series=0), "unknown_series", "series"),
        (lambda market: market.cancel(0), "unknown_order", "order"),
        (lambda market: market.cancel(99), "unknown_order", "order"),
        (lambda market: market.reduce(1, 4), "lots_not_reducible", "lots"),
        (lambda market: market.replace(1, lots=0), "lots_out_of_range", "lots"),
        (lambda market: market.run(np.zeros(3, "<i8")), "command_malformed", "commands"),
        (lambda _: Market(orders=0), "capacity_exhausted", "orders"),
    ],
)
def test_a_refusal_names_field_rule_and_value_and_changes_nothing(
    ask: Callable[[Market], object], code: str, field: str
) -> None:
    with pytest.raises(MarketError) as caught:
        ask(A_MARKET)
    assert (caught.value.code, caught.value.field) == (code, field)
    assert str(caught.value) == f"{code}: {field} {caught.value.rule}, not {caught.value.value!r}"
    assert A_MARKET.depth(BUY).tolist() == [(5, 4, 1)]


@pytest.mark.parametrize("wrong", [5.0, "5", None])
def test_lots_and_prices_that_are_no_integers_are_refused(wrong: Any) -> None:
    with pytest.raises(TypeError):
        A_MARKET.submit(side=BUY, price=5, lots=wrong)


def test_a_full_market_refuses_new_orders_and_still_takes_cancels() -> None:
    market = small_market(orders=2, levels=2)
    rows = rows_of(*((NEW, 0, 1, BUY, price, 1, 0, 0) for price in (1, 2, 3)), (CANCEL, 1, 0, 0, 0, 0, 0, 0))
    assert market.run(rows).results["code"].tolist() == [Code.OK, Code.OK, Code.CAPACITY_EXHAUSTED, Code.OK]
    assert market.submit(side=BUY, price=3, lots=1).order == 3
    with pytest.raises(MarketError, match="capacity_exhausted: room of the market is for 2 orders at 2 prices"):
        market.submit(side=BUY, price=3, lots=1)
    assert market.replace(3, lots=5).resting == 5
    with pytest.raises(MarketError, match="capacity_exhausted"):
        market.replace(3, lots=5, price=9)


def test_indexes_grow_in_the_middle_of_a_batch() -> None:
    market = Market(orders=1 << 14, levels=1 << 14)
    rows = np.zeros(10_000, COMMAND)
    rows["kind"], rows["series"], rows["lots"], rows["price"] = NEW, 1, 1, np.arange(1, 10_001)
    assert (market.run(rows).results["order"] == np.arange(1, 10_001)).all()
    assert market.best(BUY) == (10_000, 1, 1)

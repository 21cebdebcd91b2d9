"""Priority, and what a replace or a reduce does to it."""

from __future__ import annotations

import pytest

from tests.matching.rulebook.conftest import MakeVenue
from tests.matching.rulebook.venue import Code, Ending, Peg, Phase, Side, TimeInForce, Venue


def numbers(rows: list[tuple[int, int, int]]) -> list[int]:
    return [order for order, *_ in rows]


def test_the_better_price_comes_first(venue: Venue) -> None:
    """RB-082"""
    worse, better = venue.buy(1, 99), venue.buy(1, 100)
    assert numbers(venue.bids) == [better, worse]
    taker = venue.sell(2, 99)
    assert venue.fills == [(better, taker, 100, 1), (worse, taker, 99, 1)]


def test_at_one_price_the_earlier_comes_first_and_a_partial_fill_changes_nothing(venue: Venue) -> None:
    """RB-083 RB-084"""
    first, second = venue.sell(3, 100), venue.sell(3, 100)
    venue.buy(1, 100)
    assert numbers(venue.asks) == [first, second]
    taker = venue.buy(3, 100)
    assert venue.fills == [(first, taker, 100, 2), (second, taker, 100, 1)]


def test_fewer_lots_keep_the_place_and_more_lose_it(venue: Venue) -> None:
    """RB-085 RB-086 RB-102"""
    first, second = venue.buy(5, 100), venue.buy(5, 100)
    assert venue.replace(first, by="buyer", lots=3) == Code.OK
    assert venue.ended == [(first, 2, Ending.REPLACED)]
    assert venue.bids == [(first, 100, 3), (second, 100, 5)]
    assert venue.replace(first, by="buyer", lots=3) == Code.OK
    assert venue.ended == []
    assert numbers(venue.bids) == [first, second]
    assert venue.replace(first, by="buyer", lots=4) == Code.OK
    assert venue.bids == [(second, 100, 5), (first, 100, 4)]


def test_another_price_loses_the_place_for_good(venue: Venue) -> None:
    """RB-087"""
    first, second = venue.sell(5, 100), venue.sell(5, 100)
    venue.replace(first, by="seller", at=101)
    assert venue.asks == [(second, 100, 5), (first, 101, 5)]
    venue.replace(first, by="seller", at=100)
    assert numbers(venue.asks) == [second, first]


def test_the_new_total_includes_what_is_filled(venue: Venue) -> None:
    """RB-088 RB-092"""
    order = venue.buy(10, 100)
    venue.sell(4, 100)
    venue.replace(order, by="buyer", lots=7)
    assert venue.lots(order) == 3
    venue.replace(order, by="buyer", lots=20)
    assert (venue.lots(order), venue.rows.results[0].order) == (16, order)


@pytest.mark.parametrize("total", [0, 3, 4])
def test_a_total_that_is_filled_ends_the_order_or_is_refused(a_venue: MakeVenue, total: int) -> None:
    """RB-089"""
    venue = a_venue()
    order = venue.buy(10, 100)
    venue.sell(4, 100)
    assert venue.replace(order, by="buyer", lots=total) == Code.OK
    assert venue.ended == [(order, 6, Ending.REPLACED_TO_ZERO)]
    strict = a_venue(replace_to_filled_cancels=False)
    order = strict.buy(10, 100)
    strict.sell(4, 100)
    assert strict.replace(order, by="buyer", lots=total) == Code.BELOW_FILLED
    assert strict.bids == [(order, 100, 6)]


def test_a_moved_order_takes_and_rests(venue: Venue) -> None:
    """RB-090"""
    maker, order = venue.sell(3, 105), venue.buy(5, 100)
    assert venue.replace(order, by="buyer", at=106) == Code.OK
    assert venue.fills == [(maker, order, 105, 3)]
    assert venue.bids == [(order, 106, 2)]
    assert venue.rows.results[0].lots == 2


def test_a_post_only_order_is_not_moved_into_a_trade(venue: Venue) -> None:
    """RB-091"""
    venue.sell(5, 102)
    first, second = venue.buy(5, 100, post_only=True), venue.buy(5, 100)
    assert venue.replace(first, by="buyer", at=102) == Code.POST_ONLY_WOULD_TRADE
    assert numbers(venue.bids) == [first, second]
    assert venue.replace(first, by="buyer", at=101) == Code.OK
    assert numbers(venue.bids) == [first, second]


def test_a_replace_passes_the_limits_of_a_new_order(a_venue: MakeVenue) -> None:
    """RB-093"""
    venue = a_venue(price_max=1_000, lots_max=50, value_max=10_000, price_low=50, price_high=900)
    order = venue.buy(5, 100)
    assert venue.replace(order, by="buyer", at=1_001) == Code.PRICE_OUT_OF_RANGE
    assert venue.replace(order, by="buyer", at=-1) == Code.PRICE_OUT_OF_RANGE
    assert venue.replace(order, by="buyer", lots=51) == Code.LOTS_OUT_OF_RANGE
    assert venue.replace(order, by="buyer", lots=-2) == Code.LOTS_OUT_OF_RANGE
    assert venue.replace(order, by="buyer", at=900, lots=50) == Code.NOTIONAL_TOO_LARGE
    assert venue.replace(order, by="buyer", at=901) == Code.PRICE_OUTSIDE_BAND
    assert venue.replace(order, by="buyer", at=49) == Code.PRICE_OUTSIDE_BAND
    assert venue.bids == [(order, 100, 5)]


def test_a_new_expiry(venue: Venue) -> None:
    """RB-094"""
    order = venue.buy(5, 100, tif=TimeInForce.DAY)
    venue.wait_until(10)
    assert venue.replace(order, by="buyer", expire_ns=10) == Code.ALREADY_EXPIRED
    assert venue.replace(order, by="buyer", expire_ns=30) == Code.OK
    venue.enter(Phase.CLOSED)
    assert venue.lots(order) == 5
    venue.enter(Phase.CONTINUOUS)
    assert venue.replace(order, by="buyer", expire_ns=40) == Code.OK
    venue.wait_until(39)
    assert venue.lots(order) == 5
    venue.wait_until(40)
    assert venue.ended == [(order, 5, Ending.EXPIRED)]


def test_an_order_without_an_expiry_gets_none(a_venue: MakeVenue) -> None:
    """RB-094"""
    venue = a_venue(phase=Phase.OPENING_AUCTION)
    only = venue.buy(5, 100, tif=TimeInForce.AT_OPEN)
    stop = venue.buy(5, 100, trigger=200, tif=TimeInForce.IOC)
    for order in (only, stop):
        assert venue.replace(order, by="buyer", expire_ns=40) == Code.BAD_EXPIRY


def test_a_waiting_stop_keeps_room_for_its_minimum(venue: Venue) -> None:
    """RB-188"""
    stop = venue.buy(5, 100, trigger=200, min_lots=3)
    assert venue.replace(stop, by="buyer", lots=2) == Code.BAD_MINIMUM
    assert venue.replace(stop, by="buyer", lots=3) == Code.OK


def test_growth_of_an_iceberg(a_venue: MakeVenue) -> None:
    """RB-095"""
    venue = a_venue()
    iceberg, plain = venue.sell(10, 100, display=2), venue.sell(5, 100)
    venue.replace(iceberg, by="seller", lots=20)
    assert venue.asks == [(plain, 100, 5), (iceberg, 100, 2)]
    kind = a_venue(iceberg_growth_keeps_place=True)
    iceberg, plain = kind.sell(10, 100, display=2), kind.sell(5, 100)
    kind.replace(iceberg, by="seller", lots=20)
    assert kind.asks == [(iceberg, 100, 2), (plain, 100, 5)]
    assert kind.lots(iceberg) == 20


def test_hidden_lots_go_first(venue: Venue) -> None:
    """RB-096"""
    iceberg, plain = venue.sell(10, 100, display=4), venue.sell(5, 100)
    venue.replace(iceberg, by="seller", lots=5)
    assert venue.asks == [(iceberg, 100, 4), (plain, 100, 5)]
    venue.reduce(iceberg, 2, by="seller")
    assert venue.asks == [(iceberg, 100, 3), (plain, 100, 5)]


def test_a_replaced_stop_waits_on_in_its_place(a_venue: MakeVenue) -> None:
    """RB-097"""
    venue = a_venue(last_trade=100)
    first, second = venue.buy(5, 120, trigger=110), venue.buy(5, 120, trigger=110)
    assert venue.replace(first, by="buyer", at=115, lots=9) == Code.OK
    assert (venue.pending, venue.lots(first)) == ([first, second], 9)
    venue.sell(1, 110, by="a")
    venue.buy(1, 110, by="b")
    assert [order for order, _ in venue.triggered] == [first, second]
    assert venue.bids == [(second, 120, 5), (first, 115, 9)]


def test_a_replaced_peg_gets_a_new_cap(venue: Venue) -> None:
    """RB-098"""
    venue.buy(1, 100)
    peg, rival = venue.buy(5, 99, peg=Peg.BID), venue.buy(5, 99)
    assert venue.replace(peg, by="buyer", at=98) == Code.OK
    assert venue.repriced == [(peg, 98)]
    assert venue.replace(peg, by="buyer", at=99) == Code.OK
    assert numbers(venue.bids)[1:] == [rival, peg]
    assert venue.replace(peg, by="buyer", lots=9) == Code.OK
    assert (venue.repriced, venue.lots(peg)) == ([], 9)


def test_in_an_auction_a_replaced_order_only_moves(a_venue: MakeVenue) -> None:
    """RB-099"""
    venue = a_venue(phase=Phase.OPENING_AUCTION)
    venue.sell(5, 100)
    order = venue.buy(5, 99)
    assert venue.replace(order, by="buyer", at=101, lots=7) == Code.OK
    assert venue.fills == []
    assert venue.bids == [(order, 101, 7)]


@pytest.mark.parametrize(
    ("phase", "code"),
    [
        (Phase.HALTED, Code.SERIES_HALTED),
        (Phase.CLOSED, Code.PHASE_NOT_ALLOWED),
    ],
)
def test_no_replace_while_nothing_trades(venue: Venue, phase: Phase, code: Code) -> None:
    """RB-100"""
    order = venue.buy(5, 100)
    venue.enter(phase)
    assert venue.replace(order, by="buyer", lots=3) == code
    assert venue.bids == [(order, 100, 5)]


def test_orders_that_cannot_be_replaced(venue: Venue) -> None:
    """RB-178 RB-179"""
    order = venue.buy(5, 100)
    assert venue.replace(order + 1, by="buyer", lots=3) == Code.UNKNOWN_ORDER
    assert venue.replace(order, by="seller", lots=3) == Code.NOT_YOUR_ORDER
    venue.cancel(order, by="buyer")
    assert venue.replace(order, by="buyer", lots=3) == Code.ORDER_NOT_OPEN


def test_a_reduce_keeps_the_place_and_something_of_the_order(venue: Venue) -> None:
    """RB-101 RB-102"""
    first, second = venue.buy(5, 100), venue.buy(5, 100)
    for wrong in (0, -1, 5, 6):
        assert venue.reduce(first, wrong, by="buyer") == Code.LOTS_NOT_REDUCIBLE
    assert venue.reduce(first, 4, by="buyer") == Code.OK
    assert venue.ended == [(first, 4, Ending.REDUCED)]
    assert venue.bids == [(first, 100, 1), (second, 100, 5)]
    assert venue.reduce(second, 1, by="seller") == Code.NOT_YOUR_ORDER


def test_an_order_that_lost_lots_counts_its_total_anew(venue: Venue) -> None:
    """RB-088 RB-101"""
    order = venue.buy(10, 100)
    venue.sell(2, 100)
    venue.reduce(order, 3, by="buyer")
    assert venue.lots(order) == 5
    venue.replace(order, by="buyer", lots=7)
    assert (venue.lots(order), venue.ended) == (5, [])


def test_a_market_order_that_waits_can_be_replaced(a_venue: MakeVenue) -> None:
    """RB-099"""
    venue = a_venue(phase=Phase.OPENING_AUCTION)
    order = venue.order(Side.BUY, 5)
    number = venue.rows.results[0].order
    assert order == Code.OK
    assert venue.replace(number, by="buyer", lots=3) == Code.OK
    assert venue.lots(number) == 3

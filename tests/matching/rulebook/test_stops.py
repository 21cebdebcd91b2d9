"""Stops: when they wait, when they run, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from tests.matching.rulebook.conftest import MakeVenue
from tests.matching.rulebook.venue import Code, Ending, Peg, Phase, Side, TimeInForce, Venue


def trade(venue: Venue, price: int) -> None:
    """One lot changes hands at the price between parties of their own."""
    venue.sell(1, price, by="trade seller")
    venue.buy(1, price, by="trade buyer")


def test_a_stop_waits_for_a_trade_at_its_trigger(venue: Venue) -> None:
    """RB-018 RB-019"""
    trade(venue, 100)
    buyer = venue.buy(5, 200, trigger=105)
    seller = venue.sell(5, 50, trigger=95)
    assert (venue.pending, venue.bids, venue.asks) == ([buyer, seller], [], [])
    trade(venue, 104)
    assert venue.triggered == []
    trade(venue, 105)
    assert venue.triggered == [(buyer, 105)]
    trade(venue, 200)
    trade(venue, 95 + 1)
    assert venue.triggered == []
    assert venue.pending == [seller]


def test_a_sell_stop_runs_at_or_below_its_trigger(venue: Venue) -> None:
    """RB-018"""
    trade(venue, 100)
    seller = venue.sell(5, 94, trigger=95)
    trade(venue, 95)
    assert venue.triggered == [(seller, 95)]
    assert venue.asks == [(seller, 94, 5)]


def test_a_stop_becomes_a_market_order_with_its_protection_and_a_stop_limit_rests(venue: Venue) -> None:
    """RB-020"""
    trade(venue, 100)
    near, far = venue.sell(1, 106), venue.sell(1, 109)
    market = venue.buy(3, 107, market=True, trigger=105, by="a")
    limit = venue.buy(3, 107, trigger=105, by="b")
    trade(venue, 105)
    assert venue.fills[1:] == [(near, market, 106, 1)]
    assert venue.ended == [(market, 2, Ending.NO_LIQUIDITY)]
    assert (venue.bids, venue.asks) == ([(limit, 107, 3)], [(far, 109, 1)])


def test_a_stop_already_through_runs_at_once_or_is_refused(a_venue: MakeVenue) -> None:
    """RB-021"""
    venue = a_venue(last_trade=100)
    maker = venue.sell(5, 103)
    stop = venue.buy(2, trigger=100)
    assert venue.triggered == [(stop, 100)]
    assert venue.fills == [(maker, stop, 103, 2)]
    strict = a_venue(last_trade=100, stop_already_through_runs=False)
    assert strict.order(Side.BUY, 2, trigger=100) == Code.STOP_ALREADY_THROUGH
    assert strict.order(Side.SELL, 2, trigger=100) == Code.STOP_ALREADY_THROUGH
    assert strict.order(Side.BUY, 2, trigger=101) == Code.OK


def test_every_trade_counts_not_only_the_last(a_venue: MakeVenue) -> None:
    """RB-022"""
    venue = a_venue(last_trade=103)
    seller = venue.sell(1, 99, trigger=101, by="stop")
    venue.sell(1, 100, by="a")
    venue.sell(1, 104, by="b")
    venue.buy(2, 104)
    assert [price for _, _, price, _ in venue.fills] == [100, 104]
    assert venue.triggered == [(seller, 104)]


def test_the_highest_trade_counts_while_the_price_falls(a_venue: MakeVenue) -> None:
    """RB-022"""
    venue = a_venue(last_trade=98)
    buyer = venue.buy(1, 50, trigger=99, by="stop")
    venue.buy(1, 100, by="a")
    venue.buy(1, 96, by="b")
    venue.sell(2, 96)
    assert [price for _, _, price, _ in venue.fills] == [100, 96]
    assert venue.triggered == [(buyer, 96)]


def test_stops_wait_for_the_end_of_the_order_that_hit_them(a_venue: MakeVenue) -> None:
    """RB-023"""
    venue = a_venue(last_trade=90)
    first, second, third = (venue.sell(5, price) for price in (100, 101, 102))
    stop = venue.buy(5, trigger=100, by="stop")
    taker = venue.buy(10, 101)
    assert venue.fills == [(first, taker, 100, 5), (second, taker, 101, 5), (third, stop, 102, 5)]


def test_earlier_hits_run_first_then_earlier_acceptance(a_venue: MakeVenue) -> None:
    """RB-024 RB-025"""
    venue = a_venue(last_trade=50)
    early = venue.buy(1, trigger=80, by="a")
    second = venue.buy(1, trigger=76, by="b")
    third = venue.buy(1, trigger=75, by="c")
    venue.sell(1, 80, by="m")
    venue.sell(5, 90, by="m")
    trade(venue, 76)
    # The trade at 76 hits the second and the third; the second's trade at 80 hits the early one, which has to queue.
    assert [order for order, _ in venue.triggered] == [second, third, early]


def test_a_stop_triggers_the_next_and_none_runs_twice(a_venue: MakeVenue) -> None:
    """RB-025 RB-026"""
    venue = a_venue(last_trade=50)
    low, high = venue.sell(5, 80), venue.sell(6, 85)
    first = venue.buy(5, trigger=75, by="a")
    second = venue.buy(5, trigger=80, by="b")
    trade(venue, 75)
    assert venue.triggered == [(first, 75), (second, 80)]
    assert venue.fills[1:] == [(low, first, 80, 5), (high, second, 85, 5)]
    trade(venue, 85)
    assert venue.triggered == []
    assert venue.cancel(first, by="a") == Code.ORDER_NOT_OPEN


def test_time_in_force_minimum_and_display_apply_when_the_stop_runs(a_venue: MakeVenue) -> None:
    """RB-027"""
    venue = a_venue(last_trade=50)
    venue.sell(3, 80)
    fok = venue.buy(5, 80, trigger=60, tif=TimeInForce.FOK, by="a")
    least = venue.buy(5, 80, trigger=60, min_lots=4, by="b")
    ioc = venue.buy(5, 79, trigger=60, tif=TimeInForce.IOC, by="c")
    iceberg = venue.buy(5, 70, trigger=60, display=2, by="d")
    assert venue.pending == [fok, least, ioc, iceberg]
    trade(venue, 60)
    assert venue.ended == [(fok, 5, Ending.FOK), (least, 5, Ending.MINIMUM), (ioc, 5, Ending.IOC)]
    assert venue.bids == [(iceberg, 70, 2)]


def test_a_stop_entered_in_an_auction_waits_for_continuous_trading(a_venue: MakeVenue) -> None:
    """RB-028"""
    venue = a_venue(phase=Phase.OPENING_AUCTION, last_trade=100)
    through = venue.buy(1, 90, trigger=95, by="a")
    waits = venue.sell(1, 90, trigger=94, by="b")
    venue.buy(1, 97)
    venue.sell(1, 97)
    assert venue.pending == [through, waits]
    assert venue.uncross().price == 97
    assert venue.triggered == [(through, 97)]
    assert venue.pending == [waits]


def test_a_stop_that_was_entered_through_the_market_runs_though_the_auction_trades_nothing(a_venue: MakeVenue) -> None:
    """RB-028"""
    venue = a_venue(phase=Phase.OPENING_AUCTION, last_trade=100)
    buyer = venue.buy(1, 90, trigger=95, by="a")
    waits = venue.buy(1, 90, trigger=101, by="b")
    seller, below = venue.sell(1, 110, trigger=100, by="c"), venue.sell(1, 110, trigger=99, by="d")
    assert venue.uncross().lots == 0
    assert venue.triggered == [(buyer, 100), (seller, 100)]
    assert venue.pending == [waits, below]


def test_a_triggered_stop_limit_is_a_limit_order_like_any_other(a_venue: MakeVenue) -> None:
    """RB-020 RB-090"""
    venue = a_venue(last_trade=100, stop_already_through_runs=False)
    stop = venue.buy(1, 90, trigger=105, by="a")
    trade(venue, 105)
    assert venue.bids == [(stop, 90, 1)]
    assert venue.replace(stop, by="a", at=95) == Code.OK
    assert venue.bids == [(stop, 95, 1)]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"post_only": True}, Code.COMMAND_MALFORMED),
        ({"peg": Peg.BID}, Code.BAD_TRIGGER),
        ({"tif": TimeInForce.AT_OPEN}, Code.BAD_TRIGGER),
        ({"trigger": -1}, Code.BAD_TRIGGER),
        ({"trigger": 2_000}, Code.BAD_TRIGGER),
    ],
    ids=str,
)
def test_stops_that_make_no_sense_are_refused(a_venue: MakeVenue, more: dict[str, Any], code: Code) -> None:
    """RB-029"""
    venue = a_venue(price_max=1_000)
    assert venue.order(Side.BUY, 1, 100, **({"trigger": 100} | more)) == code


def test_waiting_stops_are_bounded(a_venue: MakeVenue) -> None:
    """RB-030"""
    venue = a_venue(stops_max=2)
    venue.buy(1, trigger=100)
    second = venue.buy(1, trigger=100)
    assert venue.order(Side.BUY, 1, trigger=100) == Code.TOO_MANY_STOPS
    venue.cancel(second, by="buyer")
    assert venue.order(Side.BUY, 1, trigger=100) == Code.OK

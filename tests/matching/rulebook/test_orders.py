"""Commands, limit orders, market orders, post-only, minimum quantity."""

from __future__ import annotations

from typing import Any

import pytest

from matching.rulebook_layout import HIGHEST, Kind, MarketRemainder
from tests.matching.rulebook.conftest import MakeVenue
from tests.matching.rulebook.venue import Code, Ending, Phase, Side, TimeInForce, Venue


def test_a_refused_command_has_a_result_and_nothing_else(venue: Venue) -> None:
    """RB-001"""
    kept = venue.sell(5, 101)
    assert venue.order(Side.BUY, 0, 101) == Code.LOTS_OUT_OF_RANGE
    rows = venue.rows
    assert [(row.order, row.lots, row.code, row.fills) for row in rows.results] == [(0, 0, Code.LOTS_OUT_OF_RANGE, 0)]
    assert (rows.fills, rows.endings, rows.triggers, rows.repricings, rows.phases) == ([], [], [], [], [])
    assert (venue.bids, venue.asks) == ([], [(kept, 101, 5)])


def test_a_refused_order_takes_no_number(venue: Venue) -> None:
    """RB-002"""
    first = venue.buy(1, 100)
    assert venue.order(Side.BUY, 1, 0) == Code.PRICE_OUT_OF_RANGE
    assert venue.rows.results[0].order == 0
    assert venue.buy(1, 100) == first + 1


def test_unknown_series_parties_and_kinds_are_refused(venue: Venue) -> None:
    """RB-003 RB-004"""
    assert venue.order(Side.BUY, 1, 100, series=2) == Code.UNKNOWN_SERIES
    assert venue.order(Side.BUY, 1, 100, by=99) == Code.UNKNOWN_PARTY
    assert venue.run(99).code == Code.UNKNOWN_KIND


@pytest.mark.parametrize(
    "columns",
    [{"tif": 7}, {"tif": -1}, {"flags": 64}, {"peg": 4}, {"self_trade": 6}, {"flags": 4}],
    ids=str,
)
def test_an_order_of_an_unknown_form_is_refused(venue: Venue, columns: dict[str, Any]) -> None:
    """RB-005"""
    assert venue.order(Side.BUY, 1, 100, **columns) == Code.COMMAND_MALFORMED


def test_a_side_that_does_not_exist_is_refused(venue: Venue) -> None:
    """RB-005"""
    account = venue.party("buyer")
    assert venue.run(Kind.NEW, series=1, account=account, side=2, price=5, lots=1).code == Code.COMMAND_MALFORMED


def test_the_first_of_several_reasons_decides(a_venue: MakeVenue) -> None:
    """RB-006"""
    venue = a_venue(phase=Phase.HALTED, price_low=50, price_high=150, pegs_max=0, rate_max=1)
    venue.now = 10
    wrong: dict[str, Any] = {"at": 200, "lots": 0, "tif": TimeInForce.GTD, "expire_ns": 5, "min_lots": 9, "flags": 64}
    venue.kill(by="buyer")
    assert venue.order(Side.BUY, **wrong) == Code.KILLED
    venue.kill(by="buyer", revive=True)
    assert venue.order(Side.BUY, **wrong) == Code.SERIES_HALTED
    assert venue.order(Side.BUY, **wrong) == Code.ORDER_RATE_EXCEEDED
    venue = a_venue(phase=Phase.OPENING_AUCTION, price_low=50, price_high=150, stops_max=0, last_trade=100)
    venue.now = 10
    assert venue.order(Side.BUY, **wrong) == Code.COMMAND_MALFORMED
    wrong["flags"] = 0
    assert venue.order(Side.BUY, **wrong) == Code.LOTS_OUT_OF_RANGE
    wrong["lots"] = 5
    assert venue.order(Side.BUY, **wrong) == Code.BAD_MINIMUM
    wrong["min_lots"] = 5
    assert venue.order(Side.BUY, **wrong) == Code.ALREADY_EXPIRED
    wrong["expire_ns"] = 11
    assert venue.order(Side.BUY, **wrong) == Code.PHASE_NOT_ALLOWED
    venue.enter(Phase.CONTINUOUS)
    wrong["trigger"] = 100
    assert venue.order(Side.BUY, **wrong) == Code.PRICE_OUTSIDE_BAND
    wrong["at"] = 150
    assert venue.order(Side.BUY, **wrong) == Code.TOO_MANY_STOPS


def test_series_do_not_see_each_other(venue: Venue) -> None:
    """RB-007"""
    venue.list_series(2)
    kept = venue.sell(5, 100)
    venue.buy(5, 100, series=2)
    assert venue.fills == []
    assert venue.asks == [(kept, 100, 5)]


def test_a_limit_order_trades_at_its_limit_or_better_at_the_makers_price(venue: Venue) -> None:
    """RB-008 RB-010 RB-012"""
    dear, cheap, far = venue.sell(2, 102), venue.sell(3, 101), venue.sell(4, 103)
    taker = venue.buy(9, 102)
    assert venue.fills == [(cheap, taker, 101, 3), (dear, taker, 102, 2)]
    assert venue.asks == [(far, 103, 4)]


def test_what_does_not_trade_rests_at_the_limit(venue: Venue) -> None:
    """RB-009"""
    venue.sell(2, 101)
    taker = venue.buy(5, 102)
    assert venue.bids == [(taker, 102, 3)]
    assert venue.rows.results[0].lots == 3


def test_a_fill_has_the_smaller_quantity(venue: Venue) -> None:
    """RB-011"""
    maker = venue.sell(5, 100, display=2)
    small = venue.buy(1, 100)
    assert venue.fills == [(maker, small, 100, 1)]
    large = venue.buy(9, 100)
    assert venue.fills == [(maker, large, 100, 1), (maker, large, 100, 2), (maker, large, 100, 1)]
    assert venue.bids == [(large, 100, 5)]


def test_a_market_order_stops_at_its_protection_price(venue: Venue) -> None:
    """RB-013 RB-015"""
    near, at_bound, beyond = venue.sell(1, 100), venue.sell(1, 105), venue.sell(1, 106)
    taker = venue.buy(3, 105, market=True)
    assert venue.fills == [(near, taker, 100, 1), (at_bound, taker, 105, 1)]
    assert venue.ended == [(taker, 1, Ending.NO_LIQUIDITY)]
    assert (venue.bids, venue.asks) == ([], [(beyond, 106, 1)])


def test_a_market_order_without_protection_takes_any_price(venue: Venue) -> None:
    """RB-014"""
    near, far = venue.sell(1, 1), venue.sell(1, 2_000_000_000)
    taker = venue.buy(2)
    assert venue.fills == [(near, taker, 1, 1), (far, taker, 2_000_000_000, 1)]
    low = venue.buy(1, 1)
    taker = venue.sell(1)
    assert venue.fills == [(low, taker, 1, 1)]


def test_a_market_order_that_finds_nobody_is_accepted_and_canceled(venue: Venue) -> None:
    """RB-015"""
    taker = venue.sell(4)
    assert venue.ended == [(taker, 4, Ending.NO_LIQUIDITY)]
    assert venue.asks == []


def test_the_rest_may_stay_at_the_protection_price(a_venue: MakeVenue) -> None:
    """RB-016"""
    venue = a_venue(market_remainder=MarketRemainder.REST_AT_PROTECTION)
    venue.sell(1, 100)
    taker = venue.buy(3, 105, market=True)
    assert venue.bids == [(taker, 105, 2)]
    other = venue.sell(4)
    assert venue.fills == [(taker, other, 105, 2)]
    assert venue.ended == [(other, 2, Ending.NO_LIQUIDITY)]


def test_the_rest_may_stay_at_the_last_fill(a_venue: MakeVenue) -> None:
    """RB-017"""
    venue = a_venue(market_remainder=MarketRemainder.REST_AT_LAST_FILL)
    nothing = venue.buy(3)
    assert venue.ended == [(nothing, 3, Ending.NO_LIQUIDITY)]
    venue.sell(1, 100)
    venue.sell(1, 104)
    taker = venue.buy(3)
    assert venue.bids == [(taker, 104, 1)]


@pytest.mark.parametrize("at", [101, 102])
def test_a_post_only_order_that_would_meet_an_order_is_refused(venue: Venue, at: int) -> None:
    """RB-039"""
    maker = venue.sell(5, 101)
    assert venue.order(Side.BUY, 5, at, post_only=True) == Code.POST_ONLY_WOULD_TRADE
    assert venue.order(Side.BUY, 5, at, post_only=True, by="seller") == Code.POST_ONLY_WOULD_TRADE
    assert (venue.bids, venue.asks) == ([], [(maker, 101, 5)])


def test_a_post_only_order_that_rests_is_hit_like_any_other(venue: Venue) -> None:
    """RB-040"""
    venue.sell(5, 101)
    maker = venue.buy(5, 100, post_only=True)
    taker = venue.sell(2, 100)
    assert venue.fills == [(maker, taker, 100, 2)]
    assert venue.bids == [(maker, 100, 3)]


def test_post_only_during_an_auction(a_venue: MakeVenue) -> None:
    """RB-041"""
    venue = a_venue(phase=Phase.OPENING_AUCTION)
    venue.sell(5, 100)
    crossing = venue.buy(5, 101, post_only=True)
    assert venue.bids == [(crossing, 101, 5)]
    strict = a_venue(phase=Phase.OPENING_AUCTION, post_only_in_auction=False)
    assert strict.order(Side.BUY, 5, 100, post_only=True) == Code.PHASE_NOT_ALLOWED


@pytest.mark.parametrize("more", [{"market": True}, {"tif": TimeInForce.IOC}, {"tif": TimeInForce.FOK}], ids=str)
def test_post_only_contradicts_taking(venue: Venue, more: dict[str, Any]) -> None:
    """RB-042"""
    assert venue.order(Side.BUY, 5, 100, post_only=True, **more) == Code.COMMAND_MALFORMED


def test_a_missed_minimum_cancels_the_whole_order(venue: Venue) -> None:
    """RB-043"""
    maker = venue.sell(4, 100)
    order = venue.buy(10, 100, min_lots=5)
    assert (venue.fills, venue.ended) == ([], [(order, 10, Ending.MINIMUM)])
    order = venue.buy(10, 100, min_lots=4)
    assert venue.fills == [(maker, order, 100, 4)]
    assert venue.bids == [(order, 100, 6)]


def test_the_minimum_counts_all_makers_within_the_limit_and_their_hidden_lots(venue: Venue) -> None:
    """RB-044"""
    venue.sell(1, 100)
    venue.sell(3, 101, display=1)
    venue.sell(9, 103)
    order = venue.buy(10, 102, min_lots=5)
    assert venue.ended == [(order, 10, Ending.MINIMUM)]
    order = venue.buy(10, 102, min_lots=4)
    assert sum(lots for *_, lots in venue.fills) == 4
    assert venue.bids == [(order, 102, 6)]


def test_a_minimum_binds_on_entry_only(venue: Venue) -> None:
    """RB-045"""
    venue.sell(5, 100)
    order = venue.buy(10, 100, min_lots=5)
    taker = venue.sell(1, 100)
    assert venue.fills == [(order, taker, 100, 1)]
    assert venue.replace(order, by="buyer", at=101) == Code.OK
    assert venue.bids == [(order, 101, 4)]


@pytest.mark.parametrize(
    "more",
    [
        {"min_lots": -1},
        {"min_lots": 11},
        {"min_lots": 1, "post_only": True},
        {"min_lots": 1, "peg": 1},
        {"min_lots": 1, "tif": TimeInForce.AT_OPEN},
    ],
    ids=str,
)
def test_a_minimum_that_makes_no_sense_is_refused(venue: Venue, more: dict[str, Any]) -> None:
    """RB-046"""
    assert venue.order(Side.BUY, 10, 100, **more) == Code.BAD_MINIMUM


def test_no_minimum_during_an_auction(a_venue: MakeVenue) -> None:
    """RB-047"""
    venue = a_venue(phase=Phase.OPENING_AUCTION)
    assert venue.order(Side.BUY, 10, 100, min_lots=1) == Code.PHASE_NOT_ALLOWED


def test_far_prices_work_like_near_ones(venue: Venue) -> None:
    """RB-181"""
    bid, ask = venue.buy(3, 1), venue.sell(3, 2_000_000_000)
    assert (venue.bids, venue.asks) == ([(bid, 1, 3)], [(ask, 2_000_000_000, 3)])
    taker = venue.sell(1, 1)
    assert venue.fills == [(bid, taker, 1, 1)]
    taker = venue.buy(1, 2_000_000_000)
    assert venue.fills == [(ask, taker, 2_000_000_000, 1)]


@pytest.mark.parametrize("price", [0, -1, -(1 << 40)])
@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_zero_and_negative_prices_are_refused(venue: Venue, side: Side, price: int) -> None:
    """RB-182 RB-166"""
    assert venue.order(side, 1, price) == Code.PRICE_OUT_OF_RANGE
    if (side, price) != (Side.SELL, 0):
        assert venue.order(side, 1, price, market=True) == Code.PRICE_OUT_OF_RANGE


def test_limits_of_one_order(a_venue: MakeVenue) -> None:
    """RB-166 RB-167 RB-168"""
    venue = a_venue(price_max=1_000, lots_max=50, value_max=10_000)
    assert venue.order(Side.BUY, 1, 1_001) == Code.PRICE_OUT_OF_RANGE
    assert venue.order(Side.BUY, 1, HIGHEST) == Code.PRICE_OUT_OF_RANGE
    assert venue.order(Side.BUY, 51, 1) == Code.LOTS_OUT_OF_RANGE
    assert venue.order(Side.BUY, 0, 1) == Code.LOTS_OUT_OF_RANGE
    assert venue.order(Side.BUY, 11, 1_000) == Code.NOTIONAL_TOO_LARGE
    assert venue.order(Side.BUY, 10, 1_000) == Code.OK
    assert venue.order(Side.BUY, 50, 1) == Code.OK

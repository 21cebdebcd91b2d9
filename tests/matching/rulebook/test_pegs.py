"""Pegged orders: where they stand, when they move, when they are parked."""

from __future__ import annotations

from typing import Any

import pytest

from tests.matching.rulebook.conftest import MakeVenue
from tests.matching.rulebook.venue import Code, Ending, Peg, Phase, Side, TimeInForce, Venue


def test_pegs_stand_their_offset_behind_the_best_price(venue: Venue) -> None:
    """RB-048"""
    bid, ask = venue.buy(1, 100), venue.sell(1, 110)
    buyer = venue.buy(2, peg=Peg.BID, offset=3)
    seller = venue.sell(2, peg=Peg.ASK, offset=4)
    assert venue.bids == [(bid, 100, 1), (buyer, 97, 2)]
    assert venue.asks == [(ask, 110, 1), (seller, 114, 2)]


@pytest.mark.parametrize(("toward", "buy_at", "sell_at"), [(True, 104, 105), (False, 103, 106)])
def test_half_a_tick_of_the_middle(a_venue: MakeVenue, toward: bool, buy_at: int, sell_at: int) -> None:
    """RB-049"""
    venue = a_venue(peg_mid_rounds_toward_market=toward)
    venue.buy(1, 100)
    venue.sell(1, 109)
    buyer = venue.buy(2, peg=Peg.MID, offset=1)
    seller = venue.sell(2, peg=Peg.MID, offset=1)
    assert venue.bids[0] == (buyer, buy_at, 2)
    assert venue.asks[0] == (seller, sell_at, 2)


def test_a_whole_middle_needs_no_rounding(venue: Venue) -> None:
    """RB-049"""
    venue.buy(1, 100)
    venue.sell(1, 110)
    buyer = venue.buy(2, peg=Peg.MID, offset=2)
    assert venue.bids[0] == (buyer, 103, 2)


def test_pegs_do_not_follow_each_other(venue: Venue) -> None:
    """RB-050"""
    plain = venue.buy(1, 100)
    peg = venue.buy(2, peg=Peg.BID)
    other = venue.buy(2, peg=Peg.BID, offset=1)
    venue.cancel(plain, by="buyer")
    assert venue.parked == [peg, other]
    below = venue.buy(1, 90)
    assert venue.bids == [(below, 90, 1), (peg, 90, 2), (other, 89, 2)]


def test_pegs_move_after_the_taking_order_in_order_of_acceptance(venue: Venue) -> None:
    """RB-051 RB-058"""
    best, deep = venue.buy(5, 100), venue.buy(5, 90)
    first = venue.buy(5, peg=Peg.BID, offset=2)
    second = venue.buy(5, peg=Peg.BID, offset=1)
    taker = venue.sell(7, 90)
    assert venue.fills == [(best, taker, 100, 5), (second, taker, 99, 2)]
    assert venue.repriced == [(first, 88), (second, 89)]
    assert venue.bids == [(deep, 90, 5), (second, 89, 3), (first, 88, 5)]


def test_a_peg_that_moves_goes_behind_and_one_that_stays_keeps_its_place(venue: Venue) -> None:
    """RB-052"""
    venue.buy(1, 100)
    peg = venue.buy(2, peg=Peg.BID, offset=2)
    rival = venue.buy(3, 98)
    venue.buy(1, 100)
    assert venue.bids[2:] == [(peg, 98, 2), (rival, 98, 3)]
    waiting = venue.buy(3, 99)
    better = venue.buy(1, 101)
    assert venue.repriced == [(peg, 99)]
    assert venue.bids[3:5] == [(waiting, 99, 3), (peg, 99, 2)]
    venue.cancel(better, by="buyer")
    assert venue.bids[3:] == [(rival, 98, 3), (peg, 98, 2)]


def test_a_peg_stops_at_its_cap(venue: Venue) -> None:
    """RB-053"""
    venue.buy(1, 100)
    venue.sell(1, 120)
    buyer = venue.buy(2, 101, peg=Peg.BID)
    seller = venue.sell(2, 118, peg=Peg.ASK)
    venue.buy(1, 105)
    assert venue.bids[1] == (buyer, 101, 2)
    venue.sell(1, 110)
    assert venue.asks[1] == (seller, 118, 2)


def test_a_peg_without_a_reference_is_parked_and_comes_back(venue: Venue) -> None:
    """RB-054 RB-058"""
    peg = venue.buy(5, peg=Peg.BID, offset=10)
    assert venue.repriced == [(peg, 0)]
    assert venue.parked == [peg]
    assert venue.rows.results[0].lots == 5
    plain = venue.buy(1, 50)
    assert venue.repriced == [(peg, 40)]
    venue.cancel(plain, by="buyer")
    assert venue.repriced == [(peg, 0)]
    found = venue.find(peg)
    assert found is not None
    assert (found.shown, found.lots) == (0, 5)
    venue.buy(1, 10)
    assert venue.parked == [peg]
    venue.buy(1, 11)
    assert venue.repriced == [(peg, 1)]


def test_a_price_above_the_range_parks_and_a_middle_needs_both_sides(a_venue: MakeVenue) -> None:
    """RB-054"""
    venue = a_venue(price_max=120)
    venue.sell(1, 120)
    above = venue.sell(1, peg=Peg.ASK, offset=1)
    middle = venue.buy(1, peg=Peg.MID, offset=1)
    assert venue.parked == [above, middle]


def test_a_peg_without_a_reference_may_be_canceled(a_venue: MakeVenue) -> None:
    """RB-054"""
    venue = a_venue(peg_without_reference_parks=False)
    peg = venue.buy(5, peg=Peg.BID)
    assert venue.ended == [(peg, 5, Ending.PEG_NO_REFERENCE)]
    plain = venue.buy(1, 50)
    peg = venue.buy(5, peg=Peg.BID)
    venue.cancel(plain, by="buyer")
    assert venue.ended == [(plain, 1, Ending.USER), (peg, 5, Ending.PEG_NO_REFERENCE)]


@pytest.mark.parametrize("phase", [Phase.VOLATILITY_AUCTION, Phase.HALTED, Phase.CLOSED])
def test_pegs_are_parked_outside_continuous_trading(a_venue: MakeVenue, phase: Phase) -> None:
    """RB-055"""
    venue = a_venue(peg_without_reference_parks=False)
    plain = venue.buy(1, 100)
    peg = venue.buy(5, peg=Peg.BID)
    venue.enter(phase)
    assert venue.repriced == [(peg, 0)]
    assert (venue.bids, venue.parked) == ([(plain, 100, 1)], [peg])
    venue.enter(Phase.CONTINUOUS)
    assert venue.repriced == [(peg, 100)]


@pytest.mark.parametrize(
    "more",
    [
        {"peg": Peg.ASK, "offset": 1},
        {"peg": Peg.MID},
        {"peg": Peg.BID, "offset": -1},
        {"peg": Peg.BID, "tif": TimeInForce.IOC},
        {"peg": Peg.BID, "tif": TimeInForce.FOK},
        {"peg": Peg.BID, "tif": TimeInForce.AT_OPEN},
        {"peg": Peg.BID, "market": True},
        {"offset": 1},
    ],
    ids=str,
)
def test_pegs_that_could_take_are_refused(venue: Venue, more: dict[str, Any]) -> None:
    """RB-056"""
    assert venue.order(Side.BUY, 1, 100, **more) == Code.BAD_PEG


def test_a_sellers_peg_to_the_bid_is_refused(venue: Venue) -> None:
    """RB-056"""
    assert venue.order(Side.SELL, 1, peg=Peg.BID, offset=5) == Code.BAD_PEG
    assert venue.order(Side.SELL, 1, peg=Peg.ASK) == Code.OK


def test_pegs_are_bounded(a_venue: MakeVenue) -> None:
    """RB-057"""
    venue = a_venue(pegs_max=1)
    venue.buy(1, peg=Peg.BID)
    assert venue.order(Side.SELL, 1, peg=Peg.ASK) == Code.TOO_MANY_PEGS


def test_a_pegged_iceberg_shows_a_whole_peak_where_it_moves(venue: Venue) -> None:
    """RB-059"""
    venue.buy(1, 100)
    peg = venue.buy(10, peg=Peg.BID, display=4, offset=1)
    venue.sell(2, 99)
    assert venue.repriced == [(peg, 0)]
    venue.buy(1, 50)
    assert venue.bids == [(venue.bids[0][0], 50, 1), (peg, 49, 4)]
    assert venue.lots(peg) == 9


def test_the_price_of_an_entering_peg_is_recorded(venue: Venue) -> None:
    """RB-058"""
    venue.buy(1, 100)
    peg = venue.buy(1, peg=Peg.BID, offset=1)
    assert venue.repriced == [(peg, 99)]

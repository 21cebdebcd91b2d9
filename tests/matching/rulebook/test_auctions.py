"""Phases and auctions: what is collected, at which price it trades, who meets whom, and what comes after."""

from __future__ import annotations

from typing import Any

import pytest

from matching.rulebook_layout import HIGHEST, AuctionSteps
from tests.matching.rulebook.conftest import MakeVenue
from tests.matching.rulebook.venue import Code, Ending, Peg, Phase, Side, TimeInForce, Venue

CALLS = [Phase.PRE_OPEN, Phase.OPENING_AUCTION, Phase.VOLATILITY_AUCTION, Phase.CLOSING_AUCTION]
Orders = list[tuple[int, int]]


def an_auction(a_venue: MakeVenue, buys: Orders, sells: Orders, **start: object) -> Venue:
    """An opening auction with these (lots, price) on both sides, all of them different parties'."""
    venue = a_venue(phase=Phase.OPENING_AUCTION, **start)
    for side, orders in ((Side.BUY, buys), (Side.SELL, sells)):
        for number, (lots, price) in enumerate(orders):
            assert venue.order(side, lots, price or None, by=f"{side.name} {number}") == Code.OK
    return venue


@pytest.mark.parametrize("phase", CALLS)
def test_orders_are_collected_without_trading(a_venue: MakeVenue, phase: Phase) -> None:
    """RB-122"""
    venue = a_venue(phase=phase)
    sell, buy = venue.sell(5, 99), venue.buy(5, 101)
    assert venue.fills == []
    assert (venue.bids, venue.asks) == ([(buy, 101, 5)], [(sell, 99, 5)])


def test_halted_and_closed_series_take_no_orders(venue: Venue) -> None:
    """RB-123"""
    for phase, code in ((Phase.HALTED, Code.SERIES_HALTED), (Phase.CLOSED, Code.PHASE_NOT_ALLOWED)):
        venue.enter(phase)
        assert venue.order(Side.BUY, 1, 100) == code
        assert venue.order(Side.BUY, 1, trigger=100) == code
        assert venue.order(Side.BUY, 1, peg=Peg.BID) == code


def test_a_series_that_ended_is_empty_and_stays_so(venue: Venue) -> None:
    """RB-124"""
    bid, stop = venue.buy(5, 100), venue.buy(5, trigger=200)
    assert venue.enter(Phase.ENDED) == Code.OK
    assert venue.ended == [(bid, 5, Ending.SERIES_ENDED), (stop, 5, Ending.SERIES_ENDED)]
    assert venue.order(Side.BUY, 1, 100) == Code.SERIES_ENDED
    assert venue.enter(Phase.CONTINUOUS) == Code.SERIES_ENDED


def test_continuous_trading_does_not_begin_crossed(a_venue: MakeVenue) -> None:
    """RB-125"""
    venue = an_auction(a_venue, [(5, 100)], [(5, 100)])
    assert venue.enter(Phase.CONTINUOUS) == Code.BOOK_CROSSED
    assert venue.phases == []
    venue.uncross()
    venue.enter(Phase.PRE_OPEN)
    venue.buy(5, 100)
    assert venue.enter(Phase.CONTINUOUS) == Code.OK


def test_changes_of_phase_are_recorded(a_venue: MakeVenue) -> None:
    """RB-126 RB-155"""
    venue = a_venue(phase=Phase.PRE_OPEN)
    venue.enter(Phase.OPENING_AUCTION)
    assert venue.phases == [(Phase.PRE_OPEN, Phase.OPENING_AUCTION)]
    venue.enter(Phase.OPENING_AUCTION)
    assert venue.phases == []
    venue.uncross()
    assert venue.phases == [(Phase.OPENING_AUCTION, Phase.CONTINUOUS)]
    venue.enter(Phase.CLOSING_AUCTION)
    venue.uncross(after=Phase.CLOSED)
    assert venue.phases == [(Phase.CLOSING_AUCTION, Phase.CLOSED)]


@pytest.mark.parametrize("phase", [Phase.CONTINUOUS, Phase.CLOSED])
def test_orders_of_the_auction_do_not_survive_it(a_venue: MakeVenue, phase: Phase) -> None:
    """RB-127"""
    venue = a_venue(phase=Phase.OPENING_AUCTION)
    only = venue.buy(5, 100, tif=TimeInForce.AT_OPEN)
    market = venue.buy(5)
    assert venue.enter(phase) == Code.OK
    assert venue.ended == [(market, 5, Ending.NO_LIQUIDITY), (only, 5, Ending.AUCTION_OVER)]


def test_the_price_of_the_greatest_volume(a_venue: MakeVenue) -> None:
    """RB-128 RB-142"""
    venue = an_auction(a_venue, [(200, 202), (200, 201), (300, 200)], [(400, 197), (200, 198), (100, 200)])
    row = venue.uncross(reference=500)
    assert (row.price, row.lots, row.surplus, row.reference) == (200, 700, 0, 500)
    assert (row.low, row.high, row.turn) == (200, 200, 200)
    assert {price for _, _, price, _ in venue.fills} == {200}


def test_the_least_surplus_goes_before_the_reference(a_venue: MakeVenue) -> None:
    """RB-129"""
    venue = an_auction(a_venue, [(13, 108), (5, 107)], [(13, 107), (6, 108)])
    row = venue.uncross(reference=108)
    assert (row.price, row.lots, row.surplus, row.low, row.high, row.turn) == (107, 13, 5, 107, 107, 107)


def test_pressure_moves_the_price(a_venue: MakeVenue) -> None:
    """RB-130"""
    buyers = an_auction(a_venue, [(4, 202), (2, 201)], [(3, 199), (2, 198)])
    assert buyers.uncross(reference=199).price == 201
    sellers = an_auction(a_venue, [(3, 202), (2, 201)], [(4, 199), (2, 198)])
    assert sellers.uncross(reference=201).price == 199


@pytest.mark.parametrize(("reference", "price"), [(200, 200), (210, 201), (10, 199), (0, 201)])
def test_the_reference_decides_what_is_left(a_venue: MakeVenue, reference: int, price: int) -> None:
    """RB-131 RB-132"""
    venue = an_auction(a_venue, [(3, 202), (2, 201)], [(3, 199), (2, 198)])
    assert venue.uncross(reference=reference).price == price


@pytest.mark.parametrize(
    ("every_tick", "higher", "reference", "price"),
    [(True, True, 200, 200), (False, True, 200, 201), (False, False, 200, 199), (True, False, 0, 199)],
)
def test_ticks_limits_and_ties(a_venue: MakeVenue, every_tick: bool, higher: bool, reference: int, price: int) -> None:
    """RB-132 RB-133"""
    settings: dict[str, Any] = {"auction_every_tick": every_tick, "auction_tie_higher": higher}
    venue = an_auction(a_venue, [(3, 202), (2, 201)], [(3, 199), (2, 198)], **settings)
    assert venue.uncross(reference=reference).price == price


def test_the_reference_itself_can_be_beyond_every_limit(a_venue: MakeVenue) -> None:
    """RB-133"""
    venue = an_auction(a_venue, [(4, 0)], [(4, 998)])
    assert venue.indicative(reference=1_000).price == 1_000
    limits = an_auction(a_venue, [(4, 0)], [(4, 998)], auction_every_tick=False)
    assert limits.indicative(reference=1_000).price == 998


@pytest.mark.parametrize(
    ("steps", "price"),
    [
        (AuctionSteps.SURPLUS_PRESSURE_REFERENCE, 107),
        (AuctionSteps.SURPLUS_REFERENCE, 107),
        (AuctionSteps.REFERENCE, 108),
        (AuctionSteps.MIDDLE, 107),
    ],
)
def test_a_series_chooses_its_steps(a_venue: MakeVenue, steps: AuctionSteps, price: int) -> None:
    """RB-134"""
    venue = an_auction(a_venue, [(13, 108), (5, 107)], [(13, 107), (6, 108)], auction_steps=steps)
    assert venue.uncross(reference=108).price == price


def test_without_pressure_the_reference_decides(a_venue: MakeVenue) -> None:
    """RB-134"""
    steps = AuctionSteps.SURPLUS_REFERENCE
    venue = an_auction(a_venue, [(4, 202), (2, 201)], [(3, 199), (2, 198)], auction_steps=steps)
    assert venue.uncross(reference=200).price == 200


@pytest.mark.parametrize(("lowest", "price"), [(92, 94), (94, 95), (97, 97)])
def test_pressure_of_sellers_may_be_capped(a_venue: MakeVenue, lowest: int, price: int) -> None:
    """RB-135"""
    venue = an_auction(a_venue, [(1, lowest + 2), (1, lowest + 7)], [(5, lowest)], auction_pressure_cap_bps=500)
    assert venue.uncross(reference=100).price == price


@pytest.mark.parametrize(("highest", "price"), [(108, 106), (106, 105), (103, 103)])
def test_pressure_of_buyers_may_be_capped(a_venue: MakeVenue, highest: int, price: int) -> None:
    """RB-135"""
    venue = an_auction(a_venue, [(5, highest)], [(1, highest - 2), (1, highest - 7)], auction_pressure_cap_bps=500)
    assert venue.uncross(reference=100).price == price


def test_market_orders_alone_need_a_reference(a_venue: MakeVenue) -> None:
    """RB-136 RB-137"""
    venue = an_auction(a_venue, [(9, 0)], [(8, 0)])
    assert venue.indicative().price == 0
    assert venue.uncross(reference=250).price == 250
    alone = an_auction(a_venue, [(9, 0)], [(8, 0)])
    row = alone.uncross()
    assert (row.price, row.lots, alone.fills) == (0, 0, [])
    assert alone.phases == [(Phase.OPENING_AUCTION, Phase.CONTINUOUS)]


def test_nothing_executable_changes_the_phase_all_the_same(a_venue: MakeVenue) -> None:
    """RB-137 RB-142"""
    venue = an_auction(a_venue, [(5, 100)], [(5, 101)])
    row = venue.uncross(reference=100)
    assert row[2:] == (0, 0, 0, 0, 0, 0, 100, 0, 0, 0)
    assert venue.phases == [(Phase.OPENING_AUCTION, Phase.CONTINUOUS)]
    assert (len(venue.bids), len(venue.asks)) == (1, 1)


def test_a_reference_stays_until_the_next(a_venue: MakeVenue) -> None:
    """RB-138"""
    venue = an_auction(a_venue, [(3, 210)], [(3, 190)], reference=195)
    assert venue.indicative().price == 195
    venue.enter(Phase.VOLATILITY_AUCTION, reference=205)
    assert venue.indicative().price == 205
    assert venue.uncross(reference=200).price == 200
    venue.enter(Phase.CLOSING_AUCTION)
    assert venue.indicative().reference == 200


def test_an_indicative_price_changes_nothing(a_venue: MakeVenue) -> None:
    """RB-139"""
    venue = an_auction(a_venue, [(3, 210)], [(2, 190)])
    before = (venue.bids, venue.asks)
    first = venue.indicative(reference=200)
    assert (first.price, first.lots, first.surplus) == (210, 2, 1)
    assert venue.indicative(reference=200) == first
    assert (venue.bids, venue.asks) == before


def test_market_orders_come_first_or_not_at_all(a_venue: MakeVenue) -> None:
    """RB-140"""
    venue = a_venue(phase=Phase.OPENING_AUCTION)
    limit = venue.buy(5, 200, by="a")
    first, second = venue.buy(3, by="b"), venue.buy(3, by="c")
    assert venue.bids == [(first, HIGHEST, 3), (second, HIGHEST, 3), (limit, 200, 5)]
    sell = venue.sell(4, 100)
    venue.uncross(reference=150)
    assert [(buy, lots) for buy, _, _, lots in venue.fills] == [(first, 3), (second, 1)]
    assert venue.lots(sell) == 0
    strict = a_venue(phase=Phase.OPENING_AUCTION, auction_market_orders=False)
    assert strict.order(Side.BUY, 1) == Code.PHASE_NOT_ALLOWED
    assert strict.order(Side.BUY, 1, 100) == Code.OK


def test_a_protected_market_order_stands_at_its_protection(a_venue: MakeVenue) -> None:
    """RB-141"""
    venue = a_venue(phase=Phase.OPENING_AUCTION)
    limit = venue.buy(5, 200, by="a")
    market = venue.buy(5, 200, market=True, by="b")
    assert venue.bids == [(limit, 200, 5), (market, 200, 5)]
    venue.sell(7, 200)
    venue.uncross()
    assert [(buy, lots) for buy, _, _, lots in venue.fills] == [(limit, 5), (market, 2)]
    assert venue.ended == [(market, 3, Ending.NO_LIQUIDITY)]


def test_pairs_follow_price_and_time(a_venue: MakeVenue) -> None:
    """RB-146 RB-148"""
    venue = an_auction(a_venue, [(1, 100), (5, 102), (2, 100)], [(4, 100), (2, 98), (2, 100)])
    assert venue.uncross(reference=100).price == 100
    assert venue.fills == [(2, 5, 100, 2), (2, 4, 100, 3), (1, 4, 100, 1), (3, 6, 100, 2)]


def test_shown_lots_trade_before_hidden_ones_at_a_price(a_venue: MakeVenue) -> None:
    """RB-147 RB-152"""
    venue = a_venue(phase=Phase.OPENING_AUCTION)
    iceberg = venue.buy(10, 100, display=2, by="a")
    plain = venue.buy(3, 100, by="b")
    sell = venue.sell(6, 100)
    venue.uncross()
    assert venue.fills == [(iceberg, sell, 100, 2), (plain, sell, 100, 3), (iceberg, sell, 100, 1)]
    assert venue.bids == [(iceberg, 100, 2)]
    assert venue.lots(iceberg) == 7


def test_an_iceberg_refreshes_behind_after_the_uncrossing(a_venue: MakeVenue) -> None:
    """RB-152"""
    venue = a_venue(phase=Phase.OPENING_AUCTION)
    iceberg = venue.buy(10, 100, display=2, by="a")
    plain = venue.buy(3, 100, by="b")
    venue.sell(2, 100)
    venue.uncross()
    assert venue.bids == [(plain, 100, 3), (iceberg, 100, 2)]


def test_several_icebergs_refresh_in_their_priority(a_venue: MakeVenue) -> None:
    """RB-147 RB-152"""
    venue = a_venue(phase=Phase.OPENING_AUCTION)
    first, plain, second = (venue.buy(5, 100, display=shown, by=by) for shown, by in ((2, "a"), (0, "b"), (3, "c")))
    venue.sell(8, 100)
    venue.uncross()
    assert [(buy, lots) for buy, _, _, lots in venue.fills] == [(first, 2), (plain, 5), (second, 1)]
    assert venue.bids == [(second, 100, 2), (first, 100, 2)]
    venue.enter(Phase.CLOSING_AUCTION)
    venue.sell(4, 100)
    venue.uncross()
    assert [(buy, lots) for buy, _, _, lots in venue.fills] == [(second, 2), (first, 2)]
    assert venue.bids == [(second, 100, 2), (first, 100, 1)]


def test_the_rest_of_a_market_order(a_venue: MakeVenue) -> None:
    """RB-153"""
    venue = a_venue(phase=Phase.OPENING_AUCTION)
    market = venue.buy(5)
    venue.sell(3, 100)
    venue.uncross()
    assert venue.ended == [(market, 2, Ending.NO_LIQUIDITY)]
    kind = a_venue(phase=Phase.OPENING_AUCTION, auction_market_rests=True)
    market = kind.buy(5)
    kind.sell(3, 100)
    kind.uncross()
    assert (kind.ended, kind.bids) == ([], [(market, 100, 2)])


def test_pegs_come_back_and_then_stops_run(a_venue: MakeVenue) -> None:
    """RB-155 RB-055 RB-028"""
    venue = a_venue(phase=Phase.OPENING_AUCTION)
    stop = venue.sell(2, 90, trigger=100, by="stop")
    peg = venue.buy(2, peg=Peg.BID, offset=1, by="peg")
    assert venue.parked == [peg]
    buy, sell = venue.buy(5, 100), venue.sell(4, 100)
    below = venue.buy(1, 98, by="below")
    venue.uncross()
    assert venue.repriced[0] == (peg, 99)
    assert venue.triggered == [(stop, 100)]
    assert venue.fills == [(buy, sell, 100, 4), (buy, stop, 100, 1), (peg, stop, 99, 1)]
    assert venue.repriced[1:] == [(peg, 97)]
    assert venue.bids == [(below, 98, 1), (peg, 97, 1)]


@pytest.mark.parametrize("reference", [-1, 1_001])
def test_a_reference_is_a_price(a_venue: MakeVenue, reference: int) -> None:
    """RB-187"""
    venue = a_venue(phase=Phase.OPENING_AUCTION, price_max=1_000)
    assert venue.enter(Phase.CLOSING_AUCTION, reference=reference) == Code.PRICE_OUT_OF_RANGE
    assert venue.run(16, series=1, price=reference).code == Code.PRICE_OUT_OF_RANGE
    assert (venue.phases, venue.indicative().reference) == ([], 0)


@pytest.mark.parametrize("phase", [Phase.CONTINUOUS, Phase.HALTED, Phase.CLOSED, Phase.ENDED])
def test_only_a_call_is_uncrossed(a_venue: MakeVenue, phase: Phase) -> None:
    """RB-156"""
    venue = a_venue(phase=phase)
    assert venue.run(16, series=1).code == Code.PHASE_NOT_ALLOWED
    assert venue.phases == []

"""Time in force, expiry, cancels: how long an order lives and how it ends."""

from __future__ import annotations

import pytest

from matching.rulebook_layout import FLAG_SYSTEM, Kind
from tests.matching.rulebook.conftest import MakeVenue
from tests.matching.rulebook.venue import Code, Ending, Peg, Phase, Side, TimeInForce, Venue

CALLS = [Phase.PRE_OPEN, Phase.OPENING_AUCTION, Phase.VOLATILITY_AUCTION, Phase.CLOSING_AUCTION]


def test_gtc_stays(venue: Venue) -> None:
    """RB-068"""
    order = venue.buy(5, 100)
    venue.wait_until(10**18)
    venue.enter(Phase.CLOSED)
    venue.enter(Phase.CONTINUOUS)
    assert venue.bids == [(order, 100, 5)]


def test_ioc_leaves_nothing(venue: Venue) -> None:
    """RB-069"""
    venue.sell(3, 100)
    order = venue.buy(5, 100, tif=TimeInForce.IOC)
    assert venue.ended == [(order, 2, Ending.IOC)]
    assert venue.bids == []


def test_fok_is_all_or_nothing(venue: Venue) -> None:
    """RB-070"""
    maker = venue.sell(3, 100)
    far = venue.sell(3, 101)
    killed = venue.buy(4, 100, tif=TimeInForce.FOK)
    assert (venue.fills, venue.ended) == ([], [(killed, 4, Ending.FOK)])
    filled = venue.buy(4, 101, tif=TimeInForce.FOK)
    assert venue.fills == [(maker, filled, 100, 3), (far, filled, 101, 1)]
    market = venue.buy(3, tif=TimeInForce.FOK)
    assert venue.ended == [(market, 3, Ending.FOK)]


def test_fok_counts_hidden_lots(venue: Venue) -> None:
    """RB-071"""
    venue.sell(10, 100, display=1)
    order = venue.buy(10, 100, tif=TimeInForce.FOK)
    assert venue.ended == []
    assert sum(lots for *_, lots in venue.fills) == 10
    assert venue.lots(order) == 0


def test_day_orders_end_with_the_close(venue: Venue) -> None:
    """RB-072"""
    stays = venue.buy(5, 99)
    ends = venue.buy(5, 100, tif=TimeInForce.DAY)
    stop = venue.buy(5, trigger=200, tif=TimeInForce.DAY)
    venue.enter(Phase.HALTED)
    assert venue.ended == []
    venue.enter(Phase.CLOSED)
    assert venue.ended == [(ends, 5, Ending.EXPIRED), (stop, 5, Ending.EXPIRED)]
    assert venue.bids == [(stays, 99, 5)]


def test_gtd_is_gone_at_its_time(venue: Venue) -> None:
    """RB-073"""
    order = venue.buy(5, 100, tif=TimeInForce.GTD, expire_ns=1_000)
    venue.wait_until(999)
    assert venue.lots(order) == 5
    venue.wait_until(1_000)
    assert venue.ended == [(order, 5, Ending.EXPIRED)]
    venue.sell(5, 100)
    assert venue.fills == []


@pytest.mark.parametrize("expire_ns", [500, 499])
def test_an_order_that_has_expired_is_refused(venue: Venue, expire_ns: int) -> None:
    """RB-074"""
    venue.now = 500
    assert venue.order(Side.BUY, 5, 100, tif=TimeInForce.GTD, expire_ns=expire_ns) == Code.ALREADY_EXPIRED
    assert venue.order(Side.BUY, 5, 100, tif=TimeInForce.GTD, expire_ns=501) == Code.OK


def test_expiry_and_gtd_belong_together(venue: Venue) -> None:
    """RB-075"""
    assert venue.order(Side.BUY, 5, 100, tif=TimeInForce.GTD) == Code.BAD_EXPIRY
    assert venue.order(Side.BUY, 5, 100, tif=TimeInForce.GTC, expire_ns=9) == Code.BAD_EXPIRY
    assert venue.order(Side.BUY, 5, 100, tif=TimeInForce.DAY, expire_ns=9) == Code.BAD_EXPIRY


def test_what_falls_due_together_expires_in_order(venue: Venue) -> None:
    """RB-076"""
    late = venue.buy(1, 103, tif=TimeInForce.GTD, expire_ns=20)
    second = venue.buy(1, 100, tif=TimeInForce.GTD, expire_ns=10)
    third = venue.buy(1, 102, tif=TimeInForce.GTD, expire_ns=10)
    venue.wait_until(30)
    assert [order for order, *_ in venue.ended] == [second, third, late]


def test_one_command_expires_everything_that_is_due(venue: Venue) -> None:
    """RB-076"""
    late = venue.buy(1, 103, tif=TimeInForce.GTD, expire_ns=20)
    early = venue.buy(1, 100, tif=TimeInForce.GTD, expire_ns=10)
    venue.buy(1, 100, tif=TimeInForce.GTD, expire_ns=31)
    venue.now = 30
    venue.run(Kind.EXPIRE, series=1, flags=FLAG_SYSTEM)
    assert [order for order, *_ in venue.ended] == [early, late]
    assert (venue.rows.results[0].lots, venue.rows.results[0].fills) == (2, 2)


def test_stops_and_parked_pegs_expire(venue: Venue) -> None:
    """RB-077"""
    stop = venue.buy(1, trigger=100, tif=TimeInForce.GTD, expire_ns=10)
    peg = venue.buy(1, peg=Peg.BID, tif=TimeInForce.GTD, expire_ns=10)
    venue.wait_until(10)
    assert venue.ended == [(stop, 1, Ending.EXPIRED), (peg, 1, Ending.EXPIRED)]
    assert (venue.pending, venue.parked) == ([], [])


def test_what_is_left_expires(venue: Venue) -> None:
    """RB-078"""
    part = venue.buy(5, 100, tif=TimeInForce.GTD, expire_ns=10)
    venue.sell(2, 100)
    whole = venue.buy(2, 101, tif=TimeInForce.GTD, expire_ns=10)
    venue.sell(2, 101)
    venue.wait_until(10)
    assert venue.ended == [(part, 3, Ending.EXPIRED)]
    assert venue.lots(whole) == 0


@pytest.mark.parametrize("phase", list(Phase))
def test_auction_only_orders_enter_before_their_auction_only(a_venue: MakeVenue, phase: Phase) -> None:
    """RB-079"""
    venue = a_venue(phase=phase)
    may_open = phase in (Phase.PRE_OPEN, Phase.OPENING_AUCTION, Phase.VOLATILITY_AUCTION)
    refused = {Phase.HALTED: Code.SERIES_HALTED, Phase.ENDED: Code.SERIES_ENDED}.get(phase, Code.PHASE_NOT_ALLOWED)
    assert venue.order(Side.BUY, 1, 100, tif=TimeInForce.AT_OPEN) == (Code.OK if may_open else refused)
    may_close = phase == Phase.CLOSING_AUCTION
    assert venue.order(Side.BUY, 1, 100, tif=TimeInForce.AT_CLOSE) == (Code.OK if may_close else refused)


def test_auction_only_orders_do_not_outlive_the_auction(a_venue: MakeVenue) -> None:
    """RB-080"""
    venue = a_venue(phase=Phase.OPENING_AUCTION)
    part = venue.buy(5, 100, tif=TimeInForce.AT_OPEN)
    low = venue.buy(5, 90, tif=TimeInForce.AT_OPEN)
    plain = venue.sell(3, 100)
    venue.uncross()
    assert venue.fills == [(part, plain, 100, 3)]
    assert venue.ended == [(part, 2, Ending.AUCTION_OVER), (low, 5, Ending.AUCTION_OVER)]


def test_a_market_order_for_the_auction_only_ends_as_that(a_venue: MakeVenue) -> None:
    """RB-080 RB-153"""
    venue = a_venue(phase=Phase.CLOSING_AUCTION, auction_market_rests=True)
    order = venue.buy(5, tif=TimeInForce.AT_CLOSE)
    venue.sell(3, 100)
    venue.uncross()
    assert venue.ended == [(order, 2, Ending.AUCTION_OVER)]


@pytest.mark.parametrize("phase", CALLS)
@pytest.mark.parametrize("tif", [TimeInForce.IOC, TimeInForce.FOK])
def test_ioc_and_fok_do_not_enter_an_auction(a_venue: MakeVenue, phase: Phase, tif: TimeInForce) -> None:
    """RB-081"""
    assert a_venue(phase=phase).order(Side.BUY, 1, 100, tif=tif) == Code.PHASE_NOT_ALLOWED


@pytest.mark.parametrize("phase", [Phase.CONTINUOUS, Phase.HALTED, Phase.CLOSED, *CALLS])
def test_a_cancel_works_in_every_phase(venue: Venue, phase: Phase) -> None:
    """RB-177 RB-123 RB-180"""
    order = venue.buy(5, 100)
    stop = venue.buy(5, trigger=200)
    venue.enter(phase)
    assert venue.cancel(order, by="buyer") == Code.OK
    assert venue.ended == [(order, 5, Ending.USER)]
    assert venue.cancel(stop, by="buyer") == Code.OK
    assert venue.ended == [(stop, 5, Ending.USER)]


def test_a_late_cancel_gets_the_same_answer_every_time(venue: Venue) -> None:
    """RB-178"""
    canceled = venue.buy(5, 100)
    venue.cancel(canceled, by="buyer")
    filled = venue.buy(5, 100)
    venue.sell(5, 100)
    expired = venue.buy(5, 100, tif=TimeInForce.GTD, expire_ns=10)
    venue.wait_until(10)
    for order in (canceled, filled, expired) * 2:
        assert venue.cancel(order, by="buyer") == Code.ORDER_NOT_OPEN


def test_unknown_orders_and_those_of_others_are_not_canceled(venue: Venue) -> None:
    """RB-179"""
    order = venue.buy(5, 100)
    for phase in (Phase.CONTINUOUS, Phase.HALTED):
        venue.enter(phase)
        for unknown in (0, -1, order + 1, 1 << 40):
            assert venue.cancel(unknown, by="buyer") == Code.UNKNOWN_ORDER
        assert venue.cancel(order, by="seller") == Code.NOT_YOUR_ORDER
    assert venue.bids == [(order, 100, 5)]

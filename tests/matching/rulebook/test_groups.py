"""One-cancels-other: what ends the other legs, when, and for which reason."""

from __future__ import annotations

from typing import Any

from tests.matching.rulebook.conftest import MakeVenue
from tests.matching.rulebook.venue import Code, Ending, Peg, Phase, SelfTrade, Side, TimeInForce, Venue


def test_a_partial_execution_ends_the_other_leg(a_venue: MakeVenue) -> None:
    """RB-060"""
    venue = a_venue(last_trade=100)
    limit = venue.sell(5, 110, oco=1)
    stop = venue.sell(5, trigger=90, oco=1)
    venue.buy(2, 110)
    assert venue.ended == [(stop, 5, Ending.OCO)]
    assert venue.asks == [(limit, 110, 3)]


def test_a_leg_that_trades_on_entry_ends_the_other(venue: Venue) -> None:
    """RB-060"""
    waits = venue.buy(5, 90, oco=1)
    venue.sell(1, 100)
    takes = venue.buy(5, 100, oco=1)
    assert venue.ended == [(waits, 5, Ending.OCO)]
    assert venue.bids == [(takes, 100, 4)]


def test_the_other_leg_is_gone_before_the_next_fill(venue: Venue) -> None:
    """RB-061"""
    first = venue.sell(5, 100, oco=1, by="a")
    second = venue.sell(5, 101, oco=1, by="a")
    other = venue.sell(5, 102, by="b")
    taker = venue.buy(7, 102)
    assert venue.fills == [(first, taker, 100, 5), (other, taker, 102, 2)]
    assert venue.ended == [(second, 5, Ending.OCO)]


def test_a_trigger_counts_as_an_execution(a_venue: MakeVenue) -> None:
    """RB-062"""
    venue = a_venue(last_trade=100)
    limit = venue.sell(5, 110, oco=1, by="a")
    stop = venue.sell(5, 88, trigger=90, oco=1, by="a")
    venue.buy(1, 90)
    venue.sell(1, 90)
    assert venue.ended == [(limit, 5, Ending.OCO)]
    assert venue.asks == [(stop, 88, 5)]


def test_a_leg_that_ends_ends_the_others(venue: Venue) -> None:
    """RB-063"""
    legs = [venue.buy(5, price, oco=1) for price in (90, 91, 92)]
    venue.cancel(legs[1], by="buyer")
    assert venue.ended == [(legs[1], 5, Ending.USER), (legs[0], 5, Ending.OCO), (legs[2], 5, Ending.OCO)]
    one = venue.buy(5, 90, oco=1)
    maker = venue.sell(9, 95, by="buyer")
    two = venue.buy(5, 95, oco=1)
    assert venue.ended == [(two, 5, Ending.SELF_TRADE), (one, 5, Ending.OCO)]
    assert venue.asks == [(maker, 95, 9)]


def test_a_group_belongs_to_an_account_and_a_series(venue: Venue) -> None:
    """RB-064"""
    venue.list_series(2)
    mine = venue.buy(5, 90, oco=1, by="a")
    theirs = venue.buy(5, 90, oco=1, by="b")
    elsewhere = venue.buy(5, 90, oco=1, by="a", series=2)
    other = venue.buy(5, 90, oco=2, by="a")
    venue.cancel(mine, by="a")
    assert venue.ended == [(mine, 5, Ending.USER)]
    assert [order for order, *_ in venue.bids] == [theirs, other]
    assert venue.find(elsewhere, series=2) is not None


def test_the_leg_that_remains_is_on_its_own(venue: Venue) -> None:
    """RB-065"""
    filled = venue.sell(5, 100, oco=1)
    venue.sell(5, 120, oco=1)
    venue.buy(2, 100)
    later = venue.sell(5, 130, oco=1)
    last = venue.sell(5, 131, oco=1)
    venue.cancel(filled, by="seller")
    assert venue.ended == [(filled, 3, Ending.USER)]
    venue.cancel(later, by="seller")
    assert venue.ended == [(later, 5, Ending.USER), (last, 5, Ending.OCO)]


def test_legs_and_groups_are_bounded(a_venue: MakeVenue) -> None:
    """RB-066"""
    venue = a_venue(groups_max=1)
    for price in (90, 91, 92, 93):
        venue.buy(1, price, oco=7)
    assert venue.order(Side.BUY, 1, 94, oco=7) == Code.BAD_GROUP
    assert venue.order(Side.BUY, 1, 94, oco=8) == Code.TOO_MANY_GROUPS
    assert venue.order(Side.BUY, 1, 94, oco=-1) == Code.BAD_GROUP
    venue.mass_cancel(by="buyer")
    assert venue.order(Side.BUY, 1, 94, oco=8) == Code.OK


def test_a_sweep_gives_all_legs_it_covers_its_own_reason(venue: Venue) -> None:
    """RB-067"""
    low, high = venue.buy(5, 90, oco=1, by="a"), venue.sell(5, 110, oco=1, by="a")
    venue.mass_cancel(by="a")
    assert venue.ended == [(low, 5, Ending.MASS), (high, 5, Ending.MASS)]
    low, high = venue.buy(5, 90, oco=1, by="a"), venue.sell(5, 110, oco=1, by="a")
    venue.mass_cancel(by="a", side=Side.SELL)
    assert venue.ended == [(high, 5, Ending.MASS), (low, 5, Ending.OCO)]


def test_legs_that_expire_together_expire(venue: Venue) -> None:
    """RB-067"""
    gtd: dict[str, Any] = {"tif": TimeInForce.GTD, "oco": 1, "by": "a"}
    low, high = venue.buy(5, 90, expire_ns=10, **gtd), venue.sell(5, 110, expire_ns=10, **gtd)
    last = venue.sell(5, 111, expire_ns=20, **gtd)
    venue.wait_until(10)
    assert venue.ended == [(low, 5, Ending.EXPIRED), (high, 5, Ending.EXPIRED), (last, 5, Ending.OCO)]


def test_a_leg_that_trades_in_an_auction_ends_the_other_between_fills(a_venue: MakeVenue) -> None:
    """RB-154 RB-150"""
    venue = a_venue(phase=Phase.OPENING_AUCTION)
    buy = venue.buy(10, 100)
    first = venue.sell(5, 98, oco=1, by="a")
    second = venue.sell(5, 99, oco=1, by="a")
    row = venue.uncross()
    assert venue.fills == [(buy, first, 100, 5)]
    assert venue.ended == [(second, 5, Ending.OCO)]
    assert (row.lots, row.executed, row.prevented, row.skipped) == (10, 5, 0, 5)


def test_a_peg_can_be_a_leg(venue: Venue) -> None:
    """RB-060"""
    venue.buy(1, 100, by="b")
    peg = venue.buy(5, peg=Peg.BID, offset=1, oco=1, by="a")
    limit = venue.buy(5, 90, oco=1, by="a")
    venue.sell(2, 99)
    assert venue.ended == [(limit, 5, Ending.OCO)]
    assert venue.lots(peg) == 4


def test_of_a_group_only_the_first_leg_on_the_way_counts(venue: Venue) -> None:
    """RB-189"""
    venue.sell(3, 100, oco=1, by="a")
    venue.sell(3, 101, oco=1, by="a")
    order = venue.buy(6, 101, tif=TimeInForce.FOK)
    assert (venue.fills, venue.ended) == ([], [(order, 6, Ending.FOK)])
    least = venue.buy(6, 101, min_lots=4)
    assert (venue.fills, venue.ended) == ([], [(least, 6, Ending.MINIMUM)])
    venue.sell(3, 101, by="b")
    venue.buy(6, 101, tif=TimeInForce.FOK)
    assert [lots for *_, lots in venue.fills] == [3, 3]


def test_legs_of_one_group_do_not_trade_with_each_other(venue: Venue) -> None:
    """RB-190"""
    resting = venue.sell(5, 100, oco=1, by="a")
    other = venue.sell(2, 101, by="b")
    taker = venue.buy(4, 101, oco=1, by="a", self_trade=SelfTrade.ALLOW)
    assert venue.ended == [(resting, 5, Ending.OCO)]
    assert venue.fills == [(other, taker, 101, 2)]
    assert venue.bids == [(taker, 101, 2)]

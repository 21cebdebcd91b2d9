"""Self-trade prevention and eligibility: who never trades with whom."""

from __future__ import annotations

import pytest

from tests.matching.rulebook.conftest import MakeVenue
from tests.matching.rulebook.venue import Code, Ending, Phase, SelfTrade, Side, TimeInForce, Venue


def test_two_accounts_of_one_owner_do_not_trade(venue: Venue) -> None:
    """RB-103"""
    venue.party("house")
    venue.party("desk 1", owner="house")
    venue.party("desk 2", owner="house")
    maker = venue.sell(5, 100, by="desk 1")
    taker = venue.buy(5, 100, by="desk 2")
    assert (venue.fills, venue.ended) == ([], [(taker, 5, Ending.SELF_TRADE)])
    parent = venue.buy(5, 100, by="house")
    assert venue.ended == [(parent, 5, Ending.SELF_TRADE)]
    assert venue.asks == [(maker, 100, 5)]


def test_cancel_newest(venue: Venue) -> None:
    """RB-104 RB-110"""
    other, own, behind = venue.sell(2, 99), venue.sell(5, 100, by="me"), venue.sell(5, 100)
    taker = venue.buy(9, 101, by="me")
    assert venue.fills == [(other, taker, 99, 2)]
    assert venue.ended == [(taker, 7, Ending.SELF_TRADE)]
    assert venue.prevented == [(own, taker, 100, 0)]
    assert [order for order, *_ in venue.asks] == [own, behind]


def test_cancel_oldest(venue: Venue) -> None:
    """RB-105 RB-110"""
    own, behind = venue.sell(9, 100, by="me", display=2), venue.sell(5, 100)
    taker = venue.buy(7, 100, by="me", self_trade=SelfTrade.CANCEL_OLDEST)
    assert venue.fills == [(behind, taker, 100, 5)]
    assert venue.ended == [(own, 9, Ending.SELF_TRADE)]
    assert venue.prevented == [(own, taker, 100, 0)]
    assert venue.bids == [(taker, 100, 2)]


def test_cancel_both(venue: Venue) -> None:
    """RB-106 RB-110"""
    own, behind = venue.sell(9, 100, by="me"), venue.sell(5, 100)
    taker = venue.buy(7, 100, by="me", self_trade=SelfTrade.CANCEL_BOTH)
    assert (venue.fills, venue.prevented) == ([], [(own, taker, 100, 0)])
    assert venue.ended == [(own, 9, Ending.SELF_TRADE), (taker, 7, Ending.SELF_TRADE)]
    assert venue.asks == [(behind, 100, 5)]


def test_decrement_takes_the_smaller_from_both(venue: Venue) -> None:
    """RB-107 RB-110"""
    small, large, other = venue.sell(2, 100, by="me"), venue.sell(9, 101, by="me"), venue.sell(5, 101)
    taker = venue.buy(5, 101, by="me", self_trade=SelfTrade.DECREMENT)
    assert venue.prevented == [(small, taker, 100, 2), (large, taker, 101, 3)]
    assert venue.ended == [
        (small, 2, Ending.SELF_TRADE),
        (taker, 2, Ending.DECREMENTED),
        (large, 3, Ending.DECREMENTED),
        (taker, 3, Ending.SELF_TRADE),
    ]
    assert venue.asks == [(large, 101, 6), (other, 101, 5)]


def test_decrement_of_equal_lots_ends_both(venue: Venue) -> None:
    """RB-107"""
    own = venue.sell(4, 100, by="me")
    taker = venue.buy(4, 100, by="me", self_trade=SelfTrade.DECREMENT)
    assert venue.ended == [(own, 4, Ending.SELF_TRADE), (taker, 4, Ending.SELF_TRADE)]


def test_the_takers_mode_decides_else_the_series(a_venue: MakeVenue) -> None:
    """RB-108"""
    venue = a_venue(self_trade=SelfTrade.CANCEL_OLDEST)
    own = venue.sell(5, 100, by="me", self_trade=SelfTrade.CANCEL_BOTH)
    taker = venue.buy(5, 100, by="me", self_trade=SelfTrade.CANCEL_NEWEST)
    assert venue.ended == [(taker, 5, Ending.SELF_TRADE)]
    taker = venue.buy(5, 100, by="me")
    assert venue.ended == [(own, 5, Ending.SELF_TRADE)]
    assert venue.bids == [(taker, 100, 5)]


def test_an_order_may_allow_trades_with_its_owner(venue: Venue) -> None:
    """RB-109"""
    own = venue.sell(5, 100, by="me")
    taker = venue.buy(5, 100, by="me", self_trade=SelfTrade.ALLOW)
    assert venue.fills == [(own, taker, 100, 5)]
    assert venue.prevented == []


def test_an_auction_passes_over_the_owners_own_orders(a_venue: MakeVenue) -> None:
    """RB-111 RB-149 RB-150"""
    venue = a_venue(phase=Phase.OPENING_AUCTION)
    buy = venue.buy(5, 100, by="me", self_trade=SelfTrade.ALLOW)
    own = venue.sell(5, 100, by="me", self_trade=SelfTrade.ALLOW)
    other = venue.sell(5, 100)
    row = venue.uncross()
    assert venue.fills == [(buy, other, 100, 5)]
    assert (row.lots, row.executed, row.prevented, row.skipped) == (5, 5, 0, 0)
    assert venue.asks == [(own, 100, 5)]


def test_an_auction_between_one_owner_alone_trades_nothing(a_venue: MakeVenue) -> None:
    """RB-110 RB-111 RB-150 RB-151"""
    venue = a_venue(phase=Phase.OPENING_AUCTION)
    buy, sell = venue.buy(5, 100, by="me"), venue.sell(3, 99, by="me")
    row = venue.uncross()
    assert venue.fills == []
    assert venue.prevented == [(buy, sell, row.price, 3)]
    assert (row.lots, row.executed, row.prevented, row.skipped) == (3, 0, 3, 0)
    assert venue.ended == [(sell, 3, Ending.SELF_TRADE)]
    assert venue.bids == [(buy, 100, 5)]


def test_a_series_may_allow_self_trades_in_auctions(a_venue: MakeVenue) -> None:
    """RB-112"""
    venue = a_venue(phase=Phase.OPENING_AUCTION, self_trade_in_auction=True)
    buy, sell = venue.buy(5, 100, by="me"), venue.sell(5, 100, by="me")
    venue.uncross()
    assert venue.fills == [(buy, sell, 100, 5)]


@pytest.mark.parametrize(
    ("mode", "fills"),
    [
        (SelfTrade.CANCEL_NEWEST, 0),
        (SelfTrade.CANCEL_BOTH, 0),
        (SelfTrade.CANCEL_OLDEST, 2),
        (SelfTrade.DECREMENT, 0),
        (SelfTrade.ALLOW, 2),
    ],
)
def test_own_lots_do_not_fill_a_fok(venue: Venue, mode: SelfTrade, fills: int) -> None:
    """RB-113"""
    venue.sell(3, 100)
    venue.sell(3, 101, by="me")
    if mode != SelfTrade.ALLOW:
        venue.sell(3, 102)
    order = venue.buy(6, 102, by="me", self_trade=mode, tif=TimeInForce.FOK)
    assert len(venue.fills) == fills
    assert ((order, 6, Ending.FOK) in venue.ended) == (fills == 0)


def test_hidden_lots_behind_an_own_order_do_not_count(venue: Venue) -> None:
    """RB-113"""
    venue.sell(9, 100, display=2)
    venue.sell(1, 100, by="me")
    order = venue.buy(5, 100, by="me", min_lots=3)
    assert venue.ended == [(order, 5, Ending.MINIMUM)]
    order = venue.buy(5, 100, by="me", min_lots=2)
    assert sum(lots for *_, lots in venue.fills) == 2
    assert venue.ended == [(order, 3, Ending.SELF_TRADE)]


RIVAL = 0b10


def with_rivals(venue: Venue) -> Venue:
    """Parties "picky" and "rival" do not trade with each other: one of them says so."""
    venue.party("rival", traits=RIVAL)
    venue.party("picky", refuses=RIVAL)
    return venue


@pytest.mark.parametrize(("maker", "taker"), [("rival", "picky"), ("picky", "rival")])
def test_a_refusal_binds_both_ways(venue: Venue, maker: str, taker: str) -> None:
    """RB-114 RB-119"""
    with_rivals(venue)
    resting = venue.sell(5, 100, by=maker)
    order = venue.buy(5, 100, by=taker)
    assert (venue.fills, venue.ended) == ([], [(order, 5, Ending.INELIGIBLE)])
    assert venue.asks == [(resting, 100, 5)]
    assert venue.order(Side.BUY, 5, 99, by=taker) == Code.OK
    assert len(venue.bids) == 1


def test_priority_holds_among_the_others(venue: Venue) -> None:
    """RB-115 RB-116 RB-117"""
    with_rivals(venue)
    passed, first = venue.sell(5, 100, by="rival", display=2), venue.sell(1, 100, by="a")
    also, second = venue.sell(4, 101, by="rival"), venue.sell(1, 101, by="b")
    order = venue.buy(2, 101, by="picky")
    assert venue.fills == [(first, order, 100, 1), (second, order, 101, 1)]
    assert venue.skips == [(order, 2, 9)]
    assert venue.asks == [(passed, 100, 2), (also, 101, 4)]


def test_an_order_that_passed_nobody_has_no_such_row(venue: Venue) -> None:
    """RB-117"""
    with_rivals(venue)
    venue.sell(5, 100, by="a")
    venue.sell(5, 100, by="rival")
    venue.buy(5, 100, by="picky")
    assert venue.skips == []


@pytest.mark.parametrize(("rivals", "filled"), [(256, True), (257, False)])
def test_at_most_256_makers_are_passed(venue: Venue, rivals: int, filled: bool) -> None:
    """RB-118"""
    with_rivals(venue)
    for _ in range(rivals):
        venue.sell(1, 100, by="rival")
    maker = venue.sell(3, 100, by="a")
    order = venue.buy(3, 100, by="picky")
    assert venue.skips == [(order, 256, 256)]
    if filled:
        assert venue.fills == [(maker, order, 100, 3)]
    else:
        assert (venue.fills, venue.ended) == ([], [(order, 3, Ending.TOO_MANY_SKIPS)])


def test_lots_behind_too_many_passed_makers_do_not_count(venue: Venue) -> None:
    """RB-118 RB-120"""
    with_rivals(venue)
    venue.sell(9, 99, display=2, by="a")
    for _ in range(256):
        venue.sell(1, 99, by="rival")
    order = venue.buy(5, 99, by="picky", tif=TimeInForce.FOK)
    assert sum(lots for *_, lots in venue.fills) == 5
    venue.sell(1, 99, by="rival")
    order = venue.buy(4, 99, by="picky", tif=TimeInForce.FOK)
    assert sum(lots for *_, lots in venue.fills) == 0
    assert venue.ended == [(order, 4, Ending.FOK)]


def test_what_would_rest_behind_a_passed_order_is_canceled(venue: Venue) -> None:
    """RB-119"""
    with_rivals(venue)
    venue.sell(5, 100, by="rival")
    maker = venue.sell(2, 101, by="a")
    order = venue.buy(5, 101, by="picky")
    assert venue.fills == [(maker, order, 101, 2)]
    assert venue.ended == [(order, 3, Ending.INELIGIBLE)]
    at_once = venue.buy(5, 101, by="picky", tif=TimeInForce.IOC)
    assert venue.ended == [(at_once, 5, Ending.IOC)]
    market = venue.buy(5, by="picky")
    assert venue.ended == [(market, 5, Ending.NO_LIQUIDITY)]


def test_only_eligible_lots_count(venue: Venue) -> None:
    """RB-120"""
    with_rivals(venue)
    venue.sell(5, 100, by="rival")
    venue.sell(2, 101, by="a")
    order = venue.buy(3, 101, by="picky", tif=TimeInForce.FOK)
    assert venue.ended == [(order, 3, Ending.FOK)]
    order = venue.buy(3, 101, by="picky", min_lots=3)
    assert venue.ended == [(order, 3, Ending.MINIMUM)]
    order = venue.buy(2, 101, by="picky", tif=TimeInForce.FOK)
    assert (len(venue.fills), venue.ended) == (1, [])


def test_the_owner_comes_before_the_masks(venue: Venue) -> None:
    """RB-121"""
    venue.party("me", traits=RIVAL, refuses=RIVAL)
    own = venue.sell(5, 100, by="me")
    order = venue.buy(5, 100, by="me")
    assert venue.prevented == [(own, order, 100, 0)]
    assert venue.skips == []
    assert venue.ended == [(order, 5, Ending.SELF_TRADE)]


def test_an_auction_gives_each_buyer_the_first_eligible_sellers(a_venue: MakeVenue) -> None:
    """RB-149 RB-150 RB-151"""
    venue = with_rivals(a_venue(phase=Phase.OPENING_AUCTION))
    picky = venue.buy(5, 101, by="picky")
    plain = venue.buy(5, 100, by="c")
    rival = venue.sell(7, 99, by="rival")
    other = venue.sell(3, 100, by="d")
    row = venue.uncross(reference=100)
    assert venue.fills == [(picky, other, 100, 3), (plain, rival, 100, 5)]
    assert (row.lots, row.executed, row.prevented, row.skipped) == (10, 8, 0, 2)
    assert venue.ended == [(rival, 2, Ending.INELIGIBLE)]
    assert venue.bids == [(picky, 101, 2)]


@pytest.mark.parametrize(("rivals", "executed"), [(256, 3), (257, 0)])
def test_a_buyer_passes_at_most_256_sellers_in_an_auction(a_venue: MakeVenue, rivals: int, executed: int) -> None:
    """RB-185 RB-150"""
    venue = with_rivals(a_venue(phase=Phase.OPENING_AUCTION))
    venue.buy(3, 100, by="picky")
    for _ in range(rivals):
        venue.sell(1, 99, by="rival")
    venue.sell(3, 99, by="a")
    row = venue.uncross(reference=100)
    assert (row.lots, row.executed, row.skipped) == (3, executed, 3 - executed)


def test_of_two_that_still_cross_the_newer_goes(a_venue: MakeVenue) -> None:
    """RB-151"""
    venue = with_rivals(a_venue(phase=Phase.OPENING_AUCTION))
    sell = venue.sell(5, 99, by="rival")
    first, second = venue.buy(2, 101, by="picky"), venue.buy(2, 100, by="picky")
    venue.uncross(reference=100)
    assert venue.ended == [(first, 2, Ending.INELIGIBLE), (second, 2, Ending.INELIGIBLE)]
    assert (venue.bids, venue.asks) == ([], [(sell, 99, 5)])

"""Price bands: which prices may be stated, which may trade, and what a breach does."""

from __future__ import annotations

from typing import Any

import pytest

from matching.rulebook_layout import BandBreach
from tests.matching.rulebook.conftest import MakeVenue
from tests.matching.rulebook.venue import PPM, Code, Ending, Peg, Phase, Side, TimeInForce, Venue

INTERRUPTED = [(Phase.CONTINUOUS, Phase.VOLATILITY_AUCTION)]


def banded(a_venue: MakeVenue, breach: BandBreach) -> tuple[Venue, int, int]:
    """Trades between 95 and 105; an ask of one lot just inside, and one of two lots just outside."""
    venue = a_venue(trade_low=95, trade_high=105, band_breach=breach, last_trade=100)
    return venue, venue.sell(1, 105), venue.sell(2, 106)


@pytest.mark.parametrize(("price", "code"), [(49, 43), (50, 0), (150, 0), (151, 43)])
def test_the_static_band_on_order_prices(a_venue: MakeVenue, price: int, code: int) -> None:
    """RB-157"""
    venue = a_venue(price_low=50, price_high=150)
    assert venue.order(Side.BUY, 1, price, trigger=1_000) == Code(code)
    assert venue.order(Side.SELL, 1, price, peg=Peg.ASK) == Code(code)
    assert venue.order(Side.BUY, 1, price, market=True) == Code(code)
    assert venue.order(Side.BUY, 1, price) == Code(code)


def test_an_order_that_names_no_price_is_not_held_against_the_band(a_venue: MakeVenue) -> None:
    """RB-157"""
    venue = a_venue(price_low=50, price_high=150)
    assert venue.order(Side.BUY, 1) == Code.OK
    assert venue.order(Side.SELL, 1, peg=Peg.ASK) == Code.OK


def test_far_prices_may_rest_and_the_bounds_may_trade(a_venue: MakeVenue) -> None:
    """RB-158"""
    venue = a_venue(trade_low=95, trade_high=105)
    venue.sell(1, 200)
    venue.buy(1, 10)
    for price in (95, 105):
        maker = venue.buy(1, price)
        taker = venue.sell(1, price)
        assert venue.fills == [(maker, taker, price, 1)]


def test_a_seller_is_bound_above_too(a_venue: MakeVenue) -> None:
    """RB-158 RB-162"""
    venue = a_venue(trade_low=95, trade_high=105)
    venue.buy(1, 106)
    seller = venue.sell(1, 106)
    assert (venue.fills, venue.phases) == ([], INTERRUPTED)
    assert venue.asks == [(seller, 106, 1)]


def test_the_dynamic_band_follows_the_last_trade(a_venue: MakeVenue) -> None:
    """RB-159"""
    rule = BandBreach.CANCEL_REMAINDER
    venue = a_venue(trade_ppm=PPM // 10, trade_high=115, band_breach=rule, last_trade=100)
    for price in (109, 110, 111, 115, 116):
        venue.sell(1, price)
    order = venue.buy(9, 120)
    assert [price for _, _, price, _ in venue.fills] == [109, 110]
    assert venue.ended == [(order, 7, Ending.PRICE_RANGE)]
    order = venue.buy(9, 120)
    assert [price for _, _, price, _ in venue.fills] == [111, 115]
    assert venue.ended == [(order, 7, Ending.PRICE_RANGE)]


def test_the_dynamic_band_is_rounded_inward(a_venue: MakeVenue) -> None:
    """RB-159"""
    venue = a_venue(trade_ppm=PPM // 10, band_breach=BandBreach.REJECT, last_trade=15)
    venue.sell(1, 17)
    assert venue.order(Side.BUY, 1, 17) == Code.TRADE_OUTSIDE_BAND
    venue.buy(1, 13)
    assert venue.order(Side.SELL, 1, 13) == Code.TRADE_OUTSIDE_BAND


def test_without_a_last_trade_there_is_no_dynamic_band(a_venue: MakeVenue) -> None:
    """RB-159"""
    venue = a_venue(trade_ppm=1, band_breach=BandBreach.REJECT)
    venue.sell(1, 17)
    assert venue.order(Side.BUY, 1, 17) == Code.OK


def test_reject(a_venue: MakeVenue) -> None:
    """RB-160"""
    venue, inside, outside = banded(a_venue, BandBreach.REJECT)
    assert venue.order(Side.BUY, 2, 106) == Code.TRADE_OUTSIDE_BAND
    assert venue.asks == [(inside, 105, 1), (outside, 106, 2)]
    low = venue.buy(5, 96)
    assert venue.replace(low, by="buyer", at=106) == Code.TRADE_OUTSIDE_BAND
    assert venue.bids == [(low, 96, 5)]
    stop = venue.buy(2, 106, trigger=105, by="stop")
    venue.buy(1, 105)
    assert venue.ended == [(stop, 2, Ending.PRICE_RANGE)]


def test_cancel_remainder(a_venue: MakeVenue) -> None:
    """RB-161"""
    venue, inside, outside = banded(a_venue, BandBreach.CANCEL_REMAINDER)
    order = venue.buy(3, 106)
    assert venue.fills == [(inside, order, 105, 1)]
    assert venue.ended == [(order, 2, Ending.PRICE_RANGE)]
    assert (venue.asks, venue.phases) == ([(outside, 106, 2)], [])


def test_volatility_auction(a_venue: MakeVenue) -> None:
    """RB-162"""
    venue, inside, outside = banded(a_venue, BandBreach.VOLATILITY_AUCTION)
    order = venue.buy(3, 106)
    assert (venue.fills, venue.phases) == ([], INTERRUPTED)
    assert venue.bids == [(order, 106, 3)]
    venue.uncross()
    assert venue.fills == [(order, inside, 106, 1), (order, outside, 106, 2)]


@pytest.mark.parametrize("more", [{"tif": TimeInForce.IOC}, {"tif": TimeInForce.FOK}, {"market": True}], ids=str)
def test_an_order_that_cannot_rest_interrupts_nothing(a_venue: MakeVenue, more: dict[str, Any]) -> None:
    """RB-162"""
    venue, inside, outside = banded(a_venue, BandBreach.VOLATILITY_AUCTION)
    order = venue.buy(3, 106, **more)
    assert (venue.fills, venue.phases) == ([], [])
    assert venue.ended == [(order, 3, Ending.PRICE_RANGE)]
    assert venue.asks == [(inside, 105, 1), (outside, 106, 2)]


def test_an_order_that_is_filled_inside_breaches_nothing(a_venue: MakeVenue) -> None:
    """RB-160 RB-162"""
    for breach in (BandBreach.REJECT, BandBreach.VOLATILITY_AUCTION):
        venue, inside, _ = banded(a_venue, breach)
        order = venue.buy(1, 106)
        assert venue.fills == [(inside, order, 105, 1)]


def test_partial_then_auction(a_venue: MakeVenue) -> None:
    """RB-163"""
    venue, inside, outside = banded(a_venue, BandBreach.PARTIAL_THEN_AUCTION)
    order = venue.buy(3, 106)
    assert venue.fills == [(inside, order, 105, 1)]
    assert venue.phases == INTERRUPTED
    assert venue.bids == [(order, 106, 2)]
    venue, inside, outside = banded(a_venue, BandBreach.PARTIAL_THEN_AUCTION)
    order = venue.buy(3, 106, tif=TimeInForce.IOC)
    assert venue.fills == [(inside, order, 105, 1)]
    assert (venue.phases, venue.ended) == ([], [(order, 2, Ending.PRICE_RANGE)])
    assert venue.asks == [(outside, 106, 2)]


def test_an_iceberg_that_is_interrupted_shows_its_first_peak(a_venue: MakeVenue) -> None:
    """RB-163 RB-035 RB-036"""
    for is_full, shown in ((True, 4), (False, 3)):
        rule = BandBreach.PARTIAL_THEN_AUCTION
        venue = a_venue(trade_high=105, band_breach=rule, iceberg_first_peak_full=is_full)
        venue.sell(1, 105)
        venue.sell(1, 106)
        order = venue.buy(9, 106, display=4)
        assert venue.bids == [(order, 106, shown)]


@pytest.mark.parametrize("breach", list(BandBreach))
def test_a_fok_that_cannot_be_filled_is_just_that(a_venue: MakeVenue, breach: BandBreach) -> None:
    """RB-164"""
    venue, *_ = banded(a_venue, breach)
    order = venue.buy(9, 106, tif=TimeInForce.FOK)
    assert (venue.ended, venue.phases) == ([(order, 9, Ending.FOK)], [])


def test_a_fok_fills_whole_inside_the_band_or_not_at_all(a_venue: MakeVenue) -> None:
    """RB-163 RB-164"""
    for breach in (BandBreach.CANCEL_REMAINDER, BandBreach.PARTIAL_THEN_AUCTION):
        venue, *_ = banded(a_venue, breach)
        order = venue.buy(2, 106, tif=TimeInForce.FOK)
        assert (venue.fills, venue.ended) == ([], [(order, 2, Ending.FOK)])


def test_stops_hit_before_an_interruption_run_after_it(a_venue: MakeVenue) -> None:
    """RB-165"""
    venue, *_ = banded(a_venue, BandBreach.PARTIAL_THEN_AUCTION)
    stop = venue.buy(1, 90, trigger=105, by="stop")
    venue.buy(3, 106)
    assert (venue.triggered, venue.pending) == ([], [stop])
    venue.mass_cancel(series=1, side=Side.BUY)
    assert venue.pending == []
    venue, *_ = banded(a_venue, BandBreach.PARTIAL_THEN_AUCTION)
    stop = venue.buy(1, 90, trigger=105, by="stop")
    taker = venue.buy(3, 106)
    venue.cancel(taker, by="buyer")
    venue.buy(1, 97, by="a")
    venue.sell(1, 97, by="b")
    assert venue.uncross().price == 97
    assert venue.triggered == [(stop, 97)]

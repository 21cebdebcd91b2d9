"""Icebergs: peaks, hidden lots, and their places in the queue."""

from __future__ import annotations

from typing import Any

import pytest

from tests.matching.rulebook.conftest import MakeVenue
from tests.matching.rulebook.venue import Code, Ending, Side, TimeInForce, Venue


def test_an_iceberg_shows_its_peak(venue: Venue) -> None:
    """RB-031"""
    order = venue.buy(100, 10, display=30)
    assert venue.bids == [(order, 10, 30)]
    assert venue.lots(order) == 100


def test_the_next_peak_queues_behind_the_level(venue: Venue) -> None:
    """RB-032"""
    iceberg = venue.sell(6, 100, display=2, by="a")
    plain = venue.sell(3, 100, by="b")
    taker = venue.buy(6, 100)
    assert venue.fills == [(iceberg, taker, 100, 2), (plain, taker, 100, 3), (iceberg, taker, 100, 1)]
    later = venue.sell(5, 100, by="c")
    taker = venue.buy(2, 100)
    assert venue.fills == [(iceberg, taker, 100, 1), (later, taker, 100, 1)]
    assert venue.asks == [(later, 100, 4), (iceberg, 100, 2)]


def test_a_thin_peak_is_refreshed_after_the_order(venue: Venue) -> None:
    """RB-033"""
    iceberg = venue.sell(20, 100, display=5, refresh_below=3, by="a")
    plain = venue.sell(5, 100, by="b")
    taker = venue.buy(2, 100)
    assert venue.asks == [(iceberg, 100, 3), (plain, 100, 5)]
    taker = venue.buy(1, 100)
    assert venue.fills == [(iceberg, taker, 100, 1)]
    assert venue.asks == [(plain, 100, 5), (iceberg, 100, 5)]


def test_the_last_peak_shows_what_is_left(venue: Venue) -> None:
    """RB-034"""
    iceberg = venue.sell(5, 100, display=3)
    venue.buy(3, 100)
    assert venue.asks == [(iceberg, 100, 2)]
    assert venue.lots(iceberg) == 2


def test_an_iceberg_takes_with_all_its_lots_and_rests_with_a_full_peak(venue: Venue) -> None:
    """RB-035"""
    maker = venue.sell(13, 100)
    iceberg = venue.buy(30, 100, display=10)
    assert venue.fills == [(maker, iceberg, 100, 13)]
    assert (venue.bids, venue.lots(iceberg)) == ([(iceberg, 100, 10)], 17)


def test_the_first_peak_may_be_the_rest_of_the_one_that_traded(a_venue: MakeVenue) -> None:
    """RB-036"""
    venue = a_venue(iceberg_first_peak_full=False)
    venue.sell(13, 100)
    iceberg = venue.buy(30, 100, display=10)
    assert venue.bids == [(iceberg, 100, 7)]
    venue.sell(7, 100)
    assert venue.bids == [(iceberg, 100, 10)]


@pytest.mark.parametrize(
    "more",
    [
        {"display": -1},
        {"display": 11},
        {"display": 5, "market": True},
        {"display": 5, "tif": TimeInForce.IOC},
        {"display": 5, "tif": TimeInForce.FOK},
        {"display": 5, "refresh_below": 6},
        {"refresh_below": 1},
    ],
    ids=str,
)
def test_a_display_that_makes_no_sense_is_refused(venue: Venue, more: dict[str, Any]) -> None:
    """RB-037"""
    assert venue.order(Side.BUY, 10, 100, **more) == Code.BAD_DISPLAY


def test_a_cancel_ends_hidden_lots_too(venue: Venue) -> None:
    """RB-038"""
    iceberg = venue.buy(50, 100, display=10)
    venue.cancel(iceberg, by="buyer")
    assert venue.ended == [(iceberg, 50, Ending.USER)]
    assert venue.bids == []

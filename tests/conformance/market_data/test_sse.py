"""Shanghai: every order, both sides of every trade, an opening auction, and the exchange's own snapshots."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.market_data import sse
from tests.conformance.market_data.sse import Day, Found, Trade

MORNING = "sse/AX_sbe_sse_600519_morning.log.gz"


@pytest.fixture(scope="module")
def day(recorded: Callable[[str], Path]) -> Day:
    return sse.load(recorded(MORNING))


@pytest.fixture(scope="module")
def found(day: Day) -> Found:
    return sse.replay(day)


def test_every_continuous_trade_hits_the_order_that_the_exchange_names(found: Found) -> None:
    assert (found.continuous, found.first, found.last_in_fails) == (11_203, 11_203, 5_982)
    assert found.exceptions == [] and found.crossed == 0


def test_the_opening_has_the_exchanges_price_and_both_sides_of_every_trade(found: Found) -> None:
    assert (found.auction_prices, found.auction_price_differs) == ([1_808_080], 0)
    assert (found.auction_sides, found.auction_first, found.auction_differs) == (668, 668, [])
    assert found.certificate_flaws == []


def test_every_snapshot_of_continuous_trading_is_a_book_of_the_market(found: Found) -> None:
    assert (found.snapshots, found.snapshots_equal) == (2_413, 2_413)


def test_two_trades_with_their_orders_swapped_are_seen(day: Day) -> None:
    events = day.events[:20_000]
    row = next(
        row
        for row, (one, other) in enumerate(itertools.pairwise(events))
        if isinstance(one, Trade)
        and isinstance(other, Trade)
        and one.came is not None
        and (one.came, one.incoming, one.price) == (other.came, other.incoming, other.price)
    )
    one, other = events[row : row + 2]
    assert isinstance(one, Trade) and isinstance(other, Trade)
    swapped = list(events[: row + 100])
    swapped[row] = one._replace(buy=other.buy, sell=other.sell)
    swapped[row + 1] = other._replace(buy=one.buy, sell=one.sell)
    assert sse.replay(Day(events[: row + 100], [])).exceptions == []
    assert sse.replay(Day(swapped, [])).exceptions[:1] == [row + 1]


def test_two_trades_of_the_opening_with_their_buyers_swapped_are_seen(day: Day) -> None:
    calls = [row for row, event in enumerate(day.events) if isinstance(event, Trade) and event.came is None]
    events = day.events[: calls[-1] + 1]
    row = next(row for row in calls if events[row].buy != events[row + 1].buy)  # type: ignore[union-attr]
    one, other = events[row : row + 2]
    assert isinstance(one, Trade) and isinstance(other, Trade)
    events[row], events[row + 1] = one._replace(buy=other.buy), other._replace(buy=one.buy)
    differs = sse.replay(Day(events, day.snapshots[:1])).auction_differs
    assert len(differs) == 1 and differs[0].startswith("BUY")

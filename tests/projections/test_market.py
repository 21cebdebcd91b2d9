"""Public market data: candles, last prices, depth, and the questions about them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection

from matching.layout import FLAG_PRIMARY, Kind, Side
from projections.database import generations_at
from projections.market import (
    CANDLE_SECONDS,
    SECOND_NS,
    Market,
    Ticker,
    depth,
    series_candles,
    series_trades,
    tickers,
)
from projections.runner import Follower, new_generation
from tests.simulation.market import DEVELOPER, FIRST_TRADER, START_NS, Desk, new_orders

BOB, EVE = FIRST_TRADER, FIRST_TRADER + 1
HOUR_NS = 3_600 * SECOND_NS
DAY_NS = 24 * HOUR_NS


class Exchange:
    """A desk and the market data that follows it."""

    def __init__(self, folder: Path) -> None:
        self.desk = Desk()
        self.desk.set_up(traders=2, series=2)
        self.database = new_generation(generations_at(folder), [Market()])
        self.follower = Follower(self.desk.recorder, self.database, [Market()])

    def offer(self, lots: int, price: int, *, at_ns: int = START_NS, series: int = 1) -> int:
        rows = new_orders(
            1,
            party=DEVELOPER,
            side=Side.SELL,
            price=price,
            lots=lots,
            flags=FLAG_PRIMARY,
            at_ns=at_ns,
            series=series,
        )
        return int(self.desk.orders(rows).results["order"][0])

    def buy(self, lots: int, price: int, *, at_ns: int = START_NS, party: int = BOB, series: int = 1) -> int:
        rows = new_orders(1, party=party, side=Side.BUY, price=price, lots=lots, at_ns=at_ns, series=series)
        return int(self.desk.orders(rows).results["order"][0])

    def cancel(self, order: int, *, party: int, at_ns: int) -> None:
        rows = new_orders(1, party=party, side=Side.BUY, price=0, at_ns=at_ns)
        rows["kind"], rows["target"] = Kind.CANCEL, order
        assert self.desk.orders(rows).results["code"][0] == 0

    def asked(self) -> Connection:
        self.follower.catch_up()
        return self.database.engine.connect()


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    made = Exchange(tmp_path)
    yield made
    made.database.close()


def test_candles_of_every_length_go_on_over_batches_and_restarts(exchange: Exchange) -> None:
    exchange.offer(100, 105)
    exchange.offer(100, 101)
    exchange.offer(100, 103)
    minute = START_NS
    exchange.buy(101, 103, at_ns=minute + 1)  # 100 at 101, 1 at 103
    with exchange.asked() as connection:
        (first,) = series_candles(connection, 1, 60)
    assert tuple(first)[2:] == (minute, 101, 103, 101, 103, 101, 7 * (100 * 101 + 103), 2, first.last_command)
    exchange.follower = Follower(exchange.desk.recorder, exchange.database, [Market()])
    exchange.buy(100, 105, at_ns=minute + 59 * SECOND_NS)  # 99 at 103, 1 at 105
    exchange.buy(1, 105, at_ns=minute + 60 * SECOND_NS)
    with exchange.asked() as connection:
        later, first = series_candles(connection, 1, 60)
        assert (first.open_ticks, first.high_ticks, first.low_ticks, first.close_ticks) == (101, 105, 101, 105)
        assert (first.lots, first.trades) == (201, 4)
        assert (later.start_ns, later.open_ticks, later.lots) == (minute + 60 * SECOND_NS, 105, 1)
        for seconds in CANDLE_SECONDS[1:]:
            (whole,) = series_candles(connection, 1, seconds)
            assert whole.start_ns == START_NS // (seconds * SECOND_NS) * seconds * SECOND_NS
            assert (whole.open_ticks, whole.close_ticks, whole.lots, whole.trades) == (101, 105, 202, 5)


def test_candles_are_asked_for_by_time_the_latest_first(exchange: Exchange) -> None:
    exchange.offer(100, 100)
    for hour in range(5):
        exchange.buy(1, 100, at_ns=START_NS + hour * HOUR_NS)
    with exchange.asked() as connection:
        starts = [row.start_ns for row in series_candles(connection, 1, 3_600, limit=3)]
        assert starts == [START_NS + hour * HOUR_NS for hour in (4, 3, 2)]
        between = series_candles(connection, 1, 3_600, since_ns=START_NS + HOUR_NS, before_ns=START_NS + 3 * HOUR_NS)
        assert [row.start_ns for row in between] == [START_NS + 2 * HOUR_NS, START_NS + HOUR_NS]
        assert series_candles(connection, 2, 3_600) == []


def test_trades_go_on_after_the_last_one_seen(exchange: Exchange) -> None:
    for price in (100, 101, 102):
        exchange.offer(1, price)
    exchange.buy(3, 102)
    with exchange.asked() as connection:
        first = series_trades(connection, 1, limit=2)
        rest = series_trades(connection, 1, (first[-1].command, first[-1].fill), limit=2)
        assert [(row.fill, row.price_ticks) for row in (*first, *rest)] == [(2, 102), (1, 101), (0, 100)]
        assert {(row.taker_side, row.is_primary, row.lots, row.notional_minor) for row in rest} == {(0, 1, 1, 700)}


def test_depth_is_best_first_and_follows_cancels(exchange: Exchange) -> None:
    exchange.offer(5, 103)
    exchange.offer(2, 104)
    exchange.offer(3, 103)
    exchange.buy(4, 99)
    gone = exchange.buy(6, 100)
    with exchange.asked() as connection:
        bids, asks = depth(connection, 1)
        assert [(row.price_ticks, row.lots, row.orders) for row in bids] == [(100, 6, 1), (99, 4, 1)]
        assert [(row.price_ticks, row.lots, row.orders) for row in asks] == [(103, 8, 2), (104, 2, 1)]
        assert len(depth(connection, 1, 1)[1]) == 1
    exchange.cancel(gone, party=BOB, at_ns=START_NS + 1)
    exchange.buy(9, 104, party=EVE, at_ns=START_NS + 2)
    with exchange.asked() as connection:
        bids, asks = depth(connection, 1)
        assert [(row.price_ticks, row.lots) for row in bids] == [(99, 4)]
        assert [(row.price_ticks, row.lots) for row in asks] == [(104, 1)]


def test_a_ticker_looks_back_twenty_four_hours(exchange: Exchange) -> None:
    exchange.offer(50, 100)
    exchange.buy(10, 100, at_ns=START_NS)
    exchange.offer(50, 90, at_ns=START_NS + HOUR_NS)
    exchange.buy(20, 90, at_ns=START_NS + HOUR_NS)
    exchange.buy(1, 80, at_ns=START_NS + 2 * HOUR_NS)
    soon, later = START_NS + 3 * HOUR_NS, START_NS + DAY_NS + HOUR_NS // 2
    with exchange.asked() as connection:
        now = tickers(connection, soon)[1]
        then = tickers(connection, later)[1]
        never = tickers(connection, later, [2])[2]
    assert (now.last_ticks, now.change_ticks, now.high_ticks, now.low_ticks) == (90, -10, 100, 90)
    assert (now.lots, now.notional_minor, now.trades) == (30, 7 * (1_000 + 1_800), 2)
    assert (now.bid_ticks, now.ask_ticks, now.spread_ticks) == (80, 90, 10)
    # The first trade was more than a day ago: its price is what the change is from, its volume no longer counts.
    assert (then.change_ticks, then.lots, then.trades, then.high_ticks) == (-10, 20, 1, 90)
    assert (then.all_lots, then.all_trades) == (30, 2)
    assert never._asdict() == dict.fromkeys(Ticker._fields[:10]) | dict.fromkeys(Ticker._fields[10:], 0) | {"series": 2}


def test_a_series_that_only_has_orders_has_a_ticker(exchange: Exchange) -> None:
    exchange.offer(1, 100, series=2)
    with exchange.asked() as connection:
        found = tickers(connection, START_NS)
    assert found.keys() == {2}
    assert (found[2].ask_ticks, found[2].bid_ticks, found[2].spread_ticks, found[2].last_ticks) == (
        100,
        None,
        None,
        None,
    )


def test_nothing_of_the_market_names_a_party() -> None:
    names: set[Any] = {column.name for table in Market.tables for column in table.columns}
    assert not names & {"party", "buyer", "seller", "account", "owner", "actor"}
    assert np.all([table.name for table in Market.tables])

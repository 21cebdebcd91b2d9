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


def order(index: int, at: str, number: int, side: str, price: int, lots: int, *, added: bool = True) -> str:
    kind = 65 if added else 68
    fields = f"OrderNo={number} Price={price} OrderQty={lots} OrdType={kind} Side={ord(side)}"
    return f"//MsgType=192 {fields} TransactTime={at} BizIndex={index}"


def trade(index: int, at: str, buy: int, sell: int, price: int, lots: int, kind: str) -> str:
    fields = f"BidApplSeqNum={buy} OfferApplSeqNum={sell} LastPx={price} LastQty={lots} ExecType={ord(kind)}"
    return f"//MsgType=191 {fields} TransactTime={at} BizIndex={index}"


def snapshot(at: int, trades: int, bids: str, asks: str) -> str:
    levels = ""
    for side, told in (("Bid", bids), ("Ask", asks)):
        shown = [level.split("x") for level in told.split()] + [["0", "0"]] * 10
        for place, (price, lots) in enumerate(shown[:10]):
            levels += f" {side}Level[{place}].Price={price} {side}Level[{place}].Qty={lots}"
    return f"//MsgType=111 NumTrades={trades} PrevClosePx=100 DataTimeStamp={at}{levels}"


def test_a_whole_day_has_two_auctions_and_a_snapshot_between_two_trades_of_one_order(tmp_path: Path) -> None:
    file = tmp_path / "day.log"
    file.write_text("\n".join([
        snapshot(91500, 0, "", ""),
        order(1, "9150000", 1, "B", 102, 5), order(2, "9160000", 2, "S", 98, 3), order(3, "9170000", 3, "S", 103, 4),
        # Buyers are left over, so the opening is at the highest price, and they rest.
        trade(4, "9250080", 1, 2, 102, 3, "N"),
        snapshot(93001, 1, "102x2", "103x4"),
        # One sweep of two levels in the wrong order of lines, and its rest; a snapshot lies between its trades.
        order(9, "9300200", 6, "S", 101, 6),
        trade(8, "9300200", 1, 6, 102, 2, "S"), trade(7, "9300200", 5, 6, 104, 1, "S"),
        order(5, "9300150", 3, "S", 103, 4, added=False), order(6, "9300180", 5, "B", 104, 1),
        snapshot(93002, 2, "102x2", ""),
        snapshot(93003, 3, "", "101x6"),
        # The close: orders cross again from 14:57 on.
        order(10, "14580000", 7, "B", 105, 9), trade(11, "15000010", 7, 6, 105, 6, "N"),
    ]), encoding="ascii")  # fmt: skip
    found = sse.replay(sse.load(file))
    assert (found.continuous, found.first, found.exceptions) == (2, 2, [])
    assert (found.auction_prices, found.auction_sides, found.auction_first) == ([102, 105], 4, 4)
    assert (found.other_flaws, found.snapshots, found.snapshots_equal) == (0, 3, 3)

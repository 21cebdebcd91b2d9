"""Depth, its deltas and its checksum; the tape; the rings that let a reader go on: without threads or sockets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.live import Channel, Key, depth
from api.live.channels import RING_MESSAGES, Message, Ring
from api.live.depth import EMPTY, Book, Level, Side, checksum, checksum_of_texts
from api.live.messages import book_body
from api.live.tape import DAY_MINUTES, MINUTE_NS, Candle, Tape
from api.live.texts import Texts
from api.series_facts import SeriesFact
from domain.events import SeriesListed
from projections.flow import TRADE
from tests.api.stream_client import ClientBook
from tests.domain.samples import FACTS

BOOK = Key(Channel.BOOK, 1)


def texts(tick_minor: int = 5, exponent: int = 2, lot_size: str = "0.1") -> Texts:
    listed = next(fact for fact in FACTS if isinstance(fact, SeriesListed))
    listed = replace(listed, tick_minor=tick_minor, lot_size=lot_size)
    return Texts(SeriesFact(listed, code="USD", exponent=exponent))


changes = st.dictionaries(st.integers(1, 40), st.tuples(st.integers(0, 3), st.integers(1, 9)), max_size=12)


@pytest.mark.parametrize("sign", [-1, 1])
@given(batches=st.lists(changes, max_size=12), window=st.integers(1, 45))
def test_a_copy_kept_from_deltas_is_the_window_of_the_book(
    sign: int, batches: list[dict[int, tuple[int, int]]], window: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(depth, "DEPTH", window)
        side = Side(sign)
        whole: dict[int, tuple[int, int]] = {}
        copy: dict[int, Level] = {}
        for batch in batches:
            for ticks, lots, orders in side.change(batch):
                if lots:
                    copy[ticks] = (ticks, lots, orders)
                else:
                    # Nobody is told that a level is gone of which he was not told before.
                    del copy[ticks]
            whole = {ticks: level for ticks, level in (whole | batch).items() if level[0]}
            best = sorted(whole, key=lambda ticks: sign * ticks)[:window]
            assert side.window() == tuple((ticks, *whole[ticks]) for ticks in best)
            assert sorted(copy.values()) == sorted(side.window())


@given(bids=st.lists(changes, max_size=6), asks=st.lists(changes, max_size=6))
def test_the_checksum_of_a_copy_kept_from_texts_is_that_of_the_book(bids: list[Any], asks: list[Any]) -> None:
    book = Book(texts())
    copy = ClientBook()
    copy.take({"channel": "book", "type": "snapshot", "seq": 0, **book_body(book.texts, (), (), EMPTY.checksum)})
    for at in range(max(len(bids), len(asks))):
        told = (
            book.bids.change(bids[at] if at < len(bids) else {}),
            book.asks.change({100 + ticks: level for ticks, level in asks[at].items()} if at < len(asks) else {}),
        )
        body = book_body(book.texts, *told, book.depth(at + 1).checksum)
        copy.take({"channel": "book", "type": "update", "prev_seq": at, "seq": at + 1, **body})
        now = book_body(book.texts, *book.depth(at + 1)[1:])
        assert [list(level) for level in copy.sides()[0]] == [list(level) for level in now["bids"]]
        assert [list(level) for level in copy.sides()[1]] == [list(level) for level in now["asks"]]


def test_the_bytes_of_the_checksum_are_those_of_the_reference() -> None:
    # CRC-32 of "0.45:0.7;0.40:1.2;|0.50:3.0;"
    assert checksum_of_texts([("0.45", "0.7"), ("0.40", "1.2")], [("0.50", "3.0")]) == 167_492_951
    assert checksum(texts(), ((9, 7, 1), (8, 12, 2)), ((10, 30, 1),)) == 167_492_951
    assert EMPTY.checksum == checksum_of_texts([], []) == 2_343_686_810
    eleven = [(f"{at}.00", "1.0") for at in range(1, 12)]
    assert checksum_of_texts([], eleven) == checksum_of_texts([], eleven[:10])
    assert checksum_of_texts(eleven, []) != checksum_of_texts([], eleven)


# -- the tape ----------------------------------------------------------------------------------------------------------


def trades(*rows: tuple[int, int, int]) -> Any:
    """(minute, price, lots)"""
    found = np.zeros(len(rows), TRADE)
    found["at_ns"] = [minute * MINUTE_NS + 7 for minute, _, _ in rows]
    found["price_ticks"] = [price for _, price, _ in rows]
    found["lots"] = [lots for _, _, lots in rows]
    found["notional_minor"] = found["price_ticks"] * found["lots"]
    return found


def test_candles_of_every_interval_follow_the_trades() -> None:
    tape = Tape()
    changed = tape.add(1, trades((59, 10, 1), (59, 12, 1), (60, 11, 2)))
    assert changed[1] == [Candle(59, 10, 12, 10, 12, 2, 22, 2), Candle(60, 11, 11, 11, 11, 2, 22, 1)]
    assert changed[60] == [Candle(0, 10, 12, 10, 12, 2, 22, 2), Candle(60, 11, 11, 11, 11, 2, 22, 1)]
    assert changed[DAY_MINUTES] == [Candle(0, 10, 12, 10, 11, 4, 44, 3)]
    changed = tape.add(2, trades((60, 9, 1)))
    assert changed[1] == [Candle(60, 11, 11, 9, 9, 3, 31, 2)]
    assert tape.candles()[5] == changed[5][0] == Candle(60, 11, 11, 9, 9, 3, 31, 2)


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 900), st.integers(1, 50), st.integers(1, 5)), min_size=1, max_size=5),
        min_size=1,
        max_size=8,
    )
)
def test_the_ticker_is_the_sum_of_the_last_24_hours(steps: list[list[tuple[int, int, int]]]) -> None:
    tape = Tape()
    minute = 0
    told: list[tuple[int, int, int]] = []
    for at, step in enumerate(steps):
        rows = []
        for later, price, lots in step:
            minute += later
            rows.append((minute, price, lots))
        told += rows
        tape.add(at, trades(*rows))
        day = [row for row in told if row[0] > minute - DAY_MINUTES]
        ticker = tape.ticker
        assert ticker is not None
        before = [row for row in told if row[0] <= minute - DAY_MINUTES]
        assert ticker.last_ticks == day[-1][1]
        assert ticker.change_ticks == day[-1][1] - (before[-1] if before else day[0])[1]
        assert (ticker.high_ticks, ticker.low_ticks) == (max(row[1] for row in day), min(row[1] for row in day))
        assert (ticker.lots, ticker.trades) == (sum(row[2] for row in day), len(day))
        assert ticker.notional_minor == sum(row[1] * row[2] for row in day)


# -- rings -------------------------------------------------------------------------------------------------------------


def a_message(prev_seq: int, seq: int, text: str = "") -> Message:
    return Message(BOOK, prev_seq, seq, text or f"{prev_seq}-{seq}")


def test_a_reader_goes_on_after_the_last_message_it_has_read() -> None:
    ring = Ring(10)
    for prev_seq, seq in ((10, 12), (12, 13), (13, 17)):
        ring.append(a_message(prev_seq, seq))
    assert ring.since(10) == ["10-12", "12-13", "13-17"]
    assert ring.since(12) == ["12-13", "13-17"]
    assert ring.since(17) == []
    # No message ends there: what the reader has is not known.
    assert ring.since(9) is ring.since(11) is ring.since(15) is ring.since(18) is None


def test_a_message_in_parts_is_told_whole_or_not_at_all() -> None:
    ring = Ring(10)
    parts = [a_message(10, 12, f"part {at}") for at in range(3)]
    for part in parts:
        ring.append(part)
    ring.append(a_message(12, 13))
    assert ring.since(10) == ["part 0", "part 1", "part 2", "12-13"]
    for seq in range(13, 13 + RING_MESSAGES - 2):
        ring.append(a_message(seq, seq + 1))
    # The first part was dropped, and then all of them.
    assert ring.since(10) is None
    assert ring.since(12) is not None
    ring.append(a_message(13 + RING_MESSAGES - 2, 9_999))
    assert ring.since(12) is not None


def test_a_ring_is_bounded_by_messages_and_by_bytes() -> None:
    ring = Ring(0)
    for seq in range(3 * RING_MESSAGES):
        ring.append(a_message(seq, seq + 1))
    assert ring.since(2 * RING_MESSAGES - 1) is None
    assert len(ring.since(2 * RING_MESSAGES) or ()) == RING_MESSAGES
    ring = Ring(0)
    for seq in range(10):
        ring.append(a_message(seq, seq + 1, "x" * 300_000))
    assert len(ring.since(7) or ()) == 3
    assert ring.since(6) is None
    ring.append(a_message(10, 11, "x" * 3_000_000))
    assert len(ring.since(10) or ()) == 1

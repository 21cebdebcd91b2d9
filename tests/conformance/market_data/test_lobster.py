"""LOBSTER: NASDAQ says which order each execution hit, and what the book was after every row."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from matching.layout import FILL, RESULT, Kind, Side, TimeInForce
from matching.market import Batch, Market, Rows
from matching.market_kernel import PRICE_MAX, TOP
from tests.conformance.market_data import lobster, tape
from tests.conformance.market_data.lobster import Day, Found

AMZN = "AMZN_2012-06-21_34200000_57600000_{}_5"
AAPL_10 = "AAPL_2012-06-21_first999_{}_10"
AAPL_50 = "AAPL_2012-06-21_first672_{}_50"
MSFT = "MSFT_2012-06-21_first1950_{}_50"

# What an independent replay found: executions; at least so many first, and of these failed by a last-in book; at most
# so many first of the named, not rankable, unknown, not at the best price, with another order ahead. The last column is
# what hit an order with its own submission here.
TABLE = {
    AMZN: (8_974, 8_943, 3_154, 6, 12, 4, 0, 9, 7_913),
    AAPL_10: (98, 94, 20, 0, 4, 0, 0, 0, 94),
    AAPL_50: (56, 56, 15, 0, 0, 0, 0, 0, 56),
    MSFT: (160, 156, 106, 0, 0, 0, 0, 4, 153),
}
KNOWN = json.loads(Path(lobster.__file__).with_name("known.json").read_text())

Load = Callable[[str], Day]


@pytest.fixture(scope="module")
def load(recorded: Callable[[str], Path]) -> Load:
    def pair(name: str) -> Day:
        return lobster.load(*(recorded(f"lobster/{name.format(kind)}.csv.gz") for kind in ("message", "orderbook")))

    return pair


@pytest.fixture(scope="module")
def replayed(load: Load) -> Callable[[str], Found]:
    found: dict[str, Found] = {}

    def replay(name: str) -> Found:
        if name not in found:
            found[name] = lobster.replay(load(name))
        return found[name]

    return replay


@pytest.mark.parametrize("name", TABLE)
def test_executions_hit_the_orders_that_the_exchange_names(name: str, replayed: Callable[[str], Found]) -> None:
    found = replayed(name)
    executions, first, last_in_fails, *at_most, submitted = TABLE[name]
    exceptions = (found.first_of_named, found.not_rankable, found.unknown, found.not_at_best, found.other_ahead)
    assert found.executions == executions
    assert found.first >= first and found.last_in_fails >= last_in_fails
    assert all(len(rows) <= most for rows, most in zip(exceptions, at_most, strict=True)), found
    assert found.first + sum(len(rows) for rows in exceptions) == executions
    assert found.submitted == submitted
    assert found.exceptions == KNOWN.get(name.format("message") + ".csv", [])
    assert found.crossed == 0 and found.lots_differ == []


@pytest.mark.parametrize("name", TABLE)
def test_best_price_and_lots_of_both_sides_are_the_recorded_ones_after_every_row(
    name: str, replayed: Callable[[str], Found]
) -> None:
    found = replayed(name)
    assert found.best_differs == []
    # Of the first row the best levels come into view; none ever comes from beyond the recorded levels to the top.
    assert found.best_came_into_view == [1]
    assert found.best_agrees == found.rows - 1


def test_two_executions_with_their_ids_swapped_are_seen(load: Load, replayed: Callable[[str], Found]) -> None:
    day = load(AAPL_50)
    submitted = {message.order for message in day.messages if message.kind == lobster.SUBMITTED}
    swaps = [
        row
        for row, (one, other) in enumerate(zip(day.messages, day.messages[1:], strict=False))
        if one.kind == other.kind == lobster.EXECUTED
        and (one.side, one.price) == (other.side, other.price)
        and one.order != other.order
        and {one.order, other.order} <= submitted
    ]
    assert len(swaps) >= 3
    for row in swaps[:3]:
        one, other = day.messages[row : row + 2]
        swapped = list(day.messages)
        swapped[row], swapped[row + 1] = one._replace(order=other.order), other._replace(order=one.order)
        assert lobster.replay(Day(swapped, day.books)).exceptions, row
    assert replayed(AAPL_50).exceptions == []


ROWS = """\
34200.1,1,11,100,1000,1
34200.2,1,12,50,1010,-1
34200.3,1,13,70,1010,-1
34200.4,7,0,0,-1,-1
34200.5,5,0,10,1005,1
34200.6,4,12,50,1010,-1
34200.6,4,13,20,1010,-1
34200.7,2,11,40,1000,1
34200.8,3,13,50,1010,-1
34200.9,6,0,500,1004,-1
"""
BOOKS = """\
9999999999,0,1000,100
1010,50,1000,100
1010,120,1000,100
1010,120,1000,100
1010,120,1000,100
1010,70,1000,100
1010,50,1000,100
1010,50,1000,60
9999999999,0,1000,60
9999999999,0,1000,60
"""


@pytest.mark.parametrize("packed", [False, True])
def test_a_day_of_one_level_with_a_halt_a_cross_and_a_hidden_execution(packed: bool, tmp_path: Path) -> None:
    files = []
    for name, text in (("message", ROWS), ("orderbook", BOOKS)):
        files.append(tmp_path / (f"X_{name}_1.csv" + ".gz" * packed))
        files[-1].write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    day = lobster.load(files[0], files[1])
    found = lobster.replay(day)
    assert day.levels == 1
    assert (found.executions, found.first, found.submitted, found.exceptions) == (2, 2, 2, [])
    # Before rows 1 and 2 a side is empty and in view; after a halt and a cross all levels come into view again.
    assert (found.best_differs, found.best_came_into_view) == ([], [1, 4, 10])


class LastIn(Market):
    """A wrong market: of the best level it serves the last order."""

    def run(self, commands: Rows, *, tops: bool = False) -> Batch:
        made = []
        for row in commands:
            side = Side(int(row["side"]))
            if row["kind"] == Kind.NEW and row["tif"] == TimeInForce.IOC and (best := self.best(Side(1 - side))):
                maker, lots, _ = self.queue(Side(1 - side), best.price)[-1].tolist()
                assert lots > row["lots"]
                made.append((row["command"], maker, self.next_order, best.price, row["lots"]))
                self.reduce(maker, int(row["lots"]))
                # It takes a number, and nothing stands where it looks.
                row["price"] = 1 if side == Side.BUY else PRICE_MAX
            super().run(np.array([row]))
        results = np.zeros(len(commands), RESULT)
        return Batch(results, np.array(made, FILL), np.zeros(len(commands) if tops else 0, TOP))


def test_a_market_that_serves_the_last_order_of_a_level_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    messages, books = tmp_path / "X_message_1.csv", tmp_path / "X_orderbook_1.csv"
    rows = ["34200.1,1,11,90,1000,1", "34200.2,1,12,90,1000,1", "34200.3,4,11,60,1000,1", "34200.4,3,12,90,1000,1",
            "34200.5,4,11,20,1000,1"]  # fmt: skip
    messages.write_text("\n".join(rows))
    books.write_text("".join(f"9999999999,0,1000,{lots}\n" for lots in (90, 180, 120, 30, 10)))
    day = lobster.load(messages, books)
    assert lobster.replay(day).exceptions == []
    monkeypatch.setattr(tape, "Market", LastIn)
    assert lobster.replay(day).other_ahead == [3]


def test_an_execution_at_another_price_than_its_level_is_an_exception(tmp_path: Path) -> None:
    messages, books = tmp_path / "X_message_1.csv", tmp_path / "X_orderbook_1.csv"
    messages.write_text("34200.1,1,11,100,1000,1\n34200.2,4,11,100,1001,1\n")
    books.write_text("9999999999,0,1000,100\n9999999999,0,-9999999999,0\n")
    found = lobster.replay(lobster.load(messages, books))
    assert (found.executions, found.first, found.not_at_best, found.best_differs) == (1, 0, [2], [])


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    messages, books = tmp_path / "X_message_1.csv", tmp_path / "X_orderbook_1.csv"
    messages.write_text(ROWS)
    books.write_text("1010,50,1000,100\n")
    with pytest.raises(ValueError, match="10 messages"):
        lobster.load(messages, books)

"""Matching alone gives the published outcome of the flows, and what the plain book gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matching.book import new_book
from matching.kernel import match
from matching.layout import COMMAND, FILL, NONE, Kind, Side, TimeInForce
from matching.reference import ReferenceBook
from matching.simulator import FLOWS, commands_of, generate_flow


def run_all(commands: Any, *, room: int = 1 << 16) -> tuple[Any, list[Any]]:
    """(book, fills) of all commands, with room for `room` fills a call."""
    book = new_book(series_max=int(commands["series"].max()), orders_max=1 << 16, levels_max=1 << 14)
    fills, out = [], np.zeros(room, FILL)
    at, left = 0, NONE
    while True:
        book, at, written, left = match(book, commands, out, at, left)
        fills.append(out[:written].copy())
        if at == len(commands) and left == NONE:
            return book, fills


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_ends_as_its_generator_says(name: str) -> None:
    records, tally = generate_flow(FLOWS[name], 200_000)
    book, fills = run_all(commands_of(records))
    traded = np.concatenate(fills)
    assert len(traded) == tally.fills
    assert int(traded["lots"].sum()) == tally.lots
    assert int((traded["price"] * traded["lots"]).sum()) == tally.price_lots
    assert int(book.tally["open_orders"][0]) == tally.resting
    assert int(book.tally["levels_open"][0]) == tally.levels


def plain(commands: Any) -> tuple[list[tuple[int, ...]], ReferenceBook]:
    """What a plain book does."""
    book, order = ReferenceBook(), 0
    fills: list[tuple[int, ...]] = []
    open_lots: dict[int, int] = {}
    for row in commands:
        target, lots = int(row["target"]), int(row["lots"])
        if row["kind"] == Kind.CANCEL and target in open_lots:
            book.cancel(target)
            del open_lots[target]
        elif row["kind"] == Kind.REDUCE and 0 < lots < open_lots.get(target, 0):
            open_lots[target] = book.reduce(order=target, lots=lots)
        elif row["kind"] == Kind.NEW:
            order += 1
            side, price = Side(int(row["side"])), int(row["price"])
            while lots and (maker := book.crossing_maker(side=side, price=price)):
                number, at, taken = maker.order, maker.price, min(lots, maker.lots)
                fills.append((int(row["command"]), number, order, at, taken))
                lots -= taken
                if taken == open_lots[number]:
                    book.cancel(number)
                    del open_lots[number]
                else:
                    open_lots[number] = book.reduce(order=number, lots=taken)
            if lots and row["tif"] == TimeInForce.GTC:
                book.rest(order=order, side=side, price=price, lots=lots)
                open_lots[order] = lots
    return fills, book


COMMANDS = st.lists(
    st.one_of(
        st.tuples(
            st.just(Kind.NEW),
            st.just(0),
            st.sampled_from(Side),
            st.integers(1, 6),
            st.integers(1, 9),
            st.integers(0, 1),
        ),
        st.tuples(
            st.sampled_from([Kind.CANCEL, Kind.REDUCE]),
            st.integers(0, 30),
            st.just(Side.BUY),
            st.just(0),
            st.integers(0, 4),
            st.just(0),
        ),
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=200)
@given(COMMANDS, st.integers(1, 4))
def test_kernel_and_plain_book_trade_alike_wherever_a_call_ends(drawn: list[tuple[Any, ...]], room: int) -> None:
    commands = np.zeros(len(drawn), COMMAND)
    commands["series"] = 1
    for number, (row, values) in enumerate(zip(commands, drawn, strict=True), 1):
        row["command"] = number
        row["kind"], row["target"], row["side"], row["price"], row["lots"], row["tif"] = values
    book, fills = run_all(commands, room=room)
    expected, reference = plain(commands)
    assert [tuple(int(value) for value in fill) for part in fills for fill in part] == expected
    assert int(book.tally["open_orders"][0]) == sum(1 for side in Side for _ in reference.in_priority(side))

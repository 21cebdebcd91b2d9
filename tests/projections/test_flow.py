"""The flow fold equals its twin and the ledger, on random histories, wherever it starts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ledger.blocks import TOPIC, Block, decode_block
from ledger.mapper import from_entry
from ledger.store import Appended
from matching.layout import FLAG_PRIMARY, Section, Side
from projections.flow import STATUS_OPEN, FlowFold, FlowRows
from projections.reference import ReferenceFlow
from tests.simulation.market import DEVELOPER, FIRST_TRADER, START_NS, Desk, new_orders
from tests.simulation.story import Story, room

KEYS = {
    "orders": ["order"],
    "levels": ["series", "side", "price_ticks"],
    "balances": ["account"],
    "suspense": ["series"],
}
"""Sections whose rows are net changes: compared in the order of their key."""


def a_history(seed: int, commands: int = 400) -> Desk:
    """A random history; with an odd seed its blocks are so small that long commands go over many."""
    desk = Desk(out_rows=room(seed) if seed % 2 else None)
    Story(seed=seed, desk=desk).tell(commands)
    return desk


def feed(flow: FlowFold | ReferenceFlow, entry: Appended) -> FlowRows | None:
    if entry.topic == TOPIC:
        return flow.apply_block(decode_block(entry.state))
    flow.apply_fact(*from_entry(entry.stream, entry.version, entry.topic, entry.state))
    return None


def folded(desk: Desk) -> FlowFold:
    flow = FlowFold()
    for entry in desk.store.read():
        feed(flow, entry)
    return flow


def blocks_of(desk: Desk) -> Iterator[Block]:
    return (decode_block(entry.state) for entry in desk.store.read() if entry.topic == TOPIC)


def sorted_rows(rows: FlowRows) -> dict[str, list[Any]]:
    return {
        name: (np.sort(array, order=KEYS[name]) if name in KEYS else array).tolist()
        for name, array in rows._asdict().items()
    }


def assert_is_the_ledger(flow: FlowFold, desk: Desk) -> None:
    """Accounts, open orders with their holds, and depth are those of the writer."""
    tables = desk.state.tables
    count = int(tables.tally["accounts"][0])
    names = ["owner", "asset", "kind", "available", "held"]
    assert flow.balances()[names].tolist() == tables.accounts[names][:count].tolist()
    slots = np.flatnonzero(tables.book.orders["number"] > 0)
    slots = slots[np.argsort(tables.book.orders["number"][slots])]
    book = [(int(tables.book.orders[at]["number"]), int(tables.book.orders[at]["lots"])) for at in slots]
    assert flow.open_orders()[["order", "resting_lots"]].tolist() == book
    assert flow.open_orders()["hold_minor"].tolist() == tables.book.orders["hold"][slots].tolist()
    levels = tables.book.levels[tables.book.levels["count"] > 0]
    depth = np.sort(levels[["series", "side", "price", "lots", "count"]], order=["series", "side", "price"])
    assert flow.levels()[["series", "side", "price_ticks", "lots", "orders"]].tolist() == depth.tolist()


@hypothesis_settings(max_examples=12)
@given(seed=st.integers(0, 2**31))
def test_fold_equals_its_twin_block_for_block_and_the_ledger_at_the_end(seed: int) -> None:
    desk = a_history(seed)
    flow, twin = FlowFold(), ReferenceFlow()
    for entry in desk.store.read():
        found, expected = feed(flow, entry), feed(twin, entry)
        if found is not None and expected is not None:
            assert sorted_rows(found) == sorted_rows(expected)
    assert_is_the_ledger(flow, desk)


@hypothesis_settings(max_examples=6)
@given(seed=st.integers(0, 2**31), part=st.floats(0, 1))
def test_fold_goes_on_from_its_arrays_as_if_it_had_never_stopped(seed: int, part: float) -> None:
    entries = list(a_history(seed).store.read())
    flow, other = FlowFold(), FlowFold()
    for at, entry in enumerate(entries):
        if at == int(part * len(entries)):
            other = FlowFold.restored({name: array.copy() for name, array in flow.arrays()})
        found = feed(flow, entry)
        if at >= int(part * len(entries)):
            again = feed(other, entry)
            if found is not None and again is not None:
                assert sorted_rows(again) == sorted_rows(found)


@hypothesis_settings(max_examples=6)
@given(seed=st.integers(0, 2**31))
def test_fold_goes_on_from_the_writers_state(seed: int) -> None:
    desk = Desk()
    story = Story(seed=seed, desk=desk)
    story.tell(200)
    flow = FlowFold.of_ledger(desk.state.tables, desk.state.catalogue)
    assert_is_the_ledger(flow, desk)
    position = desk.store.position
    story.tell(200)
    for entry in desk.store.read(position + 1):
        feed(flow, entry)
    assert_is_the_ledger(flow, desk)


@pytest.mark.parametrize("seed", [1, 2])
def test_rows_do_not_depend_on_where_blocks_end(seed: int) -> None:
    """Rows that are no net changes are the same rows; numbers within a command run on over its blocks."""
    small, large = Desk(out_rows=room(7)), Desk()
    story = Story(seed=seed, desk=large)
    story.tell(300)
    for item in story.told:
        small.process(item)
    flows = [FlowFold(), FlowFold()]
    found: list[dict[str, list[Any]]] = []
    for desk, flow in zip((small, large), flows, strict=True):
        rows = [rows for entry in desk.store.read() if (rows := feed(flow, entry)) is not None]
        found.append(
            {
                name: np.concatenate([getattr(block, name) for block in rows]).tolist()
                for name in ("trades", "refusals", "shares", "grants", "movements")
            }
        )
    assert small.store.blocks > large.store.blocks
    assert found[0] == found[1]
    assert flows[0].open_orders().tolist() == flows[1].open_orders().tolist()


def test_accepted_lots_are_filled_resting_or_canceled_and_costs_are_those_posted() -> None:
    desk = a_history(4, 800)
    flow = FlowFold()
    lives: dict[int, Any] = {}
    paid = 0
    for entry in desk.store.read():
        rows = feed(flow, entry)
        if rows is not None:
            lives |= {int(row["order"]): row for row in rows.orders}
            paid += int(rows.trades["buyer_fee_minor"].sum() + rows.trades["seller_fee_minor"].sum())
    assert len(lives) == int(desk.state.tables.book.tally["next_order"][0]) - 1
    for life in lives.values():
        assert life["lots"] == life["filled_lots"] + life["canceled_lots"] + life["resting_lots"]
        assert (life["status"] == STATUS_OPEN) == (life["resting_lots"] > 0)
    series = desk.state.tables.series[1]
    assert paid == desk.state.tables.accounts[series["fees"]]["available"]
    assert sum(int(life["fees_minor"]) for life in lives.values()) == paid


def test_a_level_that_comes_and_goes_within_a_block_is_one_row_that_is_gone() -> None:
    desk = Desk()
    desk.set_up(traders=2, series=1)
    orders = np.concatenate(
        [
            new_orders(1, party=DEVELOPER, side=Side.SELL, price=100, lots=5, flags=FLAG_PRIMARY),
            new_orders(1, party=FIRST_TRADER, side=Side.BUY, price=100, lots=5),
        ]
    )
    flow = folded(desk)
    position = desk.store.position
    desk.orders(orders)
    (block,) = [entry for entry in desk.store.read(position + 1) if entry.topic == TOPIC]
    rows = feed(flow, block)
    assert rows is not None
    assert rows.levels[["price_ticks", "lots", "orders"]].tolist() == [(100, 0, 0)]
    assert rows.trades[["price_ticks", "lots", "buyer", "seller", "primary", "at_ns"]].tolist() == [
        (100, 5, FIRST_TRADER, DEVELOPER, 1, START_NS)
    ]
    assert sum(len(block.rows(Section.FILLS)) for block in blocks_of(desk)) == 1

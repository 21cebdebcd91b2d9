"""Law 9: batch boundaries influence nothing. Random histories in random cuttings give the same rows and facts."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.commands import RefundSale
from ledger.blocks import TOPIC, decode_block
from ledger.sequencer import Ask, Item, OrderReplies, Orders, Reply, Tick
from ledger.verifier import verify
from matching.layout import FLAG_PRIMARY, Side
from tests.simulation.market import (
    DEVELOPER,
    FIRST_TRADER,
    OFFICER,
    START_NS,
    Desk,
    a_deposit,
    new_orders,
    quick_log,
    request_id,
    requests_of,
)
from tests.simulation.story import HOUR_NS, Story, Trace, recut, room

DAY_NS = 24 * HOUR_NS


def trace_of(desk: Desk, batches: Iterable[list[Item]]) -> dict[str, str]:
    trace = Trace()
    for batch in batches:
        trace.hear(desk.process(*batch))
    trace.read(desk.store)
    return trace.digests() | {"root": desk.state.root().hex()}


def told_and_recut(seed: int, recutting: Callable[[Path, Story], dict[str, str]]) -> None:
    """A history in which every command is a batch must be what `recutting` makes of it."""
    with tempfile.TemporaryDirectory() as folder, quick_log(Path(folder) / "told.db") as told:
        story = Story(seed, Desk(told), chunk=15)
        story.tell(150)
        trace = Trace()
        trace.read(story.desk.store)
        trace.hear(story.answers)
        verify(story.desk.store, story.desk.limits)
        assert recutting(Path(folder), story) == trace.digests() | {"root": story.desk.state.root().hex()}


@settings(max_examples=8)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 40), st.none() | st.integers(0, 2**32))
@example(1, 1, 1, None)
@example(2, 1000, 1000, 7)
def test_the_same_commands_in_other_batches_give_the_same_rows(
    seed: int, rows_mean: int, items_mean: int, tight: int | None
) -> None:
    def in_other_batches(folder: Path, story: Story) -> dict[str, str]:
        with quick_log(folder / "recut.db") as log:
            desk = Desk(log, out_rows=None if tight is None else room(tight))
            return trace_of(desk, recut(story.told, seed, rows_mean=rows_mean, items_mean=items_mean))

    told_and_recut(seed, in_other_batches)


@settings(max_examples=4)
@given(st.integers(0, 2**32))
def test_restarts_between_batches_influence_nothing(seed: int) -> None:
    def with_restarts(folder: Path, story: Story) -> dict[str, str]:
        with quick_log(folder / "restarted.db") as log:
            desk = Desk(log)
            trace = Trace()
            for number, batch in enumerate(recut(story.told, seed, rows_mean=20, items_mean=5)):
                if number % 5 == 4:
                    epoch = desk.store.epoch
                    desk = Desk(log, keys=desk.keys)
                    assert desk.store.epoch == epoch + 1
                trace.hear(desk.process(*batch))
            verify(desk.store, desk.limits)
            trace.read(desk.store)
            return trace.digests() | {"root": desk.state.root().hex()}

    told_and_recut(seed, with_restarts)


def test_a_long_command_goes_over_many_small_blocks(tmp_path: Path) -> None:
    with quick_log(tmp_path / "log.db") as log:
        desk = Desk(log, out_rows=room(3))
        desk.set_up()
        desk.orders(new_orders(100, party=DEVELOPER, side=Side.SELL, price=100, flags=FLAG_PRIMARY))
        before = desk.store.blocks
        replies = desk.orders(new_orders(1, party=FIRST_TRADER, side=Side.BUY, price=100, lots=100))
        assert replies.results[0]["fills"] == 100
        assert desk.store.blocks - before >= 5
        entries = [entry for entry in desk.store.read(int(replies.positions[0])) if entry.topic == TOPIC]
        assert [int(decode_block(entry.state).header["continues"]) for entry in entries] == [0]


def test_the_state_root_does_not_remember_where_a_long_command_was_cut() -> None:
    roots = []
    for rows in (room(3), None):
        desk = Desk(out_rows=rows)
        desk.set_up()
        desk.orders(new_orders(50, party=DEVELOPER, side=Side.SELL, price=100, flags=FLAG_PRIMARY))
        desk.orders(new_orders(1, party=FIRST_TRADER, side=Side.BUY, price=100, lots=50))
        roots.append(desk.state.root())
    assert roots[0] == roots[1]


# -- refunds look into the log, which must not show where batches end --------------------------------------------------


def sold(desk: Desk) -> RefundSale:
    """A market whose trader bought two lots, and the refund of one of them."""
    desk.set_up()
    desk.orders(new_orders(2, party=DEVELOPER, side=Side.SELL, price=100, lots=5, flags=FLAG_PRIMARY))
    trade = desk.state.next_command
    desk.orders(new_orders(1, party=FIRST_TRADER, side=Side.BUY, price=100, lots=2))
    return RefundSale(
        trade_command=trade,
        trade_fill=0,
        trade_lots=2,
        series=1,
        buyer=FIRST_TRADER,
        lots=1,
        price_ticks=100,
        waterfall_version=1,
        reason="it does not work",
    )


def test_a_refund_may_follow_its_trade_in_the_same_batch(tmp_path: Path) -> None:
    with quick_log(tmp_path / "log.db") as log:
        desk = Desk(log)
        refund = sold(desk)
        refund = replace(refund, trade_command=desk.state.next_command)
        buy = new_orders(1, party=FIRST_TRADER, side=Side.BUY, price=100, lots=2)
        answers = desk.process(Orders(buy, stamped=True), Ask(refund, OFFICER, at_ns=START_NS))
        assert isinstance(answers[1], Reply)


def test_a_log_in_memory_can_be_read_while_a_transaction_is_open() -> None:
    desk = Desk()
    refund = sold(desk)
    assert isinstance(desk.process(Ask(refund, OFFICER, at_ns=START_NS))[0], Reply)


# -- repeated requests and time ----------------------------------------------------------------------------------------


def an_order(request: int, at_ns: int) -> Orders:
    rows = new_orders(1, party=FIRST_TRADER, side=Side.BUY, price=10, at_ns=at_ns)
    return Orders(rows, requests_of([request], [7]), stamped=True)


def test_a_request_is_remembered_for_seven_days_after_a_long_silence() -> None:
    desk = Desk()
    desk.set_up()
    desk.process(Tick(START_NS))
    # Nothing happens for nearly fourteen days, then an order comes, and a little later its client asks again.
    desk.process(an_order(1, START_NS))
    at_ns = START_NS + 14 * DAY_NS - HOUR_NS
    first = desk.process(an_order(2, at_ns))[0]
    assert isinstance(first, OrderReplies)
    later_ns = START_NS + 14 * DAY_NS + HOUR_NS
    desk.process(Ask(a_deposit(FIRST_TRADER, 1, "late"), OFFICER, request_id(3), later_ns))
    again = desk.process(an_order(2, later_ns))[0]
    assert isinstance(again, OrderReplies)
    assert again.results[0]["order"] == first.results[0]["order"]


@pytest.mark.parametrize("cut", [2, 3])
def test_how_long_a_request_is_remembered_does_not_depend_on_batches(cut: int) -> None:
    """The same id after four weeks, in one item or in two: it is forgotten in all cuttings or in none."""
    rows = new_orders(4, party=FIRST_TRADER, side=Side.BUY, price=10)
    rows["at_ns"] = [START_NS + DAY_NS * day for day in (0, 14, 28, 42)]
    requests = requests_of([1, 2, 3, 1], [7, 7, 7, 7])
    whole, parts = Desk(), Desk()
    for desk in (whole, parts):
        desk.set_up()
    expected = whole.process(Orders(rows, requests, stamped=True))
    found = parts.process(Orders(rows[:cut], requests[:cut], stamped=True))
    found += parts.process(Orders(rows[cut:], requests[cut:], stamped=True))
    numbers = [int(n) for reply in found if isinstance(reply, OrderReplies) for n in reply.results["order"]]
    assert isinstance(expected[0], OrderReplies)
    assert numbers == expected[0].results["order"].tolist()

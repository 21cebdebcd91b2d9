"""Client order ids: taken while their order lives and for a while after, whatever the batches and restarts between."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.blocks import decode_block
from ledger.client_ids import TURN_NS
from ledger.sequencer import OrderReplies, Orders
from matching.layout import CLIENT_ID, Code, Kind, Section, Side
from tests.simulation.market import FIRST_TRADER, START_NS, Desk, new_orders, requests_of

DAY_NS = 86_400 * 10**9
TAKEN = int(Code.CLIENT_ORDER_ID_TAKEN)


def named(*names: str) -> Any:
    rows = np.zeros(len(names), CLIENT_ID)
    rows["client_order_id"] = [name.encode() for name in names]
    return rows


def bids(*names: str, party: int = FIRST_TRADER, at_ns: int = START_NS, lots: int = 1) -> Orders:
    """A bid that rests for each name, "" for none."""
    rows = new_orders(len(names), party=party, side=Side.BUY, price=3, at_ns=at_ns, lots=lots)
    return Orders(rows, None, named(*names), stamped=True)


def place(desk: Desk, orders: Orders) -> OrderReplies:
    answer = desk.process(orders)[0]
    assert isinstance(answer, OrderReplies)
    return answer


def codes(desk: Desk, orders: Orders) -> list[int]:
    return [int(code) for code in place(desk, orders).results["code"]]


def cancel(desk: Desk, order: int, at_ns: int) -> None:
    rows = new_orders(1, party=FIRST_TRADER, side=Side.BUY, price=0, lots=0, at_ns=at_ns)
    rows["kind"], rows["target"] = Kind.CANCEL, order
    assert desk.orders(rows).results["code"][0] == 0


def a_desk() -> Desk:
    desk = Desk()
    desk.set_up()
    return desk


def test_an_id_is_taken_once_by_a_party_and_free_for_another() -> None:
    desk = a_desk()
    replies = place(desk, bids("a", "b", "a", "", ""))
    assert list(replies.results["code"]) == [0, 0, TAKEN, 0, 0]
    assert list(replies.positions > 0) == [True, True, False, True, True]
    assert codes(desk, bids("b", "c")) == [TAKEN, 0]
    assert codes(desk, bids("a", "b", party=FIRST_TRADER + 1)) == [0, 0]


def test_a_taken_id_leaves_no_trace_in_the_log() -> None:
    desk = a_desk()
    place(desk, bids("a"))
    before, root = desk.store.position, desk.state.root()
    assert codes(desk, bids("a")) == [TAKEN]
    assert desk.state.root() == root
    blocks = [entry for entry in desk.store.read(before + 1) if entry.topic == "FlowBlock.1"]
    assert not blocks


def test_an_order_that_was_refused_has_used_its_id() -> None:
    desk = a_desk()
    assert codes(desk, bids("a", lots=3_000_000)) == [int(Code.LOTS_OUT_OF_RANGE)]
    assert codes(desk, bids("a")) == [TAKEN]


def test_only_a_new_order_takes_an_id() -> None:
    desk = a_desk()
    order = int(place(desk, bids("a")).results["order"][0])
    rows = new_orders(1, party=FIRST_TRADER, side=Side.BUY, price=0, lots=0)
    rows["kind"], rows["target"] = Kind.CANCEL, order
    assert codes(desk, Orders(rows, None, named("a"), stamped=True)) == [0]
    (entry,) = desk.store.read(desk.store.position)
    assert Section.CLIENT_IDS not in decode_block(entry.state).sections


def test_an_id_is_taken_as_long_as_its_order_is_open_and_a_week_after() -> None:
    desk = a_desk()
    order = int(place(desk, bids("a")).results["order"][0])
    place(desk, bids("gone"))
    later = START_NS
    for week in range(1, 6):
        later = START_NS + week * 7 * DAY_NS + week
        assert codes(desk, bids("a", f"tick-{week}", at_ns=later)) == [TAKEN, 0]
    cancel(desk, order, later + 1)
    assert codes(desk, bids("a", at_ns=later + 7 * DAY_NS - 1)) == [TAKEN]
    assert codes(desk, bids("x", at_ns=later + 7 * DAY_NS)) == [0]
    assert codes(desk, bids("a", at_ns=later + 14 * DAY_NS)) == [0]
    assert codes(desk, bids("a", at_ns=later + 14 * DAY_NS)) == [TAKEN]


def test_a_repeated_request_is_answered_and_not_turned_away() -> None:
    desk = a_desk()
    rows = new_orders(2, party=FIRST_TRADER, side=Side.BUY, price=3)
    both = Orders(rows, requests_of([1, 2], [1, 2]), named("a", "a"), stamped=True)
    first, again = place(desk, both), place(desk, both)
    assert list(first.results["code"]) == [0, TAKEN]
    assert first.results.tobytes() == again.results.tobytes()
    assert list(first.positions) == list(again.positions)


def test_what_is_taken_is_known_after_a_restart() -> None:
    desk = a_desk()
    place(desk, bids("a", "", "b"))
    again = Desk(desk.recorder, keys=desk.keys)
    assert codes(again, bids("b", "a", "c")) == [TAKEN, TAKEN, 0]


MOVES = st.lists(
    st.tuples(
        st.integers(0, 4 * TURN_NS // DAY_NS // 7),
        st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), min_size=1, max_size=4),
        st.booleans(),
    ),
    max_size=8,
)


@given(MOVES)
@settings(max_examples=60, deadline=None)
def test_an_open_order_always_keeps_its_id_and_restarts_change_nothing(moves: list[Any]) -> None:
    """Whatever the gaps of time, cancels and restarts: an id is never given twice while its order is open or a week
    after, and it is free at the latest two turns after."""
    desk = a_desk()
    now = START_NS
    until: dict[str, int | None] = {}
    """Until when an id is surely taken, None while its order is open."""
    orders: dict[str, int] = {}
    for weeks, names, restart in moves:
        now += weeks * TURN_NS // 2 + 1
        if restart:
            desk = Desk(desk.recorder, keys=desk.keys)
        replies = place(desk, bids(*(name for name, _ in names), at_ns=now))
        for at, (name, stays) in enumerate(names):
            code = int(replies.results["code"][at])
            if name in until and (until[name] is None or now < (until[name] or 0)):
                assert code == TAKEN, (name, now, until)
                continue
            if code == 0:
                orders[name] = int(replies.results["order"][at])
                until[name] = None
                if not stays:
                    now += 1
                    cancel(desk, orders[name], now)
                    until[name] = now + TURN_NS

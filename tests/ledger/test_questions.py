"""Whatever is asked is answered: a malformed, premature or oversized question is refused and stops nobody."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from domain.commands import RecordStateRoot, RecordWithdrawal, RefundSale, RegisterParty
from domain.rejections import Reason, Refusal
from domain.values import HOUSE, PartyKind, Role
from ledger.sequencer import Ask, OrderReplies, Reply, Tick
from ledger.tables import BLOCK_ROWS, Limits
from ledger.verifier import verify
from matching.layout import FLAG_PRIMARY, Section, Side
from tests.simulation.market import (
    DAY,
    DEVELOPER,
    FIRST_TRADER,
    LIMITS,
    OFFICER,
    START_NS,
    Desk,
    a_deposit,
    a_series,
    an_agreement,
    new_orders,
    request_id,
    requests_of,
)

SECOND_NS = 1_000_000_000


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.set_up()
    return desk


def goes_on(desk: Desk) -> bool:
    reply = desk.orders(new_orders(1, party=FIRST_TRADER, side=Side.BUY, price=3, at_ns=START_NS + 10**12))
    return isinstance(reply, OrderReplies) and reply.results["code"][0] == 0


def a_party(**changes: Any) -> RegisterParty:
    asked: dict[str, Any] = {"kind": PartyKind.COMPANY, "legal_name": "Acme", "country": "US", "roles": Role.TRADER}
    return RegisterParty(**asked | changes)


def a_refund(**changes: Any) -> RefundSale:
    asked: dict[str, Any] = {
        "trade_command": 1,
        "trade_fill": 0,
        "trade_lots": 1,
        "series": 1,
        "buyer": FIRST_TRADER,
        "lots": 1,
        "price_ticks": 1,
        "waterfall_version": 1,
        "reason": "wrong model",
    }
    return RefundSale(**asked | changes)


@pytest.mark.parametrize(
    ("ask", "reason"),
    [
        (Ask(a_party(legal_name="\ud800"), HOUSE, request_id(1), START_NS), Reason.WRONG_TYPE),
        (Ask(a_deposit("x", 1, "a"), OFFICER, request_id(2), START_NS), Reason.WRONG_TYPE),  # type: ignore[arg-type]
        (Ask(a_deposit(2**70, 1, "a"), OFFICER, request_id(3), START_NS), Reason.VALUE_OUT_OF_RANGE),
        (Ask(a_deposit(FIRST_TRADER, 1, "a"), OFFICER, b"12345678", START_NS), Reason.MALFORMED_REQUEST_ID),
        (Ask(a_refund(trade_command="1"), OFFICER, None, START_NS), Reason.WRONG_TYPE),
        (Ask(a_refund(), FIRST_TRADER, None, START_NS), Reason.ROLE_REQUIRED),
        (Ask(RecordStateRoot(at_command=10**6, root=bytes(32)), HOUSE, None, START_NS), Reason.VALUE_OUT_OF_RANGE),
    ],
)
def test_a_malformed_question_is_refused_and_the_house_goes_on(desk: Desk, ask: Ask, reason: Reason) -> None:
    before = desk.store.position
    answer = desk.process(ask)[0]
    assert isinstance(answer, Refusal)
    assert answer.reason is reason
    assert desk.store.position == before
    assert goes_on(desk)


def test_a_refund_can_be_asked_for_when_something_else_became_due(desk: Desk) -> None:
    desk.process(Ask(a_series(2, ends_ns=START_NS + SECOND_NS), DEVELOPER, at_ns=START_NS))
    desk.orders(new_orders(1, party=DEVELOPER, side=Side.SELL, price=9, lots=5, flags=FLAG_PRIMARY))
    desk.orders(new_orders(1, party=FIRST_TRADER, side=Side.BUY, price=9, lots=4))
    refund = a_refund(trade_command=desk.state.next_command - 1, trade_lots=4, price_ticks=9)
    assert isinstance(desk.process(Ask(refund, OFFICER, at_ns=START_NS + 2 * SECOND_NS))[0], Reply)
    assert verify(desk.store, LIMITS).facts


def test_a_refund_of_a_trade_that_never_was_is_refused(desk: Desk) -> None:
    answer = desk.process(Ask(a_refund(), OFFICER, at_ns=START_NS))[0]
    assert isinstance(answer, Refusal)
    assert answer.reason is Reason.UNKNOWN_TRADE


def a_full_desk() -> Desk:
    """A desk whose account table has no room left."""
    limits = Limits(orders=1 << 12, levels=1 << 10, accounts=1 << 10)
    desk = Desk(limits=limits)
    desk.set_up(traders=900)
    return desk


def test_a_listing_that_finds_no_room_for_its_accounts_is_refused() -> None:
    desk = a_full_desk()
    before = desk.store.position
    series = 2
    while not isinstance(answer := desk.process(Ask(a_series(series), DEVELOPER, at_ns=START_NS))[0], Refusal):
        series += 1
        before = desk.store.position
    assert answer.reason is Reason.CAPACITY_EXHAUSTED
    assert desk.store.position == before


def test_an_agreement_that_takes_effect_without_room_for_its_payees_leaves_the_waterfall_and_says_so() -> None:
    desk = a_full_desk()
    agent = 3
    signed = an_agreement(platform_ppb=5, effective_at_ns=START_NS + SECOND_NS)
    party = desk.process(
        Ask(
            RegisterParty(kind=PartyKind.COMPANY, legal_name="A", country="US", roles=Role.AGENT), HOUSE, at_ns=START_NS
        )
    )[0]
    assert isinstance(party, Reply)
    number = party.facts[0].party  # type: ignore[attr-defined]
    assert number != agent
    answer = desk.process(Ask(type(signed)(**{**_fields(signed), "agents": ((number, 5),)}), HOUSE, at_ns=START_NS))[0]
    assert isinstance(answer, Reply)
    series = 2
    while not isinstance(desk.process(Ask(a_series(series), DEVELOPER, at_ns=START_NS))[0], Refusal):
        series += 1
    desk.process(Tick(START_NS + 2 * SECOND_NS))
    last = desk.recorder.last_of_stream("series-1")
    assert last is not None
    assert last.topic == "WaterfallCompilationFailed.1"
    assert verify(desk.store, desk.limits).facts
    assert goes_on(desk)


def _fields(command: Any) -> dict[str, Any]:
    return {name: getattr(command, name) for name in type(command).__dataclass_fields__}


def test_who_owes_pays_its_debt_before_it_withdraws(desk: Desk) -> None:
    def withdraw(party: int, amount_minor: int, reference: str) -> Any:
        command = RecordWithdrawal(
            party=party, currency=1, amount_minor=amount_minor, reference=reference, effective_day=DAY
        )
        return desk.process(Ask(command, OFFICER, at_ns=START_NS))[0]

    def available(kind: int) -> int:
        accounts = dict(desk.state.arrays())["accounts"]
        mine = (accounts["owner"] == DEVELOPER) & (accounts["kind"] == kind) & (accounts["asset"] == -1)
        return int(accounts["available"][mine].sum())

    desk.orders(new_orders(1, party=DEVELOPER, side=Side.SELL, price=100, lots=50, flags=FLAG_PRIMARY))
    desk.orders(new_orders(1, party=FIRST_TRADER, side=Side.BUY, price=100, lots=10))
    sale = desk.state.next_command - 1
    earned = available(1)
    assert isinstance(withdraw(DEVELOPER, earned, "all"), Reply)
    refund = a_refund(trade_command=sale, trade_lots=10, price_ticks=100, lots=10)
    assert isinstance(desk.process(Ask(refund, OFFICER, at_ns=START_NS))[0], Reply)
    owed = -available(11)
    assert owed > 0
    desk.orders(new_orders(1, party=FIRST_TRADER, side=Side.BUY, price=100, lots=20))
    assert isinstance(withdraw(DEVELOPER, available(1), "too"), Refusal)
    assert available(11) == -owed
    left = available(1) - owed
    assert isinstance(withdraw(DEVELOPER, left, "rest"), Reply)
    assert available(11) == 0
    assert available(1) == 0
    assert verify(desk.store, LIMITS).facts


def test_rows_without_a_request_id_beside_rows_with_one_are_orders_of_their_own(desk: Desk) -> None:
    requests = requests_of([4, 5, 6], [0, 5, 0])
    requests["request_id"][[0, 2]] = np.zeros(2, "V16")
    reply = desk.orders(new_orders(3, party=FIRST_TRADER, side=Side.BUY, price=3), requests)
    assert len(set(reply.results["order"].tolist())) == 3
    again = desk.orders(new_orders(3, party=FIRST_TRADER, side=Side.BUY, price=3), requests)
    assert again.results["order"][1] == reply.results["order"][1]
    assert len(set(again.results["order"].tolist() + reply.results["order"].tolist())) == 5


def test_the_end_of_a_series_with_more_orders_than_a_block_holds_verifies() -> None:
    count = BLOCK_ROWS[Section.ENDINGS] + 500
    desk = Desk()
    desk.set_up()
    desk.process(Ask(a_series(2, ends_ns=START_NS + SECOND_NS), DEVELOPER, at_ns=START_NS))
    desk.orders(new_orders(count, party=FIRST_TRADER, side=Side.BUY, price=3, series=2))
    blocks = desk.store.blocks
    desk.process(Tick(START_NS + 2 * SECOND_NS))
    assert desk.store.blocks > blocks + 1
    assert verify(desk.store, LIMITS).facts

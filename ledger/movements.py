"""A movement of value that a decision asks for, as the rows that the kernel is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from domain.events import Fact, WaterfallCompilationFailed, WaterfallCompiled
from domain.outcomes import CancelAll, Decided, Journal, Movement, NegativeSale
from domain.rejections import Reason
from domain.values import AccountRef
from ledger.effects import account_number, payee_account
from ledger.state import State
from ledger.tables import Room
from matching.layout import COMMAND, FLAG_SYSTEM, LEG, NONE, Kind

NO_LEGS = np.zeros(0, LEG)


def moves_value(commands: Any) -> Any:
    """Which of the rows (COMMAND) move value for the house, so that a fact which says why must follow: [n] of bool."""
    kinds = commands["kind"]
    by_house = commands["flags"] & FLAG_SYSTEM != 0
    return (kinds == Kind.JOURNAL) | (kinds == Kind.REFUND) | ((kinds == Kind.MASS_CANCEL) & by_house)


def accounts_of(movement: Movement | None) -> list[AccountRef]:
    """The accounts between which a journal moves value."""
    if isinstance(movement, Journal):
        return [ref for leg in movement.legs for ref in (leg.debit, leg.credit)]
    return []


def can_open(state: State, count: int) -> bool:
    """Whether `count` more accounts fit, with what one worst-case command of the kernel may need beside them."""
    if count == 0:
        return True
    return int(state.tables.tally["accounts"][0]) + count + Room.ACCOUNTS <= len(state.tables.accounts)


def within_capacity(state: State, decided: Decided) -> Decided:
    """What time made due, as far as the account table has room: a series whose new payees do not fit keeps its
    waterfall, and a fact says so.
    """
    missing = [ref for ref in decided.opens if account_number(state.tables, ref) == NONE]
    if can_open(state, len(missing)):
        return decided
    facts: list[Fact] = []
    for fact in decided.facts:
        if isinstance(fact, WaterfallCompiled):
            currency = state.catalogue.series[fact.series].currency
            payees = [payee_account(party, currency) for party, _ in fact.rows]
            if any(account_number(state.tables, ref) == NONE for ref in payees):
                facts.append(
                    WaterfallCompilationFailed(
                        series=fact.series, agreement=fact.agreement, reason=Reason.CAPACITY_EXHAUSTED
                    )
                )
                continue
        facts.append(fact)
    return Decided(tuple(facts), movement=decided.movement)


def system_rows(
    state: State, missing: Mapping[AccountRef, None], movement: Movement | None, *, actor: int, at_ns: int
) -> tuple[Any, Any]:
    """The rows (COMMAND) that open the missing accounts and then move value, and the legs (LEG) of the movement.

    The command numbers of the rows are still zero; the legs name the next command after the openings.
    """
    rows = np.zeros(len(missing) + (movement is not None), COMMAND)
    rows["at_ns"] = at_ns
    rows["actor"] = actor
    opened = int(state.tables.tally["accounts"][0])
    numbers: dict[AccountRef, int] = {}
    for row, ref in zip(rows, missing, strict=False):
        row["kind"] = Kind.OPEN_ACCOUNT
        row["account"] = ref.owner
        row["series"] = ref.asset
        row["flags"] = int(ref.kind)
        numbers[ref] = opened + len(numbers)
    legs = NO_LEGS
    match movement:
        case Journal():
            rows[-1]["kind"] = Kind.JOURNAL
            legs = np.zeros(len(movement.legs), LEG)
            legs["command"] = state.next_command + len(missing)
            for leg, asked in zip(legs, movement.legs, strict=True):
                debit, credit = asked.debit, asked.credit
                leg["debit"] = numbers[debit] if debit in numbers else account_number(state.tables, debit)
                leg["credit"] = numbers[credit] if credit in numbers else account_number(state.tables, credit)
                leg["amount"] = asked.amount_minor
                leg["code"] = int(asked.code)
        case CancelAll():
            rows[-1]["kind"] = Kind.MASS_CANCEL
            rows[-1]["series"] = movement.series
            rows[-1]["flags"] = FLAG_SYSTEM
        case NegativeSale():
            rows[-1]["kind"] = Kind.REFUND
            rows[-1]["series"] = movement.series
            rows[-1]["account"] = movement.buyer
            rows[-1]["lots"] = movement.lots
            rows[-1]["price"] = movement.price_ticks
            rows[-1]["target"] = movement.waterfall_version
    return rows, legs

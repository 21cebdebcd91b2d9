"""Governance of the log itself: its limits, and the state roots of the process that executes it again."""

from __future__ import annotations

from domain.catalogue import Catalogue
from domain.commands import OpenHouse, RecordStateRoot
from domain.events import HouseOpened, StateRootRecorded
from domain.outcomes import Decided
from domain.rejections import Reason, Refusal, refuse


def open_house(catalogue: Catalogue, command: OpenHouse, actor: int, at_ns: int) -> Decided | Refusal:
    if catalogue.opened:
        return refuse(
            Reason.HOUSE_OPEN, "orders_max", "is stated once, by the first fact of the log", command.orders_max
        )
    fact = HouseOpened(orders_max=command.orders_max, levels_max=command.levels_max, accounts_max=command.accounts_max)
    return Decided((fact,))


def house_opened(catalogue: Catalogue, fact: HouseOpened, at_ns: int, command: int) -> None:
    assert not catalogue.opened
    catalogue.opened = True


def record_state_root(catalogue: Catalogue, command: RecordStateRoot, actor: int, at_ns: int) -> Decided | Refusal:
    if command.at_command < 1:
        return refuse(Reason.VALUE_OUT_OF_RANGE, "at_command", "must be at least 1", command.at_command)
    return Decided((StateRootRecorded(at_command=command.at_command, root=command.root),))


def state_root_recorded(catalogue: Catalogue, fact: StateRootRecorded, at_ns: int, command: int) -> None:
    """A root is about the state and no part of it."""

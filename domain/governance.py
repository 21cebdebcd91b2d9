"""Governance of the log itself: the state roots of the process that executes it a second time."""

from __future__ import annotations

from domain.catalogue import Catalogue
from domain.commands import RecordStateRoot
from domain.events import StateRootRecorded
from domain.outcomes import Decided
from domain.rejections import Reason, Refusal, refuse


def record_state_root(catalogue: Catalogue, command: RecordStateRoot, actor: int, at_ns: int) -> Decided | Refusal:
    if command.at_command < 1:
        return refuse(Reason.VALUE_OUT_OF_RANGE, "at_command", "must be at least 1", command.at_command)
    return Decided((StateRootRecorded(at_command=command.at_command, root=command.root),))


def state_root_recorded(catalogue: Catalogue, fact: StateRootRecorded, at_ns: int, command: int) -> None:
    """A root is about the state and no part of it."""

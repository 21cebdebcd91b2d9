"""Deciding history again: a fact stands only if the rules, asked again, give it, and value moved only as they said.

Fed in the order of the log, before an entry takes effect. The kernel's own outcomes are compared by `ledger.replay`;
here are the rare commands: every fact, every movement of the house, and that nothing overtook what time made due.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from domain.commands import RefundSale
from domain.decisions import decide, decide_due
from domain.events import Envelope, Fact
from domain.outcomes import Decided
from domain.questions import question_of, with_text_of
from domain.rejections import Refusal
from domain.values import HOUSE
from ledger.blocks import Block
from ledger.comparison import Survey
from ledger.disagreement import Disagreement
from ledger.movements import moves_value, system_rows, within_capacity
from ledger.refunds import check_trade
from ledger.state import State
from ledger.store import Store
from matching.layout import Code, Section


class Redecision:
    """What the rules still expect of the log."""

    def __init__(self, state: State, store: Store | None = None) -> None:
        """`store`: where the trades of refunds are looked up; without it a refund's trade is taken as it is said."""
        self._state = state
        self._store = store
        self._blocks = 0
        self._expected: list[Fact] = []
        """Facts of the command at hand that have not come yet."""
        self._command = 0
        self._envelope: Envelope | None = None
        self._moved: tuple[Any, Any] | None = None
        """A movement (row, legs) that succeeded and has not been justified by a fact yet."""

    def block(self, position: int, block: Block, found: Survey) -> None:
        """Look at a block that is about to be executed; `found`: the survey of its commands."""
        if not (self._moved is not None and self._state.active_command == int(self._moved[0]["command"])):
            self.end(position)
        self._blocks = int(block.header["block"])
        commands = block.rows(Section.COMMANDS)
        if found.overtaking < len(commands):
            due = self._state.catalogue.next_due()
            assert due is not None
            raise Disagreement(
                position,
                "a command overtook what was due",
                section=Section.COMMANDS.name,
                row=found.overtaking,
                field="at_ns",
                expected=f"{due.kind.name.lower()} {due.number} at {due.due_ns} first",
                found=int(commands["at_ns"][found.overtaking]),
            )
        if found.moves_value == len(commands):
            return
        for row in np.flatnonzero(moves_value(commands)):
            moved = commands[row]
            results = block.rows(Section.RESULTS)
            refused = results[(results["command"] == moved["command"]) & (results["code"] != Code.OK)]
            if not len(refused):
                if self._moved is not None or row != len(commands) - 1:
                    raise Disagreement(
                        position,
                        "value moved without a fact that says why",
                        section=Section.COMMANDS.name,
                        row=int(row),
                        expected="a fact after it",
                        found="another command",
                    )
                legs = block.rows(Section.LEGS)
                self._moved = (moved.copy(), legs[legs["command"] == moved["command"]].copy())

    def fact(self, position: int, envelope: Envelope, fact: Fact) -> None:
        """Look at a fact that is about to take effect."""
        if not self._expected or envelope.command != self._command:
            self._end_command(position)
            self._decide(position, envelope, fact)
            self._envelope = envelope
        if envelope != self._envelope:
            raise Disagreement(position, "one command, one envelope", expected=self._envelope, found=envelope)
        expected = with_text_of(self._expected.pop(0), fact)
        if expected != fact:
            raise Disagreement(position, "the rules give another fact", expected=expected, found=fact)

    def end(self, position: int) -> None:
        """No more facts of the command at hand may come; a movement must have been justified."""
        self._end_command(position)
        if self._moved is not None:
            row = self._moved[0]
            raise Disagreement(
                position,
                f"command {row['command']} moved value without a fact that says why",
                expected=f"a fact of command {row['command']}",
                found="none",
            )

    def _end_command(self, position: int) -> None:
        if self._expected:
            raise Disagreement(
                position,
                f"a fact of command {self._command} is missing",
                expected=type(self._expected[0]).__name__,
                found="the next command",
            )

    def _decide(self, position: int, envelope: Envelope, fact: Fact) -> None:
        """Ask the rules what follows from the command whose first fact this is."""
        state = self._state
        number = state.next_command if self._moved is None else int(self._moved[0]["command"])
        if envelope.command != number or envelope.at_ns < state.at_ns:
            raise Disagreement(
                position,
                "number and time of a command",
                expected=f"command {number}, not before {state.at_ns}",
                found=f"command {envelope.command} at {envelope.at_ns}",
            )
        due = state.catalogue.next_due()
        question = question_of(fact)
        decided: Decided | Refusal
        if question is not None:
            if due is not None and due.due_ns <= envelope.at_ns:
                raise Disagreement(
                    position, "a command overtook what was due", expected=due, found=f"{fact} at {envelope.at_ns}"
                )
            refusal = None
            if self._store is not None and isinstance(question, RefundSale):
                refusal = check_trade(self._store, question, until=self._blocks)
            decided = refusal or decide(state.catalogue, question, actor=envelope.actor, at_ns=envelope.at_ns)
        else:
            if due is None or due.due_ns > envelope.at_ns or envelope.actor != HOUSE:
                raise Disagreement(position, "nothing was due", expected=due, found=fact)
            decided = within_capacity(state, decide_due(state.catalogue, due, at_ns=envelope.at_ns))
        if isinstance(decided, Refusal):
            raise Disagreement(position, "the rules refuse it", expected=decided.message, found=fact)
        if not decided.facts:
            raise Disagreement(position, "the rules give no fact", expected=(), found=fact)
        self._check_movement(position, envelope, decided)
        self._expected = list(decided.facts)
        self._command = envelope.command

    def _check_movement(self, position: int, envelope: Envelope, decided: Decided) -> None:
        moved, self._moved = self._moved, None
        if decided.movement is None and moved is None:
            return
        rows, legs = system_rows(self._state, {}, decided.movement, actor=envelope.actor, at_ns=envelope.at_ns)
        rows["command"] = envelope.command
        legs["command"] = envelope.command
        found = (b"", b"") if moved is None else (moved[0].tobytes(), moved[1].tobytes())
        if found != (rows.tobytes(), legs.tobytes()):
            raise Disagreement(
                position,
                "value moved otherwise than the rules say",
                expected=(rows.tolist(), legs.tolist()),
                found=None if moved is None else (moved[0].item(), moved[1].tolist()),
            )

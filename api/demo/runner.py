"""Runs the seeded history of the demo through a house, from wherever its log ends.

The log itself says how far a history has come. Every command for the domain carries a request id made from the seed,
its number and its body, and every order row is in the log as it was sent, so the steps that were done are recognized,
their results are read back, and the first step that is not in the log is the next one to do. A log that holds anything
else is refused before anything is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from api.bootstrap import House, Places
from api.demo import market, setup
from api.demo.script import history
from api.demo.steps import EndOfDay, Orders, Submit
from api.metrics import Metrics
from domain.events import (
    AgreementTookEffect,
    HouseOpened,
    SeriesEnded,
    StateRootRecorded,
    WaterfallCompilationFailed,
    WaterfallCompiled,
)
from domain.rejections import Refusal
from ledger import sequencer
from ledger.blocks import TOPIC, decode_block
from ledger.intake import DOOR_KINDS
from ledger.mapper import from_entry
from ledger.sequencer import Ask, OrderReplies, body_of
from ledger.store import Store
from matching.layout import COMMAND, FLAG_SYSTEM, RESULT, Section

ASKS_PER_APPEND: Final = 256
"""Registrations that share one durable append."""
_BY_THE_HOUSE: Final = (
    AgreementTookEffect,
    HouseOpened,
    SeriesEnded,
    StateRootRecorded,
    WaterfallCompilationFailed,
    WaterfallCompiled,
)
"""Facts that come about without a request: when the log is opened, and because time passed."""


class LogOfAnotherHistory(Exception):
    """The log holds something that this history does not: another seed, another release, or another use."""

    code: Final = "log_of_another_history"


class StepRefused(Exception):
    """The house refused a step that the history counts on."""

    code: Final = "demo_step_refused"


def opening_ns() -> int:
    """When the demo's house opens: the first moment of the eve, whatever the clock says."""
    return setup.day_ns(market.EVE)


def open_house(where: Places, on_entry: Callable[[int], None] | None = None, metrics: Metrics | None = None) -> House:
    """The house of the demo, whose time is that of its history alone."""
    return House(where, clock=opening_ns, on_entry=on_entry, metrics=metrics)


def play(
    house: House,
    seed: int,
    *,
    days: int = market.DAYS,
    on_day: Callable[[int, str], None] = lambda _days, _what: None,
    may_go_on: bool = False,
) -> int:
    """Do every step of the history that is not in the log yet; returns how many steps were there already.

    `on_day(trading days that are over, what is being done)` is called as it goes. With `may_go_on` the log may hold
    whatever came after the last day, as it does where the demo was served. Raises LogOfAnotherHistory.
    """
    past = _read_past(house.store, until_root=days if may_go_on else None)
    player = _Player(house, past)
    steps = history(seed, days=days)
    answer: Any = None
    number = days_over = 0
    on_day(0, "registering parties, data sets, models and licenses")
    while True:
        try:
            step = steps.send(answer)
        except StopIteration:
            break
        number += 1
        match step:
            case Submit():
                player.submit(step, _request_id(seed, number, step))
                answer = None
            case Orders():
                answer = player.place(step)
            case EndOfDay():
                answer = None
                player.flush()
                if step.number > past.roots:
                    house.end_of_day(step.at_ns)
                days_over = step.number
        on_day(days_over, f"step {number:,}")
    player.flush()
    if not past.is_over:
        raise LogOfAnotherHistory("the log goes on after the last step of this history; choose another data folder")
    return player.repeated


@dataclass(slots=True)
class _Past:
    """What the log holds of a history, in order, and how much of it was met again."""

    requests: set[bytes] = field(default_factory=set)
    """Request ids of the commands for the domain."""
    commands: Any = field(default_factory=lambda: np.zeros(0, COMMAND))
    results: Any = field(default_factory=lambda: np.zeros(0, RESULT))
    """Order rows that a door sent, and their results."""
    taken: int = 0
    roots: int = 0
    """State roots that were recorded, one at the end of each day."""

    @property
    def is_over(self) -> bool:
        return not self.requests and self.taken == len(self.commands)

    def take(self, rows: Any) -> Any:
        """The results of rows that must come next in the log."""
        end = self.taken + len(rows)
        found = self.commands[self.taken : end]
        sent = rows.copy()
        if len(found) == len(sent):
            sent["command"] = found["command"]
        if sent.tobytes() != found.tobytes():
            raise LogOfAnotherHistory("the log holds other orders than this history; choose another data folder")
        results = self.results[self.taken : end]
        self.taken = end
        return results


class _Player:
    """Hands steps to the house, those for the domain many at a time."""

    def __init__(self, house: House, past: _Past) -> None:
        self._house = house
        self._past = past
        self._waiting: list[Ask] = []
        self.repeated = 0

    def submit(self, step: Submit, request_id: bytes) -> None:
        if request_id in self._past.requests:
            self._past.requests.remove(request_id)
            self.repeated += 1
            return
        self._check_past_is_over("the next command")
        self._waiting.append(Ask(step.command, step.actor, request_id, step.at_ns))
        if len(self._waiting) >= ASKS_PER_APPEND:
            self.flush()

    def place(self, step: Orders) -> Any:
        """The RESULT rows of the orders."""
        if self._past.taken < len(self._past.commands):
            self.repeated += 1
            return self._past.take(step.rows)
        self._check_past_is_over("the next orders")
        orders = sequencer.Orders(step.rows, stamped=True)
        *answers, replies = self._house.process([*self._waiting, orders])
        self._check(answers)
        self._waiting = []
        assert isinstance(replies, OrderReplies)
        return replies.results

    def flush(self) -> None:
        """Append what waits."""
        if self._waiting:
            self._check(self._house.process(self._waiting))
            self._waiting = []

    def _check(self, answers: list[Any]) -> None:
        for ask, answer in zip(self._waiting, answers, strict=True):
            if isinstance(answer, Refusal):
                raise StepRefused(f"{type(ask.command).__name__} at {ask.at_ns}: {answer.code}, {answer.message}")

    def _check_past_is_over(self, what: str) -> None:
        if not self._past.is_over:
            raise LogOfAnotherHistory(
                f"the log goes on with something else than {what} of this history; choose another data folder"
            )


def _request_id(seed: int, number: int, step: Submit) -> bytes:
    """Names a step for good: the same one gets the same answer however often it is sent."""
    body = b"%d %d %d %b" % (seed, number, step.at_ns, body_of(step.command, step.actor))
    return hashlib.blake2b(body, digest_size=16, person=b"tallystick-demo").digest()


def _read_past(store: Store, until_root: int | None) -> _Past:
    """What the log holds, or without what came after the root of a day."""
    past = _Past()
    commands = []
    results = []
    for entry in store.read():
        if entry.topic == TOPIC:
            block = decode_block(entry.state)
            commands.append(block.rows(Section.COMMANDS))
            results.append(block.rows(Section.RESULTS))
            continue
        envelope, fact = from_entry(*entry[1:], position=entry.position)
        past.roots += isinstance(fact, StateRootRecorded)
        if envelope.request_id is not None:
            past.requests.add(envelope.request_id)
        elif not isinstance(fact, _BY_THE_HOUSE):
            raise LogOfAnotherHistory(
                f"position {entry.position}: {entry.topic} is no part of this history; choose another data folder"
            )
        if past.roots == until_root:
            break
    if commands:
        rows = np.concatenate(commands)
        by_door = np.isin(rows["kind"], DOOR_KINDS) & (rows["flags"] & FLAG_SYSTEM == 0)
        past.commands = rows[by_door]
        past.results = np.concatenate(results)[by_door]
    return past

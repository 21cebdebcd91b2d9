"""What the reference is told and what it answers: a command with its terms, and one row type per section of the log.

Every field is an integer, in the order of the section's layout, so that a kernel's arrays can be compared row by row.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import NamedTuple

from matching.rulebook_layout import Code


class Terms(NamedTuple):
    """A row of `order_terms`; 0 is absent everywhere."""

    trigger: int = 0
    display: int = 0
    refresh_below: int = 0
    min_lots: int = 0
    expire_ns: int = 0
    offset: int = 0
    oco: int = 0
    peg: int = 0
    self_trade: int = 0


PLAIN = Terms()


class Command(NamedTuple):
    """A row of `commands`, with its row of `order_terms`.

    `target` is an order (cancel, reduce, replace) or a phase (phase, uncross); `price` is the worst price of an order
    or the reference price of an auction; `lots` of a dead-man's switch are its nanoseconds.
    """

    command: int
    kind: int
    at_ns: int = 0
    price: int = 0
    lots: int = 0
    target: int = 0
    account: int = 0
    series: int = 0
    side: int = 0
    tif: int = 0
    flags: int = 0
    terms: Terms = PLAIN


class Result(NamedTuple):
    command: int
    order: int
    """The order that was created or changed, 0 if none."""
    lots: int
    """Open lots of the order after the command, resting, waiting or parked; lots canceled by a mass cancel."""
    code: int
    fills: int
    """Fills of the whole command; orders ended by a mass cancel, a kill, a switch or an expiry."""


class Fill(NamedTuple):
    command: int
    maker: int
    """In an auction, where nobody takes: the buy."""
    taker: int
    price: int
    lots: int


class Ended(NamedTuple):
    command: int
    order: int
    lots: int
    reason: int


class Trigger(NamedTuple):
    command: int
    order: int
    price: int
    """Last trade when the stop began to run."""


class Repricing(NamedTuple):
    command: int
    order: int
    price: int
    """NO_PRICE: parked."""


class Prevented(NamedTuple):
    command: int
    maker: int
    taker: int
    price: int
    lots: int
    """Lots that both lost, or that an auction left; 0 where one of the two was canceled."""


class Skip(NamedTuple):
    command: int
    order: int
    """The order that took."""
    orders: int
    lots: int
    """Orders that it passed, and their open lots."""


class PhaseChange(NamedTuple):
    command: int
    series: int
    before: int
    after: int


class Uncross(NamedTuple):
    """An auction's outcome, and with `low`, `high` and `turn` the proof that its price is the right one."""

    command: int
    series: int
    price: int
    lots: int
    surplus: int
    low: int
    high: int
    turn: int
    reference: int
    executed: int
    prevented: int
    skipped: int


class Place(IntEnum):
    """Where an open order is."""

    RESTING = 1
    PENDING = 2
    """A stop that waits for its trigger."""
    PARKED = 3
    """A peg without a price."""


class Standing(NamedTuple):
    """An open order as it stands."""

    order: int
    side: int
    price: int
    shown: int
    lots: int
    place: Place


@dataclass(slots=True)
class Rows:
    """The sections of the command that runs."""

    command: int = 0
    results: list[Result] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    endings: list[Ended] = field(default_factory=list)
    triggers: list[Trigger] = field(default_factory=list)
    repricings: list[Repricing] = field(default_factory=list)
    prevented: list[Prevented] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    phases: list[PhaseChange] = field(default_factory=list)
    uncrosses: list[Uncross] = field(default_factory=list)

    def begin(self, command: int) -> None:
        """Empty every section for the next command."""
        self.command = command
        self.results, self.fills, self.endings = [], [], []
        self.triggers, self.repricings, self.prevented = [], [], []
        self.skips, self.phases, self.uncrosses = [], [], []

    def taken(self) -> Rows:
        """These rows, for somebody who keeps them while the next command runs."""
        return Rows(
            self.command,
            self.results,
            self.fills,
            self.endings,
            self.triggers,
            self.repricings,
            self.prevented,
            self.skips,
            self.phases,
            self.uncrosses,
        )

    def join(self, later: Rows) -> None:
        """Put another command's rows behind these."""
        for section in SECTIONS:
            getattr(self, section).extend(getattr(later, section))

    @property
    def code(self) -> Code:
        """Of the last command."""
        return Code(self.results[-1].code)


SECTIONS = tuple(section.name for section in fields(Rows) if section.name != "command")

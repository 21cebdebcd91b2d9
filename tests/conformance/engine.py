"""What a matching engine must offer to be held against the rulebook and the scenarios: the reference, the kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from matching.reference_auction import Certificate
from matching.reference_market import ReferenceMarket
from matching.reference_rows import Command, Rows, Standing
from matching.reference_settings import Settings
from matching.rulebook_layout import Phase


class Engine(Protocol):
    """A market over many series that runs one command at a time and answers with rows."""

    def add_series(
        self,
        number: int,
        settings: Settings | None = None,
        *,
        phase: Phase = Phase.CONTINUOUS,
        last_trade: int = 0,
        reference: int = 0,
    ) -> object:
        """List a series as it stands at its start; prices are 0 where they are not known."""

    def add_account(self, number: int, *, owner: int = 0, traits: int = 0, refuses: int = 0) -> None:
        """Register a party with its beneficial owner and its masks."""

    def run(self, command: Command) -> Rows:
        """Run a command to its end."""

    def due(self, now_ns: int, first_command: int) -> list[Command]:
        """The system commands that time has made due."""

    def indicative(self, series: int, *, reference: int = 0) -> Certificate:
        """The price at which an auction would uncross now, with another reference price if one is given."""

    def standing(self, series: int) -> list[Standing]:
        """Every open order: bids and asks in priority, then waiting stops and parked pegs in order of acceptance."""


def reference(*, rate_max: int = 0, rate_window_ns: int = 1_000_000_000) -> Engine:
    """The engine in plain Python."""
    return ReferenceMarket(rate_max=rate_max, rate_window_ns=rate_window_ns)


ENGINES: dict[str, Callable[..., Engine]] = {"reference": reference}
"""Every engine that must follow the rulebook, by name."""

"""The market of the benches with so few traders that it is built at once."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Protocol

import pytest

from benchmarks import market

TRADERS = 40


class SmallMarket(Protocol):
    """Makes a bench use few traders."""

    def __call__(self, bench: ModuleType) -> None: ...


@pytest.fixture
def small_market(monkeypatch: pytest.MonkeyPatch) -> SmallMarket:
    of_flow = market.flow_commands

    def flow_of_few(_name: str, count: int) -> Any:
        commands = of_flow("f1", count)  # The others need a thousand series.
        for field in ("account", "actor"):
            commands[field] = market.OFFSET + 1 + (commands[field] - market.OFFSET - 1) % TRADERS
        return commands

    def use(bench: ModuleType) -> None:
        monkeypatch.setattr(market, "TRADERS", TRADERS)
        monkeypatch.setattr(bench, "flow_commands", flow_of_few)

    return use

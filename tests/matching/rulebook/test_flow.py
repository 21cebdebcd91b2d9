"""The laws over seeded streams of every kind of command, and proof that the streams get around."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from matching.reference_rows import Command, Rows
from tests.conformance.engine import ENGINES
from tests.matching.rulebook.flow import Flow, Laws, situations

SEEDS = range(1, 21)
COMMANDS = 700
REACHED = {
    "auction keeps all apart",
    "auction prevents self-trades",
    "auction price of several",
    "auction skips a pair",
    "auction with a surplus of buyers",
    "auction with a surplus of sellers",
    "auction without a price",
    "auction_over",
    "cancel moves a peg",
    "deadman",
    "decremented",
    "expire moves a peg",
    "expired",
    "fok",
    "ineligible",
    "interruption",
    "kill moves a peg",
    "minimum",
    "new meets its owner",
    "new moves a peg",
    "new parks a peg",
    "new passes makers",
    "oco",
    "partial fill, then deadman",
    "partial fill, then decremented",
    "partial fill, then expired",
    "partial fill, then ineligible",
    "partial fill, then killed",
    "partial fill, then mass",
    "partial fill, then no_liquidity",
    "partial fill, then price_range",
    "partial fill, then replaced",
    "partial fill, then self_trade",
    "peg_no_reference",
    "phase parks a peg",
    "phase triggers a stop",
    "price_range",
    "refused: below_filled",
    "refused: killed",
    "refused: order_not_open",
    "refused: post_only_would_trade",
    "refused: price_outside_band",
    "refused: stop_already_through",
    "refused: trade_outside_band",
    "replace meets its owner",
    "replace moves a peg",
    "replace trades",
    "replaced_to_zero",
    "several peaks in one order",
    "stop triggers stop",
    "triggered stop trades",
    "uncross moves a peg",
    "uncross trades",
    "uncross triggers a stop",
}


def told(engine_name: str, seed: int, commands: int) -> tuple[list[tuple[Command, Rows]], Counter[str]]:
    """Tell an engine a stream; returns what it answered and the situations that came about."""
    flow, engine = Flow(random.Random(seed)), ENGINES[engine_name]()
    laws = Laws(flow.open(engine))
    answers: list[tuple[Command, Rows]] = []
    reached: Counter[str] = Counter()

    def tell(command: Command) -> None:
        flow.commands = command.command
        rows = engine.run(command)
        reached.update(situations(command, rows, laws))
        laws.look(command, rows, engine)
        flow.learn(command, rows)
        answers.append((command, rows))

    for _ in range(commands):
        for command in engine.due(flow.pass_time(), flow.commands + 1):
            tell(command)
        tell(flow.next())
    return answers, reached


@pytest.mark.parametrize("engine", ENGINES)
def test_the_laws_hold_in_many_situations(engine: str) -> None:
    """RB-183 RB-184 RB-180 RB-114 RB-143 RB-150"""
    reached: Counter[str] = Counter()
    for seed in SEEDS:
        reached += told(engine, seed, COMMANDS)[1]
    assert sorted(REACHED - set(reached)) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_commands_give_the_same_rows(engine: str) -> None:
    """RB-001 RB-012"""
    assert told(engine, 5, 300)[0] == told(engine, 5, 300)[0]

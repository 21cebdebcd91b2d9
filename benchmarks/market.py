"""A house in which every command of a published flow is accepted: traders with money and units, series with payees.

Built by ordinary commands, so a log that starts with it can be verified from its first entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from domain.commands import (
    AdoptFeeSchedule,
    AdoptTerms,
    Command,
    ListSeries,
    PublishModelVersion,
    RecordDeposit,
    RegisterCurrency,
    RegisterModel,
    RegisterModelVersion,
    RegisterParty,
    SignAgreement,
)
from domain.rejections import Refusal
from domain.values import DigestBasis, PartyKind, Purpose, Role, TermKind, UnitKind
from ledger.sequencer import Ask, OrderReplies, Orders, Sequencer
from matching.layout import COMMAND, FLAG_PRIMARY, Kind, Side, TimeInForce
from matching.simulator import FLOWS, commands_of, generate_flow

TRADERS = 10_000
AGENTS = 6
"""With the developer and the house that makes eight payees of each series."""
CASH_MINOR = 1_000_000_000_000
UNITS = 1_000_000
"""Lots of a series that each trader who will sell it is given."""
LOTS_MAX = 20_000_000_000
START_NS = 1_700_000_000_000_000_000
DAY = "2023-11-14"
DIGEST = bytes(32)
BATCH = 5_000


def flow_commands(name: str, count: int) -> Any:
    """The first `count` commands of a flow as COMMAND rows; the traders are parties OFFSET + 1 and up."""
    records, _ = generate_flow(FLOWS[name], count)
    commands = commands_of(records)
    commands["account"] += OFFSET
    commands["actor"] += OFFSET
    return commands


OFFSET = 1 + 1 + AGENTS
"""Parties before the first trader: operator, developer, agents."""


def build(sequencer: Sequencer, commands: Any, traders: int = TRADERS) -> Any:
    """Set everything up that `commands` (see `flow_commands`) of so many traders need; returns them with their order
    numbers.
    """
    series_count = int(commands["series"].max())
    _ask(sequencer, [_party("Operator", Role.OPERATOR | Role.FINANCE)], actor=0)
    _ask(sequencer, [_party("Developer", Role.DEVELOPER)], actor=1)
    _ask(sequencer, [_party(f"Agent {at}", Role.AGENT) for at in range(AGENTS)], actor=1)
    _ask(sequencer, [_party(f"Trader {at}", Role.TRADER) for at in range(traders)], actor=1)
    _ask(
        sequencer,
        [RegisterCurrency(code="USD", exponent=2), AdoptFeeSchedule(maker_ppm=1_000, taker_ppm=2_000)],
        actor=1,
    )
    deposits = [
        RecordDeposit(party=OFFSET + at, currency=1, amount_minor=CASH_MINOR, reference=f"cash-{at}", effective_day=DAY)
        for at in range(1, traders + 1)
    ]
    _ask(sequencer, deposits, actor=1)
    _list_series(sequencer, series_count)
    _give_units(sequencer, commands)
    ready = commands.copy()
    ready["target"][ready["target"] > 0] += int(sequencer.state.tables.book.tally["next_order"][0]) - 1
    return ready


def _party(name: str, roles: Role) -> Command:
    return RegisterParty(kind=PartyKind.COMPANY, legal_name=name, country="US", roles=roles)


def _list_series(sequencer: Sequencer, count: int) -> None:
    weights = tuple((3 + at, 40_000_000 + at) for at in range(AGENTS))
    terms = AdoptTerms(
        developer=2,
        purpose=Purpose.ANY,
        territory=("worldwide",),
        term=TermKind.PERPETUAL,
        unit=UnitKind.METERED,
        transferable=True,
        derivatives_allowed=False,
        resale_royalty_ppm=50_000,
        text_digest=DIGEST,
        license="LicenseRef-benchmark",
    )
    _ask(sequencer, [terms], actor=2)
    for number in range(1, count + 1):
        version = RegisterModelVersion(model=number, semver="1.0.0", digest=DIGEST, digest_basis=DigestBasis.ARTIFACT)
        _ask(
            sequencer,
            [
                RegisterModel(developer=2, key=f"bench/{number}", title=f"Model {number}", source="benchmark"),
                version,
                PublishModelVersion(model_version=number),
            ],
            actor=2,
        )
        agreement = SignAgreement(model=number, platform_ppb=100_000_000, agents=weights, data_ppb=0, upstream_ppb=0)
        _ask(sequencer, [agreement], actor=1)
        listing = ListSeries(
            symbol=f"B-{number}/USD",
            model_version=number,
            terms=1,
            currency=1,
            tick_minor=1,
            lot_size="1",
            unit_name="pack",
            supply_cap_lots=10 * LOTS_MAX,
            max_order_lots=LOTS_MAX,
            max_notional_minor=9_000_000_000_000,
        )
        _ask(sequencer, [listing], actor=2)


def _give_units(sequencer: Sequencer, commands: Any) -> None:
    """Let each trader buy, from the developer, the units it will offer."""
    pairs = np.unique(np.stack([commands["series"], commands["account"]], axis=1), axis=0)
    offers = np.zeros(int(commands["series"].max()), COMMAND)
    offers["kind"] = Kind.NEW
    offers["account"] = offers["actor"] = 2
    offers["series"] = np.arange(1, len(offers) + 1)
    offers["side"] = Side.SELL
    offers["price"] = 1
    offers["lots"] = LOTS_MAX
    offers["flags"] = FLAG_PRIMARY
    buys = np.zeros(len(pairs), COMMAND)
    buys["kind"] = Kind.NEW
    buys["series"], buys["account"] = pairs[:, 0], pairs[:, 1]
    buys["actor"] = buys["account"]
    buys["side"] = Side.BUY
    buys["price"] = 1
    buys["lots"] = UNITS
    buys["tif"] = TimeInForce.IOC
    asks = submit(sequencer, offers)
    submit(sequencer, buys)
    cancels = np.zeros(len(offers), COMMAND)
    cancels["kind"] = Kind.CANCEL
    cancels["account"] = cancels["actor"] = 2
    cancels["target"] = asks.results["order"]
    submit(sequencer, cancels)


def submit(sequencer: Sequencer, rows: Any, batch: int = 50_000) -> OrderReplies:
    """Send order rows in batches; every one must be accepted."""
    results = []
    positions = []
    for at in range(0, len(rows), batch):
        replies = sequencer.process([Orders(rows[at : at + batch])])[0]
        assert isinstance(replies, OrderReplies)
        refused = np.flatnonzero(replies.results["code"])
        assert not len(refused), (rows[at + refused[0]], replies.results[refused[0]])
        results.append(replies.results)
        positions.append(replies.positions)
    return OrderReplies(np.concatenate(results), np.concatenate(positions))


def _ask(sequencer: Sequencer, commands: Sequence[Command], actor: int) -> None:
    for at in range(0, len(commands), BATCH):
        for answer in sequencer.process([Ask(command, actor) for command in commands[at : at + BATCH]]):
            assert not isinstance(answer, Refusal), answer

"""Random histories of a market, and the same history cut into other batches.

A story is told to a desk while it is made: what it asks next depends on what was answered, so cancels name orders that
are open and refunds name trades that happened. What was asked is kept, and can be told again in any other cutting.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from domain.commands import (
    AdoptFeeSchedule,
    Command,
    DeclareOwnership,
    FreezeParty,
    HaltSeries,
    RecordListPrice,
    RecordStateRoot,
    RecordWithdrawal,
    RefundSale,
    RegisterParty,
    ResumeSeries,
    SetTaxRate,
    UnfreezeParty,
)
from domain.rejections import Refusal
from domain.values import HOUSE, HaltReason, PartyKind, PostingCode, PriceBasis, Role
from ledger.blocks import TOPIC, decode_block
from ledger.sequencer import Answer, Ask, Item, OrderReplies, Orders, Reply, Tick
from ledger.store import Store
from matching.layout import COMMAND, FLAG_MARKET, FLAG_PRIMARY, FLAG_SYSTEM, RESULT, Kind, Section
from tests.simulation.market import (
    AGENT,
    DAY,
    DEVELOPER,
    FIRST_TRADER,
    OFFICER,
    START_NS,
    Desk,
    a_deposit,
    a_series,
    an_agreement,
    request_id,
    requests_of,
    setting_up,
)

HOUR_NS = 3_600_000_000_000
PRICE, SPREAD = 100, 6
KINDS = (Kind.NEW, Kind.CANCEL, Kind.REDUCE, Kind.MASS_CANCEL)
KIND_ODDS = (0.72, 0.18, 0.095, 0.005)
EXTREMES = {
    "price": (-1, 0, 2**62),
    "lots": (-1, 0, 2**62),
    "target": (-1, 0, 2**62),
    "account": (-1, 0, 10**6),
    "series": (-1, 0, 10**6),
    "side": (-1, 2),
    "tif": (-1, 2),
    "flags": (FLAG_SYSTEM, 64, -1),
    "kind": (0, Kind.JOURNAL, Kind.OPEN_ACCOUNT, Kind.REFUND, Kind.TICK, 99, -1),
}


@dataclass(slots=True)
class Story:
    """Makes a history of about `chunk` order commands between two rare ones, and tells it to `desk`."""

    seed: int
    desk: Desk
    traders: int = 6
    series: int = 2
    chunk: int = 30
    told: list[Item] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.seed)
        self._at_ns = START_NS
        self._listed = self.series
        self._parties = FIRST_TRADER + self.traders
        self._open = np.zeros(0, np.int64)
        self._owners = np.zeros(0, np.int64)
        self._requests = 0
        self._references = 0
        for ask in setting_up(traders=self.traders, series=self.series):
            self._tell(ask)

    _random: np.random.Generator = field(init=False)
    _at_ns: int = field(init=False)
    _listed: int = field(init=False)
    _parties: int = field(init=False)
    _open: Any = field(init=False)
    """Numbers of orders that rested lately, and whose they are."""
    _owners: Any = field(init=False)
    _requests: int = field(init=False)
    _references: int = field(init=False)

    def tell(self, commands: int) -> None:
        """Go on until about so many order commands more were told."""
        while commands > 0:
            count = min(commands, 1 + int(self._random.integers(2 * self.chunk)))
            self._tell_orders(count)
            commands -= count
            for _ in range(self._random.integers(3)):
                self._tell_rare()

    # -- order commands ------------------------------------------------------------------------------------------------

    def _tell_orders(self, count: int) -> None:
        rows = self._rows(count)
        requests = None
        if self._random.integers(2):
            # Some ids come again, with the same body or with another.
            first = self._requests
            ids = first + np.arange(count)
            again = self._random.random(count) < 0.06
            ids[again] = np.maximum(0, ids[again] - self._random.integers(1, 2 * count + 2, again.sum()))
            self._requests += count
            requests = requests_of(ids, self._random.random(count) < 0.02)
        answer = self._tell(Orders(rows, requests, stamped=True))
        assert isinstance(answer, OrderReplies)
        rested = (answer.results["lots"] > 0) & (rows["kind"] == Kind.NEW)
        self._open = np.concatenate([self._open, answer.results["order"][rested]])[-400:]
        self._owners = np.concatenate([self._owners, rows["account"][rested]])[-400:]

    def _rows(self, count: int) -> Any:
        draw = self._random
        rows = np.zeros(count, COMMAND)
        rows["kind"] = draw.choice(KINDS, count, p=KIND_ODDS)
        rows["account"] = draw.integers(FIRST_TRADER, self._parties, count)
        rows["actor"] = rows["account"]
        rows["series"] = draw.integers(1, self._listed + 1, count)
        rows["side"] = draw.integers(0, 2, count)
        rows["price"] = PRICE + draw.integers(-SPREAD, SPREAD + 1, count)
        rows["lots"] = np.where(draw.random(count) < 0.05, 200, draw.integers(1, 10, count))
        rows["tif"] = draw.random(count) < 0.12
        rows["flags"] = np.where(draw.random(count) < 0.1, FLAG_MARKET, 0)
        primary = draw.random(count) < 0.15
        rows["side"][primary], rows["account"][primary] = 1, DEVELOPER
        rows["flags"][primary] |= FLAG_PRIMARY
        change = (rows["kind"] == Kind.CANCEL) | (rows["kind"] == Kind.REDUCE)
        if len(self._open):
            which = draw.integers(0, len(self._open), count)
            rows["target"][change] = self._open[which][change]
            rows["account"][change] = np.where(draw.random(count) < 0.9, self._owners[which], rows["account"])[change]
        one_series = (rows["kind"] == Kind.MASS_CANCEL) & (draw.random(count) < 0.5)
        rows["series"][(rows["kind"] == Kind.MASS_CANCEL) & ~one_series] = 0
        for at in np.flatnonzero(draw.random(count) < 0.03):
            name = draw.choice(list(EXTREMES))
            rows[at][name] = EXTREMES[name][draw.integers(len(EXTREMES[name]))]
        steps = np.where(draw.random(count) < 0.02, HOUR_NS, 10**9) * draw.random(count)
        rows["at_ns"] = self._at_ns + np.cumsum(steps.astype(np.int64))
        self._at_ns = int(rows["at_ns"][-1])
        return rows

    # -- rare commands -------------------------------------------------------------------------------------------------

    def _tell_rare(self) -> None:
        self._at_ns += int(self._random.integers(HOUR_NS))
        if self._random.integers(8) == 0:
            self._tell(Tick(self._at_ns))
            return
        asked = self._rare()
        if asked is None:
            return
        actor, command = asked
        request = None
        if self._random.integers(2):
            self._requests += 1
            request = request_id(self._requests)
        answer = self._tell(Ask(command, actor, request, self._at_ns))
        if isinstance(answer, Reply) and isinstance(command, RegisterParty):
            self._parties += 1
            self._tell(Ask(self._deposit(self._parties - 1), OFFICER, None, self._at_ns))
        if request is not None and self._random.integers(4) == 0:
            other = SetTaxRate(country="US", tax_ppm=1) if self._random.integers(2) else command
            self._tell(Ask(other, actor, request, self._at_ns))

    def _rare(self) -> tuple[int, Command] | None:  # noqa: PLR0911 - one line a command
        draw = self._random
        party = int(draw.integers(FIRST_TRADER, self._parties))
        series = int(draw.integers(1, self._listed + 1))
        later_ns = self._at_ns + int(draw.integers(1, 24 * HOUR_NS))
        match draw.integers(16):
            case 0 | 1:
                return OFFICER, self._deposit(party)
            case 2:
                return OFFICER, RecordWithdrawal(
                    party=party,
                    currency=1,
                    amount_minor=int(draw.choice((10**6, 10**12))),
                    reference=f"out-{self._next_reference()}",
                    effective_day=DAY,
                )
            case 3 if draw.integers(3) == 0:
                return OFFICER, HaltSeries(series=series, reason=HaltReason.RISK, note="why")
            case 3 | 4 | 5:
                return OFFICER, ResumeSeries(series=series)
            case 6:
                return OFFICER, FreezeParty(party=party) if draw.integers(3) == 0 else UnfreezeParty(party=party)
            case 7:
                return HOUSE, an_agreement(platform_ppb=int(draw.integers(10**8)), effective_at_ns=later_ns)
            case 8:
                if self._listed < 30:
                    self._listed += 1
                    return DEVELOPER, a_series(self._listed, ends_ns=later_ns)
                return HOUSE, SetTaxRate(country="DE", tax_ppm=int(draw.integers(300_000)))
            case 9:
                return HOUSE, AdoptFeeSchedule(maker_ppm=int(draw.integers(-500, 500)), taker_ppm=2_000)
            case 10:
                return HOUSE, RegisterParty(
                    kind=PartyKind.INDIVIDUAL, legal_name="Jo Doe", country="DE", roles=Role.TRADER
                )
            case 11:
                return DEVELOPER, RecordListPrice(
                    series=series, price_ticks=100, basis=PriceBasis.DEMO, source="a rule", effective_day=DAY
                )
            case 12:
                return HOUSE, self._root() if draw.integers(2) else DeclareOwnership(owner=AGENT, owned=party)
            case _:
                return self._refund()

    def _deposit(self, party: int) -> Command:
        return a_deposit(party, int(self._random.integers(1, 10**9)), f"in-{self._next_reference()}")

    def _next_reference(self) -> int:
        self._references += 1
        return self._references

    def _root(self) -> Command:
        state = self.desk.state
        return RecordStateRoot(at_command=state.next_command - 1, root=state.root())

    def _refund(self) -> tuple[int, Command] | None:
        """Of a lot of a primary sale in the last block, if there was one."""
        store = self.desk.store
        found = store.recorder.last_of_stream("shard-0")
        assert found is not None
        block = decode_block(found.state)
        postings, fills, grants = (block.rows(s) for s in (Section.POSTINGS, Section.FILLS, Section.GRANTS))
        for minted in postings[postings["code"] == int(PostingCode.MINT)][::-1]:
            of_command = fills[fills["command"] == minted["command"]]
            grant = grants[(grants["command"] == minted["command"]) & (grants["fill"] == minted["fill"])]
            if minted["fill"] < len(of_command) and len(grant):
                fill = of_command[minted["fill"]]
                series = int(grant[0]["series"])
                version = store.count_before(f"series-{series}", "WaterfallCompiled", found.position)
                return OFFICER, RefundSale(
                    trade_command=int(minted["command"]),
                    trade_fill=int(minted["fill"]),
                    trade_lots=int(fill["lots"]),
                    series=series,
                    buyer=int(grant[0]["holder"]),
                    lots=1,
                    price_ticks=int(fill["price"]),
                    waterfall_version=version,
                    reason="it does not work",
                )
        return None

    def _tell(self, item: Item) -> Answer:
        self.told.append(item)
        answer = self.desk.process(item)[0]
        self.answers.append(answer)
        return answer


# -- the same history in other batches ---------------------------------------------------------------------------------


def recut(items: Sequence[Item], seed: int, *, rows_mean: int, items_mean: int) -> Iterator[list[Item]]:
    """Batches of about `items_mean` items; orders are cut into pieces of about `rows_mean` rows, or of one row."""
    draw = np.random.default_rng(seed)
    batch: list[Item] = []
    size = int(draw.geometric(1 / items_mean))
    for item in _pieces(items, draw, rows_mean):
        batch.append(item)
        if len(batch) >= size:
            yield batch
            batch = []
            size = int(draw.geometric(1 / items_mean))
    if batch:
        yield batch


def _pieces(items: Sequence[Item], draw: np.random.Generator, rows_mean: int) -> Iterator[Item]:
    for item in items:
        if not isinstance(item, Orders):
            yield item
            continue
        at = 0
        while at < len(item.commands):
            end = at + int(draw.geometric(1 / rows_mean))
            requests = None if item.requests is None else item.requests[at:end]
            yield Orders(item.commands[at:end], requests, stamped=True)
            at = end


# -- what must not depend on the cutting -------------------------------------------------------------------------------


@dataclass(slots=True)
class Trace:
    """What law 9 compares, as running hashes, so that a history of any length needs little memory."""

    rows: dict[Section, int] = field(default_factory=lambda: dict.fromkeys(Section, 0))
    facts: int = 0
    _sections: dict[Section, Any] = field(default_factory=lambda: {section: hashlib.sha256() for section in Section})
    _facts: Any = field(default_factory=hashlib.sha256)
    _answers: Any = field(default_factory=hashlib.sha256)

    @property
    def rows_of_commands(self) -> int:
        return self.rows[Section.COMMANDS]

    def read(self, store: Store, start: int = 1) -> None:
        """Take the entries of a log from a position on."""
        for entry in store.read(start):
            if entry.topic == TOPIC:
                for section, rows in decode_block(entry.state).sections.items():
                    self.rows[section] += len(rows)
                    self._sections[section].update(np.ascontiguousarray(rows).view("V1").data)
            else:
                self.facts += 1
                self._facts.update(repr((entry.stream, entry.version, entry.topic, entry.state)).encode())

    def hear(self, answers: Sequence[Answer]) -> None:
        """Take the answers to a batch, without their positions."""
        for answer in answers:
            match answer:
                case OrderReplies():
                    self._answers.update(np.ascontiguousarray(answer.results.astype(RESULT)).data)
                case Reply():
                    kinds = [type(fact).__name__ for fact in answer.facts]
                    self._answers.update(repr((answer.command, kinds, answer.repeated)).encode())
                case Refusal():
                    self._answers.update(repr(answer).encode())

    def digests(self) -> dict[str, str]:
        """One hash a section, one of the facts, one of the answers."""
        found = {section.name: f"{self.rows[section]} rows {d.hexdigest()}" for section, d in self._sections.items()}
        found["facts"] = f"{self.facts} {self._facts.hexdigest()}"
        found["answers"] = self._answers.hexdigest()
        return found


def room(seed: int) -> dict[Section, int]:
    """Room for little more than one unit of work in each section of a block, so that long commands go over many."""
    draw = np.random.default_rng(seed)
    least = {
        Section.RESULTS: 5,
        Section.FILLS: 5,
        Section.ENDINGS: 5,
        Section.GRANTS: 5,
        Section.POSTINGS: 145,
        Section.ACCOUNTS: 73,
    }
    return {section: rows + int(draw.integers(20)) for section, rows in least.items()}

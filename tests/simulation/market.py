"""A small market to put under load: a developer with a published model, series of it, and traders with money.

Every command is stamped, so the same calls give the same log, byte for byte.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from domain.commands import (
    AdoptFeeSchedule,
    AdoptTerms,
    Command,
    ListSeries,
    PublishDatasetVersion,
    PublishModelVersion,
    RecordDeposit,
    RegisterCurrency,
    RegisterDataset,
    RegisterDatasetVersion,
    RegisterModel,
    RegisterModelVersion,
    RegisterParty,
    SetTaxRate,
    SignAgreement,
)
from domain.rejections import Refusal
from domain.values import (
    HOUSE,
    Classification,
    DigestBasis,
    LineageRole,
    PartyKind,
    PersonalData,
    Purpose,
    Role,
    TermKind,
    UnitKind,
)
from ledger.keys import KeyStore, MemoryKeyStore
from ledger.recorder import LogRecorder, migrate
from ledger.recovery import recover
from ledger.requests import Requests
from ledger.sequencer import Answer, Ask, Item, Orders, Sequencer
from ledger.store import Store
from ledger.tables import Limits, new_out
from matching.layout import COMMAND, REQUEST, Kind, Section, Side

START_NS = 1_786_665_600_000_000_000
"""2026-08-14T00:00:00Z."""
DAY = "2026-08-14"
DIGEST = bytes(range(32))
LIMITS = Limits(orders=1 << 18, levels=1 << 14, accounts=1 << 16)
OFFICER, DEVELOPER, AGENT, FIRST_TRADER = 1, 2, 3, 4
MONEY = 10**11
"""Minor units that each trader starts with."""
SUPPLY_CAP = 10**7
SPREAD_64 = np.array([-0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15], np.int64)


def setting_up(*, traders: int, series: int, money: int = MONEY) -> Iterator[Ask]:
    """The commands that make the market, all at START_NS; the traders are FIRST_TRADER and the numbers after it."""
    for actor, command in _setting_up(traders, series, money):
        yield Ask(command, actor, at_ns=START_NS)


def _setting_up(traders: int, series: int, money: int) -> Iterator[tuple[int, Command]]:
    for roles in (Role.FINANCE | Role.RISK, Role.DEVELOPER | Role.PROVIDER, Role.AGENT):
        yield HOUSE, RegisterParty(kind=PartyKind.COMPANY, legal_name="Acme Ltd", country="US", roles=roles)
    yield HOUSE, RegisterCurrency(code="USD", exponent=2)
    yield HOUSE, AdoptFeeSchedule(maker_ppm=500, taker_ppm=2_000)
    yield HOUSE, SetTaxRate(country="DE", tax_ppm=190_000)
    for number in range(traders):
        country = "DE" if number % 2 else "US"
        yield HOUSE, RegisterParty(kind=PartyKind.INDIVIDUAL, legal_name="Jo Doe", country=country, roles=Role.TRADER)
    yield (
        DEVELOPER,
        RegisterDataset(
            provider=DEVELOPER,
            key="corpus",
            title="A corpus",
            classification=Classification.GENERAL,
            tags=(),
            personal_data=PersonalData.NO,
            source="a catalogue",
        ),
    )
    yield (
        DEVELOPER,
        RegisterDatasetVersion(dataset=1, label="1", digest=DIGEST, digest_basis=DigestBasis.ARTIFACT),
    )
    yield DEVELOPER, PublishDatasetVersion(dataset_version=1)
    yield DEVELOPER, RegisterModel(developer=DEVELOPER, key="acme/model", title="A model", source="a catalogue")
    yield (
        DEVELOPER,
        RegisterModelVersion(
            model=1,
            semver="1.0.0",
            digest=DIGEST,
            digest_basis=DigestBasis.ARTIFACT,
            datasets=((1, 1_000_000_000, LineageRole.TRAINING),),
        ),
    )
    yield DEVELOPER, PublishModelVersion(model_version=1)
    yield (
        DEVELOPER,
        AdoptTerms(
            developer=DEVELOPER,
            purpose=Purpose.ANY,
            territory=("worldwide",),
            term=TermKind.PERPETUAL,
            unit=UnitKind.METERED,
            transferable=True,
            derivatives_allowed=False,
            resale_royalty_ppm=25_000,
            text_digest=DIGEST,
            license="MIT",
        ),
    )
    yield HOUSE, an_agreement(platform_ppb=100_000_000)
    for number in range(1, series + 1):
        yield DEVELOPER, a_series(number)
    for trader in range(FIRST_TRADER, FIRST_TRADER + traders):
        yield OFFICER, a_deposit(trader, money, reference=f"opening-{trader}")


def an_agreement(*, platform_ppb: int, effective_at_ns: int | None = None) -> SignAgreement:
    return SignAgreement(
        model=1,
        effective_at_ns=effective_at_ns,
        platform_ppb=platform_ppb,
        agents=((AGENT, 33_333_333),),
        data_ppb=200_000_000,
        upstream_ppb=0,
    )


def a_series(number: int, ends_ns: int | None = None) -> ListSeries:
    return ListSeries(
        symbol=f"MODEL-{number}/USD",
        model_version=1,
        terms=1,
        currency=1,
        tick_minor=7,
        lot_size="1000000",
        unit_name="token",
        supply_cap_lots=SUPPLY_CAP,
        max_order_lots=2_000_000,
        max_notional_minor=10**10,
        ends_ns=ends_ns,
    )


def a_deposit(party: int, amount_minor: int, reference: str) -> RecordDeposit:
    return RecordDeposit(party=party, currency=1, amount_minor=amount_minor, reference=reference, effective_day=DAY)


def new_orders(
    count: int,
    *,
    party: int,
    side: Side,
    price: int,
    lots: int = 1,
    flags: int = 0,
    at_ns: int = START_NS,
    series: int = 1,
) -> Any:
    """`count` equal rows of COMMAND."""
    rows = np.zeros(count, COMMAND)
    rows["kind"], rows["account"], rows["actor"], rows["series"] = Kind.NEW, party, party, series
    rows["side"], rows["price"], rows["lots"], rows["flags"], rows["at_ns"] = side, price, lots, flags, at_ns
    return rows


def requests_of(ids: Any, bodies: Any) -> Any:
    """Rows of REQUEST from small numbers, one for each."""
    rows = np.zeros(len(ids), REQUEST)
    for name, numbers in (("request_id", ids), ("body_hash", bodies)):
        words = np.zeros((len(rows), 2), np.int64)
        # The products wrap, so that the ids look like random ones; an id of zeros would stand for none.
        words[:] = (np.asarray(numbers, np.int64) + 1)[:, None] * SPREAD_64
        rows[name] = words.view("V16")[:, 0]
    return rows


@functools.cache
def request_id(number: int) -> bytes:
    """What `requests_of` makes of a number."""
    return bytes(requests_of([number], [0])["request_id"][0])


def counted_entropy() -> Callable[[int], bytes]:
    """Bytes that never repeat within one desk and are the same for every desk."""
    drawn = 0

    def draw(count: int) -> bytes:
        nonlocal drawn
        drawn += 1
        return hashlib.shake_256(drawn.to_bytes(8, "little")).digest(count)

    return draw


def quick_log(file: Path) -> LogRecorder:
    """A log in a file that is not synced: durable against everything but the loss of power, and quick."""
    migrate(f"sqlite:///{file}")
    recorder = LogRecorder(f"sqlite:///{file}")
    writing_connection(recorder).execute("PRAGMA synchronous = OFF")
    return recorder


def writing_connection(recorder: LogRecorder) -> Any:
    """The driver's connection that appends to a log in SQLite, to set what no user of the recorder may."""
    database: Any = recorder._database
    return database._writer


def no_clock() -> int:
    raise AssertionError("a stamped command asked for the time")


class Desk:
    """A sequencer on a log, without the outside: stamped commands only."""

    def __init__(
        self,
        recorder: LogRecorder | None = None,
        *,
        out_rows: Mapping[Section, int] | None = None,
        limits: Limits = LIMITS,
        clock: Callable[[], int] = no_clock,
        keys: KeyStore | None = None,
    ) -> None:
        """Recovered from the log of `recorder`, by default a new one in memory. `out_rows`: room of a block."""
        self.recorder = LogRecorder("sqlite://") if recorder is None else recorder
        self.limits = limits
        self.store = Store(self.recorder)
        replay = recover(self.store, None, limits)
        if out_rows is not None:
            replay.state.out = new_out(dict(out_rows))
        self.state = replay.state
        self.requests = replay.requests or Requests()
        self.keys: KeyStore = MemoryKeyStore(counted_entropy()) if keys is None else keys
        self.sequencer = Sequencer(self.store, self.state, self.requests, self.keys, clock)

    def process(self, *items: Item) -> list[Answer]:
        return self.sequencer.process(items)

    def set_up(self, *, traders: int = 4, series: int = 1, money: int = MONEY) -> None:
        """Make the market, a command a batch."""
        for ask in setting_up(traders=traders, series=series, money=money):
            answer = self.sequencer.process([ask])[0]
            assert not isinstance(answer, Refusal), (ask, answer)

    def orders(self, commands: Any, requests: Any = None) -> Any:
        """Process stamped rows as one batch; their replies."""
        return self.process(Orders(commands, requests, stamped=True))[0]

"""The domain tests' own language: a house that decides and remembers, and the usual parties and models."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from domain.canonical import fingerprint
from domain.catalogue import Catalogue, Due
from domain.commands import (
    AdoptTerms,
    Command,
    ListSeries,
    PublishDatasetVersion,
    PublishModelVersion,
    RegisterCurrency,
    RegisterDataset,
    RegisterDatasetVersion,
    RegisterModel,
    RegisterModelVersion,
    RegisterParty,
    SignAgreement,
)
from domain.decisions import decide, decide_due, evolve, next_due
from domain.events import Fact
from domain.outcomes import Decided
from domain.rejections import Refusal
from domain.values import (
    HOUSE,
    BaseRelation,
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

START_NS = 1_786_665_600_000_000_000
"""2026-08-14T00:00:00Z."""
TODAY = "2026-08-14"
DIGEST = bytes(range(32))
PERCENT = 10_000_000
"""In parts per billion."""


@dataclass
class House:
    """Decides commands one after another and evolves its catalogue by the facts, as the writer does."""

    catalogue: Catalogue = field(default_factory=Catalogue)
    at_ns: int = START_NS
    command: int = 0
    history: list[tuple[int, int, Fact]] = field(default_factory=list)
    """(command, at_ns, fact)."""
    last: Decided = field(default_factory=lambda: Decided(()))

    def decide(self, command: Command, actor: int = HOUSE) -> Decided | Refusal:
        return decide(self.catalogue, command, actor=actor, at_ns=self.at_ns)

    def do(self, command: Command, actor: int = HOUSE) -> Any:
        """The first fact of a command that must be accepted, after everything due; the whole answer is in `last`."""
        self.let_time_pass()
        decided = self.decide(command, actor)
        assert isinstance(decided, Decided), decided
        return self.take(decided)

    def refuses(self, command: Command, actor: int = HOUSE) -> Refusal:
        """The refusal of a command, which must leave the state as it was."""
        self.let_time_pass()
        before = fingerprint(self.catalogue)
        refusal = self.decide(command, actor)
        assert isinstance(refusal, Refusal), refusal
        assert fingerprint(self.catalogue) == before
        for part in (refusal.field, refusal.rule, refusal.value):
            assert part and part in refusal.message
        return refusal

    def let_time_pass(self, to_ns: int | None = None) -> list[Due]:
        """Everything due until then happens, in its order."""
        until_ns = self.at_ns if to_ns is None else to_ns
        happened = []
        while (due := next_due(self.catalogue)) is not None and due.due_ns <= until_ns:
            self.at_ns = max(self.at_ns, due.due_ns)
            self.take(decide_due(self.catalogue, due, at_ns=self.at_ns))
            happened.append(due)
        self.at_ns = max(self.at_ns, until_ns)
        return happened

    def take(self, decided: Decided) -> Fact:
        """Let the facts happen under the next command number."""
        self.last = decided
        self.command += 1
        for fact in decided.facts:
            evolve(self.catalogue, fact, at_ns=self.at_ns, command=self.command)
            self.history.append((self.command, self.at_ns, fact))
        return decided.facts[0]

    # -- the usual participants and assets, by their numbers -----------------------------------------------------------

    def party(self, *roles: Role, country: str = "DE") -> int:
        held = Role(0)
        for role in roles:
            held |= role
        return int(
            self.do(RegisterParty(kind=PartyKind.COMPANY, legal_name="Acme Ltd", country=country, roles=held)).party
        )

    def dataset(self, provider: int, key: str = "corpus") -> int:
        return int(self.do(a_dataset(provider, key), actor=provider).dataset)

    def dataset_version(self, provider: int, key: str = "corpus", *, published: bool = True) -> int:
        """A version "v1" of a data set of its own."""
        dataset = self.dataset(provider, key)
        number = int(self.do(a_dataset_version(dataset), actor=provider).dataset_version)
        if published:
            self.do(PublishDatasetVersion(dataset_version=number), actor=provider)
        return number

    def model(self, developer: int, key: str = "acme/model") -> int:
        return int(self.do(a_model(developer, key), actor=developer).model)

    def model_version(
        self,
        model: int,
        semver: str = "1.0.0",
        *,
        datasets: dict[int, int] | None = None,
        bases: dict[int, int] | None = None,
        published: bool = True,
    ) -> int:
        """A version whose lineage is given as weights in ppb by version."""
        developer = self.catalogue.models[model].developer
        command = a_model_version(model, semver, datasets=datasets, bases=bases)
        number = int(self.do(command, actor=developer).model_version)
        if published:
            self.do(PublishModelVersion(model_version=number), actor=developer)
        return number

    def currency(self, code: str = "USD", exponent: int = 2) -> int:
        return int(self.do(RegisterCurrency(code=code, exponent=exponent)).currency)

    def terms(self, developer: int, **changes: Any) -> int:
        return int(self.do(replace(some_terms(developer), **changes), actor=developer).terms)

    def agreement(self, model: int, **changes: Any) -> int:
        number = int(self.do(replace(an_agreement(model), **changes)).agreement)
        self.let_time_pass()
        return number

    def series(self, model_version: int, symbol: str = "MODEL/USD", **changes: Any) -> int:
        """Listed in the first currency under new terms of the developer."""
        developer = self.catalogue.models[self.catalogue.model_versions[model_version].model].developer
        if not self.catalogue.currencies:
            self.currency()
        terms = self.terms(developer)
        return int(self.do(replace(a_series(model_version, terms, symbol), **changes), actor=developer).series)


def a_dataset(provider: int, key: str = "corpus") -> RegisterDataset:
    return RegisterDataset(
        provider=provider,
        key=key,
        title="A corpus",
        license="CC-BY-4.0",
        classification=Classification.GENERAL,
        tags=("text",),
        personal_data=PersonalData.NO,
        source="a catalogue",
    )


def a_dataset_version(dataset: int, label: str = "v1", parents: tuple[int, ...] = ()) -> RegisterDatasetVersion:
    return RegisterDatasetVersion(
        dataset=dataset, label=label, digest=DIGEST, digest_basis=DigestBasis.CATALOGUE_ROW, parents=parents
    )


def a_model(developer: int, key: str = "acme/model") -> RegisterModel:
    return RegisterModel(developer=developer, key=key, title="A model", license="Apache-2.0", source="a catalogue")


def a_model_version(
    model: int, semver: str = "1.0.0", *, datasets: dict[int, int] | None = None, bases: dict[int, int] | None = None
) -> RegisterModelVersion:
    return RegisterModelVersion(
        model=model,
        semver=semver,
        digest=DIGEST,
        digest_basis=DigestBasis.CATALOGUE_ROW,
        datasets=tuple((number, weight, LineageRole.TRAINING) for number, weight in (datasets or {}).items()),
        bases=tuple((number, weight, BaseRelation.FINE_TUNE) for number, weight in (bases or {}).items()),
    )


def some_terms(developer: int) -> AdoptTerms:
    return AdoptTerms(
        developer=developer,
        purpose=Purpose.ANY,
        territory=("worldwide",),
        term=TermKind.PERPETUAL,
        unit=UnitKind.METERED,
        transferable=True,
        derivatives_allowed=True,
        resale_royalty_ppm=50_000,
        text_digest=DIGEST,
        license="proprietary-api",
    )


def an_agreement(model: int) -> SignAgreement:
    return SignAgreement(model=model, platform_ppb=20 * PERCENT, data_ppb=0, upstream_ppb=0)


def a_series(model_version: int, terms: int, symbol: str = "MODEL/USD") -> ListSeries:
    return ListSeries(
        symbol=symbol,
        model_version=model_version,
        terms=terms,
        currency=1,
        tick_minor=1,
        lot_size="1000000",
        unit_name="token",
        supply_cap_lots=1_000_000,
        max_order_lots=10_000,
        max_notional_minor=1_000_000_000,
    )


def a_market() -> tuple[House, int, int]:
    """A house with one developer, one published model version, an agreement in force and one series."""
    house = House()
    developer = house.party(Role.DEVELOPER)
    model = house.model(developer)
    house.agreement(model)
    series = house.series(house.model_version(model))
    return house, developer, series

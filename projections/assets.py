"""What is known of parties, data sets, models, licenses and series: the catalogue as the log tells it.

Every row says in which entry of the log it began (`position`, `command`, `at_ns`) and, where it changes, which entry
changed it last (`last_position`). Numbers are the house's own; texts of persons are as far as their keys exist.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Index,
    Row,
    Select,
    Table,
    Text,
    cast,
    func,
    literal,
    or_,
    select,
)

from domain import events
from domain.events import Envelope, Fact
from domain.values import SeriesPhase, VersionState, WithdrawalKind
from projections.projection import Batch
from projections.rows import PAGE_ROWS, KeptRows, WaitingRows, blob, key, maybe, maybe_text, readable, text
from projections.schema import integer, table

MODEL: Final = 1
DATASET: Final = 2
"""`kind` and `parent_kind` of a lineage edge: which numbers its ends have."""


def _since() -> list[Any]:
    return [integer("position"), integer("command"), integer("at_ns")]


# -- tables ------------------------------------------------------------------------------------------------------------

parties = table(
    "parties",
    key("party"),
    text("kind"),
    maybe_text("legal_name"),  # absent where the key was erased or is not at hand
    text("country"),
    integer("roles"),
    integer("frozen"),
    maybe_text("frozen_note"),
    maybe("owner"),
    *_since(),
    integer("last_position"),
)
datasets = table(
    "datasets",
    key("dataset"),
    integer("provider"),
    text("key"),
    text("title"),
    maybe_text("license"),
    text("classification"),
    text("tags"),  # a JSON array of texts
    text("personal_data"),
    text("source"),
    *_since(),
    Index("datasets_by_provider", "provider", "dataset"),
    Index("datasets_by_key", "key"),
)
dataset_versions = table(
    "dataset_versions",
    key("dataset_version"),
    integer("dataset"),
    text("label"),
    blob("digest"),
    text("digest_basis"),
    text("state"),
    maybe_text("notice"),
    maybe_text("effective_day"),  # of the notice
    maybe_text("note"),
    *_since(),
    integer("last_position"),
    Index("dataset_versions_by_dataset", "dataset", "dataset_version"),
)
models = table(
    "models",
    key("model"),
    integer("developer"),
    text("key"),
    text("title"),
    maybe_text("family"),
    maybe_text("modality"),
    maybe_text("license"),
    text("source"),
    *_since(),
    Index("models_by_developer", "developer", "model"),
    Index("models_by_key", "key"),
)
training_runs = table(
    "training_runs",
    key("training_run"),
    integer("model"),
    text("dataset_versions"),  # a JSON array of numbers
    blob("params_digest", nullable=True),
    maybe_text("started_day"),
    maybe_text("ended_day"),
    *_since(),
    Index("training_runs_by_model", "model", "training_run"),
)
model_versions = table(
    "model_versions",
    key("model_version"),
    integer("model"),
    text("semver"),
    blob("digest"),
    text("digest_basis"),
    maybe("training_run"),
    text("state"),
    maybe_text("notice"),
    maybe_text("effective_day"),
    maybe_text("note"),
    *_since(),
    integer("last_position"),
    Index("model_versions_by_model", "model", "model_version"),
)
lineage = table(
    "lineage",
    key("kind"),
    key("version"),  # of a model or a data set, as `kind` says
    key("parent_kind"),
    key("parent"),
    maybe("weight_ppb"),  # absent between data sets, which carry no weights
    text("relation"),
    *_since(),
    Index("lineage_by_parent", "parent_kind", "parent"),
)
terms = table(
    "terms",
    key("terms"),
    integer("developer"),
    text("purpose"),
    text("territory"),  # a JSON array of texts
    text("term"),
    maybe("term_ends_ns"),
    maybe("term_days"),
    text("unit"),
    integer("transferable"),
    integer("derivatives_allowed"),
    integer("resale_royalty_ppm"),
    blob("text_digest"),
    text("license"),
    *_since(),
    Index("terms_by_developer", "developer", "terms"),
)
currencies = table("currencies", key("currency"), text("code"), integer("exponent"), *_since())
series = table(
    "series",
    key("series"),
    text("symbol"),
    integer("model"),
    integer("model_version"),
    integer("terms"),
    integer("currency"),
    integer("issuer"),
    integer("tick_minor"),
    text("lot_size"),
    text("unit_name"),
    integer("supply_cap_lots"),
    integer("max_order_lots"),
    integer("max_notional_minor"),
    integer("resale_allowed"),
    integer("royalty_ppm"),
    maybe("ends_ns"),
    integer("phase"),  # domain.values.SeriesPhase
    maybe_text("halt_reason"),
    maybe_text("halt_note"),
    integer("phase_at_ns"),
    integer("phase_actor"),
    maybe("list_price_ticks"),  # the newest
    maybe_text("list_price_basis"),
    maybe_text("list_price_day"),
    *_since(),
    integer("last_position"),
    Index("series_by_model", "model", "series"),
    Index("series_by_issuer", "issuer", "series"),
    Index("series_by_symbol", "symbol"),
)
list_prices = table(
    "list_prices",
    key("position"),
    integer("series"),
    integer("price_ticks"),
    text("basis"),
    text("source"),
    text("effective_day"),
    integer("command"),
    integer("at_ns"),
    Index("list_prices_by_series", "series", "position"),
)
fee_schedules = table("fee_schedules", key("fee_schedule"), integer("maker_ppm"), integer("taker_ppm"), *_since())
tax_rates = table(
    "tax_rates",
    key("position"),
    text("country"),
    integer("tax_ppm"),
    integer("command"),
    integer("at_ns"),
)
"""Every rate that was ever set; the newest of a country applies."""

# -- the fold ----------------------------------------------------------------------------------------------------------


class Assets:
    """The catalogue's read model. Its tables are small and kept in memory, except prices and lineage."""

    name = "assets"
    version = 1
    tables: Sequence[Table] = (
        parties,
        datasets,
        dataset_versions,
        models,
        training_runs,
        model_versions,
        lineage,
        terms,
        currencies,
        series,
        list_prices,
        fee_schedules,
        tax_rates,
    )

    def __init__(self) -> None:
        self._parties = KeptRows(parties)
        self._datasets = WaitingRows(datasets)
        self._dataset_versions = KeptRows(dataset_versions)
        self._models = WaitingRows(models)
        self._training_runs = WaitingRows(training_runs)
        self._model_versions = KeptRows(model_versions)
        self._lineage = WaitingRows(lineage)
        self._terms = WaitingRows(terms)
        self._currencies = WaitingRows(currencies)
        self._series = KeptRows(series)
        self._list_prices = WaitingRows(list_prices)
        self._fee_schedules = WaitingRows(fee_schedules)
        self._tax_rates = WaitingRows(tax_rates)
        self._effects: dict[type[Fact], Callable[[_At, Any], None]] = {
            events.PartyRegistered: self._party_registered,
            events.RoleGranted: self._role_granted,
            events.RoleRevoked: self._role_revoked,
            events.OwnershipDeclared: self._ownership_declared,
            events.PartyFrozen: self._party_frozen,
            events.PartyUnfrozen: self._party_unfrozen,
            events.DatasetRegistered: self._dataset_registered,
            events.DatasetVersionRegistered: self._dataset_version_registered,
            events.DatasetVersionPublished: self._dataset_version_published,
            events.DatasetVersionWithdrawn: self._dataset_version_withdrawn,
            events.ModelRegistered: self._model_registered,
            events.TrainingRunRecorded: self._training_run_recorded,
            events.ModelVersionRegistered: self._model_version_registered,
            events.ModelVersionPublished: self._model_version_published,
            events.ModelVersionWithdrawn: self._model_version_withdrawn,
            events.TermsAdopted: self._terms_adopted,
            events.CurrencyRegistered: self._currency_registered,
            events.SeriesListed: self._series_listed,
            events.SeriesHalted: self._series_halted,
            events.SeriesResumed: self._series_resumed,
            events.SeriesEnded: self._series_ended,
            events.ListPriceRecorded: self._list_price_recorded,
            events.FeeScheduleAdopted: self._fee_schedule_adopted,
            events.TaxRateSet: self._tax_rate_set,
        }

    def load(self, connection: Connection) -> None:
        for kept in self._kept():
            kept.load(connection)

    def fold(self, batch: Batch) -> None:
        for position, envelope, fact in batch.facts:
            effect = self._effects.get(type(fact))
            if effect is not None:
                effect(_At(position, envelope), fact)

    def write(self, connection: Connection) -> None:
        for kept in self._kept():
            kept.write(connection)
        for new in (
            self._datasets,
            self._models,
            self._training_runs,
            self._lineage,
            self._terms,
            self._currencies,
            self._list_prices,
            self._fee_schedules,
            self._tax_rates,
        ):
            new.write(connection)

    def _kept(self) -> tuple[KeptRows, ...]:
        return (self._parties, self._dataset_versions, self._model_versions, self._series)

    def _party_registered(self, at: _At, fact: events.PartyRegistered) -> None:
        self._parties.put(
            party=fact.party,
            kind=fact.kind.value,
            legal_name=readable(fact.legal_name),
            country=fact.country,
            roles=int(fact.roles),
            frozen=0,
            frozen_note=None,
            owner=None,
            **at.since(),
            last_position=at.position,
        )

    def _role_granted(self, at: _At, fact: events.RoleGranted) -> None:
        roles = self._parties[(fact.party,)]["roles"] | int(fact.role)
        self._parties.change((fact.party,), roles=roles, last_position=at.position)

    def _role_revoked(self, at: _At, fact: events.RoleRevoked) -> None:
        roles = self._parties[(fact.party,)]["roles"] & ~int(fact.role)
        self._parties.change((fact.party,), roles=roles, last_position=at.position)

    def _ownership_declared(self, at: _At, fact: events.OwnershipDeclared) -> None:
        self._parties.change((fact.owned,), owner=fact.owner, last_position=at.position)

    def _party_frozen(self, at: _At, fact: events.PartyFrozen) -> None:
        self._parties.change((fact.party,), frozen=1, frozen_note=readable(fact.note), last_position=at.position)

    def _party_unfrozen(self, at: _At, fact: events.PartyUnfrozen) -> None:
        self._parties.change((fact.party,), frozen=0, frozen_note=None, last_position=at.position)

    def _dataset_registered(self, at: _At, fact: events.DatasetRegistered) -> None:
        self._datasets.put(
            dataset=fact.dataset,
            provider=fact.provider,
            key=fact.key,
            title=fact.title,
            license=fact.license,
            classification=fact.classification.value,
            tags=json_text(fact.tags),
            personal_data=fact.personal_data.value,
            source=fact.source,
            **at.since(),
        )

    def _dataset_version_registered(self, at: _At, fact: events.DatasetVersionRegistered) -> None:
        self._dataset_versions.put(
            dataset_version=fact.dataset_version,
            dataset=fact.dataset,
            label=fact.label,
            digest=fact.digest,
            digest_basis=fact.digest_basis.value,
            state=VersionState.REGISTERED.value,
            notice=None,
            effective_day=None,
            note=None,
            **at.since(),
            last_position=at.position,
        )
        for parent in fact.parents:
            self._edge(at, DATASET, fact.dataset_version, DATASET, parent, None, "made_from")

    def _dataset_version_published(self, at: _At, fact: events.DatasetVersionPublished) -> None:
        self._dataset_versions.change(
            (fact.dataset_version,), state=VersionState.PUBLISHED.value, last_position=at.position
        )

    def _dataset_version_withdrawn(self, at: _At, fact: events.DatasetVersionWithdrawn) -> None:
        _withdraw(self._dataset_versions, fact.dataset_version, at, fact)

    def _model_registered(self, at: _At, fact: events.ModelRegistered) -> None:
        self._models.put(
            model=fact.model,
            developer=fact.developer,
            key=fact.key,
            title=fact.title,
            family=fact.family,
            modality=fact.modality,
            license=fact.license,
            source=fact.source,
            **at.since(),
        )

    def _training_run_recorded(self, at: _At, fact: events.TrainingRunRecorded) -> None:
        self._training_runs.put(
            training_run=fact.training_run,
            model=fact.model,
            dataset_versions=json_text(fact.dataset_versions),
            params_digest=fact.params_digest,
            started_day=fact.started_day,
            ended_day=fact.ended_day,
            **at.since(),
        )

    def _model_version_registered(self, at: _At, fact: events.ModelVersionRegistered) -> None:
        self._model_versions.put(
            model_version=fact.model_version,
            model=fact.model,
            semver=fact.semver,
            digest=fact.digest,
            digest_basis=fact.digest_basis.value,
            training_run=fact.training_run,
            state=VersionState.REGISTERED.value,
            notice=None,
            effective_day=None,
            note=None,
            **at.since(),
            last_position=at.position,
        )
        for number, weight_ppb, role in fact.datasets:
            self._edge(at, MODEL, fact.model_version, DATASET, number, weight_ppb, role.value)
        for number, weight_ppb, relation in fact.bases:
            self._edge(at, MODEL, fact.model_version, MODEL, number, weight_ppb, relation.value)

    def _edge(
        self, at: _At, kind: int, version: int, parent_kind: int, parent: int, weight_ppb: int | None, relation: str
    ) -> None:
        self._lineage.put(
            kind=kind,
            version=version,
            parent_kind=parent_kind,
            parent=parent,
            weight_ppb=weight_ppb,
            relation=relation,
            **at.since(),
        )

    def _model_version_published(self, at: _At, fact: events.ModelVersionPublished) -> None:
        self._model_versions.change(
            (fact.model_version,), state=VersionState.PUBLISHED.value, last_position=at.position
        )

    def _model_version_withdrawn(self, at: _At, fact: events.ModelVersionWithdrawn) -> None:
        _withdraw(self._model_versions, fact.model_version, at, fact)

    def _terms_adopted(self, at: _At, fact: events.TermsAdopted) -> None:
        self._terms.put(
            terms=fact.terms,
            developer=fact.developer,
            purpose=fact.purpose.value,
            territory=json_text(fact.territory),
            term=fact.term.value,
            term_ends_ns=fact.term_ends_ns,
            term_days=fact.term_days,
            unit=fact.unit.value,
            transferable=int(fact.transferable),
            derivatives_allowed=int(fact.derivatives_allowed),
            resale_royalty_ppm=fact.resale_royalty_ppm,
            text_digest=fact.text_digest,
            license=fact.license,
            **at.since(),
        )

    def _currency_registered(self, at: _At, fact: events.CurrencyRegistered) -> None:
        self._currencies.put(currency=fact.currency, code=fact.code, exponent=fact.exponent, **at.since())

    def _series_listed(self, at: _At, fact: events.SeriesListed) -> None:
        self._series.put(
            series=fact.series,
            symbol=fact.symbol,
            model=self._model_versions[(fact.model_version,)]["model"],
            model_version=fact.model_version,
            terms=fact.terms,
            currency=fact.currency,
            issuer=fact.issuer,
            tick_minor=fact.tick_minor,
            lot_size=fact.lot_size,
            unit_name=fact.unit_name,
            supply_cap_lots=fact.supply_cap_lots,
            max_order_lots=fact.max_order_lots,
            max_notional_minor=fact.max_notional_minor,
            resale_allowed=int(fact.resale_allowed),
            royalty_ppm=fact.royalty_ppm,
            ends_ns=fact.ends_ns,
            phase=int(SeriesPhase.OPEN),
            halt_reason=None,
            halt_note=None,
            phase_at_ns=at.envelope.at_ns,
            phase_actor=at.envelope.actor,
            list_price_ticks=None,
            list_price_basis=None,
            list_price_day=None,
            **at.since(),
            last_position=at.position,
        )

    def _series_halted(self, at: _At, fact: events.SeriesHalted) -> None:
        self._phase(at, fact.series, SeriesPhase.HALTED, fact.reason.value, readable(fact.note))

    def _series_resumed(self, at: _At, fact: events.SeriesResumed) -> None:
        self._phase(at, fact.series, SeriesPhase.OPEN)

    def _series_ended(self, at: _At, fact: events.SeriesEnded) -> None:
        self._phase(at, fact.series, SeriesPhase.ENDED)

    def _phase(
        self, at: _At, number: int, phase: SeriesPhase, reason: str | None = None, note: str | None = None
    ) -> None:
        self._series.change(
            (number,),
            phase=int(phase),
            halt_reason=reason,
            halt_note=note,
            phase_at_ns=at.envelope.at_ns,
            phase_actor=at.envelope.actor,
            last_position=at.position,
        )

    def _list_price_recorded(self, at: _At, fact: events.ListPriceRecorded) -> None:
        self._list_prices.put(
            series=fact.series,
            price_ticks=fact.price_ticks,
            basis=fact.basis.value,
            source=fact.source,
            effective_day=fact.effective_day,
            **at.since(),
        )
        self._series.change(
            (fact.series,),
            list_price_ticks=fact.price_ticks,
            list_price_basis=fact.basis.value,
            list_price_day=fact.effective_day,
            last_position=at.position,
        )

    def _fee_schedule_adopted(self, at: _At, fact: events.FeeScheduleAdopted) -> None:
        self._fee_schedules.put(
            fee_schedule=fact.fee_schedule, maker_ppm=fact.maker_ppm, taker_ppm=fact.taker_ppm, **at.since()
        )

    def _tax_rate_set(self, at: _At, fact: events.TaxRateSet) -> None:
        self._tax_rates.put(country=fact.country, tax_ppm=fact.tax_ppm, **at.since())


class _At(NamedTuple):
    """Where a fact stands."""

    position: int
    envelope: Envelope

    def since(self) -> dict[str, int]:
        return {"position": self.position, "command": self.envelope.command, "at_ns": self.envelope.at_ns}


def json_text(values: Sequence[object]) -> str:
    """A JSON array without white space."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def _withdraw(
    rows: KeptRows, number: int, at: _At, fact: events.DatasetVersionWithdrawn | events.ModelVersionWithdrawn
) -> None:
    rows.change(
        (number,),
        notice=fact.kind.value,
        effective_day=fact.effective_day,
        note=readable(fact.note),
        last_position=at.position,
    )
    if fact.kind is WithdrawalKind.WITHDRAWN:
        rows.change((number,), state=VersionState.WITHDRAWN.value)


# -- questions ---------------------------------------------------------------------------------------------------------
# Lists are in the order of their numbers and go on after the number `after`.

Found = Row[Any]
"""A row with the columns of its table, and those that its question adds."""


def party(connection: Connection, number: int) -> Found | None:
    return connection.execute(select(parties).where(parties.c.party == number)).first()


def all_parties(
    connection: Connection,
    *,
    search: str | None = None,
    role: int | None = None,
    kind: str | None = None,
    country: str | None = None,
    frozen: bool | None = None,
    after: int = 0,
    limit: int = PAGE_ROWS,
) -> Sequence[Found]:
    """Parties; `search` is looked for in their names, `role` is a bit of `domain.values.Role`."""
    asked = select(parties).where(parties.c.party > after).order_by(parties.c.party).limit(limit)
    if search:
        asked = asked.where(_contains(search, parties.c.legal_name))
    if role is not None:
        asked = asked.where(parties.c.roles.op("&")(role) != 0)
    if frozen is not None:
        asked = asked.where(parties.c.frozen == int(frozen))
    return connection.execute(_equal(asked, {parties.c.kind: kind, parties.c.country: country})).all()


def party_names(connection: Connection, numbers: Sequence[int]) -> dict[int, str | None]:
    """Legal names by party."""
    asked = select(parties.c.party, parties.c.legal_name).where(parties.c.party.in_(set(numbers)))
    return {row.party: row.legal_name for row in connection.execute(asked)}


def dataset(connection: Connection, number: int) -> Found | None:
    return connection.execute(select(datasets).where(datasets.c.dataset == number)).first()


def all_datasets(
    connection: Connection,
    *,
    search: str | None = None,
    provider: int | None = None,
    classification: str | None = None,
    license: str | None = None,  # noqa: A002
    after: int = 0,
    limit: int = PAGE_ROWS,
) -> Sequence[Found]:
    """Data sets; `search` is looked for in key, title and tags."""
    asked = select(datasets).where(datasets.c.dataset > after).order_by(datasets.c.dataset).limit(limit)
    if search:
        asked = asked.where(_contains(search, datasets.c.key, datasets.c.title, datasets.c.tags))
    narrowed = {
        datasets.c.provider: provider,
        datasets.c.classification: classification,
        datasets.c.license: license,
    }
    return connection.execute(_equal(asked, narrowed)).all()


def versions_of_dataset(
    connection: Connection, number: int, *, after: int = 0, limit: int = PAGE_ROWS
) -> Sequence[Found]:
    rows = dataset_versions
    asked = select(rows).where(rows.c.dataset == number, rows.c.dataset_version > after)
    return connection.execute(asked.order_by(rows.c.dataset_version).limit(limit)).all()


def dataset_version(connection: Connection, number: int) -> Found | None:
    """A version, with `key`, `title` and `provider` of its data set."""
    return connection.execute(
        select(dataset_versions, datasets.c.key, datasets.c.title, datasets.c.provider)
        .join(datasets, datasets.c.dataset == dataset_versions.c.dataset)
        .where(dataset_versions.c.dataset_version == number)
    ).first()


def users_of_dataset(connection: Connection, number: int, *, after: int = 0, limit: int = PAGE_ROWS) -> Sequence[Found]:
    """Model versions that name a version of the data set in their lineage: columns of `model_versions`, `model_key`,
    `label` of the version used, `weight_ppb`, `relation`; by (model version, data set version).
    """
    return connection.execute(
        select(
            model_versions,
            models.c.key.label("model_key"),
            dataset_versions.c.label,
            lineage.c.weight_ppb,
            lineage.c.relation,
        )
        .join_from(lineage, dataset_versions, dataset_versions.c.dataset_version == lineage.c.parent)
        .join(model_versions, model_versions.c.model_version == lineage.c.version)
        .join(models, models.c.model == model_versions.c.model)
        .where(
            lineage.c.kind == MODEL,
            lineage.c.parent_kind == DATASET,
            dataset_versions.c.dataset == number,
            model_versions.c.model_version > after,
        )
        .order_by(model_versions.c.model_version, lineage.c.parent)
        .limit(limit)
    ).all()


def model(connection: Connection, number: int) -> Found | None:
    return connection.execute(select(models).where(models.c.model == number)).first()


def all_models(
    connection: Connection,
    *,
    search: str | None = None,
    developer: int | None = None,
    family: str | None = None,
    modality: str | None = None,
    license: str | None = None,  # noqa: A002
    listed: bool | None = None,
    after: int = 0,
    limit: int = PAGE_ROWS,
) -> Sequence[Found]:
    """Models with the numbers of their `versions` and `series`; `search` is looked for in key, title and family;
    `listed`: with or without a series.
    """
    versions = select(func.count()).where(model_versions.c.model == models.c.model).scalar_subquery()
    listings = select(func.count()).where(series.c.model == models.c.model).scalar_subquery()
    asked = (
        select(models, versions.label("versions"), listings.label("series"))
        .where(models.c.model > after)
        .order_by(models.c.model)
        .limit(limit)
    )
    if search:
        asked = asked.where(_contains(search, models.c.key, models.c.title, models.c.family))
    if listed is not None:
        asked = asked.where(listings > 0 if listed else listings == 0)
    narrowed = {
        models.c.developer: developer,
        models.c.family: family,
        models.c.modality: modality,
        models.c.license: license,
    }
    return connection.execute(_equal(asked, narrowed)).all()


def model_facets(connection: Connection, column: str) -> Sequence[Found]:
    """(`value`, `models`) of `family`, `modality` or `license`, the most frequent first."""
    assert column in ("family", "modality", "license"), column
    value = models.c[column]
    asked = select(value.label("value"), func.count().label("models")).where(value.is_not(None)).group_by(value)
    return connection.execute(asked.order_by(func.count().desc(), value)).all()


def versions_of_model(
    connection: Connection, number: int, *, after: int = 0, limit: int = PAGE_ROWS
) -> Sequence[Found]:
    rows = model_versions
    asked = select(rows).where(rows.c.model == number, rows.c.model_version > after)
    return connection.execute(asked.order_by(rows.c.model_version).limit(limit)).all()


def model_version(connection: Connection, number: int) -> Found | None:
    """A version, with `key`, `title` and `developer` of its model."""
    return connection.execute(
        select(model_versions, models.c.key, models.c.title, models.c.developer)
        .join(models, models.c.model == model_versions.c.model)
        .where(model_versions.c.model_version == number)
    ).first()


def training_run(connection: Connection, number: int) -> Found | None:
    return connection.execute(select(training_runs).where(training_runs.c.training_run == number)).first()


def runs_of_model(connection: Connection, number: int, *, after: int = 0, limit: int = PAGE_ROWS) -> Sequence[Found]:
    rows = training_runs
    asked = select(rows).where(rows.c.model == number, rows.c.training_run > after)
    return connection.execute(asked.order_by(rows.c.training_run).limit(limit)).all()


class Lineage(NamedTuple):
    """What a version was made from, or what was made from it: the versions met and the edges between them."""

    models: Sequence[Found]
    """Rows as of `model_version`, by number."""
    datasets: Sequence[Found]
    """Rows as of `dataset_version`, by number."""
    edges: Sequence[Found]
    """Rows of `lineage`."""
    whole: bool
    """False where there are more edges than asked for."""


def lineage_of(
    connection: Connection, kind: int, number: int, *, descendants: bool = False, limit: int = 2_000
) -> Lineage:
    """Ancestors of a version (its bases and data sets, theirs, and so on), or with `descendants` what came from it."""
    # PostgreSQL takes a small literal for a shorter integer than the columns.
    where = (cast(literal(kind), BigInteger).label("kind"), cast(literal(number), BigInteger).label("version"))
    start = select(*where).cte("met", recursive=True)
    if descendants:
        step = select(lineage.c.kind, lineage.c.version).join(
            start, (lineage.c.parent_kind == start.c.kind) & (lineage.c.parent == start.c.version)
        )
    else:
        step = select(lineage.c.parent_kind, lineage.c.parent).join(
            start, (lineage.c.kind == start.c.kind) & (lineage.c.version == start.c.version)
        )
    met = start.union(step)
    near = (lineage.c.parent_kind, lineage.c.parent) if descendants else (lineage.c.kind, lineage.c.version)
    edges = connection.execute(
        select(lineage)
        .join(met, (near[0] == met.c.kind) & (near[1] == met.c.version))
        .order_by(lineage.c.kind, lineage.c.version, lineage.c.parent_kind, lineage.c.parent)
        .limit(limit + 1)
    ).all()
    ends = {(kind, number)}
    for edge in edges[:limit]:
        ends |= {(edge.kind, edge.version), (edge.parent_kind, edge.parent)}
    return Lineage(
        models=connection.execute(
            select(model_versions, models.c.key, models.c.title, models.c.developer)
            .join(models, models.c.model == model_versions.c.model)
            .where(model_versions.c.model_version.in_(version for kind, version in ends if kind == MODEL))
            .order_by(model_versions.c.model_version)
        ).all(),
        datasets=connection.execute(
            select(dataset_versions, datasets.c.key, datasets.c.title, datasets.c.provider)
            .join(datasets, datasets.c.dataset == dataset_versions.c.dataset)
            .where(dataset_versions.c.dataset_version.in_(version for kind, version in ends if kind == DATASET))
            .order_by(dataset_versions.c.dataset_version)
        ).all(),
        edges=edges[:limit],
        whole=len(edges) <= limit,
    )


def terms_row(connection: Connection, number: int) -> Found | None:
    return connection.execute(select(terms).where(terms.c.terms == number)).first()


def all_terms(
    connection: Connection, *, developer: int | None = None, after: int = 0, limit: int = PAGE_ROWS
) -> Sequence[Found]:
    asked = select(terms).where(terms.c.terms > after).order_by(terms.c.terms).limit(limit)
    return connection.execute(_equal(asked, {terms.c.developer: developer})).all()


def all_currencies(connection: Connection) -> Sequence[Found]:
    return connection.execute(select(currencies).order_by(currencies.c.currency)).all()


def series_row(connection: Connection, number: int) -> Found | None:
    """A series, with `currency_code`, `exponent`, `model_key`, `model_title`, `family`, `modality`, `semver`."""
    return connection.execute(_series_with_names().where(series.c.series == number)).first()


def series_by_symbol(connection: Connection, symbol: str) -> Found | None:
    """As `series_row`."""
    return connection.execute(_series_with_names().where(series.c.symbol == symbol)).first()


def all_series(
    connection: Connection,
    *,
    search: str | None = None,
    model: int | None = None,
    issuer: int | None = None,
    currency: int | None = None,
    terms: int | None = None,
    phase: int | None = None,
    family: str | None = None,
    modality: str | None = None,
    after: int = 0,
    limit: int = PAGE_ROWS,
) -> Sequence[Found]:
    """Rows as of `series_row`; `search` is looked for in the symbol and in key and title of the model."""
    asked = _series_with_names().where(series.c.series > after).order_by(series.c.series).limit(limit)
    if search:
        asked = asked.where(_contains(search, series.c.symbol, models.c.key, models.c.title))
    narrowed = {
        series.c.model: model,
        series.c.issuer: issuer,
        series.c.currency: currency,
        series.c.terms: terms,
        series.c.phase: phase,
        models.c.family: family,
        models.c.modality: modality,
    }
    return connection.execute(_equal(asked, narrowed)).all()


def list_price_history(
    connection: Connection, number: int, *, before: int | None = None, limit: int = PAGE_ROWS
) -> Sequence[Found]:
    """List prices of a series, newest first, those before the position `before`."""
    asked = select(list_prices).where(list_prices.c.series == number)
    if before is not None:
        asked = asked.where(list_prices.c.position < before)
    return connection.execute(asked.order_by(list_prices.c.position.desc()).limit(limit)).all()


def fee_history(connection: Connection) -> Sequence[Found]:
    """Fee schedules, the one in force first."""
    return connection.execute(select(fee_schedules).order_by(fee_schedules.c.fee_schedule.desc())).all()


def tax_history(connection: Connection, *, country: str | None = None) -> Sequence[Found]:
    """Tax rates, newest first."""
    asked = select(tax_rates).order_by(tax_rates.c.position.desc())
    return connection.execute(_equal(asked, {tax_rates.c.country: country})).all()


def _series_with_names() -> Select[Any]:
    return (
        select(
            series,
            currencies.c.code.label("currency_code"),
            currencies.c.exponent,
            models.c.key.label("model_key"),
            models.c.title.label("model_title"),
            models.c.family,
            models.c.modality,
            model_versions.c.semver,
        )
        .join(currencies, currencies.c.currency == series.c.currency)
        .join(models, models.c.model == series.c.model)
        .join(model_versions, model_versions.c.model_version == series.c.model_version)
    )


def _contains(search: str, *columns: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether one of the columns holds the text, whatever its case; its `%` and `_` are plain characters."""
    return or_(*(func.lower(cast(column, Text)).contains(search.lower(), autoescape=True) for column in columns))


def _equal(asked: Select[Any], narrowed: dict[Any, Any]) -> Select[Any]:
    """Only rows with these values; None stands for any."""
    return asked.where(*(column == value for column, value in narrowed.items() if value is not None))

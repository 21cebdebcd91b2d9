"""Reads a catalogue of models, data sets and lineage from csv tables and registers it through ordinary commands.

Three stages. The tables (`models.csv`, `datasets.csv`, `lineage.csv`, `licenses.csv`) are read by strict row models;
what breaks a rule is refused with file, line, field, rule and value, and so is every row that depends on it. `plan`
turns the rest into steps in an order in which each step finds what it names: parties, data sets (what one contains
comes before it), models (bases first) with training run and version, and only then the withdrawals, so that what was
trained before a withdrawal can be published. `run` submits the steps and skips those whose result exists, so running
twice changes nothing.

What the tables do not know is stated, never invented: the country of all parties is the one given to `plan`; a provider
that is not known is the party `PROVIDER_NOT_KNOWN`; a digest is that of the row; several weights are equal and marked
`WEIGHTS_ASSUMED`. Prices are not read: a price belongs to a series, and a catalogue lists none.
"""

from __future__ import annotations

import csv
import json
import re
from calendar import monthrange
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from api.wire import MONTHS
from domain.catalogue import Catalogue
from domain.commands import (
    Command,
    GrantRole,
    PublishDatasetVersion,
    PublishModelVersion,
    RecordTrainingRun,
    RegisterDataset,
    RegisterDatasetVersion,
    RegisterModel,
    RegisterModelVersion,
    RegisterParty,
    WithdrawDatasetVersion,
)
from domain.fields import check, is_day
from domain.rejections import Refusal
from domain.values import (
    PPB,
    BaseRelation,
    Classification,
    DigestBasis,
    LineageRole,
    PartyKind,
    PersonalData,
    Role,
    VersionState,
    WithdrawalKind,
    largest_remainder,
)

PROVIDER_NOT_KNOWN: Final = "Provider not known"
WEIGHTS_ASSUMED: Final = "; weights of its lineage are equal (assumed)"
FIRST_SEMVER: Final = "1.0.0"
"""Version of a model whose source gives none."""
DATASET_LABEL: Final = "1"
NAME_CHARACTERS_MAX: Final = 200
"""What the domain allows for a legal name."""

# -- shared with the demo ----------------------------------------------------------------------------------------------


def row_digest(row: Mapping[str, str]) -> bytes:
    """SHA-256 of a catalogue row as a JSON object without white space, in the order of its columns, in UTF-8."""
    return sha256(json.dumps(dict(row), ensure_ascii=False, separators=(",", ":")).encode()).digest()


def equal_weights_ppb(count: int) -> list[int]:
    """The whole in equal parts; the first ones take what does not divide."""
    return largest_remainder([1] * count, PPB) if count else []


# -- the rows ----------------------------------------------------------------------------------------------------------

Text: TypeAlias = Annotated[str, StringConstraints(strict=True, min_length=1)]
OptionalText: TypeAlias = Annotated[str, StringConstraints(strict=True)]


def _matching(pattern: str) -> StringConstraints:
    return StringConstraints(strict=True, pattern=rf"^(?:{pattern})$")


Id: TypeAlias = Annotated[str, _matching(r"[a-z0-9][a-z0-9._+/-]*")]
Ids: TypeAlias = Annotated[str, _matching(r"(?:[a-z0-9][a-z0-9._+/-]*(?:;[a-z0-9][a-z0-9._+/-]*)*)?")]
PartialDate: TypeAlias = Annotated[str, _matching(r"(?:[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?)?")]
Year: TypeAlias = Annotated[str, _matching(r"(?:[0-9]{4})?")]
Count: TypeAlias = Annotated[str, _matching(r"[0-9]*")]
Decimals: TypeAlias = Annotated[str, _matching(r"(?:[0-9]+(?:\.[0-9]+)?)?")]


class _Row(BaseModel):
    """One row of a table: exactly its columns, each as text that keeps its rule."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    def digest(self) -> bytes:
        return row_digest(self.model_dump())


class LicenseRow(_Row):
    license: Text
    name: OptionalText
    spdx_id: OptionalText
    spdx_licenseref: OptionalText
    category: OptionalText
    permitted_use: Annotated[str, _matching("any|non-commercial|academic|research|unknown")]
    attribution: Annotated[str, _matching("yes|no|unknown")]
    share_alike: Annotated[str, _matching("yes|no|unknown")]
    models: Count
    datasets: Count

    def identity(self) -> str:
        """SPDX identifier, else ScanCode reference, else a `LicenseRef-` name of our own."""
        return self.spdx_id or self.spdx_licenseref or "LicenseRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", self.license)


class DatasetRow(_Row):
    id: Id
    name: Text
    provider: OptionalText
    license: OptionalText
    size: OptionalText
    modality: OptionalText
    has_personal_data: Annotated[str, _matching("yes|no|unknown")]
    personal_data_basis: OptionalText
    year: Year
    withdrawn: Annotated[str, _matching("yes|paused|partial|moved|licence-changed|")]
    withdrawal_note: OptionalText
    derived_from: Ids
    source: Text


class ModelRow(_Row):
    id: Id
    name: Text
    family: OptionalText
    developer: Text
    provider: OptionalText
    release_date: PartialDate
    open_weights: Annotated[str, _matching("[01]?")]
    license: OptionalText
    context_tokens: Count
    input_usd_per_mtok: Decimals
    output_usd_per_mtok: Decimals
    domain: OptionalText
    modality: OptionalText
    parameters: OptionalText
    base_model_id: Ids
    base_relation: Annotated[
        str,
        _matching(
            r"fine-tune|distillation|merge|quantisation|continued-pretraining|post-training|component|mixed|derived"
            r"|instruct-variant \(by name\)|"
        ),
    ]
    source: Text


class EdgeRow(_Row):
    model_id: Id
    dataset_id: Id
    role: Annotated[str, _matching("pretraining|fine-tuning|training|vectors|lexicon")]
    confidence: Annotated[str, _matching("high|medium")]
    source: Text


_WITHDRAWALS: Final = {
    "yes": WithdrawalKind.WITHDRAWN,
    "paused": WithdrawalKind.PAUSED,
    "partial": WithdrawalKind.PARTIAL,
    "moved": WithdrawalKind.MOVED,
    "licence-changed": WithdrawalKind.LICENSE_CHANGED,
}
_RELATIONS: Final = {
    "": BaseRelation.DERIVED,
    "fine-tune": BaseRelation.FINE_TUNE,
    "distillation": BaseRelation.DISTILLATION,
    "merge": BaseRelation.MERGE,
    "quantisation": BaseRelation.QUANTIZATION,
    "continued-pretraining": BaseRelation.CONTINUED_PRETRAINING,
    "post-training": BaseRelation.POST_TRAINING,
    "component": BaseRelation.COMPONENT,
    "mixed": BaseRelation.MIXED,
    "derived": BaseRelation.DERIVED,
    "instruct-variant (by name)": BaseRelation.INSTRUCT_VARIANT,
}


# -- the plan ----------------------------------------------------------------------------------------------------------


class Thing(StrEnum):
    """What a step brings about. All are known by the id in the tables; a party and its roles by its legal name."""

    PARTY = "party"
    PROVIDER_ROLE = "provider_role"
    DEVELOPER_ROLE = "developer_role"
    DATASET = "dataset"
    DATASET_VERSION = "dataset_version"
    DATASET_PUBLICATION = "dataset_publication"
    MODEL = "model"
    TRAINING_RUN = "training_run"
    MODEL_VERSION = "model_version"
    MODEL_PUBLICATION = "model_publication"
    DATASET_WITHDRAWAL = "dataset_withdrawal"


_ROLES: Final = {Thing.PROVIDER_ROLE: Role.PROVIDER, Thing.DEVELOPER_ROLE: Role.DEVELOPER}

Numbers: TypeAlias = Callable[[Thing, str], int]
"""The dense number of a thing that exists."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command to come. `build` makes it once the numbers of `needs` are known."""

    thing: Thing
    key: str
    file: str
    line: int
    needs: tuple[tuple[Thing, str], ...]
    build: Callable[[Numbers], Command]
    also: tuple[tuple[Thing, str], ...] = ()
    """What it brings about besides, under the same number."""


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """Why a row is not imported; `line` is that of the file, from 1, the header included."""

    file: str
    line: int
    field: str
    rule: str
    value: str
    code: str


@dataclass(frozen=True, slots=True)
class ImportPlan:
    steps: tuple[Step, ...]
    refused: tuple[RefusedRow, ...]
    rows_read: Mapping[str, int]
    """By file, without the header."""


def plan(directory: Path, *, country: str, today: str) -> ImportPlan:
    """The steps of an import and every row that is refused.

    `country` (ISO 3166-1 alpha-2) is assumed for all parties, as the tables do not give one. `today` (YYYY-MM-DD) is
    the effective day of a withdrawal whose note states none. Raises `FileNotFoundError` where a table is missing.
    """
    return _Planner(directory, country, today).plan()


@dataclass(frozen=True, slots=True)
class _Lined:
    """A row, and the line at which it ends."""

    line: int
    row: Any


RowT = TypeVar("RowT", bound=_Row)


class _Planner:
    def __init__(self, directory: Path, country: str, today: str) -> None:
        self._directory = directory
        self._country = country
        self._today = today
        self._refused: list[RefusedRow] = []
        self._rows_read: Counter[str] = Counter()
        self._licenses: dict[str, str] = {}

    def plan(self) -> ImportPlan:
        licenses = self._read("licenses.csv", LicenseRow, lambda row: row.license)
        self._licenses = {name: lined.row.identity() for name, lined in licenses.items()}
        datasets = self._read("datasets.csv", DatasetRow, lambda row: row.id)
        models = self._read("models.csv", ModelRow, lambda row: row.id)
        edges = self._read("lineage.csv", EdgeRow, lambda row: f"{row.model_id} <- {row.dataset_id}")

        datasets = self._known_licenses("datasets.csv", datasets)
        models = self._known_licenses("models.csv", models)
        datasets = self._ordered("datasets.csv", datasets, "derived_from")
        models = self._ordered("models.csv", models, "base_model_id")
        by_model = self._edges(edges, models, datasets)

        parties = self._parties(datasets, models)
        steps = [
            *parties,
            *(step for lined in datasets.values() for step in _dataset_steps(lined, self._licenses)),
            *(step for key, lined in models.items() for step in _model_steps(lined, by_model[key], self._licenses)),
            *(_withdrawal(lined, self._today) for lined in datasets.values() if lined.row.withdrawn),
        ]
        return ImportPlan(tuple(self._well_formed(steps)), tuple(self._refused), dict(self._rows_read))

    def _read(self, name: str, model: type[RowT], key_of: Callable[[RowT], str]) -> dict[str, _Lined]:
        """The rows of a table that keep the rules of their columns, by key; the first of a key counts."""
        rows: dict[str, _Lined] = {}
        with (self._directory / name).open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, restkey="(more fields)", strict=True)
            for raw in reader:
                self._rows_read[name] += 1
                try:
                    row = model.model_validate(raw)
                except ValidationError as error:
                    first = error.errors(include_url=False)[0]
                    column = str(first["loc"][0])
                    self._refuse(name, reader.line_num, column, first["msg"], raw.get(column), "malformed_row")
                    continue
                key = key_of(row)
                if key in rows:
                    rule = f"must be unique; line {rows[key].line} has it"
                    self._refuse(name, reader.line_num, _KEY_FIELDS[name], rule, key, "duplicate_row")
                    continue
                rows[key] = _Lined(reader.line_num, row)
        return rows

    def _known_licenses(self, file: str, rows: Mapping[str, _Lined]) -> dict[str, _Lined]:
        kept = {}
        for key, lined in rows.items():
            unknown = [name for name in _license_names(lined.row.license) if name not in self._licenses]
            if unknown:
                self._refuse(
                    file, lined.line, "license", "must be a row of licenses.csv", unknown[0], "unknown_license"
                )
            else:
                kept[key] = lined
        return kept

    def _ordered(self, file: str, rows: Mapping[str, _Lined], column: str) -> dict[str, _Lined]:
        """Each row after all that it names; refuses a row that names a missing or refused one, or is in a circle."""
        named = {key: _items(getattr(lined.row, column)) for key, lined in rows.items()}
        ordered: dict[str, _Lined] = {}
        waiting = dict(rows)
        while waiting:
            ready = [key for key in waiting if all(name in ordered for name in named[key])]
            if not ready:
                break
            for key in ready:
                ordered[key] = waiting.pop(key)
        for key, lined in waiting.items():
            missing = next(name for name in named[key] if name not in ordered)
            circular = missing in waiting and missing in rows
            rule = "must name rows without a circle that are imported" if circular else "must name rows of this table"
            self._refuse(file, lined.line, column, rule, missing, "dangling_reference")
        return ordered

    def _edges(
        self, edges: Mapping[str, _Lined], models: Collection[str], datasets: Collection[str]
    ) -> dict[str, list[EdgeRow]]:
        by_model: dict[str, list[EdgeRow]] = {model: [] for model in models}
        for lined in edges.values():
            row: EdgeRow = lined.row
            for column, value, known in (("model_id", row.model_id, models), ("dataset_id", row.dataset_id, datasets)):
                if value not in known:
                    rule = "must be an imported row of its table"
                    self._refuse("lineage.csv", lined.line, column, rule, value, "dangling_reference")
                    break
            else:
                by_model[row.model_id].append(row)
        return by_model

    def _parties(self, datasets: Mapping[str, _Lined], models: Mapping[str, _Lined]) -> Iterator[Step]:
        """Everybody once, at the first row that names them, with all the roles they need."""
        roles: dict[str, Role] = {}
        first: dict[str, tuple[str, int]] = {}
        for file, rows, role, column in (
            ("datasets.csv", datasets, Role.PROVIDER, "provider"),
            ("models.csv", models, Role.DEVELOPER, "developer"),
        ):
            for lined in rows.values():
                name = _party_name(getattr(lined.row, column))
                roles[name] = roles.get(name, Role(0)) | role
                first.setdefault(name, (file, lined.line))
        for name, (file, line) in first.items():
            granted = {thing: role for thing, role in _ROLES.items() if role in roles[name]}
            also = tuple((thing, name) for thing in granted)
            yield Step(Thing.PARTY, name, file, line, (), _party(name, roles[name], self._country), also)
            for thing, role in granted.items():
                yield Step(thing, name, file, line, ((Thing.PARTY, name),), _grant(name, role))

    def _well_formed(self, steps: Iterable[Step]) -> Iterator[Step]:
        """The steps whose commands keep the domain's rules for fields, and that need no step that does not.

        A row is reported once, for its first step that fails.
        """
        refused: set[tuple[Thing, str]] = set()
        told: set[tuple[str, int]] = set()
        provisional: dict[tuple[Thing, str], int] = {}
        for step in steps:
            lost = next((need for need in step.needs if need in refused), None)
            if lost is not None:
                refused.add((step.thing, step.key))
                if (step.file, step.line) not in told:
                    self._refuse(
                        step.file, step.line, lost[0].value, "must be importable", lost[1], "dangling_reference"
                    )
                told.add((step.file, step.line))
                continue
            refusal = check(step.build(lambda thing, key: provisional.setdefault((thing, key), len(provisional) + 1)))
            if refusal is not None:
                refused.add((step.thing, step.key))
                told.add((step.file, step.line))
                self._refuse(step.file, step.line, refusal.field, refusal.rule, str(refusal.value), refusal.reason.code)
                continue
            yield step

    def _refuse(self, file: str, line: int, column: str, rule: str, value: object, code: str) -> None:
        text = "" if value is None else str(value)
        self._refused.append(RefusedRow(file=file, line=line, field=str(column), rule=rule, value=text, code=code))


_KEY_FIELDS: Final = {
    "licenses.csv": "license",
    "datasets.csv": "id",
    "models.csv": "id",
    "lineage.csv": "model_id, dataset_id",
}


def _party_name(text: str) -> str:
    """The legal name under which an organization is registered; what is too long for one is cut, with an ellipsis."""
    if not text:
        return PROVIDER_NOT_KNOWN
    return text if len(text) <= NAME_CHARACTERS_MAX else text[: NAME_CHARACTERS_MAX - 1].rstrip() + "…"


def _party(name: str, roles: Role, country: str) -> Callable[[Numbers], Command]:
    command = RegisterParty(kind=_kind(name), legal_name=name, country=country, roles=roles)
    return lambda _numbers: command


def _grant(name: str, role: Role) -> Callable[[Numbers], Command]:
    return lambda numbers: GrantRole(party=numbers(Thing.PARTY, name), role=role)


def _kind(name: str) -> PartyKind:
    """Read off the name: several names are a community, a school is an institute, the rest are companies."""
    if name == PROVIDER_NOT_KNOWN or "," in name or " et al." in name:
        return PartyKind.COMMUNITY
    return PartyKind.INSTITUTE if re.search("universit|institut|laborator|academ", name.lower()) else PartyKind.COMPANY


def _dataset_steps(lined: _Lined, licenses: Mapping[str, str]) -> Iterator[Step]:
    row: DatasetRow = lined.row
    provider = (Thing.PARTY, _party_name(row.provider))
    dataset, version = (Thing.DATASET, row.id), (Thing.DATASET_VERSION, row.id)
    parents = tuple((Thing.DATASET_VERSION, parent) for parent in _items(row.derived_from))
    published = tuple((Thing.DATASET_PUBLICATION, parent) for parent in _items(row.derived_from))

    def step(thing: Thing, needs: tuple[tuple[Thing, str], ...], build: Callable[[Numbers], Command]) -> Step:
        return Step(thing, row.id, "datasets.csv", lined.line, needs, build)

    yield step(
        Thing.DATASET,
        (provider, (Thing.PROVIDER_ROLE, provider[1])),
        lambda numbers: RegisterDataset(
            provider=numbers(*provider),
            key=row.id,
            title=row.name,
            license=_license(row.license, licenses),
            classification=Classification.IMPORTANT if row.has_personal_data == "yes" else Classification.GENERAL,
            tags=_tags(row),
            personal_data=PersonalData(row.has_personal_data),
            source=row.source,
        ),
    )
    yield step(
        Thing.DATASET_VERSION,
        (dataset, *parents, *published),
        lambda numbers: RegisterDatasetVersion(
            dataset=numbers(*dataset),
            label=DATASET_LABEL,
            digest=row.digest(),
            digest_basis=DigestBasis.CATALOGUE_ROW,
            parents=tuple(numbers(*each) for each in parents),
        ),
    )
    yield step(
        Thing.DATASET_PUBLICATION,
        (version,),
        lambda numbers: PublishDatasetVersion(dataset_version=numbers(*version)),
    )


def _model_steps(lined: _Lined, edges: Sequence[EdgeRow], licenses: Mapping[str, str]) -> Iterator[Step]:
    row: ModelRow = lined.row
    developer = (Thing.PARTY, _party_name(row.developer))
    model, run, version = (Thing.MODEL, row.id), (Thing.TRAINING_RUN, row.id), (Thing.MODEL_VERSION, row.id)
    used = tuple((Thing.DATASET_VERSION, edge.dataset_id) for edge in edges)
    bases = tuple((Thing.MODEL_VERSION, base) for base in _items(row.base_model_id))
    published = (
        *((Thing.DATASET_PUBLICATION, key) for _, key in used),
        *((Thing.MODEL_PUBLICATION, key) for _, key in bases),
    )

    def step(thing: Thing, needs: tuple[tuple[Thing, str], ...], build: Callable[[Numbers], Command]) -> Step:
        return Step(thing, row.id, "models.csv", lined.line, needs, build)

    yield step(
        Thing.MODEL,
        (developer, (Thing.DEVELOPER_ROLE, developer[1])),
        lambda numbers: RegisterModel(
            developer=numbers(*developer),
            key=row.id,
            title=row.name,
            family=row.family or None,
            modality=row.modality or None,
            license=_license(row.license, licenses),
            source=_model_source(row, edges, len(bases)),
        ),
    )
    if used:
        yield step(
            Thing.TRAINING_RUN,
            (model, *used, *published),
            lambda numbers: RecordTrainingRun(
                model=numbers(*model), dataset_versions=tuple(numbers(*each) for each in used)
            ),
        )
    yield step(
        Thing.MODEL_VERSION,
        (model, *((run,) if used else ()), *used, *bases, *published),
        lambda numbers: RegisterModelVersion(
            model=numbers(*model),
            semver=_semver(row.source),
            digest=row.digest(),
            digest_basis=DigestBasis.CATALOGUE_ROW,
            training_run=numbers(*run) if used else None,
            datasets=tuple(
                (numbers(*each), weight_ppb, LineageRole(edge.role.replace("-", "_")))
                for each, weight_ppb, edge in zip(used, equal_weights_ppb(len(used)), edges, strict=True)
            ),
            bases=tuple(
                (numbers(*each), weight_ppb, _RELATIONS[row.base_relation])
                for each, weight_ppb in zip(bases, equal_weights_ppb(len(bases)), strict=True)
            ),
        ),
    )
    yield step(
        Thing.MODEL_PUBLICATION,
        (version,),
        lambda numbers: PublishModelVersion(model_version=numbers(*version)),
    )


def _withdrawal(lined: _Lined, today: str) -> Step:
    row: DatasetRow = lined.row
    version = (Thing.DATASET_VERSION, row.id)
    needs = (version, (Thing.DATASET_PUBLICATION, row.id))
    return Step(
        Thing.DATASET_WITHDRAWAL,
        row.id,
        "datasets.csv",
        lined.line,
        needs,
        lambda numbers: WithdrawDatasetVersion(
            dataset_version=numbers(*version),
            kind=_WITHDRAWALS[row.withdrawn],
            effective_day=stated_day(row.withdrawal_note) or today,
            note=row.withdrawal_note or None,
        ),
    )


_MONTH_AND_YEAR: Final = re.compile(rf"({'|'.join(MONTHS)}) ([0-9]{{4}})")


def stated_day(note: str) -> str | None:
    """The first day in a note; where only a month is stated the last day of the first one; else None."""
    for text in re.findall(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", note):
        if is_day(text):
            return str(text)
    found = _MONTH_AND_YEAR.search(note)
    if found is None:
        return None
    year, month = int(found[2]), MONTHS.index(found[1]) + 1
    return f"{year:04d}-{month:02d}-{monthrange(year, month)[1]:02d}" if year else None


def _model_source(row: ModelRow, edges: Sequence[EdgeRow], bases: int) -> str:
    """The row's source; with lineage, what its edges rest on."""
    parts = [row.source]
    if edges:
        lowest = "medium" if any(edge.confidence == "medium" for edge in edges) else "high"
        parts.append(f"; lineage of confidence {lowest}")
    if len(edges) > 1 or bases > 1:
        parts.append(WEIGHTS_ASSUMED)
    return "".join(parts)


def _semver(source: str) -> str:
    """The version that the source states in the form "(version 3.8.0)"."""
    found = re.search(r"\(version ((?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*)){2})\)", source)
    return found[1] if found else FIRST_SEMVER


def _tags(row: DatasetRow) -> tuple[str, ...]:
    """Modalities, and the year of first publication."""
    words = re.findall(r"[a-z0-9][a-z0-9._-]*", row.modality.lower())
    return (*dict.fromkeys(words), *((f"year-{row.year}",) if row.year else ()))


def _license_names(text: str) -> list[str]:
    return text.split(" AND ") if text else []


def _license(text: str, licenses: Mapping[str, str]) -> str | None:
    return " AND ".join(licenses[name] for name in _license_names(text)) or None


def _items(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.split(";"))) if text else ()


# -- the run -----------------------------------------------------------------------------------------------------------

Submit: TypeAlias = Callable[[Command], int | Refusal]
"""Submits a command as the house; the dense number that it assigned (of what it changed, where it assigns none)."""
Existing: TypeAlias = Callable[[Thing, str], int | None]
"""Number of what exists already: a party by legal name, everything else by the id in the tables.

A publication or withdrawal exists when the data set's or model's version is in that state; its number is the version's.
"""
Progress: TypeAlias = Callable[[int, int], None]
"""(steps done, steps in all)."""


def existing_in(catalogue: Catalogue, parties: Mapping[str, int]) -> Existing:
    """What a catalogue holds at this moment; `parties` are the party numbers by legal name, which it does not know."""
    versions = {row.model: number for number, row in reversed(catalogue.model_versions.items())}
    runs = {row.model: number for number, row in reversed(catalogue.training_runs.items())}
    labels = catalogue.dataset_version_by_label

    def model(key: str) -> int:
        return catalogue.model_by_key.get(key, 0)

    def dataset_version(key: str) -> int:
        return labels.get((catalogue.dataset_by_key.get(key, 0), DATASET_LABEL), 0)

    numbers: dict[Thing, dict[str, int]] = {
        Thing.PARTY: dict(parties),
        **{
            thing: {name: number for name, number in parties.items() if role in catalogue.parties[number].roles}
            for thing, role in _ROLES.items()
        },
        Thing.DATASET: dict(catalogue.dataset_by_key),
        Thing.DATASET_VERSION: {key: dataset_version(key) for key in catalogue.dataset_by_key},
        Thing.MODEL: dict(catalogue.model_by_key),
        Thing.TRAINING_RUN: {key: runs.get(model(key), 0) for key in catalogue.model_by_key},
        Thing.MODEL_VERSION: {key: versions.get(model(key), 0) for key in catalogue.model_by_key},
    }
    numbers[Thing.DATASET_PUBLICATION] = {
        key: number
        for key, number in numbers[Thing.DATASET_VERSION].items()
        if number and catalogue.dataset_versions[number].state is not VersionState.REGISTERED
    }
    numbers[Thing.DATASET_WITHDRAWAL] = {
        key: number
        for key, number in numbers[Thing.DATASET_VERSION].items()
        if number and catalogue.dataset_versions[number].notice is not None
    }
    numbers[Thing.MODEL_PUBLICATION] = {
        key: number
        for key, number in numbers[Thing.MODEL_VERSION].items()
        if number and catalogue.model_versions[number].state is not VersionState.REGISTERED
    }
    return lambda thing, key: numbers[thing].get(key) or None


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did, or, as a dry run, would do."""

    dry_run: bool
    rows_read: Mapping[str, int]
    submitted: Mapping[str, int]
    """Commands that were accepted (in a dry run: would be submitted), by what they bring about."""
    existing: Mapping[str, int]
    """Steps skipped because their result exists, by what they bring about."""
    refused: tuple[RefusedRow, ...]

    def as_json(self) -> dict[str, Any]:
        """Only dictionaries, lists, text, integers and booleans."""
        return {**asdict(self), "refused": [asdict(row) for row in self.refused]}


@dataclass(slots=True)
class _Ledger:
    """Numbers of what exists, found or just made, and what cannot be."""

    existing: Existing
    numbers: dict[tuple[Thing, str], int] = field(default_factory=dict)

    def find(self, thing: Thing, key: str) -> int | None:
        known = self.numbers.get((thing, key))
        return known if known is not None else self.existing(thing, key)

    def number(self, thing: Thing, key: str) -> int:
        found = self.find(thing, key)
        assert found is not None, (thing, key)
        return found


def run(
    plan: ImportPlan, submit: Submit, existing: Existing, on_progress: Progress = lambda _done, _total: None
) -> ImportReport:
    """Submits every step whose result does not exist; what the house refuses is reported, and so is what needed it."""
    ledger = _Ledger(existing)
    submitted: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    refused: dict[tuple[str, int], RefusedRow] = {}
    for done, step in enumerate(plan.steps, start=1):
        key = (step.thing, step.key)
        if key not in ledger.numbers:
            found = existing(*key)
            if found is not None:
                ledger.numbers[key] = found
                skipped[step.thing.value] += 1
            else:
                outcome = _submit(step, submit, ledger)
                if isinstance(outcome, RefusedRow):
                    refused.setdefault((step.file, step.line), outcome)
                else:
                    ledger.numbers.update(dict.fromkeys((key, *step.also), outcome))
                    submitted[step.thing.value] += 1
        on_progress(done, len(plan.steps))
    return ImportReport(
        dry_run=False,
        rows_read=dict(plan.rows_read),
        submitted=dict(submitted),
        existing=dict(skipped),
        refused=(*plan.refused, *refused.values()),
    )


def dry_run(plan: ImportPlan, existing: Existing) -> ImportReport:
    """What `run` would submit and skip; submits nothing."""
    submitted: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    implied: set[tuple[Thing, str]] = set()
    for step in plan.steps:
        if (step.thing, step.key) in implied:
            continue
        if existing(step.thing, step.key) is not None:
            skipped[step.thing.value] += 1
        else:
            submitted[step.thing.value] += 1
            implied.update(step.also)
    return ImportReport(
        dry_run=True,
        rows_read=dict(plan.rows_read),
        submitted=dict(submitted),
        existing=dict(skipped),
        refused=plan.refused,
    )


def _submit(step: Step, submit: Submit, ledger: _Ledger) -> int | RefusedRow:
    for thing, key in step.needs:
        if ledger.find(thing, key) is None:
            return RefusedRow(
                step.file, step.line, thing.value, "must exist or be importable", key, "dangling_reference"
            )
    outcome = submit(step.build(ledger.number))
    if isinstance(outcome, Refusal):
        return RefusedRow(step.file, step.line, outcome.field, outcome.rule, str(outcome.value), outcome.reason.code)
    return outcome

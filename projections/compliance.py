"""Who did what, when, and under which terms: the log as rows that can be filtered.

One row per entry of the log. A fact's row says what it concerns, also where the fact itself names only a part of it:
the withdrawal of a version concerns its data set and the provider, a halt the series, its model, issuer and terms. A
flow block's row says which commands it holds and counts what came of them; single orders and trades are in the read
models of traders and of the market.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any, Final, NamedTuple

import numpy as np
from sqlalchemy import Connection, Index, Row, Select, Table, func, literal_column, or_, select

from domain import events
from domain.events import Envelope, Fact
from domain.values import HOUSE
from ledger.mapper import SEALED_FIELDS, stream_of
from matching.layout import Section
from projections.projection import Batch
from projections.rows import PAGE_ROWS, WaitingRows, blob, key, maybe, maybe_text, text
from projections.schema import integer, table

FLOW: Final = "FlowBlock"
"""`kind` of a flow block's row; that of a fact's row is the fact's name."""
SUBJECTS: Final = ("party", "dataset", "model", "series", "terms", "agreement")
COUNTED: Final = {
    "commands": Section.COMMANDS,
    "fills": Section.FILLS,
    "endings": Section.ENDINGS,
    "postings": Section.POSTINGS,
    "grants": Section.GRANTS,
    "accounts": Section.ACCOUNTS,
}


def _by(name: str) -> Index:
    """Finds the rows that concern something; most concern only little, so the others are left out of the index."""
    return Index(
        f"log_entries_by_{name}",
        name,
        "position",
        sqlite_where=_concern(name),
        postgresql_where=_concern(name),
    )


def _concern(name: str) -> Any:
    return _COLUMNS[name].is_not(None)


_COLUMNS: Final = {name: maybe(name) for name in SUBJECTS}

log_entries = table(
    "log_entries",
    key("position"),
    text("kind"),
    text("stream"),
    integer("command"),  # of a block: the first that starts in it, or the next to come
    integer("at_ns"),  # of a block: of its last command
    integer("actor"),
    maybe("cause"),  # the command that made this one due
    blob("request_id", nullable=True),
    *_COLUMNS.values(),
    maybe("number"),  # the dense number that the fact assigned or changed: of a version, a run, a currency
    maybe("commands"),  # of a block: how many start in it
    maybe_text("text"),  # what a person wrote or is called, where its key is at hand
    text("detail"),  # JSON: the fields of the fact without personal texts, or the counts of the block
    Index("log_entries_by_kind", "kind", "position"),
    Index("log_entries_by_command", "command", "position"),
    Index("log_entries_by_time", "at_ns", "position"),
    *(_by(name) for name in SUBJECTS),
)
_BY_A_PARTY: Final = log_entries.c.actor != literal_column(str(HOUSE))
"""Written out, not as a parameter: SQLite uses a partial index only where the question states its condition."""
Index(
    "log_entries_by_actor",
    log_entries.c.actor,
    log_entries.c.position,
    sqlite_where=_BY_A_PARTY,
    postgresql_where=_BY_A_PARTY,
)
Index(
    "log_entries_by_cause",
    log_entries.c.cause,
    log_entries.c.position,
    sqlite_where=log_entries.c.cause.is_not(None),
    postgresql_where=log_entries.c.cause.is_not(None),
)

# -- the fold ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Known:
    """What belongs to what: enough to say what a fact concerns."""

    providers: dict[int, int] = field(default_factory=dict)
    """Of data sets."""
    datasets: dict[int, int] = field(default_factory=dict)
    """Of data set versions."""
    developers: dict[int, int] = field(default_factory=dict)
    """Of models."""
    models: dict[int, int] = field(default_factory=dict)
    """Of model versions."""
    series: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    """Model, terms and issuer of series."""
    agreements: dict[int, int] = field(default_factory=dict)
    """Model of agreements."""

    def learn(self, kind: str, number: int | None, subjects: Subjects) -> None:
        """Remember what a row says that was just made or read back."""
        match kind:
            case "DatasetRegistered":
                self.providers[_given(subjects.dataset)] = _given(subjects.party)
            case "DatasetVersionRegistered":
                self.datasets[_given(number)] = _given(subjects.dataset)
            case "ModelRegistered":
                self.developers[_given(subjects.model)] = _given(subjects.party)
            case "ModelVersionRegistered":
                self.models[_given(number)] = _given(subjects.model)
            case "SeriesListed":
                self.series[_given(subjects.series)] = (
                    _given(subjects.model),
                    _given(subjects.terms),
                    _given(subjects.party),
                )
            case "AgreementSigned":
                self.agreements[_given(subjects.agreement)] = _given(subjects.model)


class Subjects(NamedTuple):
    """What an entry concerns."""

    party: int | None = None
    dataset: int | None = None
    model: int | None = None
    series: int | None = None
    terms: int | None = None
    agreement: int | None = None


LEARNED_FROM: Final = (
    "DatasetRegistered",
    "DatasetVersionRegistered",
    "ModelRegistered",
    "ModelVersionRegistered",
    "SeriesListed",
    "AgreementSigned",
)


class Compliance:
    """The history's read model."""

    name = "compliance"
    version = 1
    tables: Sequence[Table] = (log_entries,)

    def __init__(self) -> None:
        self._known = Known()
        self._rows = WaitingRows(log_entries)

    def load(self, connection: Connection) -> None:
        self._known = Known()
        columns = (log_entries.c.kind, log_entries.c.number, *(log_entries.c[name] for name in SUBJECTS))
        asked = select(*columns).where(log_entries.c.kind.in_(LEARNED_FROM)).order_by(log_entries.c.position)
        for kind, number, *subjects in connection.execute(asked):
            self._known.learn(kind, number, Subjects(*subjects))

    def fold(self, batch: Batch) -> None:
        for position, envelope, fact in batch.facts:
            self._fact(position, envelope, fact)
        if batch.blocks:
            self._fold_blocks(batch)

    def write(self, connection: Connection) -> None:
        self._rows.write(connection)

    def _fact(self, position: int, envelope: Envelope, fact: Fact) -> None:
        kind = type(fact).__name__
        number = number_of(fact)
        subjects = subjects_of(self._known, fact)
        self._known.learn(kind, number, subjects)
        self._rows.put(
            position=position,
            kind=kind,
            stream=stream_of(fact),
            command=envelope.command,
            at_ns=envelope.at_ns,
            actor=envelope.actor,
            cause=envelope.cause,
            request_id=envelope.request_id,
            **subjects._asdict(),
            number=number,
            commands=None,
            text=personal_text(fact),
            detail=detail_of(fact),
        )

    def _fold_blocks(self, batch: Batch) -> None:
        joined = batch.flow.blocks
        counts = [np.diff(joined.starts_of(section)) for section in COUNTED.values()]
        refused = np.append(0, np.cumsum(joined.given.results["code"] != 0))[joined.starts_of(Section.RESULTS)]
        ends = joined.starts_of(Section.COMMANDS)[1:]
        last = np.append(0, joined.given.commands["command"])[ends]
        last[counts[0] == 0] = 0
        rows = np.stack([*counts, np.diff(refused), last], axis=1).tolist()
        for (position, block), of_block in zip(batch.blocks, rows, strict=True):
            header = block.header
            self._rows.put(
                **_NO_SUBJECTS,
                position=position,
                kind=FLOW,
                stream=f"shard-{header['shard']}",
                command=int(header["first_command"]),
                at_ns=int(header["last_at_ns"]),
                actor=HOUSE,
                cause=None,
                request_id=None,
                number=int(header["block"]),
                commands=of_block[0],
                text=None,
                detail=_COUNTS % tuple(of_block),
            )


_COUNTS: Final = "{" + ",".join(f'"{name}":%d' for name in (*COUNTED, "refused", "last_command")) + "}"
"""`detail` of a block's row."""
assert next(iter(COUNTED)) == "commands"
_NO_SUBJECTS: Final = Subjects()._asdict()


def subjects_of(known: Known, fact: Fact) -> Subjects:
    """What a fact concerns, completed by what is known of the things that it names."""
    given = {name: getattr(fact, name) for name in SUBJECTS if hasattr(fact, name)}
    match fact:
        case events.OwnershipDeclared():
            given["party"] = fact.owned
        case events.DatasetRegistered():
            given["party"] = fact.provider
        case events.ModelRegistered() | events.TermsAdopted():
            given["party"] = fact.developer
        case events.SaleRefunded():
            given["party"] = fact.buyer
        case events.SeriesListed():
            given["party"] = fact.issuer
            given["model"] = known.models[fact.model_version]
    if "series" in given and not isinstance(fact, events.SeriesListed):
        model, terms, issuer = known.series[given["series"]]
        given = {"model": model, "terms": terms, "party": issuer} | given
    if "agreement" in given and "model" not in given:
        given["model"] = known.agreements[given["agreement"]]
    if "party" not in given and "dataset" in given:
        given["party"] = known.providers[given["dataset"]]
    if "party" not in given and "model" in given:
        given["party"] = known.developers[given["model"]]
    return Subjects(**given)


_NUMBERED: Final[dict[type[Fact], str]] = {
    events.DatasetVersionRegistered: "dataset_version",
    events.DatasetVersionPublished: "dataset_version",
    events.DatasetVersionWithdrawn: "dataset_version",
    events.TrainingRunRecorded: "training_run",
    events.ModelVersionRegistered: "model_version",
    events.ModelVersionPublished: "model_version",
    events.ModelVersionWithdrawn: "model_version",
    events.SeriesListed: "model_version",
    events.CurrencyRegistered: "currency",
    events.FeeScheduleAdopted: "fee_schedule",
    events.SaleRefunded: "trade_command",
    events.WaterfallCompiled: "version",
    events.StateRootRecorded: "at_command",
}


def number_of(fact: Fact) -> int | None:
    name = _NUMBERED.get(type(fact))
    return None if name is None else int(getattr(fact, name))


def personal_text(fact: Fact) -> str | None:
    """The personal text of a fact, or None where it has none or it is still sealed."""
    values = [getattr(fact, name) for name, _ in SEALED_FIELDS[type(fact)]]
    assert len(values) <= 1, fact
    return values[0] if values and isinstance(values[0], str) else None


def detail_of(fact: Fact) -> str:
    """The fields of a fact as JSON; absent and personal ones are left out, bytes are hexadecimal."""
    personal = {name for name, _ in SEALED_FIELDS[type(fact)]}
    members: Any = fact
    values = {item.name: getattr(fact, item.name) for item in fields(members) if item.name not in personal}
    return compact({name: _plain(value) for name, value in values.items() if value is not None})


def compact(value: object) -> str:
    """JSON without white space, in the order given."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _plain(value: object) -> object:
    match value:
        case Enum():
            return value.value
        case bytes():
            return value.hex()
        case tuple():
            return [_plain(item) for item in value]
        case _:
            return value


def _given(number: int | None) -> int:
    assert number is not None
    return number


# -- questions ---------------------------------------------------------------------------------------------------------

Found = Row[Any]
"""A row of `log_entries`."""


class EntryFilter(NamedTuple):
    """Which entries are asked for; what is None does not narrow. Ranges hold both their ends."""

    kinds: Sequence[str] | None = None
    without_flow: bool = False
    """Facts only."""
    actor: int | None = None
    about: int | None = None
    """A party that acted or is concerned."""
    party: int | None = None
    dataset: int | None = None
    model: int | None = None
    series: int | None = None
    terms: int | None = None
    agreement: int | None = None
    stream: str | None = None
    search: str | None = None
    """In the text and the detail."""
    first_position: int | None = None
    last_position: int | None = None
    first_at_ns: int | None = None
    last_at_ns: int | None = None


EVERY_ENTRY: Final = EntryFilter()


def entries(
    connection: Connection,
    asked: EntryFilter = EVERY_ENTRY,
    *,
    after: int | None = None,
    oldest_first: bool = False,
    limit: int = PAGE_ROWS,
) -> Sequence[Found]:
    """Entries of the log, newest first unless told otherwise, going on after the position `after`."""
    place = log_entries.c.position
    found = _narrowed(select(log_entries), asked).order_by(place if oldest_first else place.desc()).limit(limit)
    if after is not None:
        found = found.where(place > after if oldest_first else place < after)
    return connection.execute(found).all()


def kind_counts(connection: Connection, asked: EntryFilter = EVERY_ENTRY) -> Sequence[Found]:
    """(`kind`, `entries`) among the entries asked for, by kind."""
    found = _narrowed(select(log_entries.c.kind, func.count().label("entries")), asked)
    return connection.execute(found.group_by(log_entries.c.kind).order_by(log_entries.c.kind)).all()


def entry(connection: Connection, position: int) -> Found | None:
    return connection.execute(select(log_entries).where(log_entries.c.position == position)).first()


def entries_of_command(connection: Connection, command: int, *, limit: int = PAGE_ROWS) -> Sequence[Found]:
    """The facts of a command and of the commands that it made due, in the order of the log."""
    rows = log_entries
    found = select(rows).where(rows.c.kind != FLOW, or_(rows.c.command == command, rows.c.cause == command))
    return connection.execute(found.order_by(rows.c.position).limit(limit)).all()


def block_of_command(connection: Connection, command: int) -> Found | None:
    """The flow block in which a command started, if it was one of the order flow or moved value."""
    rows = log_entries
    # A block in which no command starts names the next one to come, as does the block after it.
    found = connection.execute(
        select(rows)
        .where(rows.c.kind == FLOW, rows.c.commands > 0, rows.c.command <= command)
        .order_by(rows.c.command.desc(), rows.c.position.desc())
        .limit(1)
    ).first()
    return found if found is not None and command <= json.loads(found.detail)["last_command"] else None


BECAUSE: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "DatasetRegistered": (("PartyRegistered",), "party"),
    "DatasetVersionRegistered": (("DatasetRegistered",), "dataset"),
    "DatasetVersionPublished": (("DatasetVersionRegistered",), "number"),
    "DatasetVersionWithdrawn": (("DatasetVersionPublished",), "number"),
    "ModelRegistered": (("PartyRegistered",), "party"),
    "TrainingRunRecorded": (("ModelRegistered",), "model"),
    "ModelVersionRegistered": (("ModelRegistered",), "model"),
    "ModelVersionPublished": (("ModelVersionRegistered",), "number"),
    "ModelVersionWithdrawn": (("ModelVersionPublished",), "number"),
    "TermsAdopted": (("PartyRegistered",), "party"),
    "SeriesListed": (("ModelVersionPublished",), "number"),
    "ListPriceRecorded": (("SeriesListed",), "series"),
    "SeriesHalted": (("SeriesListed",), "series"),
    "SeriesResumed": (("SeriesHalted",), "series"),
    "SeriesEnded": (("SeriesListed",), "series"),
    "AgreementSigned": (("ModelRegistered",), "model"),
    "AgreementTookEffect": (("AgreementSigned",), "agreement"),
    "WaterfallCompiled": (("AgreementTookEffect", "SeriesListed"), "command"),
    "WaterfallCompilationFailed": (("AgreementTookEffect",), "command"),
    "RoleGranted": (("PartyRegistered",), "party"),
    "RoleRevoked": (("PartyRegistered", "RoleGranted"), "party"),
    "OwnershipDeclared": (("PartyRegistered",), "party"),
    "PartyFrozen": (("PartyRegistered",), "party"),
    "PartyUnfrozen": (("PartyFrozen",), "party"),
    "DepositRecorded": (("PartyRegistered",), "party"),
    "WithdrawalRecorded": (("PartyRegistered",), "party"),
}
"""What each kind of fact rests on: the last earlier fact of one of these kinds with the same value in this column."""


def chain_of_causes(connection: Connection, position: int, *, limit: int = 64) -> Sequence[Found]:
    """The entry, what it rests on (the command that made it due where the log says so), and so on to the beginning."""
    found: list[Found] = []
    at = entry(connection, position)
    while at is not None and len(found) < limit:
        found.append(at)
        at = _rests_on(connection, at)
    return found


def _rests_on(connection: Connection, at: Found) -> Found | None:
    rows = log_entries
    earlier = select(rows).where(rows.c.position < at.position).order_by(rows.c.position.desc()).limit(1)
    if at.cause is not None:
        return connection.execute(earlier.where(rows.c.command == at.cause, rows.c.kind != FLOW)).first()
    if at.kind == "SaleRefunded":
        return block_of_command(connection, at.number)
    if at.kind not in BECAUSE:
        return None
    kinds, column = BECAUSE[at.kind]
    return connection.execute(earlier.where(rows.c.kind.in_(kinds), rows.c[column] == getattr(at, column))).first()


def _narrowed(found: Select[Any], asked: EntryFilter) -> Select[Any]:
    rows = log_entries
    equal = {name: getattr(asked, name) for name in (*SUBJECTS, "actor", "stream")}
    found = found.where(*(rows.c[name] == value for name, value in equal.items() if value is not None))
    if asked.actor:
        found = found.where(_BY_A_PARTY)
    if asked.kinds is not None:
        found = found.where(rows.c.kind.in_(asked.kinds))
    if asked.without_flow:
        found = found.where(rows.c.kind != FLOW)
    if asked.about is not None:
        found = found.where(or_(rows.c.actor == asked.about, rows.c.party == asked.about))
    if asked.search:
        wanted = asked.search.lower()
        found = found.where(
            or_(
                func.lower(rows.c.text).contains(wanted, autoescape=True),
                func.lower(rows.c.detail).contains(wanted, autoescape=True),
            )
        )
    for column, low, high in (
        (rows.c.position, asked.first_position, asked.last_position),
        (rows.c.at_ns, asked.first_at_ns, asked.last_at_ns),
    ):
        if low is not None:
            found = found.where(column >= low)
        if high is not None:
            found = found.where(column <= high)
    return found

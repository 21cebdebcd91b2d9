"""The log as auditors read it: a table with its filters, and one entry down to its bytes."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from sqlalchemy import Connection

from api.log_printer import LogPrinter
from api.web.numbers import Numbers
from api.web.views.names import names_of
from api.web.words import Words
from api.wire import PARTY, SERIES, number_of, public_id
from domain.values import DAY_NS
from ledger.blocks import TOPIC, decode_block
from ledger.mapper import Unseal
from ledger.store import Appended
from matching.layout import Section
from projections import assets, compliance
from projections.runner import Log

PAGE: Final = 100
ROWS: Final = 50
DUMP_BYTES: Final = 4_096
FACTS: Final = "facts"
"""In place of a kind: every fact, no flow."""
FILTERS: Final = ("actor", "stream", "series", "command", "from", "to")


@dataclass(frozen=True, slots=True)
class EventRow:
    position: int
    at_ns: int
    topic: str
    actor_id: str | None
    actor: str
    stream: str
    what: str


@dataclass(frozen=True, slots=True)
class History:
    rows: Sequence[EventRow]
    topics: Sequence[tuple[str, str]]
    topic: str
    filters: Mapping[str, str]
    hints: Mapping[str, str]
    wrong: Sequence[str]
    """What of the filters cannot be understood."""
    before: int | None
    newest: bool


def history(connection: Connection, query: Mapping[str, str], t: Words, n: Numbers) -> History:
    """Entries, newest first, that the query of an address asks for."""
    wrong: list[str] = []
    filters = {name: query.get(name, "").strip()[:200] for name in FILTERS}
    topic = query.get("topic", "")
    asked = compliance.EntryFilter(
        kinds=[topic] if topic and topic != FACTS else None,
        without_flow=topic == FACTS,
        actor=_id(PARTY, filters["actor"], t("audit.actor"), wrong, t),
        series=_series(connection, filters["series"], wrong, t),
        stream=filters["stream"] or None,
        first_at_ns=_day(filters["from"], t("audit.from"), wrong, t),
        last_at_ns=_end(_day(filters["to"], t("audit.to"), wrong, t)),
    )
    before_text = query.get("before", "")
    before = int(before_text) if before_text.isdecimal() and len(before_text) < 19 else None
    rows: Sequence[Any] = ()
    if not wrong:
        if filters["command"]:
            rows = _of_command(connection, filters["command"], wrong, t)
        else:
            rows = compliance.entries(connection, asked, after=before, limit=PAGE + 1)
    names = names_of(connection, {row.actor for row in rows}, t)
    return History(
        rows=[_event(row, names, t, n) for row in rows[:PAGE]],
        topics=[(FACTS, t("audit.facts"))]
        + [(row.kind, f"{row.kind} ({n.count(row.entries)})") for row in compliance.kind_counts(connection)],
        topic=topic,
        filters=filters,
        hints={"actor": "pty_1a", "stream": "series-12", "series": "ser_c", "command": "1048"},
        wrong=wrong,
        before=rows[PAGE - 1].position if len(rows) > PAGE else None,
        newest=before is None,
    )


def _of_command(connection: Connection, text: str, wrong: list[str], t: Words) -> Sequence[Any]:
    """The facts of a command and the block that it stands in."""
    if not text.isdecimal() or len(text) > 18:
        wrong.append(t("audit.wrong_id", field=t("audit.command"), value=text))
        return ()
    block = compliance.block_of_command(connection, int(text))
    facts = compliance.entries_of_command(connection, int(text), limit=PAGE)
    return [*facts, *([block] if block is not None else [])]


def _event(row: Any, names: Mapping[int, str], t: Words, n: Numbers) -> EventRow:
    is_flow = row.kind == compliance.FLOW
    detail = json.loads(row.detail)
    if is_flow:
        counts = {name: n.count(detail.get(name, 0)) for name in ("commands", "fills", "postings")}
        what = t("audit.block", **counts)
    else:
        what = row.text or ", ".join(f"{name} {_short(value)}" for name, value in detail.items())
    return EventRow(
        position=row.position,
        at_ns=row.at_ns,
        topic=row.kind,
        actor_id=None if is_flow else public_id(PARTY, row.actor),
        actor=names[row.actor],
        stream=row.stream,
        what=what,
    )


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _id(prefix: str, text: str, field: str, wrong: list[str], t: Words) -> int | None:
    if not text:
        return None
    number = number_of(prefix, text, field)
    if isinstance(number, int):
        return number
    wrong.append(t("audit.wrong_id", field=field, value=text))
    return None


def _series(connection: Connection, text: str, wrong: list[str], t: Words) -> int | None:
    if "/" in text:
        row = assets.series_by_symbol(connection, text)
        if row is None:
            wrong.append(t("audit.wrong_id", field=t("audit.series"), value=text))
        return None if row is None else int(row.series)
    return _id(SERIES, text, t("audit.series"), wrong, t)


def _day(text: str, field: str, wrong: list[str], t: Words) -> int | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        wrong.append(t("audit.wrong_day", field=field, value=text))
        return None
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 10**9


def _end(start_ns: int | None) -> int | None:
    """The last nanosecond of a day."""
    return None if start_ns is None else start_ns + DAY_NS - 1


# -- one entry ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cause:
    position: int
    topic: str


@dataclass(frozen=True, slots=True)
class SectionOf:
    name: str
    rows: int


@dataclass(frozen=True, slots=True)
class EntryView:
    position: int
    last: int
    stream: str
    version: int
    topic: str
    at_ns: int
    actor: str
    commands: str
    chain: Sequence[Cause]
    fields: Sequence[tuple[str, str]]
    is_block: bool
    sections: Sequence[SectionOf]
    section: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    offset: int
    more: int | None
    size: int
    hash: str
    dump: str


def entry_view(
    connection: Connection,
    entry: Appended,
    last: int,
    query: Mapping[str, str],
    unseal: Unseal | None,
    t: Words,
    n: Numbers,
) -> EntryView:
    """An entry of the log, from its own bytes; who stands behind its numbers comes from the read models."""
    state = bytes(entry.state)
    common: dict[str, Any] = {
        "position": entry.position,
        "last": last,
        "stream": entry.stream,
        "version": entry.version,
        "topic": entry.topic,
        "size": len(state),
        "hash": hashlib.sha256(state).hexdigest(),
        "dump": _dump(state),
        "chain": [
            Cause(row.position, row.kind)
            for row in compliance.chain_of_causes(connection, entry.position)
            if row.position != entry.position
        ],
    }
    return (
        _block_view(entry, query, common, n)
        if entry.topic == TOPIC
        else _fact_view(connection, entry, common, unseal, t, n)
    )


def _fact_view(
    connection: Connection, entry: Appended, common: dict[str, Any], unseal: Unseal | None, t: Words, n: Numbers
) -> EntryView:
    printed = LogPrinter(unseal=unseal).as_json(entry)
    envelope = printed["envelope"]
    actor = names_of(connection, [envelope["actor"]], t)[envelope["actor"]]
    return EntryView(
        **common,
        at_ns=envelope["at_ns"],
        actor=f"{actor} ({public_id(PARTY, envelope['actor'])})",
        commands=n.count(envelope["command"]),
        fields=[(name, _short(value)) for name, value in printed["fact"].items()],
        is_block=False,
        sections=(),
        section="",
        columns=(),
        rows=(),
        offset=0,
        more=None,
    )


def _block_view(entry: Appended, query: Mapping[str, str], common: dict[str, Any], n: Numbers) -> EntryView:
    block = decode_block(entry.state)
    names = [section.name.lower() for section in block.sections]
    chosen = query.get("section", "")
    chosen = chosen if chosen in names else (names[0] if names else "")
    offset_text = query.get("offset", "0")
    offset = int(offset_text) if offset_text.isdecimal() and len(offset_text) < 10 else 0
    columns: list[str] = []
    rows: list[list[object]] = []
    count = 0
    if chosen:
        section = Section[chosen.upper()]
        table = block.rows(section)
        count = len(table)
        printed = LogPrinter(sections=[section]).as_json(entry._replace(state=entry.state))["rows"][chosen][
            offset : offset + ROWS
        ]
        columns = [name for name in table.dtype.names if name != "unused"]
        rows = [[row[name] for name in columns] for row in printed]
    header = block.header
    first = int(header["first_command"])
    commands = len(block.rows(Section.COMMANDS))
    return EntryView(
        **common,
        at_ns=int(header["last_at_ns"]),
        actor="",
        commands=n.count(first) if commands <= 1 else f"{n.count(first)} – {n.count(first + commands - 1)}",
        fields=(),
        is_block=True,
        sections=[SectionOf(name, len(block.rows(Section[name.upper()]))) for name in names],
        section=chosen,
        columns=columns,
        rows=rows,
        offset=offset,
        more=offset + ROWS if offset + ROWS < count else None,
    )


def _dump(state: bytes) -> str:
    """Hexadecimal and printable characters of the first bytes."""
    lines = []
    for at in range(0, min(len(state), DUMP_BYTES), 16):
        part = state[at : at + 16]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{at:08x}  {part[:8].hex(' '):<23}  {part[8:].hex(' '):<23}  {shown}")
    if len(state) > DUMP_BYTES:
        lines.append("…")
    return "\n".join(lines)


async def read_entry(log: Log, position_text: str) -> Appended | None:
    """The entry at a position, or None for what is none; the event loop goes on while it is read."""
    if not position_text.isdecimal() or len(position_text) > 18:
        return None
    position = int(position_text)

    def read() -> Appended | None:
        found = next(iter(log.read(position, stop_position=position)), None) if position else None
        return None if found is None else Appended(*found)

    return await asyncio.to_thread(read)

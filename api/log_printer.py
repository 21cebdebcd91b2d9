"""Entries of the log as text or JSON: facts decoded, blocks with header and sections, rows on request.

Numbers are those of the log: amounts in minor units, prices in ticks, quantities in lots, times in nanoseconds since
1970. Sealed text stays sealed unless a key is at hand.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, Final

from domain.canonical import codec_of
from domain.events import TOPICS, Envelope, Fact, Sealed
from domain.rejections import Reason
from domain.values import AccountKind, EndReason, PostingCode
from ledger.blocks import TOPIC, Block, decode_block
from ledger.mapper import SEALED_FIELDS, Unseal, from_entry
from ledger.store import Appended
from matching.layout import Kind, Section, Side, TimeInForce

_NAMES: Final[dict[tuple[Section, str], type[IntEnum]]] = {
    (Section.COMMANDS, "kind"): Kind,
    (Section.COMMANDS, "side"): Side,
    (Section.COMMANDS, "tif"): TimeInForce,
    (Section.LEGS, "code"): PostingCode,
    (Section.RESULTS, "code"): Reason,
    (Section.ENDINGS, "reason"): EndReason,
    (Section.POSTINGS, "code"): PostingCode,
    (Section.ACCOUNTS, "kind"): AccountKind,
}
"""Columns whose numbers have names; people read those."""
_UNUSED: Final = "unused"


class LogPrinter:
    """Turns entries into text."""

    def __init__(self, *, unseal: Unseal | None = None, sections: Collection[Section] = ()) -> None:
        """`sections` are those whose rows are shown."""
        self._unseal = unseal
        self._sections = frozenset(sections)

    def as_json(self, entry: Appended) -> dict[str, Any]:
        """The entry as JSON values. Raises LogEntryUnreadable and BlockUnreadable."""
        head = {"position": entry.position, "stream": entry.stream, "version": entry.version, "topic": entry.topic}
        if entry.topic == TOPIC:
            return head | self._block_json(decode_block(entry.state))
        envelope, fact = self._fact(entry)
        return head | {"envelope": _json_of(envelope), "fact": _fact_json(fact)}

    def lines(self, entry: Appended) -> Iterator[str]:
        """The entry for people: one line, and one for each row. Raises LogEntryUnreadable and BlockUnreadable."""
        place = f"{entry.position:>8}"
        if entry.topic == TOPIC:
            yield from self._block_lines(place, decode_block(entry.state))
            return
        envelope, fact = self._fact(entry)
        fields = " ".join(f"{name}={_text(value)}" for name, value in _fact_json(fact).items())
        origin = f"command {envelope.command}, actor {envelope.actor}"
        if envelope.cause is not None:
            origin += f", cause {envelope.cause}"
        yield f"{place}  {moment(envelope.at_ns)}  {entry.topic}  {entry.stream}@{entry.version}  ({origin})  {fields}"

    def _fact(self, entry: Appended) -> tuple[Envelope, Fact]:
        return from_entry(*entry[1:], self._unseal, position=entry.position)

    # -- blocks --------------------------------------------------------------------------------------------------------

    def _block_json(self, block: Block) -> dict[str, Any]:
        header = block.header
        found: dict[str, Any] = {
            "header": {name: _plain(header[name]) for name in header.dtype.names if name != "magic"},
            "sections": {section.name.lower(): len(rows) for section, rows in block.sections.items()},
        }
        rows = {
            section.name.lower(): [
                {name: _plain(row[name]) for name in table.dtype.names if name != _UNUSED} for row in table
            ]
            for section, table in block.sections.items()
            if section in self._sections
        }
        return found | ({"rows": rows} if rows else {})

    def _block_lines(self, place: str, block: Block) -> Iterator[str]:
        header = block.header
        counts = ", ".join(f"{section.name.lower()} {len(rows)}" for section, rows in block.sections.items())
        active = f", goes on with command {header['active_command']}" if header["active_command"] else ""
        goes_on = ", continues" if header["continues"] else ""
        yield (
            f"{place}  {moment(int(header['last_at_ns']))}  {TOPIC}  block {header['block']}, epoch {header['epoch']}, "
            f"from command {header['first_command']}{active}{goes_on}: {counts or 'empty'}"
        )
        for section, rows in block.sections.items():
            if section in self._sections:
                for number, row in enumerate(rows):
                    yield f"{'':>8}    {section.name.lower()}[{number}] {_row_text(section, row)}"


def topics_known() -> list[str]:
    """Every topic that is written today."""
    return sorted((*TOPICS, TOPIC))


def is_of_topic(entry: Appended, topic: str) -> bool:
    """Whether the entry's topic is the one asked for, with its version or without."""
    return topic in (entry.topic, entry.topic.partition(".")[0])


def moment(at_ns: int) -> str:
    """A time as ISO 8601 in UTC, to the nanosecond."""
    seconds, rest = divmod(at_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def _json_of(value: object) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(codec_of(type(value)).write(value))
    return parsed


def _fact_json(fact: Fact) -> dict[str, Any]:
    """The fact's fields; sealed text as {"sealed": hex}, opened text as text."""
    opened = {name: value for name, _ in SEALED_FIELDS[type(fact)] if isinstance(value := getattr(fact, name), str)}
    shown = _json_of(_resealed(fact, opened))
    for name, _ in SEALED_FIELDS[type(fact)]:
        if name in opened:
            shown[name] = opened[name]
        elif name in shown:
            shown[name] = {"sealed": shown[name]}
    return shown


def _resealed(fact: Fact, opened: Collection[str]) -> Fact:
    """The canonical form refuses clear text, so what was opened is closed while the other fields are written."""
    changed: Any = fact
    return replace(changed, **dict.fromkeys(opened, Sealed(b""))) if opened else fact


def _row_text(section: Section, row: Any) -> str:
    parts = []
    for name in row.dtype.names:
        if name == _UNUSED:
            continue
        value = _plain(row[name])
        names = _NAMES.get((section, name))
        parts.append(f"{name}={_text(value) if names is None else _named(names, value)}")
    return " ".join(parts)


def _named(names: type[IntEnum], number: int) -> str:
    if number == 0 and names is Reason:
        return "ok"
    try:
        return names(number).name.lower()
    except ValueError:
        return str(number)


def _plain(value: Any) -> Any:
    """A value of an array as a JSON value: an integer, or bytes in hexadecimal."""
    plain = value.item() if hasattr(value, "item") else value
    return plain.hex() if isinstance(plain, bytes) else plain


def _text(value: Any) -> str:
    if isinstance(value, dict) and set(value) == {"sealed"}:
        return f"sealed({len(value['sealed']) // 2} bytes)"
    return json.dumps(value, ensure_ascii=False)

"""The history of the house: every entry of the log, filterable, and each as it is stored."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Annotated, Any

from fastapi import Path, Query, Request
from pydantic import Field
from starlette.responses import Response

from api import wire
from api.auth.principal import Principal
from api.doors import Doors
from api.fact_bodies import fact_body
from api.paging import Paging
from api.problems import problem
from api.replies import After, Cursor, Limit, as_of, doors_of, reply
from api.routes.registry import action, filter_number, found_row, router_of
from api.routes.traders import series_number
from api.schemas.audit import Event, EventKinds, LogEntry
from api.schemas.base import Page, SeriesName, Time, good
from api.wire import public_id, rfc3339
from ledger.blocks import TOPIC, decode_block
from ledger.mapper import from_entry
from projections import compliance

router = router_of("audit")

Number = Annotated[int | None, Query(ge=0, lt=2**53)]
KindName = Annotated[str, Field(pattern="^[A-Z][A-Za-z]{1,39}$")]
Place = Annotated[int, Path(ge=1, lt=2**53, description="Position in the log.")]


@router.get("/audit/events", response_model=Page[Event])
async def list_events(
    request: Request,
    _principal: Annotated[Principal, action("audit.read")],
    kind: Annotated[list[KindName] | None, Query(max_length=40, description="Only these kinds.")] = None,
    facts_only: Annotated[bool, Query(description="Without flow blocks.")] = False,
    actor: str | None = None,
    about: Annotated[str | None, Query(description="A party that acted or is concerned.")] = None,
    party: str | None = None,
    dataset: str | None = None,
    model: str | None = None,
    series: SeriesName | None = None,
    terms: str | None = None,
    agreement: str | None = None,
    stream: Annotated[str | None, Query(max_length=80)] = None,
    search: Annotated[str | None, Query(max_length=200)] = None,
    first_position: Number = None,
    last_position: Number = None,
    since: Time | None = None,
    until: Time | None = None,
    oldest_first: bool = False,
    after: After = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Entries of the log, the newest first unless told otherwise."""
    doors = doors_of(request)
    asked = {
        "kind": kind,
        "facts_only": facts_only or None,
        "actor": actor,
        "about": about,
        "party": party,
        "dataset": dataset,
        "model": model,
        "series": series,
        "terms": terms,
        "agreement": agreement,
        "stream": stream,
        "search": search,
        "first_position": first_position,
        "last_position": last_position,
        "since": since,
        "until": until,
        "oldest_first": oldest_first or None,
    }
    paging = Paging(doors, limit, cursor, asked, address="/v1/audit/events")
    await as_of(doors, after)
    narrowed = _filter(doors, paging.filters)
    rows = await paging.rows(compliance.entries, narrowed, oldest_first=bool(paging.filters["oldest_first"]))
    return paging.reply(rows, event_body, lambda row: row.position)


@router.get("/audit/kinds", response_model=EventKinds)
async def count_kinds(
    request: Request, _principal: Annotated[Principal, action("audit.read")], after: After = None
) -> Response:
    """How many entries there are of each kind."""
    doors = doors_of(request)
    await as_of(doors, after)
    rows = await doors.reads.ask(compliance.kind_counts)
    body = {"kinds": [{"kind": row.kind, "entries": row.entries} for row in rows]}
    return reply(body, position=doors.reads.position())


@router.get("/audit/events/{position}", response_model=Event)
async def get_event(
    request: Request, _principal: Annotated[Principal, action("audit.read")], position: Place, after: After = None
) -> Response:
    """One entry of the log, and what it concerns."""
    doors = doors_of(request)
    await as_of(doors, after)
    row = found_row(await doors.reads.ask(compliance.entry, position))
    return reply(event_body(row), position=doors.reads.position())


@router.get("/audit/entries/{position}", response_model=LogEntry)
async def get_entry(
    request: Request, _principal: Annotated[Principal, action("audit.read")], position: Place
) -> Response:
    """One entry of the log as it is stored, with the hash of its bytes."""
    doors = doors_of(request)
    body = await asyncio.to_thread(_entry_body, doors, position)
    if body is None:
        raise problem("not_found")
    return reply(body, position=doors.house.store.position)


def _filter(doors: Doors, filters: dict[str, Any]) -> compliance.EntryFilter:
    numbers = {
        name: filter_number(prefix, filters[name], name)
        for name, prefix in (
            ("actor", wire.PARTY),
            ("about", wire.PARTY),
            ("party", wire.PARTY),
            ("dataset", wire.DATASET),
            ("model", wire.MODEL),
            ("terms", wire.TERMS),
            ("agreement", wire.AGREEMENT),
        )
    }
    since, until = filters["since"], filters["until"]
    return compliance.EntryFilter(
        kinds=filters["kind"],
        without_flow=bool(filters["facts_only"]),
        series=series_number(doors, filters["series"]),
        stream=filters["stream"],
        search=filters["search"],
        first_position=filters["first_position"],
        last_position=filters["last_position"],
        first_at_ns=None if since is None else good(wire.at_ns_of(since, "since")),
        last_at_ns=None if until is None else good(wire.at_ns_of(until, "until")),
        **numbers,
    )


def event_body(row: Any) -> dict[str, Any]:
    def maybe(prefix: str, number: int | None) -> str | None:
        return None if number is None else public_id(prefix, number)

    return {
        "position": row.position,
        "kind": row.kind,
        "stream": row.stream,
        "command": row.command,
        "at": rfc3339(row.at_ns),
        "actor": public_id(wire.PARTY, row.actor),
        "cause": row.cause,
        "request_id": None if row.request_id is None else row.request_id.hex(),
        "party": maybe(wire.PARTY, row.party),
        "dataset": maybe(wire.DATASET, row.dataset),
        "model": maybe(wire.MODEL, row.model),
        "series": maybe(wire.SERIES, row.series),
        "terms": maybe(wire.TERMS, row.terms),
        "agreement": maybe(wire.AGREEMENT, row.agreement),
        "text": row.text,
        "detail": json.loads(row.detail),
    }


def _entry_body(doors: Doors, position: int) -> dict[str, Any] | None:
    """Reads the log."""
    entry = next(doors.house.store.read(position, position), None)
    if entry is None or entry.position != position:
        return None
    body: dict[str, Any] = {
        "position": entry.position,
        "stream": entry.stream,
        "version": entry.version,
        "topic": entry.topic,
        "size": len(entry.state),
        "sha256": hashlib.sha256(entry.state).hexdigest(),
        "command": None,
        "at": None,
        "actor": None,
        "fact": None,
        "sections": None,
        "body": None,
    }
    if entry.topic == TOPIC:
        block = decode_block(entry.state)
        body["command"] = int(block.header["first_command"])
        body["at"] = rfc3339(int(block.header["last_at_ns"]))
        body["sections"] = {section.name.lower(): len(block.rows(section)) for section in block.sections}
        return body
    envelope, fact = from_entry(
        entry.stream, entry.version, entry.topic, entry.state, doors.house.keys.unseal, position=position
    )
    body["command"] = envelope.command
    body["at"] = rfc3339(envelope.at_ns)
    body["actor"] = public_id(wire.PARTY, envelope.actor)
    body["fact"] = fact_body(fact, doors.series)
    body["body"] = entry.state.decode()
    return body

"""`tallystick import catalogue`: models, data sets and lineage from csv tables, as ordinary registrations."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from api.bootstrap import House, Places, key_store, log_for_reading
from api.catalogue_import import Existing, ImportReport, dry_run, existing_in, plan
from api.catalogue_import import run as submit_all
from api.commands.door import Failed
from api.commands.warm import warm_up
from api.output import Output
from domain.catalogue import Catalogue
from domain.commands import Command
from domain.events import PartyRegistered
from domain.fields import COUNTRIES
from domain.rejections import Refusal
from domain.values import HOUSE
from ledger.keys import KeyStore
from ledger.mapper import from_entry
from ledger.outages import SchemaMissing
from ledger.recovery import recover
from ledger.sequencer import Ask, Reply
from ledger.snapshots import Snapshots
from ledger.store import Store


def run(output: Output, where: Places, directory: Path, *, country: str, only_plan: bool, now_ns: int) -> None:
    """`country` is assumed for every party. What is refused is reported; it makes the import no failure."""
    if country not in COUNTRIES:
        raise typer.BadParameter(f"--country: must be an ISO 3166-1 alpha-2 code; got {country}")
    warm_up(output)
    report = (
        _plan(output, where, directory, country, now_ns)
        if only_plan
        else _import(output, where, directory, country, now_ns)
    )
    if output.as_json:
        output.json({**report.as_json(), "country_assumed": country})
    else:
        _show(output, report)


def _plan(output: Output, where: Places, directory: Path, country: str, now_ns: int) -> ImportReport:
    try:
        with log_for_reading(where) as recorder:
            store = Store(recorder)
            with output.stage("open", "reading the log", store.position) as advance:
                state = recover(store, Snapshots(where.snapshots), on_entry=lambda at: advance(at, "")).state
            keys = key_store(where) if where.keys.exists() else None
            existing = existing_in(state.catalogue, _party_numbers(store, keys))
            now_ns = max(now_ns, state.at_ns)
    except SchemaMissing:
        existing = existing_in(Catalogue(), {})
    return dry_run(_read(directory, country, now_ns), existing)


def _import(output: Output, where: Places, directory: Path, country: str, now_ns: int) -> ImportReport:
    with output.stage("open", "opening the log") as advance:
        house = House(where, on_entry=lambda position: advance(position, "entries read"))
    with house:
        steps = _read(directory, country, max(now_ns, house.state.at_ns))
        existing: Existing = existing_in(house.state.catalogue, _party_numbers(house.store, house.keys))
        with output.stage("import", "importing", len(steps.steps)) as advance:
            return submit_all(
                steps, lambda command: _submit(house, command), existing, lambda done, _total: advance(done, "")
            )


def _read(directory: Path, country: str, now_ns: int) -> Any:
    try:
        return plan(directory, country=country, today=f"{datetime.fromtimestamp(now_ns // 10**9, UTC):%Y-%m-%d}")
    except FileNotFoundError as error:
        raise Failed("table_missing", f"the catalogue has no table {error.filename}") from error


def _submit(house: House, command: Command) -> int | Refusal:
    """The dense number that the command's first fact assigns or names, which is its first field."""
    answer = house.process([Ask(command, HOUSE)])[0]
    if isinstance(answer, Refusal):
        return answer
    assert isinstance(answer, Reply), answer
    fact: Any = answer.facts[0]
    return int(getattr(fact, fields(fact)[0].name))


def _party_numbers(store: Store, keys: KeyStore | None) -> dict[str, int]:
    """Party numbers by legal name, as far as the names can be unsealed."""
    numbers: dict[str, int] = {}
    for entry in store.recorder.entries_of_topic("PartyRegistered.1"):
        _, fact = from_entry(*entry[1:], None if keys is None else keys.unseal)
        assert isinstance(fact, PartyRegistered)
        if isinstance(fact.legal_name, str):
            numbers.setdefault(fact.legal_name, fact.party)
    return numbers


def _show(output: Output, report: ImportReport) -> None:
    verb = "would be submitted" if report.dry_run else "submitted"
    things = sorted({*report.submitted, *report.existing})
    output.table(
        "Catalogue",
        ("", verb, "there before"),
        ((thing, report.submitted.get(thing, 0), report.existing.get(thing, 0)) for thing in things),
    )
    if report.refused:
        output.table(
            "Rows refused",
            ("file", "line", "field", "rule", "value", "code"),
            ((row.file, row.line, row.field, row.rule, row.value, row.code) for row in report.refused),
        )

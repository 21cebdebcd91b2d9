"""`tallystick log`: the entries of the log, for people or as JSON lines."""

from __future__ import annotations

import json

import typer

from api.bootstrap import Places, key_store, log_for_reading
from api.log_printer import LogPrinter, is_of_topic, topics_known
from api.output import Output
from ledger.store import Appended
from matching.layout import LAYOUTS, Section


def run(
    output: Output,
    where: Places,
    *,
    first: int,
    last: int | None,
    topic: str | None,
    rows: list[str],
    unseal: bool,
) -> None:
    known = {name.partition(".")[0] for name in topics_known()}
    if topic is not None and topic.partition(".")[0] not in known:
        raise typer.BadParameter(f"--topic: one of {', '.join(sorted(known))}; got {topic}")
    sections = [_section(name) for name in rows]
    if unseal and not where.keys.exists():
        raise typer.BadParameter(f"--unseal: there are no keys at {where.keys}")
    printer = LogPrinter(unseal=key_store(where).unseal if unseal else None, sections=sections)
    with log_for_reading(where) as recorder:
        for found in recorder.read(first):
            entry = Appended(*found)
            if last is not None and entry.position > last:
                break
            if topic is not None and not is_of_topic(entry, topic):
                continue
            if output.as_json:
                output.line(json.dumps(printer.as_json(entry), ensure_ascii=False))
            else:
                for line in printer.lines(entry):
                    output.line(line)


def _section(name: str) -> Section:
    names = {section.name.lower(): section for section in LAYOUTS}
    if name.lower() not in names:
        raise typer.BadParameter(f"--rows: one of {', '.join(names)}; got {name}")
    return names[name.lower()]

"""Why a payee earned what it did in one series: the ways to its weight, and each sale times that weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from api.web.numbers import Numbers
from api.web.views.names import names_of
from api.web.words import Words
from api.wire import MODEL, SERIES, public_id
from domain.values import PPB, format_money
from projections import assets, revenue

LINES: Final = 50


@dataclass(frozen=True, slots=True)
class TraceLine:
    at_ns: int
    command: int
    amount: int
    """Sales and royalties less refunds, minor units."""
    weight_ppb: int
    carry_before: str
    share: int
    carry_after: str
    version: int


@dataclass(frozen=True, slots=True)
class Trace:
    sentence: str
    series_id: str
    symbol: str
    model_id: str
    title: str
    exponent: int
    ways: Sequence[tuple[str, str]]
    """(way, exact share of the whole)."""
    lines: Sequence[TraceLine]
    older: str | None


def load(
    connection: Connection, payee: int, series: int, query: Mapping[str, str], t: Words, n: Numbers
) -> Trace | None:
    """The trace of a payee in a series, or None for a series that is not listed."""
    row = assets.series_row(connection, series)
    if row is None:
        return None
    parts = query.get("cursor", "").split("-")
    after = (int(parts[0]), int(parts[1]), int(parts[2])) if len(parts) == 3 and all(map(_is_number, parts)) else None
    found = revenue.lines_of_payee(connection, payee, series=series, after=after, limit=LINES + 1)
    weights = {weight.payee: weight for weight in revenue.waterfall(connection, series)}
    mine = weights.get(payee)
    ways = [] if mine is None else revenue.ways_of_payee(connection, series, mine.version, payee)
    last = found[LINES - 1] if len(found) > LINES else None
    return Trace(
        sentence=t(
            "trace.sentence",
            payee=names_of(connection, [payee], t)[payee],
            share=n.ppb(0 if mine is None else mine.weight_ppb, 7),
            symbol=row.symbol,
        ),
        series_id=public_id(SERIES, series),
        symbol=row.symbol,
        model_id=public_id(MODEL, row.model),
        title=row.model_title,
        exponent=row.exponent,
        ways=[(way.way, way.share) for way in ways],
        lines=[
            TraceLine(
                at_ns=line.at_ns,
                command=line.command,
                amount=line.amount_minor,
                weight_ppb=line.weight_ppb,
                carry_before=carry_text(line.carry_before_ppb, row.exponent),
                share=line.share_minor,
                carry_after=carry_text(line.carry_after_ppb, row.exponent),
                version=line.version,
            )
            for line in found[:LINES]
        ],
        older=None if last is None else f"{last.command}-{last.series}-{last.position}",
    )


def carry_text(carried_ppb: int, exponent: int) -> str:
    """Less than a minor unit, exactly: parts of 10^-9 minor units as decimal text of the currency."""
    return format_money(carried_ppb, exponent + len(str(PPB)) - 1).rstrip("0").rstrip(".") or "0"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19

"""What payees earn: one sentence, a bar for each month, a row for each source; the same rows as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from api.web import drawings
from api.web.numbers import Numbers
from api.web.views.names import names_of
from api.web.views.trace import carry_text
from api.web.words import Words
from api.wire import MODEL, PARTY, SERIES, number_of, public_id
from domain.values import format_money
from projections import assets, revenue

PAGE: Final = 100
MONTHS_SHOWN: Final = 12
AXIS_DIGIT: Final = 8
"""Room for one digit of the axis."""
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Sums:
    """Sales and resales of the sources, what refunds took back, and what was earned; in minor units."""

    primary: int
    resale: int
    refunds: int
    earned: int


@dataclass(frozen=True, slots=True)
class Source:
    payee_id: str
    payee: str
    model_id: str
    title: str
    series_id: str
    symbol: str
    primary: int
    resale: int
    refunds: int
    earned: int
    suspense: str


@dataclass(frozen=True, slots=True)
class Revenue:
    sentence: str
    currency: str
    exponent: int
    months: Sequence[tuple[str, str]]
    month: str
    payees: Sequence[tuple[str, str]]
    payee: str
    bars: drawings.Bars
    chart_label: str
    rows: Sequence[Source]
    total: Sums
    page: int
    pages: int


def load(
    connection: Connection, query: Mapping[str, str], own: int | None, t: Words, n: Numbers, *, every_page: bool = False
) -> Revenue:
    """Revenue of the payee `own`, or, where that is None, of the payee that the query names, or of everybody."""
    payee = own
    chosen = query.get("payee", "")
    if own is None and chosen:
        number = number_of(PARTY, chosen, "payee")
        payee = number if isinstance(number, int) else -1
    currencies = assets.all_currencies(connection)
    currency = currencies[0] if currencies else None
    code, exponent = (currency.code, currency.exponent) if currency else ("", 0)
    asked = revenue.Asked(payee=payee, currency=currency.currency if currency else None)
    found = revenue.by_payee(connection, asked)
    by_month: dict[str, int] = {}
    for row in found:
        text = _month_text(row.period)
        by_month[text] = by_month.get(text, 0) + row.shares_minor - row.reclaimed_minor
    months = sorted(by_month)
    month = query.get("month", months[-1] if months else "")
    month = month if month in by_month else ""
    shown = [row for row in found if not month or _month_text(row.period) == month]
    payees = (
        sorted({row.payee for row in revenue.by_payee(connection, asked._replace(payee=None))}) if own is None else []
    )
    names = names_of(connection, {*payees, *(row.payee for row in shown), *([payee] if payee and payee > 0 else [])}, t)
    titles = {row.model: row.title for row in assets.all_models(connection, limit=100_000)}
    sources = _sources(shown, names, titles, exponent)
    pages = max(1, -(-len(sources) // PAGE))
    page_text = query.get("page", "1")
    page = min(max(int(page_text) if page_text.isdecimal() and len(page_text) < 6 else 1, 1), pages)
    bars = [(one, by_month[one]) for one in months[-MONTHS_SHOWN:]]
    return Revenue(
        sentence=_sentence(
            sources,
            by_month,
            months,
            month,
            t,
            n,
            own=own,
            name=names.get(payee or -1, ""),
            code=code,
            exponent=exponent,
        ),
        currency=code,
        exponent=exponent,
        months=[(one, n.month(one)) for one in reversed(months)],
        month=month,
        payees=sorted(((public_id(PARTY, one), names[one]) for one in payees), key=lambda option: option[1].lower()),
        payee=chosen,
        bars=drawings.bars(
            bars, left=AXIS_DIGIT * max((len(n.money(value, exponent)) for _, value in bars), default=0) + 12
        ),
        chart_label=t(
            "revenue.chart_label",
            values=", ".join(f"{n.month(one)}: {n.money(value, exponent)} {code}" for one, value in bars),
        ),
        rows=sources if every_page else sources[(page - 1) * PAGE : page * PAGE],
        total=Sums(
            sum(row.primary for row in sources),
            sum(row.resale for row in sources),
            sum(row.refunds for row in sources),
            sum(row.earned for row in sources),
        ),
        page=page,
        pages=pages,
    )


def _month_text(period: int) -> str:
    return f"{period // 100}-{period % 100:02d}"


def _sources(rows: Sequence[Any], names: Mapping[int, str], titles: Mapping[int, str], exponent: int) -> list[Source]:
    """One row for each payee and series, the most earned first."""
    grouped: dict[tuple[int, int], list[Any]] = {}
    for row in rows:
        grouped.setdefault((row.payee, row.series), []).append(row)
    sources = [
        Source(
            payee_id=public_id(PARTY, payee),
            payee=names[payee],
            model_id=public_id(MODEL, parts[-1].model),
            title=titles.get(parts[-1].model, ""),
            series_id=public_id(SERIES, series),
            symbol=parts[-1].symbol,
            primary=sum(part.sales_minor for part in parts),
            resale=sum(part.royalties_minor for part in parts),
            refunds=sum(part.refunds_minor for part in parts),
            earned=sum(part.shares_minor - part.reclaimed_minor for part in parts),
            suspense=carry_text(parts[-1].carried_ppb, exponent),
        )
        for (payee, series), parts in grouped.items()
    ]
    return sorted(sources, key=lambda row: (-row.earned, row.symbol, row.payee))


def _sentence(
    sources: Sequence[Source],
    by_month: Mapping[str, int],
    months: Sequence[str],
    month: str,
    t: Words,
    n: Numbers,
    *,
    own: int | None,
    name: str,
    code: str,
    exponent: int,
) -> str:
    if not sources:
        return t("revenue.nothing") if own is not None else t("revenue.empty")
    earned = sum(row.earned for row in sources)
    count = len({row.model_id for row in sources})
    places = {
        "amount": n.money(earned, exponent),
        "currency": code,
        "month": n.month(month) if month else t("revenue.ever"),
        "models": t.count("revenue.models", count, n.count(count)),
    }
    key = "revenue.you" if own is not None else "revenue.they" if name else "revenue.all"
    begun = t(key, payee=name, **places) if key == "revenue.they" else t(key, **places)
    earlier = [one for one in months if month and one < month]
    if not earlier:
        return begun + t("revenue.stop")
    difference = earned - by_month[earlier[-1]]
    word = "more_than" if difference > 0 else "less_than" if difference < 0 else "same_as"
    than = {"month": n.month(earlier[-1])}
    if difference:
        than["amount"] = n.money(abs(difference), exponent)
    return begun + t(f"revenue.{word}", **than)


def as_csv(found: Revenue, t: Words) -> str:
    """The rows of the page with the columns of the page; text that a spreadsheet would compute is made harmless."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(
        [
            t(f"revenue.{name}") if name != "series" else t("markets.series")
            for name in ("payee", "model", "series", "primary", "resale", "refunds", "earned", "suspense")
        ]
        + ["currency"]
    )
    money = found.exponent
    for row in found.rows:
        writer.writerow(
            [
                harmless(row.payee),
                harmless(row.title),
                harmless(row.symbol),
                *(format_money(value, money) for value in (row.primary, row.resale, row.refunds, row.earned)),
                row.suspense,
                found.currency,
            ]
        )
    return out.getvalue()


def harmless(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text

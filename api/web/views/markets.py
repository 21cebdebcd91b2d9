"""The list of markets: searched, narrowed by facets, sorted by any column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, select

from api.web.views.names import names_of
from api.web.words import Words
from api.wire import MODEL, SERIES, public_id
from domain.values import PPM, SeriesPhase
from projections import assets, market

PAGE: Final = 50
SERIES_MAX: Final = 100_000
SPARK_DAYS: Final = 30
DEFAULT_SORT: Final = "volume"


@dataclass(frozen=True, slots=True)
class MarketRow:
    number: int
    id: str
    symbol: str
    model_id: str
    title: str
    developer: str
    license: str
    purpose: str
    modality: str
    basis: str
    halted: bool
    ended: bool
    tick_minor: int
    exponent: int
    lot_size: str
    last: int | None
    change_ppm: int | None
    bid: int | None
    ask: int | None
    spread: int | None
    volume: int
    spark: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Facet:
    name: str
    options: Sequence[tuple[str, str]]
    """(value, what is shown, with how many series have it)."""
    chosen: str


@dataclass(frozen=True, slots=True)
class Markets:
    rows: Sequence[MarketRow]
    total: int
    facets: Sequence[Facet]
    q: str
    sort: str
    descending: bool
    page: int
    pages: int


_SORTS: Final[dict[str, Callable[[MarketRow], Any]]] = {
    "symbol": lambda row: row.symbol,
    "last": lambda row: row.last,
    "change": lambda row: row.change_ppm,
    "bid": lambda row: row.bid,
    "ask": lambda row: row.ask,
    "spread": lambda row: row.spread,
    "volume": lambda row: row.volume,
}
_FACETS: Final[dict[str, Callable[[MarketRow], str]]] = {
    "developer": lambda row: row.developer,
    "modality": lambda row: row.modality,
    "purpose": lambda row: row.purpose,
    "basis": lambda row: row.basis,
}


def load(connection: Connection, query: Mapping[str, str], now_ns: int, t: Words) -> Markets:
    """The page of markets that the query of an address asks for; what it does not know is passed over."""
    rows = _all(connection, now_ns, t)
    q = query.get("q", "").strip()[:100]
    if q:
        words = q.lower().split()
        rows = [
            row for row in rows if all(word in f"{row.symbol} {row.title} {row.developer}".lower() for word in words)
        ]
    chosen = {name: query.get(name, "") for name in _FACETS}
    facets = [_facet(name, rows, chosen, t) for name in _FACETS]
    rows = [row for row in rows if all(not value or _FACETS[name](row) == value for name, value in chosen.items())]
    sort = query.get("sort", DEFAULT_SORT)
    sort = sort if sort in _SORTS else DEFAULT_SORT
    descending = query.get("dir", "asc" if sort == "symbol" else "desc") != "asc"
    known = [row for row in rows if _SORTS[sort](row) is not None]
    known.sort(key=_SORTS[sort], reverse=descending)
    rows = known + [row for row in rows if _SORTS[sort](row) is None]
    pages = max(1, -(-len(rows) // PAGE))
    page_text = query.get("page", "1")
    page = min(max(int(page_text) if page_text.isdecimal() and len(page_text) < 6 else 1, 1), pages)
    shown = rows[(page - 1) * PAGE : page * PAGE]
    sparks = _sparks(connection, [row.number for row in shown], now_ns)
    return Markets(
        [_with_spark(row, sparks.get(row.number, ())) for row in shown],
        len(rows),
        facets,
        q,
        sort,
        descending,
        page,
        pages,
    )


def _all(connection: Connection, now_ns: int, t: Words) -> list[MarketRow]:
    found = assets.all_series(connection, limit=SERIES_MAX)
    tickers = market.tickers(connection, now_ns)
    terms = {row.terms: row for row in assets.all_terms(connection, limit=SERIES_MAX)}
    names = names_of(connection, {row.issuer for row in found}, t)
    rows = []
    for row in found:
        ticker = tickers.get(row.series)
        last = ticker.last_ticks if ticker else None
        change = ticker.change_ticks if ticker else None
        before = None if last is None or change is None else last - change
        of = terms[row.terms]
        rows.append(
            MarketRow(
                number=row.series,
                id=public_id(SERIES, row.series),
                symbol=row.symbol,
                model_id=public_id(MODEL, row.model),
                title=row.model_title,
                developer=names[row.issuer],
                license=of.license,
                purpose=of.purpose,
                modality=row.modality or "",
                basis=row.list_price_basis or "",
                halted=row.phase == SeriesPhase.HALTED,
                ended=row.phase == SeriesPhase.ENDED,
                tick_minor=row.tick_minor,
                exponent=row.exponent,
                lot_size=row.lot_size,
                last=last,
                change_ppm=None if not before or change is None else change * PPM // before,
                bid=ticker.bid_ticks if ticker else None,
                ask=ticker.ask_ticks if ticker else None,
                spread=ticker.spread_ticks if ticker else None,
                volume=ticker.lots if ticker else 0,
            )
        )
    return rows


def _facet(name: str, rows: Sequence[MarketRow], chosen: Mapping[str, str], t: Words) -> Facet:
    """How many series each value has, among those that the other facets leave."""
    others = [(_FACETS[other], value) for other, value in chosen.items() if other != name and value]
    counts = Counter(_FACETS[name](row) for row in rows if all(of(row) == value for of, value in others))
    counts.pop("", None)
    options = [(value, f"{t.of(name, value)} ({count})") for value, count in sorted(counts.items())]
    if chosen[name] and chosen[name] not in counts:
        options.append((chosen[name], t.of(name, chosen[name])))
    return Facet(name, options, chosen[name])


def _sparks(connection: Connection, series: Sequence[int], now_ns: int) -> dict[int, list[int]]:
    candles = market.candles
    since_ns = now_ns - SPARK_DAYS * market.DAY_SECONDS * market.SECOND_NS
    asked = (
        select(candles.c.series, candles.c.close_ticks)
        .where(candles.c.series.in_(series), candles.c.seconds == market.DAY_SECONDS, candles.c.start_ns >= since_ns)
        .order_by(candles.c.series, candles.c.start_ns)
    )
    found: dict[int, list[int]] = {}
    for number, close in connection.execute(asked):
        found.setdefault(number, []).append(close)
    return found


def _with_spark(row: MarketRow, spark: Sequence[int]) -> MarketRow:
    values = {name: getattr(row, name) for name in MarketRow.__slots__}
    return MarketRow(**(values | {"spark": spark}))

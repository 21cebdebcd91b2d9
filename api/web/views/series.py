"""One series: what the trading screen knows before the stream tells it the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from api.web.numbers import Numbers
from api.web.views.license_words import plain_words, term_words
from api.web.views.names import names_of
from api.web.words import Words
from api.wire import MODEL, SERIES, format_price, public_id, tick_size
from domain.values import PPM, SeriesPhase, format_quantity
from projections import assets, market, revenue

SPANS: Final = ("1m", "5m", "1h", "1d")
DEFAULT_SPAN: Final = "1h"
PRICES_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Share:
    """What a payee gets of a sale."""

    party: int
    name: str
    ppb: int
    exact: str
    way: str
    earned_minor: int | None = None


@dataclass(frozen=True, slots=True)
class SeriesView:
    id: str
    symbol: str
    model_id: str
    title: str
    semver: str
    developer: str
    license: str
    currency: str
    exponent: int
    tick_minor: int
    lot_size: str
    unit_name: str
    phase: str
    span: str
    last: int | None
    change_ppm: int | None
    spread: int | None
    volume: int
    list_ticks: int | None
    plain: Sequence[str]
    split: Sequence[Share]
    made_of: str
    may_trade: bool
    live: Mapping[str, Any]
    """What the scripts of the page need."""


def load(
    connection: Connection,
    number: int,
    now_ns: int,
    span: str,
    t: Words,
    n: Numbers,
    *,
    party_id: str | None,
    may_trade: bool,
    may_audit: bool,
) -> SeriesView | None:
    """The series of a number, or None. `party_id`: who is signed in."""
    row = assets.series_row(connection, number)
    if row is None:
        return None
    terms = assets.terms_row(connection, row.terms)
    assert terms is not None, row.terms
    ticker = market.tickers(connection, now_ns, [number])[number]
    before = (
        None if ticker.last_ticks is None or ticker.change_ticks is None else ticker.last_ticks - ticker.change_ticks
    )
    names = names_of(connection, [row.issuer], t)
    lineage = assets.lineage_of(connection, assets.MODEL, row.model_version)
    parents = [found.title for found in (*lineage.models, *lineage.datasets) if found.title != row.model_title]
    history = assets.list_price_history(connection, number, limit=PRICES_MAX)
    span = span if span in SPANS else DEFAULT_SPAN
    return SeriesView(
        id=public_id(SERIES, number),
        symbol=row.symbol,
        model_id=public_id(MODEL, row.model),
        title=row.model_title,
        semver=row.semver,
        developer=names[row.issuer],
        license=terms.license,
        currency=row.currency_code,
        exponent=row.exponent,
        tick_minor=row.tick_minor,
        lot_size=row.lot_size,
        unit_name=row.unit_name,
        phase=SeriesPhase(row.phase).name.lower(),
        span=span,
        last=ticker.last_ticks,
        change_ppm=None if not before or ticker.change_ticks is None else ticker.change_ticks * PPM // before,
        spread=ticker.spread_ticks,
        volume=ticker.lots,
        list_ticks=row.list_price_ticks,
        plain=plain_words(terms, t, n),
        split=split_of(connection, number, t),
        made_of=", ".join(parents[:3]) + (f" {t('model.more', number=len(parents) - 3)}" if len(parents) > 3 else ""),
        may_trade=may_trade,
        live={
            "id": public_id(SERIES, number),
            "currency": row.currency_code,
            "decimals": row.exponent,
            "tick_size": tick_size(row.tick_minor, row.exponent),
            "lot_size": row.lot_size,
            "last": None
            if ticker.last_ticks is None
            else format_price(ticker.last_ticks, row.tick_minor, row.exponent),
            "quantity_max": format_quantity(row.max_order_lots, row.lot_size),
            "party": party_id,
            "may_trade": may_trade,
            "may_audit": may_audit,
            "span": span,
            "term": term_words(terms, t, n),
            "published": [
                {"day": price.effective_day, "price": format_price(price.price_ticks, row.tick_minor, row.exponent)}
                for price in reversed(history)
            ],
        },
    )


def split_of(connection: Connection, number: int, t: Words) -> list[Share]:
    """Who gets what of a sale in a series, the largest share first."""
    weights = revenue.waterfall(connection, number)
    ways: dict[int, list[Any]] = {}
    for way in revenue.waterfall_derivation(connection, number):
        ways.setdefault(way.payee, []).append(way)
    names = names_of(connection, [row.payee for row in weights], t)
    shares = [
        Share(
            row.payee,
            names[row.payee],
            row.weight_ppb,
            " + ".join(way.share for way in ways.get(row.payee, ())),
            ", ".join(dict.fromkeys(way.way for way in ways.get(row.payee, ()))),
        )
        for row in weights
    ]
    return sorted(shares, key=lambda share: (-share.ppb, share.party))

"""One model: what it was made of, who may use it for what, what it costs and why, and who earns from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection

from api.web import drawings
from api.web.numbers import Numbers
from api.web.views.license_words import plain_words
from api.web.views.names import names_of
from api.web.views.series import Share, split_of
from api.web.words import Words
from api.wire import MODEL, SERIES, public_id
from domain.values import PPM, SeriesPhase
from projections import assets, market, revenue, traders

ROWS_MAX: Final = 500
DEPTH_MAX: Final = 6
"""Of the indented list."""


@dataclass(frozen=True, slots=True)
class SeriesOf:
    id: str
    symbol: str
    phase: str
    list_ticks: int | None
    last: int | None
    tick_minor: int
    exponent: int
    units_out: int
    holders: int
    plain: Sequence[str]


@dataclass(frozen=True, slots=True)
class PriceOf:
    day: str
    symbol: str
    ticks: int
    tick_minor: int
    exponent: int
    change_ppm: int | None
    basis: str
    source: str
    position: int


@dataclass(frozen=True, slots=True)
class VersionOf:
    semver: str
    state: str
    notice: str | None
    digest: str
    position: int


@dataclass(frozen=True, slots=True)
class TreeItem:
    title: str
    note: str
    href: str | None
    gone: str
    """What became of it, if it was withdrawn or changed."""
    children: Sequence[TreeItem]


@dataclass(frozen=True, slots=True)
class ModelView:
    title: str
    developer: str
    license: str | None
    family: str | None
    modality: str | None
    source: str
    currency: str
    exponent: int
    revenue_minor: int
    units_out: int
    holders: int
    versions: Sequence[VersionOf]
    graph: drawings.Graph
    tree: Sequence[TreeItem]
    series: Sequence[SeriesOf]
    prices: Sequence[PriceOf]
    split: Sequence[Share]


def load(connection: Connection, number: int, now_ns: int, t: Words, n: Numbers) -> ModelView | None:
    """The model of a number, or None."""
    row = assets.model(connection, number)
    if row is None:
        return None
    listed = assets.all_series(connection, model=number, limit=ROWS_MAX)
    versions = assets.versions_of_model(connection, number, limit=ROWS_MAX)
    tickers = market.tickers(connection, now_ns, [one.series for one in listed])
    units = {one.series: traders.units(connection, one.series) for one in listed}
    graph, tree = _lineage(connection, row, versions, t)
    return ModelView(
        title=row.title,
        developer=names_of(connection, [row.developer], t)[row.developer],
        license=row.license,
        family=row.family,
        modality=row.modality,
        source=row.source,
        currency=listed[0].currency_code if listed else "",
        exponent=listed[0].exponent if listed else 0,
        revenue_minor=sum(
            one.sales_minor - one.refunds_minor + one.royalties_minor for one in _splits(connection, number)
        ),
        units_out=sum(of.issued for of in units.values()),
        holders=sum(of.holders for of in units.values()),
        versions=[
            VersionOf(one.semver, one.state, one.notice, bytes(one.digest).hex(), one.position)
            for one in reversed(versions)
        ],
        graph=graph,
        tree=tree,
        series=[_series(connection, one, tickers[one.series].last_ticks, units[one.series], t, n) for one in listed],
        prices=[price for one in listed for price in _prices(connection, one)],
        split=_split(connection, number, listed, t),
    )


def _splits(connection: Connection, model: int) -> Sequence[Any]:
    return revenue.by_series(connection, revenue.Asked(model=model))


def _series(connection: Connection, row: Any, last: int | None, units: traders.Units, t: Words, n: Numbers) -> SeriesOf:
    return SeriesOf(
        id=public_id(SERIES, row.series),
        symbol=row.symbol,
        phase=SeriesPhase(row.phase).name.lower(),
        list_ticks=row.list_price_ticks,
        last=last,
        tick_minor=row.tick_minor,
        exponent=row.exponent,
        units_out=units.issued,
        holders=units.holders,
        plain=plain_words(assets.terms_row(connection, row.terms), t, n),
    )


def _prices(connection: Connection, row: Any) -> list[PriceOf]:
    """Newest first, each with its change from the one before it."""
    history = assets.list_price_history(connection, row.series, limit=ROWS_MAX)
    before = [*(price.price_ticks for price in history[1:]), None]
    return [
        PriceOf(
            day=price.effective_day,
            symbol=row.symbol,
            ticks=price.price_ticks,
            tick_minor=row.tick_minor,
            exponent=row.exponent,
            change_ppm=None if not was else (price.price_ticks - was) * PPM // was,
            basis=price.basis,
            source=price.source,
            position=price.position,
        )
        for price, was in zip(history, before, strict=True)
    ]


def _split(connection: Connection, number: int, listed: Sequence[Any], t: Words) -> list[Share]:
    """The split of the newest series, with what each payee has earned with the model in all."""
    if not listed:
        return []
    earned: dict[int, int] = {}
    for row in revenue.by_payee(connection, revenue.Asked(model=number)):
        earned[row.payee] = earned.get(row.payee, 0) + row.shares_minor - row.reclaimed_minor
    return [
        replace(share, earned_minor=earned.get(share.party, 0)) for share in split_of(connection, listed[-1].series, t)
    ]


# -- lineage -----------------------------------------------------------------------------------------------------------

_Key = tuple[int, int]
"""(kind, number) of a version in a lineage."""


def _lineage(
    connection: Connection, row: Any, versions: Sequence[Any], t: Words
) -> tuple[drawings.Graph, list[TreeItem]]:
    """What the newest version was made of and what was made of it: as columns by distance, and as an indented list."""
    if not versions:
        return drawings.lineage([], []), []
    start: _Key = (assets.MODEL, versions[-1].model_version)
    made_of = assets.lineage_of(connection, *start)
    led_to = assets.lineage_of(connection, *start, descendants=True)
    up = [((edge.kind, edge.version), (edge.parent_kind, edge.parent), edge.relation) for edge in made_of.edges]
    down = [((edge.parent_kind, edge.parent), (edge.kind, edge.version), edge.relation) for edge in led_to.edges]
    known: dict[_Key, Any] = {(assets.MODEL, one.model_version): one for one in (*made_of.models, *led_to.models)}
    known |= {(assets.DATASET, one.dataset_version): one for one in (*made_of.datasets, *led_to.datasets)}
    columns = _distances(start, up, -1) | _distances(start, down, 1)
    notes = {far: relation for _, far, relation in (*up, *down)}
    nodes = [drawings.Node(f"{start}", f"{row.title} {versions[-1].semver}", "", None, 0)]
    nodes += [
        drawings.Node(
            key=f"{key}",
            title=known[key].title,
            note=" · ".join(filter(None, (t.of("relation", notes[key]), _notice(known[key], t)))),
            href=_href(key, known[key]),
            column=column,
            gone=_notice(known[key], t),
        )
        for key, column in columns.items()
        if key != start
    ]
    edges = [(f"{far}", f"{near}") for near, far, _ in up] + [(f"{near}", f"{far}") for near, far, _ in down]
    tree = [
        TreeItem(t(label), "", None, "", children)
        for label, steps in (("model.made_of", up), ("model.led_to", down))
        if (children := _tree(start, steps, known, t, (start,)))
    ]
    return drawings.lineage(nodes, edges, t("model.more", number="{number}")), tree


def _distances(start: _Key, steps: Sequence[tuple[_Key, _Key, str]], sign: int) -> dict[_Key, int]:
    """How far each version is from the start, by the longest way: so whatever led to something stands before it."""
    found = {start: 0}
    edge = {start}
    # A version is made only from earlier ones, so no way is longer than there are versions.
    while edge:
        reached = {far for near, far, _ in steps if near in edge}
        found |= {far: found[near] + sign for near, far, _ in steps if near in edge}
        edge = reached
    return found


def _tree(
    near: _Key, steps: Sequence[tuple[_Key, _Key, str]], known: dict[_Key, Any], t: Words, path: tuple[_Key, ...]
) -> list[TreeItem]:
    return [
        TreeItem(
            known[far].title,
            t.of("relation", relation),
            _href(far, known[far]),
            _notice(known[far], t),
            _tree(far, steps, known, t, (*path, far)) if len(path) < DEPTH_MAX else [],
        )
        for start, far, relation in steps
        if start == near and far not in path
    ]


def _href(key: _Key, row: Any) -> str | None:
    return f"/models/{public_id(MODEL, row.model)}" if key[0] == assets.MODEL else None


def _notice(row: Any, t: Words) -> str:
    return t.of("notice", row.notice) if row.notice else ""

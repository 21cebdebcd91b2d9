"""Who earned which part of what was sold: by payee, series, model and day, line by line, and what is in suspense.

A sale, the royalty of a resale or a refund is *split* over the payees of its series by the weights of a waterfall. What
a payee is entitled to is never rounded: it grows by amount × weight, and the payee has been paid its whole minor units.
So between two changes of the weights (an *era* of the series) each payee's part of a line follows from the amounts:

    share = (carry + weight × (before + amount)) // 10^9 − (carry + weight × before) // 10^9

where `before` is what was split earlier in the era. A line is kept once, however many payees it has, and
`lines_of_payee` computes the part; what was really posted is summed beside it and compared after each block.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import numpy as np
from sqlalchemy import ColumnElement, Connection, Index, Row, Select, func, select, tuple_

from domain import events
from domain.events import Envelope, Fact
from domain.values import DAY_NS, PPB
from matching.layout import NONE
from projections.assets import currencies, model_versions, models
from projections.bulk import columns_of, insert, upsert
from projections.projection import Batch
from projections.revenue_fold import RevenueFold, carried_ppb
from projections.rows import PAGE_ROWS, KeptRows, WaitingRows, key, maybe, text, total_of
from projections.schema import integer, table
from projections.traders import ANY_RANGE, Range, within_range

# -- tables ------------------------------------------------------------------------------------------------------------

agreements = table(
    "agreements",
    key("agreement"),
    integer("model"),
    integer("effective_at_ns"),
    integer("platform_ppb"),
    text("agents"),  # JSON: [party, ppb] each
    integer("data_ppb"),
    integer("upstream_ppb"),
    maybe("took_effect_at_ns"),
    maybe("took_effect_position"),
    integer("position"),
    integer("command"),
    integer("at_ns"),
    Index("agreements_by_model", "model", "agreement"),
)
waterfall_weights = table(
    "waterfall_weights",
    key("series"),
    key("version"),
    key("payee"),  # a party; 0 the house
    integer("weight_ppb"),
    integer("agreement"),
    integer("position"),
)
waterfall_ways = table(
    "waterfall_ways",
    key("series"),
    key("version"),
    key("line"),
    integer("payee"),
    text("way"),
    text("share"),  # of the whole, exactly: a fraction in lowest terms
    integer("position"),
)
"""Why the weights are what they are."""
waterfall_failures = table(
    "waterfall_failures",
    key("position"),
    integer("series"),
    integer("agreement"),
    integer("reason"),  # domain.rejections.Reason
    integer("command"),
    integer("at_ns"),
)
revenue_series = table(
    "revenue_series",
    key("series"),
    text("symbol"),
    integer("model"),
    integer("currency"),
    integer("waterfall_version"),
    integer("era"),
    integer("era_minor"),  # split since the era began
    integer("suspense_minor"),
    integer(
        "difference_position"
    ),  # of the first block after which a payee had not its weight of all; 0 in a sound log
    integer("position"),
)
revenue_lines = table(
    "revenue_lines",
    key("series"),
    key("command"),
    key("position"),  # a command that goes on in the next block has a line in each
    integer("at_ns"),
    integer("era"),
    integer("before_minor"),  # split earlier in the era
    integer("sales_minor"),
    integer("royalties_minor"),
    integer("refunds_minor"),
    Index("revenue_lines_by_command", "command", "series", "position"),
)
"""What one command gave to be split in a series: sales + royalties − refunds."""
era_payees = table(
    "era_payees",
    key("series"),
    key("era"),
    key("payee"),
    integer("version"),  # of the waterfall
    integer("weight_ppb"),
    integer("carry_ppb"),  # in 10^-9 minor units, when the era began
    Index("era_payees_by_payee", "payee", "series", "era"),
)
carried = table(
    "carried",
    key("series"),
    key("payee"),
    integer("carried_ppb"),
    integer("position"),
)
"""What of the suspense of a series is whose now, in 10^-9 minor units: less than one minor unit each."""
_SOURCES: Final = ("sales_minor", "royalties_minor", "refunds_minor")
_PAID: Final = ("shares_minor", "reclaimed_minor")
series_days = table(
    "series_days",
    key("series"),
    key("day"),  # of UTC, as the number YYYYMMDD
    *map(integer, (*_SOURCES, *_PAID)),
    integer("suspense_before_minor"),
    integer("suspense_after_minor"),
    integer("first_position"),
    integer("last_position"),
)
"""sales + royalties − refunds = shares − reclaimed + change of suspense."""
payee_days = table(
    "payee_days",
    key("payee"),
    key("series"),
    key("day"),
    *map(integer, (*_SOURCES, *_PAID)),  # the first three: what was split by waterfalls that name the payee
    integer("carried_ppb"),  # at the end of the day
    integer("first_position"),
    integer("last_position"),
    Index("payee_days_by_day", "day", "series", "payee"),
)
_TRADED: Final = ("trades", "lots", "notional_minor", "primary_minor", "fees_minor", "taxes_minor", "royalties_minor")
trading_days = table(
    "trading_days",
    key("series"),
    key("day"),
    *map(integer, _TRADED),
    integer("first_position"),
    integer("last_position"),
)
"""What was traded in a series, primary sales (`primary_minor`) and resales, and what the house took for it."""

# -- the fold ----------------------------------------------------------------------------------------------------------


class Revenue:
    """The revenue share's read model."""

    name = "revenue"
    version = 1
    tables = (
        agreements,
        waterfall_weights,
        waterfall_ways,
        waterfall_failures,
        revenue_series,
        revenue_lines,
        era_payees,
        carried,
        series_days,
        payee_days,
        trading_days,
    )

    def __init__(self) -> None:
        self._agreements = KeptRows(agreements)
        self._weights = WaitingRows(waterfall_weights)
        self._ways = WaitingRows(waterfall_ways)
        self._failures = WaitingRows(waterfall_failures)
        self._listed: dict[int, tuple[str, int, int]] = {}
        """Symbol, model and currency of series."""
        self._models: dict[int, int] = {}
        """Of model versions."""
        self._splits = RevenueFold()

    def load(self, connection: Connection) -> None:
        self._agreements.load(connection)
        # Committed together with the rows here, so it knows the same versions.
        self._models = {row.model_version: row.model for row in connection.execute(select(model_versions))}
        splits = self._splits
        for row in connection.execute(select(revenue_series)):
            self._listed[row.series] = (row.symbol, row.model, row.currency)
            splits.list_series(row.series, row.position)
            _set(splits.memory.series[row.series], row, _SERIES_NAMES)
        slots: dict[tuple[int, int], int] = {}
        for row in connection.execute(select(carried)):
            slots[row.series, row.payee] = slot = splits.slot(row.series, row.payee, row.position)
            payee = splits.memory.payees[slot]
            payee["whole_minor"], payee["rest_ppb"] = divmod(row.carried_ppb, PPB)
        rows = waterfall_weights
        found = connection.execute(select(rows).order_by(rows.c.series, rows.c.version, rows.c.payee))
        for (series, version), of_version in itertools.groupby(found, lambda row: (row.series, row.version)):
            weights = [(slots[series, row.payee], row.weight_ppb) for row in of_version]
            splits.memory.series["waterfall"][series] = splits.add_waterfall(series, version, weights)
        self._load_days(connection, slots)
        splits.written()

    def _load_days(self, connection: Connection, slots: Mapping[tuple[int, int], int]) -> None:
        """The rows of the last day; those of earlier ones will not be changed any more."""
        tables = (series_days, payee_days, trading_days)
        last_day = max(connection.scalar(select(func.max(days.c.day))) or 0 for days in tables)
        memory = self._splits.memory
        for row in connection.execute(select(series_days).where(series_days.c.day == last_day)):
            _set(memory.series[row.series], row, (*_SUMS, "suspense_before_minor", *_POSITIONS))
        for row in connection.execute(select(payee_days).where(payee_days.c.day == last_day)):
            _set(memory.payees[slots[row.series, row.payee]], row, (*_SUMS, *_POSITIONS))
        for row in connection.execute(select(trading_days).where(trading_days.c.day == last_day)):
            _set(memory.trading[row.series], row, ("series", *_TRADED, *_POSITIONS))
        if last_day:
            ends_ns = _end_of_day(last_day)
            for rows in (memory.series, memory.payees, memory.trading):
                rows["day_ends_ns"][rows["first_position"] != 0] = ends_ns

    def fold(self, batch: Batch) -> None:
        # Nothing else of a block changes what is split or owed.
        rows = batch.flow.rows
        given = None
        if len(rows.trades) or len(rows.movements) or len(rows.shares) or len(rows.suspense):
            given = self._splits.given(batch.flow)
        done = 0
        for position, envelope, fact in batch.facts:
            if isinstance(fact, _TAKEN):
                if given is not None:
                    before = int(np.searchsorted(given.positions, position))
                    self._splits.fold(given, done, before)
                    done = before
                self._fact(position, envelope, fact)
        if given is not None:
            self._splits.fold(given, done, len(given.positions))

    def write(self, connection: Connection) -> None:
        for rows in (self._agreements, self._weights, self._ways, self._failures):
            rows.write(connection)
        if self._splits.changed:
            self._write_splits(connection)

    def _write_splits(self, connection: Connection) -> None:
        splits = self._splits
        self._write_series(connection, splits.changed_series())
        insert(connection, revenue_lines, columns_of(splits.new("lines")))
        insert(connection, era_payees, columns_of(splits.new("era_payees")))
        payees = splits.changed_payees()
        columns = columns_of(payees, ("series", "payee", "position"))
        upsert(connection, carried, columns | {"carried_ppb": carried_ppb(payees)})
        days = splits.changed_days("series_days")
        columns = columns_of(days, ("series", *_SUMS, "suspense_before_minor", *_POSITIONS))
        upsert(connection, series_days, columns | {"day": _days(days), "suspense_after_minor": days["suspense_minor"]})
        days = splits.changed_days("payee_days")
        columns = columns_of(days, ("payee", "series", *_SUMS, *_POSITIONS))
        upsert(connection, payee_days, columns | {"day": _days(days), "carried_ppb": carried_ppb(days)})
        days = splits.changed_days("trading_days")
        columns = columns_of(days, ("series", *_TRADED, *_POSITIONS))
        upsert(connection, trading_days, columns | {"day": _days(days)})
        splits.written()

    def _write_series(self, connection: Connection, rows: Any) -> None:
        listed = [self._listed[series] for series in rows["series"].tolist()]
        newest = self._splits.memory.waterfalls["version"][rows["waterfall"]]
        columns = {
            "symbol": [symbol for symbol, _, _ in listed],
            "model": [model for _, model, _ in listed],
            "currency": [currency for _, _, currency in listed],
            "waterfall_version": np.where(rows["waterfall"] == NONE, 0, newest),
        }
        upsert(connection, revenue_series, columns | columns_of(rows, ("series", *_SERIES_NAMES)))

    # -- facts ---------------------------------------------------------------------------------------------------------

    def _fact(self, position: int, envelope: Envelope, fact: Fact) -> None:
        match fact:
            case events.ModelVersionRegistered():
                self._models[fact.model_version] = fact.model
            case events.SeriesListed():
                self._listed[fact.series] = (fact.symbol, self._models[fact.model_version], fact.currency)
                self._splits.list_series(fact.series, position)
            case events.AgreementSigned():
                self._agreements.put(
                    agreement=fact.agreement,
                    model=fact.model,
                    effective_at_ns=fact.effective_at_ns,
                    platform_ppb=fact.platform_ppb,
                    agents=json.dumps(fact.agents, separators=(",", ":")),
                    data_ppb=fact.data_ppb,
                    upstream_ppb=fact.upstream_ppb,
                    took_effect_at_ns=None,
                    took_effect_position=None,
                    position=position,
                    command=envelope.command,
                    at_ns=envelope.at_ns,
                )
            case events.AgreementTookEffect():
                self._agreements.change(
                    (fact.agreement,), took_effect_at_ns=envelope.at_ns, took_effect_position=position
                )
            case events.WaterfallCompilationFailed():
                self._failures.put(
                    position=position,
                    series=fact.series,
                    agreement=fact.agreement,
                    reason=int(fact.reason),
                    command=envelope.command,
                    at_ns=envelope.at_ns,
                )
            case events.WaterfallCompiled():
                self._waterfall(position, envelope.at_ns, fact)

    def _waterfall(self, position: int, at_ns: int, fact: events.WaterfallCompiled) -> None:
        """A payee goes on with what it carries; what leavers carry goes to the developer, else to the first payee."""
        for payee, weight_ppb in fact.rows:
            self._weights.put(
                series=fact.series,
                version=fact.version,
                payee=payee,
                weight_ppb=weight_ppb,
                agreement=fact.agreement,
                position=position,
            )
        for line, (payee, way, share) in enumerate(fact.derivation):
            self._ways.put(
                series=fact.series,
                version=fact.version,
                line=line,
                payee=payee,
                way=way,
                share=share,
                position=position,
            )
        slots = {payee: self._splits.slot(fact.series, payee, position) for payee, _ in fact.rows}
        weights = [(slots[payee], weight_ppb) for payee, weight_ppb in fact.rows]
        waterfall = self._splits.add_waterfall(fact.series, fact.version, weights)
        heir = slots.get(fact.developer, weights[0][0])
        self._splits.begin_version(fact.series, waterfall, heir=heir, at_ns=at_ns, position=position)


_TAKEN: Final = (
    events.ModelVersionRegistered,
    events.SeriesListed,
    events.AgreementSigned,
    events.AgreementTookEffect,
    events.WaterfallCompilationFailed,
    events.WaterfallCompiled,
)
_SUMS: Final = (*_SOURCES, *_PAID)
_POSITIONS: Final = ("first_position", "last_position")
_SERIES_NAMES: Final = ("era", "era_minor", "suspense_minor", "difference_position", "position")
"""Columns of `revenue_series` that are fields of the fold's rows."""


def _set(into: Any, row: Row[Any], names: Sequence[str]) -> None:
    for name in names:
        into[name] = getattr(row, name)


def _days(rows: Any) -> Any:
    """The UTC days of rows as numbers YYYYMMDD."""
    ends, which = np.unique(rows["day_ends_ns"], return_inverse=True)
    return np.array([day_of(end - 1) for end in ends.tolist()], np.int64)[which]


def _end_of_day(day: int) -> int:
    """When a day YYYYMMDD ends, in nanoseconds since 1970."""
    begins = datetime(day // 10_000, day // 100 % 100, day % 100, tzinfo=UTC)
    return (int(begins.timestamp()) * 10**9 // DAY_NS + 1) * DAY_NS


def day_of(at_ns: int) -> int:
    """The UTC day of a moment as the number YYYYMMDD; without its last two digits it is the month."""
    day = datetime.fromtimestamp(at_ns // 10**9, UTC)
    return day.year * 10_000 + day.month * 100 + day.day


# -- questions ---------------------------------------------------------------------------------------------------------

Found = Row[Any]


class Asked(NamedTuple):
    """Which revenue is asked for; what is None does not narrow. Days are YYYYMMDD and belong to the range."""

    payee: int | None = None
    series: int | None = None
    model: int | None = None
    currency: int | None = None
    first_day: int | None = None
    last_day: int | None = None


EVERYTHING: Final = Asked()


def month(number: int) -> tuple[int, int]:
    """First and last day of a month YYYYMM, for a range; the last may be one that the month does not have."""
    return number * 100 + 1, number * 100 + 31


def by_payee(
    connection: Connection,
    asked: Asked = EVERYTHING,
    *,
    by_day: bool = False,
    after: tuple[int, int, int] | None = None,
    limit: int | None = None,
) -> Sequence[Found]:
    """What each payee got of each series in each `period`: a month YYYYMM, or a day.

    Columns of `payee_days`, `symbol`, `model`, `currency`. In the order of (period, series, payee), after that key.
    """
    days = payee_days
    period = _period(days, by_day)
    at = (period, days.c.series, days.c.payee)
    grouped = (
        select(
            period.label("period"),
            days.c.series,
            days.c.payee,
            *(total_of(days.c[name], name) for name in (*_SOURCES, *_PAID)),
            func.max(days.c.day).label("last_day"),
            func.min(days.c.first_position).label("first_position"),
            func.max(days.c.last_position).label("last_position"),
        )
        .group_by(*at)
        .join(revenue_series, revenue_series.c.series == days.c.series)
    )
    grouped = _narrowed(grouped, asked, days)
    if after is not None:
        grouped = grouped.where(tuple_(*at) > tuple_(*after))
    if limit is not None:
        grouped = grouped.order_by(*at).limit(limit)
    found = grouped.subquery()
    last = payee_days.alias("last")
    return connection.execute(
        select(
            found,
            last.c.carried_ppb,
            revenue_series.c.symbol,
            revenue_series.c.model,
            revenue_series.c.currency,
        )
        .join(
            last,
            (last.c.payee == found.c.payee) & (last.c.series == found.c.series) & (last.c.day == found.c.last_day),
        )
        .join(revenue_series, revenue_series.c.series == found.c.series)
        .order_by(found.c.period, found.c.series, found.c.payee)
    ).all()


def by_series(
    connection: Connection,
    asked: Asked = EVERYTHING,
    *,
    by_day: bool = False,
    after: tuple[int, int] | None = None,
    limit: int | None = None,
) -> Sequence[Found]:
    """What came into each series and went out in each `period`: a month YYYYMM, or a day; it adds up in each row.

    Columns of `series_days`, `symbol`, `model`, `currency`. In the order of (period, series), after that key. With a
    payee: the series and periods in which it has a row.
    """
    days = series_days
    period = _period(days, by_day)
    at = (period, days.c.series)
    grouped = (
        select(
            period.label("period"),
            days.c.series,
            *(total_of(days.c[name], name) for name in (*_SOURCES, *_PAID)),
            func.min(days.c.day).label("first_day"),
            func.max(days.c.day).label("last_day"),
            func.min(days.c.first_position).label("first_position"),
            func.max(days.c.last_position).label("last_position"),
        )
        .group_by(*at)
        .join(revenue_series, revenue_series.c.series == days.c.series)
    )
    if asked.payee is not None:
        theirs = select(payee_days.c.series, _period(payee_days, by_day)).where(payee_days.c.payee == asked.payee)
        grouped = grouped.where(tuple_(days.c.series, period).in_(theirs))
    grouped = _narrowed(grouped, asked._replace(payee=None), days)
    if after is not None:
        grouped = grouped.where(tuple_(*at) > tuple_(*after))
    if limit is not None:
        grouped = grouped.order_by(*at).limit(limit)
    found = grouped.subquery()
    first, last = series_days.alias("first"), series_days.alias("last")
    return connection.execute(
        select(
            found,
            first.c.suspense_before_minor,
            last.c.suspense_after_minor,
            revenue_series.c.symbol,
            revenue_series.c.model,
            revenue_series.c.currency,
        )
        .join(first, (first.c.series == found.c.series) & (first.c.day == found.c.first_day))
        .join(last, (last.c.series == found.c.series) & (last.c.day == found.c.last_day))
        .join(revenue_series, revenue_series.c.series == found.c.series)
        .order_by(found.c.period, found.c.series)
    ).all()


def earned(connection: Connection, asked: Asked = EVERYTHING, *, by_model: bool = False) -> Sequence[Found]:
    """What was earned in each currency: `earned_minor` = shares − reclaimed, its parts, `models`, `series`, positions.

    With `by_model` in each currency and model, with the model's `key` and `title`.
    """
    days = payee_days
    names = (models.c.model, models.c.key, models.c.title) if by_model else ()
    group = (revenue_series.c.currency, currencies.c.code, currencies.c.exponent, *names)
    found = (
        select(
            *group,
            total_of(days.c.shares_minor - days.c.reclaimed_minor, "earned_minor"),
            *(total_of(days.c[name], name) for name in _PAID),
            func.count(revenue_series.c.model.distinct()).label("models"),
            func.count(revenue_series.c.series.distinct()).label("series"),
            func.min(days.c.first_position).label("first_position"),
            func.max(days.c.last_position).label("last_position"),
        )
        .join(revenue_series, revenue_series.c.series == days.c.series)
        .join(currencies, currencies.c.currency == revenue_series.c.currency)
        .group_by(*group)
        .order_by(revenue_series.c.currency)
    )
    if by_model:
        found = found.join(models, models.c.model == revenue_series.c.model).order_by(models.c.model)
    return connection.execute(_narrowed(found, asked, days)).all()


class Line(NamedTuple):
    """A payee's part of one command's sales, royalties or refund in a series."""

    series: int
    command: int
    position: int
    at_ns: int
    sales_minor: int
    royalties_minor: int
    refunds_minor: int
    payee: int
    version: int
    """Of the waterfall."""
    weight_ppb: int
    carry_before_ppb: int
    share_minor: int
    """Negative: given back."""
    carry_after_ppb: int

    @property
    def amount_minor(self) -> int:
        return self.sales_minor + self.royalties_minor - self.refunds_minor


def lines_of_payee(
    connection: Connection,
    payee: int,
    *,
    series: int | None = None,
    model: int | None = None,
    within: Range = ANY_RANGE,
    after: tuple[int, int, int] | None = None,
    limit: int = PAGE_ROWS,
) -> Sequence[Line]:
    """The lines of a payee, newest first, before (command, series, position) `after`."""
    lines = revenue_lines
    at = (lines.c.command, lines.c.series, lines.c.position)
    asked = _lines_with(era_payees.c.payee == payee).order_by(*(column.desc() for column in at)).limit(limit)
    if series is not None:
        asked = asked.where(lines.c.series == series)
    if model is not None:
        of_model = select(revenue_series.c.series).where(revenue_series.c.model == model)
        asked = asked.where(lines.c.series.in_(of_model))
    if after is not None:
        asked = asked.where(tuple_(*at) < tuple_(*after))
    return [_line(row) for row in connection.execute(within_range(asked, within, lines))]


def lines_of_command(connection: Connection, command: int) -> Sequence[Line]:
    """How what a command sold or took back was split, by (series, position, payee)."""
    lines = revenue_lines
    asked = _lines_with(lines.c.command == command).order_by(lines.c.series, lines.c.position, era_payees.c.payee)
    return [_line(row) for row in connection.execute(asked)]


def ways_of_payee(connection: Connection, series: int, version: int, payee: int) -> Sequence[Found]:
    """Why a payee has its weight: `way` names the data set, base or role, `share` is exact."""
    ways = waterfall_ways
    asked = select(ways).where(ways.c.series == series, ways.c.version == version, ways.c.payee == payee)
    return connection.execute(asked.order_by(ways.c.line)).all()


def waterfall(connection: Connection, series: int, version: int | None = None) -> Sequence[Found]:
    """The weights of a version of a series' waterfall, by default the newest, by payee."""
    weights = waterfall_weights
    newest = select(func.max(weights.c.version)).where(weights.c.series == series).scalar_subquery()
    asked = select(weights).where(weights.c.series == series, weights.c.version == (version or newest))
    return connection.execute(asked.order_by(weights.c.payee)).all()


def waterfall_derivation(connection: Connection, series: int, version: int | None = None) -> Sequence[Found]:
    """All ways of a version of a series' waterfall, by default the newest."""
    ways = waterfall_ways
    newest = select(func.max(ways.c.version)).where(ways.c.series == series).scalar_subquery()
    asked = select(ways).where(ways.c.series == series, ways.c.version == (version or newest))
    return connection.execute(asked.order_by(ways.c.line)).all()


def failed_waterfalls(connection: Connection, *, series: int | None = None) -> Sequence[Found]:
    """Agreements that took effect without changing a series, newest first."""
    asked = select(waterfall_failures).order_by(waterfall_failures.c.position.desc())
    return connection.execute(asked if series is None else asked.where(waterfall_failures.c.series == series)).all()


def all_agreements(
    connection: Connection, *, model: int | None = None, after: int = 0, limit: int = PAGE_ROWS
) -> Sequence[Found]:
    asked = select(agreements).where(agreements.c.agreement > after).order_by(agreements.c.agreement).limit(limit)
    return connection.execute(asked if model is None else asked.where(agreements.c.model == model)).all()


def agreement(connection: Connection, number: int) -> Found | None:
    return connection.execute(select(agreements).where(agreements.c.agreement == number)).first()


def suspense_by_series(connection: Connection, *, model: int | None = None) -> Sequence[Found]:
    """`revenue_series` by number: what is in suspense, and whether it was ever not what it must be."""
    asked = select(revenue_series).order_by(revenue_series.c.series)
    return connection.execute(asked if model is None else asked.where(revenue_series.c.model == model)).all()


def suspense_by_payee(
    connection: Connection, *, series: int | None = None, payee: int | None = None
) -> Sequence[Found]:
    """`carried` by (series, payee), without zeros."""
    asked = select(carried).where(carried.c.carried_ppb != 0).order_by(carried.c.series, carried.c.payee)
    for column, value in ((carried.c.series, series), (carried.c.payee, payee)):
        if value is not None:
            asked = asked.where(column == value)
    return connection.execute(asked).all()


def house_income(connection: Connection, asked: Asked = EVERYTHING, *, by_day: bool = False) -> Sequence[Found]:
    """What was traded and what the house took in each currency and `period` (a month YYYYMM, or a day).

    Columns of `trading_days`; the platform's share of revenue is that of payee 0.
    """
    days = trading_days
    period = _period(days, by_day)
    group = (period, revenue_series.c.currency)
    found = (
        select(
            period.label("period"),
            revenue_series.c.currency,
            *(total_of(days.c[name], name) for name in _TRADED),
            func.min(days.c.first_position).label("first_position"),
            func.max(days.c.last_position).label("last_position"),
        )
        .join(revenue_series, revenue_series.c.series == days.c.series)
        .group_by(*group)
        .order_by(*group)
    )
    return connection.execute(_narrowed(found, asked._replace(payee=None), days)).all()


def _period(days: Any, by_day: bool) -> ColumnElement[int]:
    column: ColumnElement[int] = days.c.day
    return column if by_day else column // 100


def _narrowed(found: Select[Any], asked: Asked, days: Any) -> Select[Any]:
    if asked.payee is not None:
        found = found.where(days.c.payee == asked.payee)
    for column, value in (
        (days.c.series, asked.series),
        (revenue_series.c.model, asked.model),
        (revenue_series.c.currency, asked.currency),
    ):
        if value is not None:
            found = found.where(column == value)
    if asked.first_day is not None:
        found = found.where(days.c.day >= asked.first_day)
    if asked.last_day is not None:
        found = found.where(days.c.day <= asked.last_day)
    return found


def _lines_with(condition: ColumnElement[bool]) -> Select[Any]:
    shares = era_payees
    return (
        select(revenue_lines, shares.c.payee, shares.c.version, shares.c.weight_ppb, shares.c.carry_ppb)
        .join(shares, (shares.c.series == revenue_lines.c.series) & (shares.c.era == revenue_lines.c.era))
        .where(condition)
    )


def _line(row: Found) -> Line:
    """What a payee was entitled to before and after the line, and so what it was paid."""
    amount = row.sales_minor + row.royalties_minor - row.refunds_minor
    before = row.carry_ppb + row.weight_ppb * row.before_minor
    after = before + row.weight_ppb * amount
    return Line(
        series=row.series,
        command=row.command,
        position=row.position,
        at_ns=row.at_ns,
        sales_minor=row.sales_minor,
        royalties_minor=row.royalties_minor,
        refunds_minor=row.refunds_minor,
        payee=row.payee,
        version=row.version,
        weight_ppb=row.weight_ppb,
        carry_before_ppb=before % PPB,
        share_minor=after // PPB - before // PPB,
        carry_after_ppb=after % PPB,
    )

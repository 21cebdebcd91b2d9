"""Who earned which part of what was sold: by payee, series, model and day, line by line, and what is in suspense.

A sale, the royalty of a resale or a refund is *split* over the payees of its series by the weights of a waterfall. What
a payee is entitled to is never rounded: it grows by amount × weight, and the payee has been paid its whole minor units.
So between two changes of the weights (an *era* of the series) each payee's part of a line follows from the amounts:

    share = (carry + weight × (before + amount)) // 10^9 − (carry + weight × before) // 10^9

where `before` is what was split earlier in the era. A line is kept once, however many payees it has, and
`lines_of_payee` computes the part; what was really posted is summed beside it and compared after each block.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import numpy as np
from sqlalchemy import ColumnElement, Connection, Index, Row, Select, func, select, tuple_

from domain import events
from domain.events import Envelope, Fact
from domain.values import DAY_NS, PPB
from ledger.blocks import Block
from matching.layout import Section
from projections.assets import currencies, model_versions, models
from projections.flow import FlowRows
from projections.projection import Batch
from projections.rows import PAGE_ROWS, KeptRows, WaitingRows, key, maybe, text, total_of
from projections.schema import integer, table
from projections.traders import ANY_RANGE, Range, refunds_in, within_range

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
        self._weight_rows = WaitingRows(waterfall_weights)
        self._ways = WaitingRows(waterfall_ways)
        self._failures = WaitingRows(waterfall_failures)
        self._series = KeptRows(revenue_series)
        self._lines = WaitingRows(revenue_lines)
        self._era_payees = WaitingRows(era_payees)
        self._carried = KeptRows(carried)
        self._series_days = KeptRows(series_days)
        self._payee_days = KeptRows(payee_days)
        self._trading_days = KeptRows(trading_days)
        self._weights: dict[tuple[int, int], dict[int, int]] = {}
        """Weights in ppb by payee, by (series, version)."""
        self._payees: dict[int, dict[int, int]] = {}
        """By series: what each payee carries, in ppb; the rows of `carried`."""
        self._models: dict[int, int] = {}
        """Of model versions."""
        self._day = 0

    def load(self, connection: Connection) -> None:
        for rows in (self._agreements, self._series, self._carried):
            rows.load(connection)
        newest = [
            connection.scalar(select(func.max(days.c.day))) or 0 for days in (series_days, payee_days, trading_days)
        ]
        self._day = max(newest)
        for rows, days in (
            (self._series_days, series_days),
            (self._payee_days, payee_days),
            (self._trading_days, trading_days),
        ):
            rows.load(connection, days.c.day == self._day)
        self._weights = {}
        for row in connection.execute(select(waterfall_weights)):
            self._weights.setdefault((row.series, row.version), {})[row.payee] = row.weight_ppb
        self._payees = {row["series"]: {} for row in self._series.values()}
        for kept in self._carried.values():
            self._payees[kept["series"]][kept["payee"]] = kept["carried_ppb"]
        # Committed together with the rows here, so it knows the same versions.
        self._models = {row.model_version: row.model for row in connection.execute(select(model_versions))}

    def fold(self, batch: Batch) -> None:
        for position, envelope, content, flow in batch.entries:
            if isinstance(content, Block):
                assert flow is not None
                self._block(position, content, flow)
            else:
                assert envelope is not None
                self._fact(position, envelope, content)

    def write(self, connection: Connection) -> None:
        days = (self._series_days, self._payee_days, self._trading_days)
        for rows in (
            self._agreements,
            self._weight_rows,
            self._ways,
            self._failures,
            self._series,
            self._lines,
            self._era_payees,
            self._carried,
            *days,
        ):
            rows.write(connection)
        for kept in days:
            kept.forget(lambda row: row["day"] < self._day)

    # -- facts ---------------------------------------------------------------------------------------------------------

    def _fact(self, position: int, envelope: Envelope, fact: Fact) -> None:
        match fact:
            case events.ModelVersionRegistered():
                self._models[fact.model_version] = fact.model
            case events.SeriesListed():
                self._series.put(
                    series=fact.series,
                    symbol=fact.symbol,
                    model=self._models[fact.model_version],
                    currency=fact.currency,
                    waterfall_version=0,
                    era=0,
                    era_minor=0,
                    suspense_minor=0,
                    difference_position=0,
                    position=position,
                )
                self._payees[fact.series] = {}
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
        weights = dict(fact.rows)
        self._weights[fact.series, fact.version] = weights
        for payee, weight_ppb in fact.rows:
            self._weight_rows.put(
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
        carries = self._payees[fact.series]
        heir = fact.developer if fact.developer in weights else fact.rows[0][0]
        day = day_of(at_ns)
        for leaver in [payee for payee, ppb in carries.items() if ppb and payee not in weights]:
            inherited = carries.get(heir, 0) + carries[leaver]
            for payee, ppb in ((leaver, 0), (heir, inherited)):
                self._carry(position, fact.series, payee, ppb)
                self._change_payee_day(position, day, fact.series, payee)
        for payee in weights:
            if payee not in carries:
                self._carry(position, fact.series, payee, 0)
        self._series.change((fact.series,), waterfall_version=fact.version, position=position)
        self._begin_era(fact.series, fact.version)

    def _begin_era(self, series: int, version: int) -> None:
        """From here on the series is split by the weights of this version."""
        era = self._series[(series,)]["era"] + 1
        self._series.change((series,), era=era, era_minor=0)
        for payee, weight_ppb in self._weights[series, version].items():
            self._era_payees.put(
                series=series,
                era=era,
                payee=payee,
                version=version,
                weight_ppb=weight_ppb,
                carry_ppb=self._payees[series][payee],
            )

    # -- flow ----------------------------------------------------------------------------------------------------------

    def _block(self, position: int, block: Block, rows: FlowRows) -> None:
        """Refunds go by the weights of their sale, so the block is taken in pieces between them, and day by day."""
        trades, shares, refunds = rows.trades, rows.shares, refunds_in(rows)
        day_numbers = sorted({*_days(trades), *_days(shares), *_days(refunds)})
        for day_number in day_numbers:
            day = day_of(day_number * DAY_NS)
            of_day: Sequence[Any] = (trades, shares, refunds)
            if len(day_numbers) > 1:
                of_day = [part[part["at_ns"] // DAY_NS == day_number] for part in of_day]
            self._trading(position, day, of_day[0])
            done = 0
            for refund in of_day[2]:
                at = int(refund["command"])
                self._sales(position, day, _between(of_day[0], done, at), _between(of_day[1], done, at))
                self._refund(position, day, refund, _version_of(block, at), _between(of_day[1], at, at + 1))
                done = at + 1
            self._sales(position, day, _from(of_day[0], done), _from(of_day[1], done))
        self._compare(position, rows)

    def _sales(self, position: int, day: int, trades: Any, shares: Any) -> None:
        """What was sold is split by the newest weights, in the order of the log."""
        sold = trades[(trades["primary"] != 0) | (trades["royalty_minor"] != 0)]
        if len(sold):
            first = np.flatnonzero(np.append(True, sold["command"][1:] != sold["command"][:-1]))
            primary = sold["primary"] != 0
            sales = np.add.reduceat(np.where(primary, sold["notional_minor"], 0), first)
            royalties = np.add.reduceat(np.where(primary, 0, sold["royalty_minor"]), first)
            series_of = sold["series"][first]
            for series, mine in _by_series(series_of):
                amounts = sales[mine] + royalties[mine]
                known = self._series[(series,)]
                total = int(amounts.sum())
                self._lines.put_columns(
                    len(amounts),
                    series=series,
                    command=sold["command"][first[mine]],
                    position=position,
                    at_ns=sold["at_ns"][first[mine]],
                    era=known["era"],
                    before_minor=known["era_minor"] + np.cumsum(amounts) - amounts,
                    sales_minor=sales[mine],
                    royalties_minor=royalties[mine],
                    refunds_minor=0,
                )
                self._series.change((series,), era_minor=known["era_minor"] + total)
                came = (int(sales[mine].sum()), int(royalties[mine].sum()), 0)
                self._split(position, day, series, known["waterfall_version"], came)
        self._pay(position, day, shares)

    def _refund(self, position: int, day: int, refund: Any, version: int, shares: Any) -> None:
        """A negative sale by the weights that were frozen in the sale: an era of its own if they are not the newest."""
        series = -int(refund["other"])
        amount = int(refund["amount_minor"])
        newest = self._series[(series,)]["waterfall_version"]
        if version != newest:
            self._begin_era(series, version)
        known = self._series[(series,)]
        self._lines.put_columns(
            1,
            series=series,
            command=int(refund["command"]),
            position=position,
            at_ns=int(refund["at_ns"]),
            era=known["era"],
            before_minor=known["era_minor"],
            sales_minor=0,
            royalties_minor=0,
            refunds_minor=amount,
        )
        self._series.change((series,), era_minor=known["era_minor"] - amount)
        self._split(position, day, series, version, (0, 0, amount))
        self._pay(position, day, shares)
        if version != newest:
            self._begin_era(series, newest)

    def _split(self, position: int, day: int, series: int, version: int, came: tuple[int, int, int]) -> None:
        """Every payee of the version is entitled to its weight of what came: (sales, royalties, refunds)."""
        sales, royalties, refunds = came
        amount = sales + royalties - refunds
        sources = dict(zip(_SOURCES, came, strict=True))
        self._change_series_day(position, day, series, amount, sources)
        for payee, weight_ppb in self._weights[series, version].items():
            self._carry(position, series, payee, self._payees[series][payee] + amount * weight_ppb)
            self._change_payee_day(position, day, series, payee, sources)

    def _pay(self, position: int, day: int, shares: Any) -> None:
        """What was posted between suspense and payees."""
        if not len(shares):
            return
        keys = shares["series"].astype(np.int64) << 32 | shares["payee"]
        order = np.argsort(keys, kind="stable")
        keys, amounts = keys[order], shares["amount_minor"][order]
        first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
        given = np.add.reduceat(np.maximum(amounts, 0), first)
        taken = np.add.reduceat(np.maximum(-amounts, 0), first)
        for group, gave, took in zip(keys[first].tolist(), given.tolist(), taken.tolist(), strict=True):
            series, payee = divmod(group, 1 << 32)
            paid = dict(zip(_PAID, (gave, took), strict=True))
            self._change_series_day(position, day, series, took - gave, paid)
            ppb = self._payees[series].get(payee, 0) - (gave - took) * PPB
            self._carry(position, series, payee, ppb)
            self._change_payee_day(position, day, series, payee, paid)

    def _trading(self, position: int, day: int, trades: Any) -> None:
        primary_minor = np.where(trades["primary"] != 0, trades["notional_minor"], 0)
        fees_minor = trades["buyer_fee_minor"] + trades["seller_fee_minor"]
        for series, mine in _by_series(trades["series"]):
            values = (
                len(mine),
                trades["lots"][mine].sum(),
                trades["notional_minor"][mine].sum(),
                primary_minor[mine].sum(),
                fees_minor[mine].sum(),
                trades["tax_minor"][mine].sum(),
                trades["royalty_minor"][mine].sum(),
            )
            added = {name: int(value) for name, value in zip(_TRADED, values, strict=True)}
            self._day = max(self._day, day)
            row = self._trading_days.get((series, day))
            if row is None:
                self._trading_days.put(series=series, day=day, **added, first_position=position, last_position=position)
            else:
                sums = {name: row[name] + value for name, value in added.items()}
                self._trading_days.change((series, day), **sums, last_position=position)

    def _carry(self, position: int, series: int, payee: int, ppb: int) -> None:
        self._payees[series][payee] = ppb
        self._carried.put(series=series, payee=payee, carried_ppb=ppb, position=position)

    def _change_series_day(
        self, position: int, day: int, series: int, into_suspense_minor: int, added: Mapping[str, int]
    ) -> None:
        self._day = max(self._day, day)
        before = self._series[(series,)]["suspense_minor"]
        after = before + into_suspense_minor
        self._series.change((series,), suspense_minor=after, position=position)
        if self._series_days.get((series, day)) is None:
            self._series_days.put(
                series=series,
                day=day,
                **dict.fromkeys((*_SOURCES, *_PAID), 0),
                suspense_before_minor=before,
                suspense_after_minor=before,
                first_position=position,
                last_position=position,
            )
        row = self._series_days[series, day]
        sums = {name: row[name] + value for name, value in added.items()}
        self._series_days.change((series, day), **sums, suspense_after_minor=after, last_position=position)

    def _change_payee_day(
        self, position: int, day: int, series: int, payee: int, added: Mapping[str, int] | None = None
    ) -> None:
        self._day = max(self._day, day)
        at = (payee, series, day)
        if self._payee_days.get(at) is None:
            self._payee_days.put(
                payee=payee,
                series=series,
                day=day,
                **dict.fromkeys((*_SOURCES, *_PAID), 0),
                carried_ppb=0,
                first_position=position,
                last_position=position,
            )
        row = self._payee_days[at]
        sums = {name: row[name] + value for name, value in (added or {}).items()}
        carries = self._payees[series][payee]
        self._payee_days.change(at, **sums, carried_ppb=carries, last_position=position)

    def _compare(self, position: int, rows: FlowRows) -> None:
        """After each block suspense holds what came and was not paid: the parts that payees carry, each below one."""
        for suspense in rows.suspense:
            series = int(suspense["series"])
            known = self._series.get((series,))
            if known is None:
                continue  # Its account is opened before the series is listed.
            parts = self._payees[series].values()
            sound = (
                known["suspense_minor"] == int(suspense["amount_minor"])
                and known["suspense_minor"] * PPB == sum(parts)
                and all(0 <= part < PPB for part in parts)
            )
            if not sound and not known["difference_position"]:
                self._series.change((series,), difference_position=position)


def day_of(at_ns: int) -> int:
    """The UTC day of a moment as the number YYYYMMDD; without its last two digits it is the month."""
    day = datetime.fromtimestamp(at_ns // 10**9, UTC)
    return day.year * 10_000 + day.month * 100 + day.day


def _by_series(series: Any) -> Iterator[tuple[int, Any]]:
    """Each series with the numbers of its rows, in their order."""
    order = np.argsort(series, kind="stable")
    found = series[order]
    cuts = np.flatnonzero(found[1:] != found[:-1]) + 1
    for mine in np.split(order, cuts) if len(order) else ():
        yield int(series[mine[0]]), mine


def _days(rows: Any) -> list[int]:
    """Days since 1970 on which the rows are; time never runs backwards."""
    days = rows["at_ns"][[0, -1]] // DAY_NS if len(rows) else ()
    return list(np.unique(rows["at_ns"] // DAY_NS) if len(set(days)) > 1 else days[:1])


def _between(rows: Any, first_command: int, end_command: int) -> Any:
    return rows[(rows["command"] >= first_command) & (rows["command"] < end_command)]


def _from(rows: Any, first_command: int) -> Any:
    return rows[rows["command"] >= first_command] if first_command else rows


def _version_of(block: Block, command: int) -> int:
    """The waterfall that a refund goes by; a refund is one unit of work, so its block has its row."""
    commands = block.rows(Section.COMMANDS)
    row = commands[np.searchsorted(commands["command"], command)]
    assert row["command"] == command, (command, row)
    return int(row["target"])


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

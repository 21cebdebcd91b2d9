"""Reports: how revenue was split, what the house took in, sums of all accounts, and all about one model."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Query, Request
from sqlalchemy import Connection
from starlette.responses import Response

from api import wire
from api.auth.principal import Principal
from api.authorization import RULES, visible_party
from api.csv_export import csv_response, csv_text
from api.doors import Doors
from api.paging import Paging
from api.problems import problem, problem_of
from api.replies import After, Cursor, Limit, as_of, doors_of, reply
from api.routes.models import lineage_body, model_body, model_version_body
from api.routes.payments import agreement_body
from api.routes.registry import ModelPath, action, filter_number, found, found_row, router_of
from api.routes.series import series_body
from api.routes.traders import asset_of, fact_of, series_number, whose, within
from api.schemas.audit import TrialBalance
from api.schemas.base import CurrencyName, Day, ModelId, Page, PartyId, SeriesName, Time, good
from api.schemas.reports import Format, HouseIncome, ModelReport, RevenueShare, ShareLine
from api.wire import public_id, rfc3339
from domain.fields import is_day
from domain.rejections import Reason, refuse
from domain.values import AccountKind, format_money
from projections import assets, model_report, revenue, traders

router = router_of("reports")

ROWS_MAX: Final = 1_000
CSV_ROWS_MAX: Final = 100_000
PPB_DIGITS: Final = 9

Month = Annotated[str | None, Query(pattern="^[0-9]{4}-[0-9]{2}$", description="A whole month.")]
FirstDay = Annotated[Day | None, Query(description="From this day on.")]
LastDay = Annotated[Day | None, Query(description="Up to this day.")]
ByDay = Annotated[bool, Query(description="A row for each day instead of each month.")]


@router.get(
    "/reports/revenue-share",
    response_model=RevenueShare,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def revenue_share(
    request: Request,
    principal: Annotated[Principal, action("reports.read")],
    month: Month = None,
    first_day: FirstDay = None,
    last_day: LastDay = None,
    by_day: ByDay = False,
    payee: Annotated[
        PartyId | None, Query(description="Only this payee; who may not see all sees only itself.")
    ] = None,
    series: SeriesName | None = None,
    model: ModelId | None = None,
    currency: CurrencyName | None = None,
    format: Annotated[Format, Query(description="`csv`: the rows of the payees as a file.")] = "json",  # noqa: A002
    after: After = None,
) -> Response:
    """Who got which part of what was sold, by payee and by series."""
    doors = doors_of(request)
    only = visible_party(principal, "reports.read")
    asked = revenue.Asked(
        payee=whose(principal, "reports.read", payee) if payee is not None else only,
        series=series_number(doors, series),
        model=filter_number(wire.MODEL, model, "model"),
        currency=None if currency is None else good(doors.series.currency_named(currency)).number,
        **_days(month, first_day, last_day),
    )
    await as_of(doors, after)
    most = CSV_ROWS_MAX if format == "csv" else ROWS_MAX

    def question(connection: Connection) -> tuple[Any, Any, Any, dict[int, str | None]]:
        payees = revenue.by_payee(connection, asked, by_day=by_day, limit=most + 1)
        names = assets.party_names(connection, sorted({row.payee for row in payees}))
        if format == "csv":
            return payees, (), (), names
        by_series = revenue.by_series(connection, asked, by_day=by_day, limit=most + 1)
        return payees, by_series, revenue.earned(connection, asked), names

    payees, by_series, earned, names = await doors.reads.ask(question)
    rows = [payee_share_body(doors, row, names.get(row.payee)) for row in payees[:most]]
    if format == "csv":
        if len(payees) > most:
            raise problem("too_many_items", f"The file would have more than {most:,} rows; narrow the time.")
        text = csv_text(PAYEE_COLUMNS, rows, numbers=PAYEE_NUMBERS)
        return csv_response(text, f"revenue-share-{_name_of(month, first_day, last_day)}")
    body = {
        "payees": rows,
        "series": [series_share_body(doors, row) for row in by_series[:most]],
        "totals": [earned_body(row) for row in earned],
        "whole": len(payees) <= most and len(by_series) <= most,
    }
    return reply(body, position=doors.reads.position())


@router.get("/reports/revenue-share/lines", response_model=Page[ShareLine])
async def revenue_lines(
    request: Request,
    principal: Annotated[Principal, action("reports.read")],
    payee: Annotated[PartyId | None, Query(description="The asking party where absent.")] = None,
    series: SeriesName | None = None,
    model: ModelId | None = None,
    since: Time | None = None,
    until: Time | None = None,
    after: After = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Every share of a payee with the amount it is a part of, the newest first."""
    doors = doors_of(request)
    asked = {"payee": payee, "series": series, "model": model, "since": since, "until": until}
    paging = Paging(doors, limit, cursor, asked, address="/v1/reports/revenue-share/lines")
    filters = paging.filters
    await as_of(doors, after)
    rows = await paging.rows(
        revenue.lines_of_payee,
        whose(principal, "reports.read", filters["payee"]),
        series=series_number(doors, filters["series"]),
        model=filter_number(wire.MODEL, filters["model"], "model"),
        within=within(filters["since"], filters["until"]),
    )
    return paging.reply(rows, lambda row: line_body(doors, row), lambda row: [row.command, row.series, row.position])


@router.get("/reports/house-income", response_model=HouseIncome)
async def house_income(
    request: Request,
    principal: Annotated[Principal, action("reports.read")],
    month: Month = None,
    first_day: FirstDay = None,
    last_day: LastDay = None,
    by_day: ByDay = False,
    after: After = None,
) -> Response:
    """What was traded in each currency, and what the house took for it. For who may see all."""
    _sees_all(principal)
    doors = doors_of(request)
    asked = revenue.Asked(**_days(month, first_day, last_day))
    await as_of(doors, after)
    rows = await doors.reads.ask(lambda connection: revenue.house_income(connection, asked, by_day=by_day))
    return reply({"income": [income_body(doors, row) for row in rows]}, position=doors.reads.position())


@router.get("/reports/trial-balance", response_model=TrialBalance)
async def trial_balance(
    request: Request, principal: Annotated[Principal, action("reports.read")], after: After = None
) -> Response:
    """Sums of all accounts by asset and kind. For who may see all."""
    _sees_all(principal)
    doors = doors_of(request)
    await as_of(doors, after)
    rows = await doors.reads.ask(traders.trial_balance)
    sums: dict[int, int] = {}
    lines = []
    for row in rows:
        sums[row.asset] = sums.get(row.asset, 0) + row.available + row.held
        asset, code, written = asset_of(doors, row.asset)
        lines.append(
            {
                "asset": asset,
                "code": code,
                "kind": AccountKind(row.kind).name.lower(),
                "accounts": row.accounts,
                "available": written(row.available),
                "held": written(row.held),
            }
        )
    return reply({"lines": lines, "balanced": not any(sums.values())}, position=doors.reads.position())


@router.get("/models/{model}/report", response_model=ModelReport)
async def get_model_report(
    request: Request,
    principal: Annotated[Principal, action("models.read")],
    model: ModelPath,
    month: Month = None,
    first_day: FirstDay = None,
    last_day: LastDay = None,
    after: After = None,
) -> Response:
    """All there is to say about a model: lineage, versions, series, holders, units out, revenue, prices."""
    doors = doors_of(request)
    number = found(wire.MODEL, model)
    days = _days(month, first_day, last_day)
    await as_of(doors, after)

    def question(connection: Connection) -> tuple[model_report.ModelReport, dict[int, str | None]] | None:
        report = model_report.model_report(connection, number, **days)
        if report is None:
            return None
        return report, assets.party_names(connection, sorted({row.payee for row in report.earned_by_payee}))

    report, names = found_row(await doors.reads.ask(question))
    sees_all = bool(principal.roles & RULES["reports.read"].see_all) or principal.party == report.model.developer
    body = {
        "model": model_body(report.model),
        "versions": [model_version_body(row) for row in report.versions],
        "lineage": None if report.lineage is None else lineage_body(report.lineage),
        "descendants": None if report.descendants is None else lineage_body(report.descendants),
        "series": [series_report_body(doors, row) for row in report.series],
        "agreements": [agreement_body(doors, row) for row in report.agreements] if sees_all else [],
        "earned": [earned_body(row) for row in report.earned],
        "earned_by_payee": [
            payee_share_body(doors, row, names.get(row.payee))
            for row in report.earned_by_payee
            if sees_all or row.payee == principal.party
        ],
    }
    return reply(body, position=doors.reads.position())


# -- what is asked -----------------------------------------------------------------------------------------------------


def _sees_all(principal: Principal) -> None:
    if visible_party(principal, "reports.read") is not None:
        raise problem("forbidden", "The report needs the role finance or auditor.")


def _days(month: str | None, first_day: str | None, last_day: str | None) -> dict[str, int | None]:
    """Days as YYYYMMDD."""
    if month is not None:
        first, last = revenue.month(int(month.replace("-", "")))
        return {"first_day": first, "last_day": last}
    days: dict[str, int | None] = {}
    for name, text in (("first_day", first_day), ("last_day", last_day)):
        if text is not None and not is_day(text):
            raise problem_of(refuse(Reason.MALFORMED_DAY, name, "must be a calendar day YYYY-MM-DD", text))
        days[name] = None if text is None else int(text.replace("-", ""))
    return days


def _name_of(month: str | None, first_day: str | None, last_day: str | None) -> str:
    """The period of a file's name, out of texts that were checked to be digits and dashes."""
    return month or f"{first_day or 'begin'}-{last_day or 'now'}"


# -- bodies ------------------------------------------------------------------------------------------------------------

PAYEE_COLUMNS: Final = (
    "period",
    "payee",
    "payee_name",
    "series",
    "symbol",
    "model",
    "currency",
    "sales",
    "royalties",
    "refunds",
    "shares",
    "reclaimed",
    "earned",
    "carried",
    "first_position",
    "last_position",
)
PAYEE_NUMBERS: Final = frozenset(("sales", "royalties", "refunds", "shares", "reclaimed", "earned", "carried"))


def period_text(period: int) -> str:
    """A month YYYYMM or a day YYYYMMDD with dashes."""
    text = str(period)
    return "-".join(part for part in (text[:4], text[4:6], text[6:]) if part)


def payee_share_body(doors: Doors, row: Any, name: str | None) -> dict[str, Any]:
    money = doors.series.currency(row.currency)
    return {
        "period": period_text(row.period),
        "payee": public_id(wire.PARTY, row.payee),
        "payee_name": name,
        "series": public_id(wire.SERIES, row.series),
        "symbol": row.symbol,
        "model": public_id(wire.MODEL, row.model),
        "currency": money.code,
        "sales": money.money(row.sales_minor),
        "royalties": money.money(row.royalties_minor),
        "refunds": money.money(row.refunds_minor),
        "shares": money.money(row.shares_minor),
        "reclaimed": money.money(row.reclaimed_minor),
        "earned": money.money(row.shares_minor - row.reclaimed_minor),
        "carried": format_money(row.carried_ppb, money.exponent + PPB_DIGITS),
        "first_position": row.first_position,
        "last_position": row.last_position,
    }


def series_share_body(doors: Doors, row: Any) -> dict[str, Any]:
    money = doors.series.currency(row.currency)
    change = row.suspense_after_minor - row.suspense_before_minor
    came = row.sales_minor + row.royalties_minor - row.refunds_minor
    return {
        "period": period_text(row.period),
        "series": public_id(wire.SERIES, row.series),
        "symbol": row.symbol,
        "model": public_id(wire.MODEL, row.model),
        "currency": money.code,
        "sales": money.money(row.sales_minor),
        "royalties": money.money(row.royalties_minor),
        "refunds": money.money(row.refunds_minor),
        "shares": money.money(row.shares_minor),
        "reclaimed": money.money(row.reclaimed_minor),
        "suspense_before": money.money(row.suspense_before_minor),
        "suspense_after": money.money(row.suspense_after_minor),
        "reconciles": came == row.shares_minor - row.reclaimed_minor + change,
        "first_position": row.first_position,
        "last_position": row.last_position,
    }


def earned_body(row: Any) -> dict[str, Any]:
    return {
        "currency": row.code,
        "currency_id": public_id(wire.CURRENCY, row.currency),
        "earned": format_money(row.earned_minor, row.exponent),
        "shares": format_money(row.shares_minor, row.exponent),
        "reclaimed": format_money(row.reclaimed_minor, row.exponent),
        "models": row.models,
        "series": row.series,
    }


def line_body(doors: Doors, row: revenue.Line) -> dict[str, Any]:
    fact = fact_of(doors, row.series)
    digits = fact.exponent + PPB_DIGITS
    return {
        "series": fact.id,
        "symbol": fact.symbol,
        "command": row.command,
        "at": rfc3339(row.at_ns),
        "payee": public_id(wire.PARTY, row.payee),
        "sales": fact.money(row.sales_minor),
        "royalties": fact.money(row.royalties_minor),
        "refunds": fact.money(row.refunds_minor),
        "waterfall_version": row.version,
        "weight_ppb": row.weight_ppb,
        "carried_before": format_money(row.carry_before_ppb, digits),
        "share": fact.money(row.share_minor),
        "carried_after": format_money(row.carry_after_ppb, digits),
        "position": row.position,
    }


def income_body(doors: Doors, row: Any) -> dict[str, Any]:
    money = doors.series.currency(row.currency)
    return {
        "period": period_text(row.period),
        "currency": money.code,
        "trades": row.trades,
        "notional": money.money(row.notional_minor),
        "primary": money.money(row.primary_minor),
        "fees": money.money(row.fees_minor),
        "taxes": money.money(row.taxes_minor),
        "royalties": money.money(row.royalties_minor),
        "first_position": row.first_position,
        "last_position": row.last_position,
    }


def series_report_body(doors: Doors, row: model_report.SeriesReport) -> dict[str, Any]:
    fact = fact_of(doors, row.series.series)
    return {
        "series": series_body(row.series),
        "issued": fact.quantity(row.units.issued),
        "with_holders": fact.quantity(row.units.with_holders),
        "in_use": fact.quantity(row.units.in_use),
        "retired": fact.quantity(row.units.retired),
        "holders": row.units.holders,
        "waterfall": [
            {"payee": public_id(wire.PARTY, weight.payee), "weight_ppb": weight.weight_ppb} for weight in row.waterfall
        ],
        "suspense": fact.money(row.suspense_minor),
    }

"""`tallystick report`: figures straight from the log."""

from __future__ import annotations

import typer

from api.bootstrap import Places, log_for_reading
from api.commands.door import Exit
from api.output import Output
from api.revenue_report import Report, UnknownSeries, carried_text, exponents, fold
from domain.values import format_money
from ledger.store import Store


def run(output: Output, where: Places, *, series: str | None, payee: int | None, month: str | None) -> None:
    with log_for_reading(where) as recorder:
        store = Store(recorder)
        with output.stage("read", "reading the log", store.position) as advance:
            revenue = fold(store.read(), lambda position: advance(position, ""))
    try:
        report = revenue.report(series=series, payee=payee, month=month)
    except UnknownSeries as error:
        raise typer.BadParameter(str(error)) from error
    if output.as_json:
        output.json(report.as_json())
    else:
        _show(output, report)
    if not report.reconciles:
        raise typer.Exit(Exit.FAILED)


def _show(output: Output, report: Report) -> None:
    decimals = exponents(report.totals)

    def money(amount_minor: int, currency: str) -> str:
        return f"{format_money(amount_minor, decimals[currency])} {currency}"

    output.table(
        "Payees (carried: in suspense for the payee, less than a minor unit as a rule)",
        ("month", "series", "payee", "sales", "royalties", "refunds", "shares", "reclaimed", "carried", "positions"),
        (
            (
                row.month,
                row.symbol,
                row.payee,
                money(row.sales_minor, row.currency),
                money(row.royalties_minor, row.currency),
                money(row.refunds_minor, row.currency),
                money(row.shares_minor, row.currency),
                money(row.reclaimed_minor, row.currency),
                carried_text(row.carried_ppb, decimals[row.currency]),
                f"{row.first_position}-{row.last_position}",
            )
            for row in report.payees
        ),
    )
    output.table(
        "Series (sales + royalties − refunds = shares − reclaimed + change of suspense)",
        ("month", "series", "sales", "royalties", "refunds", "shares", "reclaimed", "suspense", "adds up", "positions"),
        (
            (
                row.month,
                row.symbol,
                money(row.sales_minor, row.currency),
                money(row.royalties_minor, row.currency),
                money(row.refunds_minor, row.currency),
                money(row.shares_minor, row.currency),
                money(row.reclaimed_minor, row.currency),
                f"{money(row.suspense_before_minor, row.currency)} to {money(row.suspense_after_minor, row.currency)}",
                "yes" if row.reconciles else "NO",
                f"{row.first_position}-{row.last_position}",
            )
            for row in report.series
        ),
    )
    output.table(
        f"In all, at position {report.position}",
        ("sales", "royalties", "refunds", "shares", "reclaimed", "change of suspense", "adds up"),
        (
            (
                money(row.sales_minor, row.currency),
                money(row.royalties_minor, row.currency),
                money(row.refunds_minor, row.currency),
                money(row.shares_minor, row.currency),
                money(row.reclaimed_minor, row.currency),
                money(row.suspense_change_minor, row.currency),
                "yes" if row.reconciles else "NO",
            )
            for row in report.totals
        ),
    )
    for difference in report.differences:
        output.line(difference)

"""Currencies, license series and their list prices, fees and taxes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request
from starlette.responses import Response

from api import wire
from api.auth.principal import Principal
from api.doors import Doors
from api.paging import Paging
from api.problems import problem
from api.replies import After, Cursor, IdempotencyKey, Limit, as_of, doors_of, record, reply
from api.routes.registry import RECORDED, SeriesPath, action, filter_country, filter_number, found, router_of
from api.routes.showing import Named, show
from api.schemas.base import CurrencyName, ModelId, Page, PartyId, TermsId, good
from api.schemas.parties import Country
from api.schemas.series import (
    Currency,
    Fees,
    Halting,
    ListPrice,
    NewCurrency,
    NewFees,
    NewListPrice,
    NewSeries,
    NewTaxRate,
    PhaseName,
    Series,
    TaxRate,
)
from api.series_facts import SeriesFact
from api.wire import public_id, rfc3339
from domain.commands import ResumeSeries
from domain.values import SeriesPhase, format_money, format_quantity
from projections import assets

router = router_of("series")


# -- currencies --------------------------------------------------------------------------------------------------------


@router.post("/currencies", **RECORDED)
async def register_currency(
    request: Request,
    principal: Annotated[Principal, action("operate.write")],
    body: NewCurrency,
    key: IdempotencyKey = None,
) -> Response:
    """Register a currency."""
    made = (wire.CURRENCY, "currency")
    return await record(doors_of(request), principal, body.command(), key, made=made, at="/v1/currencies")


@router.get("/currencies", response_model=Page[Currency])
async def list_currencies(
    request: Request, _principal: Annotated[Principal, action("series.read")], after: After = None
) -> Response:
    """All currencies."""
    doors = doors_of(request)
    await as_of(doors, after)
    rows = await doors.reads.ask(assets.all_currencies)
    data = [{"id": public_id(wire.CURRENCY, row.currency), "code": row.code, "exponent": row.exponent} for row in rows]
    return reply({"data": data, "next_cursor": None, "has_more": False}, position=doors.reads.position())


@router.get("/currencies/{currency}", response_model=Currency)
async def get_currency(
    request: Request, _principal: Annotated[Principal, action("series.read")], currency: str
) -> Response:
    """One currency, by id or code."""
    row = found_currency(doors_of(request), currency)
    return reply({"id": row.id, "code": row.code, "exponent": row.exponent})


# -- series ------------------------------------------------------------------------------------------------------------


@router.post("/series", **RECORDED)
async def list_new_series(
    request: Request,
    principal: Annotated[Principal, action("series.write")],
    body: NewSeries,
    key: IdempotencyKey = None,
) -> Response:
    """List a series of licenses of a published model version of the asking developer."""
    doors = doors_of(request)
    command = body.command(doors.series)
    return await record(doors, principal, command, key, made=(wire.SERIES, "series"), at="/v1/series")


@router.get("/series", response_model=Page[Series])
async def list_series(
    request: Request,
    _principal: Annotated[Principal, action("series.read")],
    symbol: Annotated[str | None, Query(max_length=80, description="The series of this symbol.")] = None,
    search: Annotated[str | None, Query(max_length=200)] = None,
    model: ModelId | None = None,
    issuer: PartyId | None = None,
    currency: CurrencyName | None = None,
    terms: TermsId | None = None,
    phase: PhaseName | None = None,
    family: Annotated[str | None, Query(max_length=200)] = None,
    modality: Annotated[str | None, Query(max_length=200)] = None,
    after: After = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Series by number."""
    doors = doors_of(request)
    if symbol is not None:
        await as_of(doors, after)
        row = await doors.reads.ask(assets.series_by_symbol, symbol)
        data = [] if row is None else [series_body(row)]
        return reply({"data": data, "next_cursor": None, "has_more": False}, position=doors.reads.position())
    asked = {
        "search": search,
        "model": model,
        "issuer": issuer,
        "currency": currency,
        "terms": terms,
        "phase": phase,
        "family": family,
        "modality": modality,
    }
    paging = Paging(doors, limit, cursor, asked, address="/v1/series")
    filters = dict(paging.filters)
    filters["model"] = filter_number(wire.MODEL, filters["model"], "model")
    filters["issuer"] = filter_number(wire.PARTY, filters["issuer"], "issuer")
    filters["terms"] = filter_number(wire.TERMS, filters["terms"], "terms")
    if filters["currency"] is not None:
        filters["currency"] = good(doors.series.currency_named(filters["currency"])).number
    if filters["phase"] is not None:
        filters["phase"] = int(SeriesPhase[filters["phase"].upper()])
    await as_of(doors, after)
    rows = await paging.rows(assets.all_series, **filters)
    return paging.reply(rows, series_body, lambda row: row.series)


@router.get("/series/{series}", response_model=Series)
async def get_series(
    request: Request, _principal: Annotated[Principal, action("series.read")], series: SeriesPath, after: After = None
) -> Response:
    """One series, with the sizes that prices and quantities of orders keep to."""
    return await show(request, Named(wire.SERIES, series, assets.series_row), series_body, after)


@router.post("/series/{series}/halt", **RECORDED)
async def halt_series(
    request: Request,
    principal: Annotated[Principal, action("series.halt")],
    series: SeriesPath,
    body: Halting,
    key: IdempotencyKey = None,
) -> Response:
    """Halt trading in a series; orders stay and can be canceled."""
    return await record(doors_of(request), principal, body.command(found(wire.SERIES, series)), key)


@router.post("/series/{series}/resume", **RECORDED)
async def resume_series(
    request: Request,
    principal: Annotated[Principal, action("series.halt")],
    series: SeriesPath,
    key: IdempotencyKey = None,
) -> Response:
    """Resume trading in a halted series."""
    command = ResumeSeries(series=found(wire.SERIES, series))
    return await record(doors_of(request), principal, command, key)


@router.post("/series/{series}/list_prices", **RECORDED)
async def record_list_price(
    request: Request,
    principal: Annotated[Principal, action("series.write")],
    series: SeriesPath,
    body: NewListPrice,
    key: IdempotencyKey = None,
) -> Response:
    """Record what the issuer asks for a lot elsewhere."""
    doors = doors_of(request)
    return await record(doors, principal, body.command(found_series(doors, series)), key)


@router.get("/series/{series}/list_prices", response_model=Page[ListPrice])
async def list_list_prices(
    request: Request,
    _principal: Annotated[Principal, action("series.read")],
    series: SeriesPath,
    after: After = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """List prices of a series, the newest first."""
    doors = doors_of(request)
    fact = found_series(doors, series)
    paging = Paging(doors, limit, cursor, {"series": series}, address=f"/v1/series/{series}/list_prices")
    await as_of(doors, after)

    def body(row: Any) -> dict[str, Any]:
        return {
            "series": fact.id,
            "price": fact.price(row.price_ticks),
            "basis": row.basis,
            "source": row.source,
            "effective_day": row.effective_day,
            "recorded_at": rfc3339(row.at_ns),
            "position": row.position,
        }

    rows = await doors.reads.ask(
        lambda connection: assets.list_price_history(connection, fact.number, before=paging.after, limit=limit + 1)
    )
    return paging.reply(rows, body, lambda row: row.position)


# -- fees and taxes ----------------------------------------------------------------------------------------------------


@router.post("/fee_schedules", **RECORDED)
async def adopt_fees(
    request: Request,
    principal: Annotated[Principal, action("fees.write")],
    body: NewFees,
    key: IdempotencyKey = None,
) -> Response:
    """Adopt the fees of every order that is accepted from then on."""
    return await record(doors_of(request), principal, body.command(), key)


@router.get("/fee_schedules", response_model=Page[Fees])
async def list_fees(
    request: Request, _principal: Annotated[Principal, action("market.read")], after: After = None
) -> Response:
    """Fee schedules, the one in force first."""
    doors = doors_of(request)
    await as_of(doors, after)
    data = [
        {
            "fee_schedule": row.fee_schedule,
            "maker_ppm": row.maker_ppm,
            "taker_ppm": row.taker_ppm,
            "adopted_at": rfc3339(row.at_ns),
            "position": row.position,
        }
        for row in await doors.reads.ask(assets.fee_history)
    ]
    return reply({"data": data, "next_cursor": None, "has_more": False}, position=doors.reads.position())


@router.post("/tax_rates", **RECORDED)
async def set_tax_rate(
    request: Request,
    principal: Annotated[Principal, action("fees.write")],
    body: NewTaxRate,
    key: IdempotencyKey = None,
) -> Response:
    """Set the tax rate of buyers of a country."""
    return await record(doors_of(request), principal, body.command(), key)


@router.get("/tax_rates", response_model=Page[TaxRate])
async def list_tax_rates(
    request: Request,
    _principal: Annotated[Principal, action("market.read")],
    country: Country | None = None,
    after: After = None,
) -> Response:
    """Every tax rate that was set, the newest first; the newest of a country applies."""
    doors = doors_of(request)
    wanted = filter_country(country)
    await as_of(doors, after)
    rows = await doors.reads.ask(lambda connection: assets.tax_history(connection, country=wanted))
    data = [
        {
            "country": row.country,
            "tax_ppm": row.tax_ppm,
            "set_at": rfc3339(row.at_ns),
            "position": row.position,
        }
        for row in rows
    ]
    return reply({"data": data, "next_cursor": None, "has_more": False}, position=doors.reads.position())


# -- bodies ------------------------------------------------------------------------------------------------------------


def found_series(doors: Doors, text: str) -> SeriesFact:
    """The series of an id in an address. Raises Problem `not_found`."""
    known = doors.series.of(found(wire.SERIES, text))
    if known is None:
        raise problem("not_found")
    return known


def found_currency(doors: Doors, text: str) -> Any:
    """The currency of an id or a code in an address. Raises Problem `not_found`."""
    return good(doors.series.currency_named(text))


def series_body(row: Any) -> dict[str, Any]:
    exponent = row.exponent
    return {
        "id": public_id(wire.SERIES, row.series),
        "symbol": row.symbol,
        "phase": SeriesPhase(row.phase).name.lower(),
        "halt_reason": row.halt_reason,
        "model": public_id(wire.MODEL, row.model),
        "model_key": row.model_key,
        "model_title": row.model_title,
        "model_version": public_id(wire.MODEL_VERSION, row.model_version),
        "semver": row.semver,
        "terms": public_id(wire.TERMS, row.terms),
        "issuer": public_id(wire.PARTY, row.issuer),
        "currency": public_id(wire.CURRENCY, row.currency),
        "currency_code": row.currency_code,
        "currency_exponent": exponent,
        "tick_size": format_money(row.tick_minor, exponent),
        "lot_size": row.lot_size,
        "unit_name": row.unit_name,
        "supply_cap": format_quantity(row.supply_cap_lots, row.lot_size),
        "max_order_quantity": format_quantity(row.max_order_lots, row.lot_size),
        "max_order_notional": format_money(row.max_notional_minor, exponent),
        "resale_allowed": bool(row.resale_allowed),
        "royalty_ppm": row.royalty_ppm,
        "ends_at": None if row.ends_ns is None else rfc3339(row.ends_ns),
        "list_price": (
            None if row.list_price_ticks is None else format_money(row.list_price_ticks * row.tick_minor, exponent)
        ),
        "listed_at": rfc3339(row.at_ns),
        "position": row.last_position,
    }

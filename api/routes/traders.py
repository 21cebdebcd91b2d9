"""What a party has and has done: fills, balances, holdings, grants, statement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Query, Request
from starlette.responses import Response

from api import wire
from api.auth.principal import Principal
from api.authorization import authorize, visible_party
from api.doors import Doors
from api.paging import Paging
from api.replies import After, Cursor, Limit, as_of, doors_of, reply
from api.routes.registry import action, found, found_row, router_of, wire_number
from api.schemas.base import CurrencyName, GrantId, Page, PartyId, SeriesName, Time, good
from api.schemas.orders import Fill, SideName
from api.schemas.traders import Balances, Grant, Holdings, Statement
from api.series_facts import SeriesFact
from api.wire import SIDES, public_id, rfc3339, trade_id
from domain.values import AccountKind, PostingCode
from projections import traders

router = router_of("portfolio")
HOLDS_PER_ACCOUNT = 100

PartyQuery = Annotated[PartyId | None, Query(description="The asking party where absent.")]
Since = Annotated[Time | None, Query(description="From this time on.")]
Until = Annotated[Time | None, Query(description="Up to this time.")]


@router.get("/fills", response_model=Page[Fill])
async def list_fills(
    request: Request,
    principal: Annotated[Principal, action("fills.read")],
    party: PartyQuery = None,
    order: Annotated[str | None, Query(description="Only of this order, the oldest first.")] = None,
    series: SeriesName | None = None,
    side: SideName | None = None,
    since: Since = None,
    until: Until = None,
    after: After = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Fills of a party, the newest first."""
    doors = doors_of(request)
    asked = {"party": party, "order": order, "series": series, "side": side, "since": since, "until": until}
    paging = Paging(doors, limit, cursor, asked, address="/v1/fills")
    filters = paging.filters
    await as_of(doors, after)
    if filters["order"] is not None:
        number = wire_number(wire.ORDER, filters["order"], "order")
        row = found_row(await doors.reads.ask(traders.order, number))
        authorize(principal, "fills.read", row.party)
        rows = await paging.rows(traders.fills_of_order, number)
        return paging.reply(rows, lambda row: fill_body(doors, row), lambda row: [row.command, row.fill])
    number = whose(principal, "fills.read", filters["party"])
    rows = await paging.rows(
        traders.all_fills,
        number,
        series=series_number(doors, filters["series"]),
        side=None if filters["side"] is None else SIDES.index(filters["side"]),
        within=within(filters["since"], filters["until"]),
    )
    return paging.reply(rows, lambda row: fill_body(doors, row), lambda row: [row.command, row.fill, row.side])


@router.get("/balances", response_model=Balances)
async def list_balances(
    request: Request,
    principal: Annotated[Principal, action("balances.read")],
    party: PartyQuery = None,
    after: After = None,
) -> Response:
    """All accounts of a party, with the orders behind each hold."""
    doors = doors_of(request)
    number = whose(principal, "balances.read", party)
    await as_of(doors, after)

    def question(connection: Any) -> tuple[Any, dict[int, Any]]:
        rows = traders.balances(connection, number)
        held = {
            row.asset: traders.holds(connection, number, asset=row.asset, limit=HOLDS_PER_ACCOUNT)
            for row in rows
            if row.held
        }
        return rows, held

    rows, held = await doors.reads.ask(question)
    data = [balance_body(doors, row, held.get(row.asset, ()) if row.held else ()) for row in rows]
    return reply({"party": public_id(wire.PARTY, number), "balances": data}, position=doors.reads.position())


@router.get("/holdings", response_model=Holdings)
async def list_holdings(
    request: Request,
    principal: Annotated[Principal, action("balances.read")],
    party: PartyQuery = None,
    after: After = None,
) -> Response:
    """License units of a party by series."""
    doors = doors_of(request)
    number = whose(principal, "balances.read", party)
    await as_of(doors, after)
    data = []
    for row in await doors.reads.ask(traders.holdings, number):
        fact = fact_of(doors, row.series)
        data.append(
            {
                "series": fact.id,
                "symbol": fact.symbol,
                "available": fact.quantity(row.available),
                "held": fact.quantity(row.held),
                "in_use": fact.quantity(row.in_use),
                "retired": fact.quantity(row.retired),
                "position": row.position,
            }
        )
    return reply({"party": public_id(wire.PARTY, number), "holdings": data}, position=doors.reads.position())


@router.get("/grants", response_model=Page[Grant])
async def list_grants(
    request: Request,
    principal: Annotated[Principal, action("grants.read")],
    party: PartyQuery = None,
    series: SeriesName | None = None,
    held: Annotated[bool | None, Query(description="With or without units now.")] = None,
    after: After = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Grants of a party, or of all holders of a series for who may see them, by number."""
    doors = doors_of(request)
    asked = {"party": party, "series": series, "held": held}
    paging = Paging(doors, limit, cursor, asked, address="/v1/grants")
    filters = paging.filters
    everybody = filters["party"] is None and filters["series"] is not None
    seen_whole = everybody and visible_party(principal, "grants.read") is None
    await as_of(doors, after)
    rows = await paging.rows(
        traders.all_grants,
        holder=None if seen_whole else whose(principal, "grants.read", filters["party"]),
        series=series_number(doors, filters["series"]),
        held=filters["held"],
    )
    return paging.reply(rows, lambda row: grant_body(doors, row), lambda row: row.grant_number)


@router.get("/grants/{grant}", response_model=Grant)
async def get_grant(
    request: Request,
    principal: Annotated[Principal, action("grants.read")],
    grant: GrantId,
    after: After = None,
) -> Response:
    """One grant."""
    doors = doors_of(request)
    number = found(wire.GRANT, grant)
    await as_of(doors, after)
    row = found_row(await doors.reads.ask(traders.grant, number))
    authorize(principal, "grants.read", row.holder)
    return reply(grant_body(doors, row), position=doors.reads.position())


@router.get("/statement", response_model=Statement)
async def get_statement(
    request: Request,
    principal: Annotated[Principal, action("balances.read")],
    currency: CurrencyName,
    party: PartyQuery = None,
    kind: Annotated[str, Query(pattern="^(available|receivable)$", description="What it has, or what it owes.")] = (
        "available"
    ),
    since: Since = None,
    until: Until = None,
    after: After = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Every movement of a party's money in a currency with the balance after it, the newest first."""
    doors = doors_of(request)
    asked = {"currency": currency, "party": party, "since": since, "until": until, "kind": kind}
    paging = Paging(doors, limit, cursor, asked, address="/v1/statement")
    filters = paging.filters
    number = whose(principal, "balances.read", filters["party"])
    money = good(doors.series.currency_named(filters["currency"]))
    await as_of(doors, after)
    found_statement: traders.Statement = await doors.reads.ask(
        lambda connection: traders.statement(
            connection,
            number,
            money.number,
            kind=AccountKind[filters["kind"].upper()],
            within=within(filters["since"], filters["until"]),
            after=None if paging.after is None else tuple(paging.after),
            limit=limit + 1,
        )
    )
    lines = found_statement.lines

    def body(row: Any) -> dict[str, Any]:
        return {
            "command": row.command,
            "at": rfc3339(row.at_ns),
            "series": public_id(wire.SERIES, row.series) if row.series else None,
            "reason": PostingCode(row.code).name.lower(),
            "amount": money.money(row.amount_minor),
            "balance": money.money(row.balance_minor),
            "trade": money.money(row.trade_minor),
            "fee": money.money(row.fee_minor),
            "tax": money.money(row.tax_minor),
            "royalty": money.money(row.royalty_minor),
            "share": money.money(row.share_minor),
            "other": money.money(row.other_minor),
            "position": row.position,
        }

    head = {
        "party": public_id(wire.PARTY, number),
        "currency": money.id,
        "currency_code": money.code,
        "opening": money.money(found_statement.opening_minor),
        "closing": money.money(found_statement.closing_minor),
        "total": money.money(found_statement.totals_minor["amount_minor"]),
        "lines": found_statement.lines_in_all,
    }
    return paging.reply(lines, body, lambda row: [row.command, row.line], head=head)


# -- what the questions are asked with ---------------------------------------------------------------------------------


def whose(principal: Principal, name: str, party: str | None) -> int:
    """The party that is asked for, who may be another only for some. Raises Problem `not_found`."""
    if party is None:
        return principal.party
    number = wire_number(wire.PARTY, party, "party")
    authorize(principal, name, number)
    return number


def series_number(doors: Doors, text: str | None) -> int | None:
    return None if text is None else good(doors.series.named(text)).number


def within(since: str | None, until: str | None) -> traders.Range:
    return traders.Range(
        first_at_ns=None if since is None else good(wire.at_ns_of(since, "since")),
        last_at_ns=None if until is None else good(wire.at_ns_of(until, "until")),
    )


def fact_of(doors: Doors, series: int) -> SeriesFact:
    """A series that a row names."""
    fact = doors.series.of(series)
    assert fact is not None, series
    return fact


def asset_of(doors: Doors, asset: int) -> tuple[str, str, Callable[[int], str]]:
    """(id, code or symbol, how amounts are written) of an asset: s > 0 the series s, −c the currency c."""
    if asset > 0:
        fact = fact_of(doors, asset)
        return fact.id, fact.symbol, fact.quantity
    money = doors.series.currency(-asset)
    return money.id, money.code, money.money


# -- bodies ------------------------------------------------------------------------------------------------------------


def fill_body(doors: Doors, row: Any) -> dict[str, Any]:
    fact = fact_of(doors, row.series)
    return {
        "trade": trade_id(row.command, row.fill),
        "order": public_id(wire.ORDER, row.order_number),
        "party": public_id(wire.PARTY, row.party),
        "series": fact.id,
        "symbol": fact.symbol,
        "side": SIDES[row.side],
        "role": "maker" if row.maker else "taker",
        "price": fact.price(row.price_ticks),
        "quantity": fact.quantity(row.lots),
        "notional": fact.money(row.notional_minor),
        "fee": fact.money(row.fee_minor),
        "tax": fact.money(row.tax_minor),
        "royalty": fact.money(row.royalty_minor),
        "currency": fact.currency_id,
        "primary": bool(row.is_primary),
        "at": rfc3339(row.at_ns),
        "position": row.position,
    }


def balance_body(doors: Doors, row: Any, holds: Any) -> dict[str, Any]:
    asset, code, written = asset_of(doors, row.asset)
    return {
        "asset": asset,
        "code": code,
        "kind": AccountKind(row.kind).name.lower(),
        "available": written(row.available),
        "held": written(row.held),
        "holds": [
            {
                "order": public_id(wire.ORDER, hold.order_number),
                "series": public_id(wire.SERIES, hold.series),
                "amount": written(hold.hold),
            }
            for hold in holds
        ],
        "position": row.position,
    }


def grant_body(doors: Doors, row: Any) -> dict[str, Any]:
    fact = fact_of(doors, row.series)
    return {
        "id": public_id(wire.GRANT, row.grant_number),
        "holder": public_id(wire.PARTY, row.holder),
        "series": fact.id,
        "symbol": fact.symbol,
        "quantity": fact.quantity(row.lots),
        "bought": fact.quantity(row.bought_lots),
        "sold": fact.quantity(row.sold_lots),
        "returned": fact.quantity(row.returned_lots),
        "granted_at": rfc3339(row.at_ns),
        "changed_at": rfc3339(row.last_at_ns),
        "command": row.command,
        "last_command": row.last_command,
        "position": row.position,
    }

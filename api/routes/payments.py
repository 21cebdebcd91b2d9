"""Money in and out, refunds, and agreements on revenue."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

from fastapi import Request
from starlette.responses import Response

from api import wire
from api.auth.principal import Principal
from api.authorization import authorize, visible_party
from api.doors import Doors
from api.paging import Paging
from api.problems import problem, problem_of
from api.replies import After, Cursor, IdempotencyKey, Limit, as_of, doors_of, record, reply
from api.routes.registry import RECORDED, AgreementPath, action, filter_number, found, found_row, router_of
from api.schemas.base import ModelId, Page, good
from api.schemas.payments import Agreement, NewAgreement, NewPayment, NewRefund
from api.trades import trade_in_log
from api.wire import public_id, rfc3339
from domain.commands import RefundSale
from domain.rejections import Reason, refuse
from projections import revenue

router = router_of("payments")


@router.post("/deposits", **RECORDED)
async def record_deposit(
    request: Request,
    principal: Annotated[Principal, action("payments.write")],
    body: NewPayment,
    key: IdempotencyKey = None,
) -> Response:
    """Record money that a party has paid in. The same reference is recorded once."""
    doors = doors_of(request)
    return await record(doors, principal, body.deposit(doors.series), key)


@router.post("/withdrawals", **RECORDED)
async def record_withdrawal(
    request: Request,
    principal: Annotated[Principal, action("payments.write")],
    body: NewPayment,
    key: IdempotencyKey = None,
) -> Response:
    """Record money that was paid out to a party, out of what it has available."""
    doors = doors_of(request)
    return await record(doors, principal, body.withdrawal(doors.series), key)


@router.post("/refunds", **RECORDED)
async def refund_sale(
    request: Request,
    principal: Annotated[Principal, action("payments.write")],
    body: NewRefund,
    key: IdempotencyKey = None,
) -> Response:
    """Refund a sale of unissued units, or a part of it, by what the log says of the trade."""
    doors = doors_of(request)
    command, fill = good(wire.trade_of(body.trade, "trade"))
    trade = await asyncio.to_thread(trade_in_log, doors.house.store, command, fill)
    if trade is None:
        raise problem_of(refuse(Reason.UNKNOWN_TRADE, "trade", "must be a trade of the log", body.trade))
    series = doors.series.of(trade.series)
    assert series is not None, trade
    asked = RefundSale(
        trade_command=command,
        trade_fill=fill,
        trade_lots=trade.lots,
        series=trade.series,
        buyer=trade.buyer,
        lots=good(series.lots(body.quantity)),
        price_ticks=trade.price_ticks,
        waterfall_version=trade.waterfall_version,
        reason=body.reason,
    )
    return await record(doors, principal, asked, key)


@router.post("/agreements", **RECORDED)
async def sign_agreement(
    request: Request,
    principal: Annotated[Principal, action("agreements.write")],
    body: NewAgreement,
    key: IdempotencyKey = None,
) -> Response:
    """Sign how revenue of a model is split from a time on."""
    made = (wire.AGREEMENT, "agreement")
    return await record(doors_of(request), principal, body.command(), key, made=made, at="/v1/agreements")


@router.get("/agreements", response_model=Page[Agreement])
async def list_agreements(
    request: Request,
    principal: Annotated[Principal, action("agreements.read")],
    model: ModelId | None = None,
    after: After = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Agreements by number. Who may not see all names a model of its own."""
    doors = doors_of(request)
    paging = Paging(doors, limit, cursor, {"model": model}, address="/v1/agreements")
    number = filter_number(wire.MODEL, paging.filters["model"], "model")
    if number is not None:
        authorize(principal, "agreements.read", developer_of(doors, number))
    elif visible_party(principal, "agreements.read") is not None:
        raise problem("forbidden", "Name a model of your own: ?model=.")
    await as_of(doors, after)
    rows = await paging.rows(revenue.all_agreements, model=number)
    return paging.reply(rows, lambda row: agreement_body(doors, row), lambda row: row.agreement)


@router.get("/agreements/{agreement}", response_model=Agreement)
async def get_agreement(
    request: Request,
    principal: Annotated[Principal, action("agreements.read")],
    agreement: AgreementPath,
    after: After = None,
) -> Response:
    """One agreement."""
    doors = doors_of(request)
    number = found(wire.AGREEMENT, agreement)
    await as_of(doors, after)
    row = found_row(await doors.reads.ask(revenue.agreement, number))
    authorize(principal, "agreements.read", developer_of(doors, row.model))
    return reply(agreement_body(doors, row), position=doors.reads.position())


def developer_of(doors: Doors, model: int) -> int:
    """The developer of a model. Raises Problem `not_found`."""
    row = doors.catalogue.models.get(model)
    if row is None:
        raise problem("not_found")
    return row.developer


def agreement_body(doors: Doors, row: Any) -> dict[str, Any]:
    took_effect = row.took_effect_at_ns
    return {
        "id": public_id(wire.AGREEMENT, row.agreement),
        "model": public_id(wire.MODEL, row.model),
        "effective_at": rfc3339(row.effective_at_ns),
        "platform_ppb": row.platform_ppb,
        "agents": [
            {"party": public_id(wire.PARTY, party), "share_ppb": share} for party, share in json.loads(row.agents)
        ],
        "data_ppb": row.data_ppb,
        "upstream_ppb": row.upstream_ppb,
        "took_effect_at": None if took_effect is None else rfc3339(took_effect),
        "in_force": doors.catalogue.models[row.model].agreement == row.agreement,
        "position": row.took_effect_position or row.position,
    }

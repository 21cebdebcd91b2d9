"""Parties: who they are, what they may do, who owns them, and freezing."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request
from starlette.responses import Response

from api import wire
from api.auth.principal import Principal
from api.authorization import authorize, visible_party
from api.paging import Paging
from api.replies import After, Cursor, IdempotencyKey, Limit, as_of, doors_of, record, reply
from api.routes.registry import RECORDED, PartyPath, action, filter_country, found, found_row, router_of
from api.schemas.base import Page, RoleName, role_names, roles_of
from api.schemas.parties import Country, Freezing, NewOwner, NewParty, NewRole, Party, Unfreezing
from api.wire import public_id
from domain.commands import RevokeRole
from domain.values import PartyKind, Role
from projections import assets

router = router_of("parties")


@router.post("/parties", **RECORDED)
async def register_party(
    request: Request,
    principal: Annotated[Principal, action("parties.write")],
    body: NewParty,
    key: IdempotencyKey = None,
) -> Response:
    """Register a party with its roles."""
    return await record(doors_of(request), principal, body.command(), key, made=(wire.PARTY, "party"), at="/v1/parties")


@router.get("/parties", response_model=Page[Party])
async def list_parties(
    request: Request,
    principal: Annotated[Principal, action("parties.read")],
    search: Annotated[str | None, Query(max_length=200)] = None,
    role: Annotated[RoleName | None, Query()] = None,
    kind: PartyKind | None = None,
    country: Country | None = None,
    frozen: bool | None = None,
    after: After = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Parties by number. Who may not see all sees only its own."""
    doors = doors_of(request)
    own = visible_party(principal, "parties.read")
    await as_of(doors, after)
    if own is not None:
        row = await doors.reads.ask(assets.party, own)
        return reply(
            {"data": [] if row is None else [party_body(row)], "next_cursor": None, "has_more": False},
            position=doors.reads.position(),
        )
    asked = {"search": search, "role": role, "kind": kind, "country": filter_country(country), "frozen": frozen}
    paging = Paging(doors, limit, cursor, asked, address="/v1/parties")
    filters = dict(paging.filters)
    role_name = filters.pop("role")
    rows = await paging.rows(
        assets.all_parties, **filters, role=None if role_name is None else int(roles_of([role_name]))
    )
    return paging.reply(rows, party_body, lambda row: row.party)


@router.get("/parties/{party}", response_model=Party)
async def get_party(
    request: Request, principal: Annotated[Principal, action("parties.read")], party: PartyPath, after: After = None
) -> Response:
    """One party."""
    doors = doors_of(request)
    number = found(wire.PARTY, party)
    authorize(principal, "parties.read", number)
    await as_of(doors, after)
    return reply(party_body(found_row(await doors.reads.ask(assets.party, number))), position=doors.reads.position())


@router.post("/parties/{party}/roles", **RECORDED)
async def grant_role(
    request: Request,
    principal: Annotated[Principal, action("parties.write")],
    party: PartyPath,
    body: NewRole,
    key: IdempotencyKey = None,
) -> Response:
    """Give a party one more role."""
    return await record(doors_of(request), principal, body.command(found(wire.PARTY, party)), key)


@router.delete("/parties/{party}/roles/{role}", **{**RECORDED, "status_code": 200})
async def revoke_role(
    request: Request,
    principal: Annotated[Principal, action("parties.write")],
    party: PartyPath,
    role: RoleName,
    key: IdempotencyKey = None,
) -> Response:
    """Take a role from a party."""
    command = RevokeRole(party=found(wire.PARTY, party), role=roles_of([role]))
    return await record(doors_of(request), principal, command, key, status=200)


@router.post("/parties/{party}/owner", **RECORDED)
async def declare_ownership(
    request: Request,
    principal: Annotated[Principal, action("parties.write")],
    party: PartyPath,
    body: NewOwner,
    key: IdempotencyKey = None,
) -> Response:
    """Declare the beneficial owner of a party."""
    return await record(doors_of(request), principal, body.command(found(wire.PARTY, party)), key)


@router.post("/parties/{party}/freeze", **RECORDED)
async def freeze_party(
    request: Request,
    principal: Annotated[Principal, action("parties.write")],
    party: PartyPath,
    body: Freezing,
    key: IdempotencyKey = None,
) -> Response:
    """Let a party place no more orders; canceling stays possible."""
    return await record(doors_of(request), principal, body.command(found(wire.PARTY, party)), key)


@router.post("/parties/{party}/unfreeze", **RECORDED)
async def unfreeze_party(
    request: Request,
    principal: Annotated[Principal, action("parties.write")],
    party: PartyPath,
    body: Unfreezing,
    key: IdempotencyKey = None,
) -> Response:
    """Let a frozen party act again."""
    return await record(doors_of(request), principal, body.command(found(wire.PARTY, party)), key)


def party_body(row: Any) -> dict[str, Any]:
    return {
        "id": public_id(wire.PARTY, row.party),
        "kind": row.kind,
        "legal_name": row.legal_name,
        "country": row.country,
        "roles": role_names(Role(row.roles)),
        "frozen": bool(row.frozen),
        "owner": None if row.owner is None else public_id(wire.PARTY, row.owner),
        "position": row.last_position,
    }

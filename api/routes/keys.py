"""API keys and users. They are no part of the log: a secret must be able to disappear."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Query, Request
from starlette.responses import Response

from api import wire
from api.auth.keys import ApiKey, checked_key_request
from api.auth.principal import Principal
from api.auth.users import User
from api.authorization import authorize, visible_party
from api.problems import problem, problem_of
from api.replies import doors_of, reply
from api.routes.registry import KeyPath, UserPath, action, found, router_of
from api.routes.traders import whose
from api.schemas.base import Page, PartyId, good, number
from api.schemas.keys import ApiKey as ApiKeyBody
from api.schemas.keys import MadeKey, NewKey, NewUser
from api.schemas.keys import User as UserBody
from api.wire import public_id, rfc3339
from domain.rejections import Reason, Refusal, refuse

router = router_of("keys")


@router.post("/keys", status_code=201, response_model=MadeKey)
async def make_key(request: Request, principal: Annotated[Principal, action("keys.write")], body: NewKey) -> Response:
    """Make an API key of the asking party. The secret of an HMAC key is in this answer and nowhere else."""
    doors = doors_of(request)
    asked = checked_key_request(
        kind=body.kind,
        scopes=body.scopes,
        granted=principal.scopes,
        at_ns=doors.clock(),
        label=body.label,
        expires_ns=None if body.expires_at is None else good(wire.at_ns_of(body.expires_at, "expires_at")),
        public_key=body.public_key,
    )
    if isinstance(asked, Refusal):
        raise problem_of(asked)
    made = await asyncio.to_thread(doors.auth.add_key, principal.party, asked)
    headers = {"Location": f"/v1/keys/{made.key.id}"}
    return reply(key_body(made.key) | {"secret": made.secret}, 201, headers=headers)


@router.get("/keys", response_model=Page[ApiKeyBody])
async def list_keys(
    request: Request,
    principal: Annotated[Principal, action("keys.read")],
    party: Annotated[PartyId | None, Query(description="The asking party where absent.")] = None,
) -> Response:
    """All API keys of a party, revoked ones too."""
    keys = doors_of(request).auth.keys(whose(principal, "keys.read", party))
    return reply({"data": [key_body(key) for key in keys], "next_cursor": None, "has_more": False})


@router.get("/keys/{key}", response_model=ApiKeyBody)
async def get_key(request: Request, principal: Annotated[Principal, action("keys.read")], key: KeyPath) -> Response:
    """One API key."""
    known = doors_of(request).auth.key_number(found(wire.KEY, key))
    if known is None:
        raise problem("not_found")
    authorize(principal, "keys.read", known.party)
    return reply(key_body(known))


@router.delete("/keys/{key}", response_model=ApiKeyBody)
async def revoke_key(
    request: Request, principal: Annotated[Principal, action("keys.revoke")], key: KeyPath
) -> Response:
    """Revoke an API key; nothing that it signs is accepted any more."""
    auth = doors_of(request).auth
    known = auth.key_number(found(wire.KEY, key))
    if known is None:
        raise problem("not_found")
    authorize(principal, "keys.revoke", known.party)
    await asyncio.to_thread(auth.revoke_key, known.number)
    return reply(key_body(known))


@router.post("/users", status_code=201, response_model=UserBody)
async def make_user(
    request: Request, _principal: Annotated[Principal, action("users.write")], body: NewUser
) -> Response:
    """Let a person sign in for a party."""
    doors = doors_of(request)
    party = number(wire.PARTY, body.party, "party")
    if party not in doors.catalogue.parties:
        raise problem_of(refuse(Reason.UNKNOWN_PARTY, "party", "must be a registered party", body.party))
    made = await asyncio.to_thread(doors.auth.add_user, body.login, body.password, party)
    return reply(user_body(made), 201, headers={"Location": f"/v1/users/{public_id(wire.USER, made.number)}"})


@router.get("/users", response_model=Page[UserBody])
async def list_users(request: Request, principal: Annotated[Principal, action("users.read")]) -> Response:
    """Users: all of them for who may see all, else those of the asking party."""
    users = doors_of(request).auth.users(visible_party(principal, "users.read"))
    return reply({"data": [user_body(user) for user in users], "next_cursor": None, "has_more": False})


@router.post("/users/{user}/disable", response_model=UserBody)
async def disable_user(
    request: Request, _principal: Annotated[Principal, action("users.write")], user: UserPath
) -> Response:
    """Let a user sign in no more, and end its sessions."""
    auth = doors_of(request).auth
    asked = found(wire.USER, user)
    if auth.user(asked) is None:
        raise problem("not_found")
    await asyncio.to_thread(auth.disable_user, asked)
    disabled = auth.user(asked)
    assert disabled is not None, asked
    return reply(user_body(disabled))


def key_body(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "party": public_id(wire.PARTY, key.party),
        "kind": key.kind,
        "label": key.label,
        "scopes": sorted(key.scopes),
        "created_at": rfc3339(key.created_ns),
        "expires_at": None if key.expires_ns is None else rfc3339(key.expires_ns),
        "revoked_at": None if key.revoked_ns is None else rfc3339(key.revoked_ns),
        "last_used_at": None if key.last_used_ns is None else rfc3339(key.last_used_ns),
    }


def user_body(user: User) -> dict[str, Any]:
    return {
        "id": public_id(wire.USER, user.number),
        "login": user.login,
        "party": public_id(wire.PARTY, user.party),
        "created_at": rfc3339(user.created_ns),
        "disabled_at": None if user.disabled_ns is None else rfc3339(user.disabled_ns),
    }

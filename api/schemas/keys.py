"""API keys and users."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from api.schemas.base import In, KeyId, Out, PartyId, Time, UserId

Scope = Literal["read", "trade", "manage"]
KeyKind = Literal["ed25519", "hmac"]


class NewKey(In):
    """A key of the asking party; it can do no more than what asks for it."""

    kind: KeyKind
    scopes: list[Scope] = Field(min_length=1, max_length=3)
    label: str = Field(default="", max_length=64)
    expires_at: Time | None = None
    public_key: str | None = Field(
        default=None, max_length=64, description="Base64 of 32 bytes; only of an Ed25519 key."
    )


class ApiKey(Out):
    id: KeyId
    party: PartyId
    kind: KeyKind
    label: str
    scopes: list[Scope]
    created_at: Time
    expires_at: Time | None
    revoked_at: Time | None
    last_used_at: Time | None


class MadeKey(ApiKey):
    secret: str | None = Field(description="Of an HMAC key; it is shown only now.")


class NewUser(In):
    """A person who signs in with a password, for one party."""

    party: PartyId
    login: Annotated[str, Field(min_length=3, max_length=64)]
    password: Annotated[str, Field(min_length=12, max_length=256)]


class User(Out):
    id: UserId
    login: str
    party: PartyId
    created_at: Time
    disabled_at: Time | None

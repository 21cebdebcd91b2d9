"""Sessions of people at a browser: a random token in a cookie, known to the store only by its hash.

Signing in always makes a new token, and whatever was in the cookie before is of no use. A session ends when it was not
used for an hour, when it is as old as the settings allow, when its user signs out, or when its password changes.
"""

from __future__ import annotations

import asyncio
import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple, Protocol

from api.auth.limits import Limits, address_of
from api.settings import Settings

IDLE_NS: Final = 3_600_000_000_000
TOKEN_BYTES: Final = 32
SESSIONS_PER_USER_MAX: Final = 16
CSRF_HEADER: Final = "X-CSRF-Token"
_TOKEN_CHARACTERS: Final = 43


@dataclass(slots=True)
class Session:
    token_hash: bytes
    user: int
    party: int
    created_ns: int
    last_seen_ns: int

    def is_active(self, at_ns: int, longest_ns: int) -> bool:
        return at_ns - self.last_seen_ns < IDLE_NS and at_ns - self.created_ns < longest_ns


class SignedIn(NamedTuple):
    """A new session, and the token that its cookie carries."""

    session: Session
    token: str

    def __repr__(self) -> str:
        """Without the token, so that no log holds it."""
        return f"SignedIn(user={self.session.user})"


class Keeper(Protocol):
    """Who keeps the sessions; `api.auth.store.AuthStore` is one."""

    @property
    def limits(self) -> Limits: ...

    def sign_in(self, login: str, password: str) -> SignedIn: ...

    def end_session(self, session: Session) -> None: ...

    def secret(self, purpose: str) -> bytes: ...


async def sign_in(auth: Keeper, login: str, password: str, host: str | None = None) -> SignedIn:
    """Start a session. `host`: the client's address. The event loop goes on while the password is checked.

    Raises Problem `sign_in_failed`, `sign_in_locked` or `rate_limited`.
    """
    auth.limits.sign_ins.spend(address_of(host))
    return await asyncio.to_thread(auth.sign_in, login, password)


def sign_out(auth: Keeper, session: Session) -> None:
    """End the session, for good."""
    auth.end_session(session)


def cookie_name(settings: Settings) -> str:
    """`__Host-` cookies need https, which a loopback address may lack."""
    return "__Host-session" if settings.is_https else "session"


def session_cookie(settings: Settings, token: str) -> str:
    """Value of the Set-Cookie header that carries the token."""
    return _cookie(settings, token, settings.session_hours * 3600)


def expired_cookie(settings: Settings) -> str:
    """Value of the Set-Cookie header that takes the cookie away."""
    return _cookie(settings, "", 0)


def _cookie(settings: Settings, value: str, seconds: int) -> str:
    secure = "; Secure" if settings.is_https else ""
    return f"{cookie_name(settings)}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}"


def csrf_token(auth: Keeper, session: Session) -> str:
    """What a request of the session that changes something must carry in X-CSRF-Token."""
    digest = hmac.digest(auth.secret("csrf"), session.token_hash, "sha256")
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def is_csrf_token(auth: Keeper, session: Session, found: str) -> bool:
    return hmac.compare_digest(csrf_token(auth, session).encode(), found.encode("utf-8", "replace"))


def token_of(cookie_header: str, name: str) -> str | None:
    """The token in a Cookie header; two of them, which a neighboring host may have planted, are none."""
    found = [
        value for part in cookie_header.split(";") for key, _, value in (part.strip().partition("="),) if key == name
    ]
    return found[0] if len(found) == 1 and len(found[0]) == _TOKEN_CHARACTERS else None


def token_text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def hash_of(token: str) -> bytes:
    """256 random bits need no slow hash."""
    return sha256(token.encode("utf-8", "replace")).digest()

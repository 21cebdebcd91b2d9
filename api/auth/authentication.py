"""Who asks: out of a signature, a session's cookie, or nobody. Roles come from the house, at this moment.

A request with X-Api-Key is signed or refused. A request with a session's cookie that changes something must come from
one of our own pages and carry the session's CSRF token. Whoever fails is counted by address.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from starlette.types import Scope

from api.auth.keys import may_be_used
from api.auth.limits import address_of
from api.auth.principal import ANONYMOUS, SCOPES, Principal
from api.auth.sessions import CSRF_HEADER, cookie_name, is_csrf_token, token_of
from api.auth.store import AuthStore
from api.problems import Problem, problem
from api.settings import Settings
from domain.catalogue import Catalogue

RATE: Final = "tallystick.rate"
"""Key of a scope: the Rate that the answer's headers tell."""
PRINCIPAL: Final = "tallystick.principal"
"""Key of a scope: who asked, for the access log."""

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_CSRF: Final = CSRF_HEADER.lower().encode()


class Asked(Protocol):
    """What it takes to know who asks; `api.doors.Doors` is one."""

    clock: Callable[[], int]

    @property
    def auth(self) -> AuthStore: ...

    @property
    def settings(self) -> Settings: ...

    @property
    def catalogue(self) -> Catalogue: ...


def authenticate(doors: Asked, scope: Scope, body: bytes, *, cost: int = 1) -> Principal:
    """Who asks. `cost` is taken off the limit of who it is; at 0 no limit stops the request.

    Raises the Problems of signatures, keys, origins, CSRF and limits; a session that ended is nobody.
    """
    headers: dict[bytes, bytes] = dict(scope["headers"])
    key_id = headers.get(b"x-api-key")
    if key_id is not None:
        fields = (
            key_id,
            headers.get(b"x-timestamp", b""),
            headers.get(b"x-nonce", b""),
            headers.get(b"x-signature", b""),
        )
        method = scope.get("method", "GET")
        principal = _by_signature(doors, scope, fields, method.encode(), target_of(scope), body, cost)
        rate = doors.auth.limits.principals.spend(("key", principal.key), cost)
    else:
        principal = _by_cookie(doors, scope, headers)
        if principal.how == "session":
            rate = doors.auth.limits.principals.spend(("user", principal.user), cost)
        else:
            rate = doors.auth.limits.addresses.spend(_address(scope), cost)
    scope[RATE] = rate
    scope[PRINCIPAL] = principal
    return principal


def authenticate_message(doors: Asked, scope: Scope, message: Mapping[str, Any]) -> Principal:
    """Who asks over an open socket: `key`, `timestamp`, `nonce` and `signature` of GET and the socket's own path.

    Raises the Problems of signatures and keys.
    """
    fields = tuple(str(message.get(name, "")).encode("utf-8", "replace") for name in _MESSAGE_FIELDS)
    return _by_signature(doors, scope, fields, b"GET", target_of(scope), b"", 1)


_MESSAGE_FIELDS: Final = ("key", "timestamp", "nonce", "signature")


def charge(doors: Asked, scope: Scope, principal: Principal, cost: int) -> None:
    """Take more off the limit of a request whose cost is known only now, such as a batch.

    Raises Problem `rate_limited`.
    """
    limits = doors.auth.limits
    if principal.how == "key":
        scope[RATE] = limits.principals.spend(("key", principal.key), cost)
    elif principal.how == "session":
        scope[RATE] = limits.principals.spend(("user", principal.user), cost)
    else:
        scope[RATE] = limits.addresses.spend(_address(scope), cost)


def target_of(scope: Scope) -> bytes:
    """Path and query as they were sent."""
    query: bytes = scope["query_string"]
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    return path + b"?" + query if query else path


def _by_signature(
    doors: Asked, scope: Scope, fields: tuple[bytes, ...], method: bytes, target: bytes, body: bytes, cost: int
) -> Principal:
    auth = doors.auth
    key_id, timestamp, nonce, signature = fields
    if cost:
        auth.limits.addresses.refuse_if_spent(_address(scope))
    key = auth.key(key_id)
    try:
        auth.signatures.check(
            0 if key is None else key.number,
            None if key is None else key.verify,
            timestamp=timestamp,
            nonce=nonce,
            signature=signature,
            method=method,
            target=target,
            body=body,
        )
        assert key is not None
        now_ns = doors.clock()
        may_be_used(key, now_ns)
    except Problem:
        _count_failure(auth, scope)
        raise
    auth.note_use(key, now_ns)
    party = doors.catalogue.parties.get(key.party)
    if party is None:
        raise problem("unauthenticated", "The party of the API key is not registered.")
    return Principal(key.party, party.roles, key.scopes, "key", key.number)


def _count_failure(auth: AuthStore, scope: Scope) -> None:
    """So that guessing soon meets the limit of the address, instead of the cost of checking."""
    auth.limits.addresses.spend(_address(scope))


def _by_cookie(doors: Asked, scope: Scope, headers: dict[bytes, bytes]) -> Principal:
    changes = scope["type"] != "websocket" and scope["method"] not in _SAFE
    if changes or scope["type"] == "websocket":
        check_origin(doors, headers)
    cookies = headers.get(b"cookie")
    if cookies is None:
        return ANONYMOUS
    token = token_of(cookies.decode("latin-1"), cookie_name(doors.settings))
    session = None if token is None else doors.auth.session(token)
    if session is None:
        return ANONYMOUS
    party = doors.catalogue.parties.get(session.party)
    if party is None:
        return ANONYMOUS
    if changes and not is_csrf_token(doors.auth, session, headers.get(_CSRF, b"").decode("latin-1")):
        raise problem("csrf_failed")
    return Principal(session.party, party.roles, SCOPES, "session", None, session.user, session)


def check_origin(doors: Asked, headers: Mapping[bytes, bytes]) -> None:
    """Raise Problem `origin_not_allowed` for what a browser sends from a page that is not ours.

    What comes without an Origin is no browser's, or one that says `Sec-Fetch-Site`.
    """
    origin = headers.get(b"origin")
    if origin is None:
        if headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
            raise problem("origin_not_allowed")
        return
    host = headers.get(b"host", b"").decode("latin-1")
    scheme = "https" if doors.settings.is_https else "http"
    shown = origin.decode("latin-1")
    if shown != f"{scheme}://{host}" and shown not in doors.settings.allowed_origins:
        raise problem("origin_not_allowed", f"The origin {shown!r} is not one of this server.")


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return address_of(None if client is None else client[0])

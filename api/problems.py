"""Every problem that the doors answer with (RFC 9457): its status, its code, its meaning, and how it is written.

One catalogue, `PROBLEMS`, holds the refusals of the house and the problems of the doors themselves. Each code has a
page at `/problems/<code>`. A problem never says more than its reader may know: what belongs to another party is
answered as if it did not exist.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson
from starlette.responses import Response

from domain.rejections import Reason, Refusal

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "/problems/"
REQUEST_PREFIX: Final = "/requests/"


class FieldError(NamedTuple):
    """One fault of the request."""

    pointer: str
    """JSON pointer (RFC 6901) into the body, or the name of a parameter."""
    code: str
    detail: str


class ProblemType(NamedTuple):
    """What is the same for every occurrence of a code."""

    status: int
    title: str
    meaning: str


class Problem(Exception):
    """The answer to a request that was not carried out; raised anywhere in a door."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str = "",
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail or title}")
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.retry_after_ms = retry_after_ms
        if retry_after_ms is not None:
            self.headers.setdefault("Retry-After", str(-(-retry_after_ms // 1000)))


def problem(
    code: str,
    detail: str = "",
    *,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
    retry_after_ms: int | None = None,
) -> Problem:
    """The problem of a code of the catalogue."""
    kind = PROBLEMS[code]
    return Problem(kind.status, code, kind.title, detail, errors=errors, headers=headers, retry_after_ms=retry_after_ms)


def problem_of(refusal: Refusal) -> Problem:
    """The problem that a refusal of the house is answered with."""
    shown = shown_reason(refusal.reason)
    if shown is not refusal.reason:
        # The rule, the value and the detail were found by looking at what the asker may not see.
        return problem(shown.code, shown.meaning)
    errors = (FieldError(pointer_of(refusal.field), refusal.code, refusal.rule),)
    found = problem(refusal.code, refusal.message, errors=errors)
    if refusal.reason in _OF_WHO_ASKS and refusal.field != "actor":
        # A party that was named lacks the role or is frozen: who asks is allowed to, but not with this one.
        found.status = _CONFLICT
    return found


def shown_reason(reason: Reason) -> Reason:
    """The reason that may be told to whoever asked: another's order is no other than one that does not exist."""
    return Reason.UNKNOWN_ORDER if reason is Reason.NOT_YOUR_ORDER else reason


def problem_body(found: Problem, request_id: str) -> dict[str, Any]:
    """The problem as a JSON object; `request_id` is the one of the X-Request-Id header."""
    body: dict[str, Any] = {
        "type": TYPE_PREFIX + found.code,
        "title": found.title,
        "status": found.status,
        "code": found.code,
        "instance": REQUEST_PREFIX + request_id,
        "request_id": request_id,
    }
    if found.detail:
        body["detail"] = found.detail
    if found.errors:
        body["errors"] = [error._asdict() for error in found.errors]
    if found.retry_after_ms is not None:
        body["retry_after_ms"] = found.retry_after_ms
    return body


def problem_response(found: Problem, request_id: str) -> Response:
    """The HTTP answer."""
    # Texts come from requests: a lone surrogate in one must not break the answer about it.
    content = orjson.dumps(_encodable(problem_body(found, request_id)))
    return Response(content, found.status, found.headers, MEDIA_TYPE)


_INDEX: Final = re.compile(r"\[(\d+)\]")


def pointer_of(field: str) -> str:
    """The JSON pointer of a refusal's field: `datasets[2].weight_ppb` is `/datasets/2/weight_ppb`."""
    return "/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in _INDEX.sub(r".\1", field).split("."))


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {key: _encodable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_encodable(inner) for inner in value]
    return value


# -- the catalogue -----------------------------------------------------------------------------------------------------

DOOR_PROBLEMS: Final[dict[str, tuple[int, str]]] = {
    # What was sent cannot be read.
    "malformed_json": (400, "The body is not JSON in UTF-8."),
    "nesting_too_deep": (400, "The body nests arrays and objects deeper than the doors read."),
    "validation_failed": (422, "Several fields break their rules; `errors` names each."),
    "body_too_slow": (408, "The body took more than 30 seconds to arrive."),
    "body_too_large": (413, "The body is longer than this resource takes."),
    "headers_too_large": (431, "The header fields are longer than 32 KiB together."),
    "unsupported_media_type": (415, "The body is not of a media type that this resource takes."),
    "cursor_invalid": (400, "The cursor was not made by this server, or for other filters."),
    "idempotency_key_invalid": (400, "An Idempotency-Key is 1 to 255 printable ASCII characters."),
    "idempotency_key_required": (400, "The request needs an Idempotency-Key header."),
    # What was asked for is not here.
    "not_found": (404, "There is nothing at this address, or it belongs to another party."),
    "method_not_allowed": (405, "The resource has no such method; `Allow` lists those it has."),
    "precondition_failed": (412, "The object has changed since: its version is not the one that If-Match names."),
    # Who asks.
    "unauthenticated": (401, "The request needs a signature of an API key, or a session."),
    "signature_invalid": (401, "There is no such API key, or the signature is not its signature of this request."),
    "signature_expired": (401, "The timestamp is too far from the time of the server, or from before its start."),
    "nonce_reused": (401, "The key has signed another request with this nonce."),
    "key_revoked": (401, "The API key was revoked."),
    "key_expired": (401, "The API key has reached its end date."),
    "sign_in_failed": (401, "The login and the password do not belong together."),
    "sign_in_locked": (429, "Too many wrong passwords were tried; wait before the next."),
    "forbidden": (403, "The party does not hold a role, or the API key not the scope, that the action needs."),
    "origin_not_allowed": (403, "A browser sent the request from a page of another origin."),
    "csrf_failed": (403, "The request of a session lacks its X-CSRF-Token."),
    "login_taken": (409, "Another user has this login."),
    "password_too_weak": (422, "A password has 12 to 256 characters."),
    "too_many_keys": (409, "The party has as many API keys as it may have; revoke one first."),
    # How much is asked.
    "rate_limited": (429, "More was asked in a short time than the limit allows."),
    "too_many_connections": (429, "The key, the session or the address has too many open sockets."),
    "too_many_subscriptions": (429, "The socket has as many subscriptions as it may have."),
    "slow_consumer": (429, "The socket was read more slowly than its private messages came."),
    # The house is not ready.
    "projection_lagging": (503, "The read models have not reached the position that the request waits for."),
    "not_ready": (503, "The house is starting."),
    "writer_stopped": (503, "The writer accepts nothing until it is started anew."),
    "internal": (500, "The server made a mistake; the request id finds it in the server's log."),
}
"""Status and meaning of what only the doors say."""

_STATUS: Final[dict[int, tuple[Reason, ...]]] = {
    403: (Reason.ROLE_REQUIRED, Reason.PARTY_FROZEN, Reason.HOUSE_ONLY, Reason.NOT_THE_ISSUER),
    404: (
        Reason.UNKNOWN_SERIES,
        Reason.UNKNOWN_PARTY,
        Reason.UNKNOWN_ORDER,
        Reason.NOT_YOUR_ORDER,
        Reason.UNKNOWN_ACCOUNT,
        Reason.UNKNOWN_SYMBOL,
        Reason.NOT_THE_OWNER,
        Reason.UNKNOWN_DATASET,
        Reason.UNKNOWN_DATASET_VERSION,
        Reason.UNKNOWN_MODEL,
        Reason.UNKNOWN_MODEL_VERSION,
        Reason.UNKNOWN_TRAINING_RUN,
        Reason.UNKNOWN_TERMS,
        Reason.UNKNOWN_CURRENCY,
        Reason.UNKNOWN_TRADE,
    ),
    422: (
        Reason.PRICE_OUT_OF_RANGE,
        Reason.LOTS_OUT_OF_RANGE,
        Reason.NOTIONAL_TOO_LARGE,
        Reason.PROTECTION_REQUIRED,
        Reason.JOURNAL_UNBALANCED,
        Reason.AMOUNT_OUT_OF_RANGE,
        Reason.UNKNOWN_KIND,
        Reason.COMMAND_MALFORMED,
        *(reason for reason in Reason if 100 <= reason < 110 or 200 <= reason < 220),
        Reason.ROLES_EXCLUDE_EACH_OTHER,
        Reason.WEIGHTS_ABOVE_WHOLE,
        Reason.LIMITS_CONTRADICT,
        Reason.REBATE_EXCEEDS_TAKER_FEE,
        Reason.SHARES_ABOVE_WHOLE,
        Reason.TOO_MANY_PAYEES,
    ),
    503: (Reason.CAPACITY_EXHAUSTED,),
}
"""Statuses of refusals; what is not here is a conflict with the state of the house."""
_CONFLICT: Final = 409
_OF_WHO_ASKS: Final = frozenset({Reason.ROLE_REQUIRED, Reason.PARTY_FROZEN})


def _title(code: str) -> str:
    return code.replace("_", " ").capitalize()


def _catalogue() -> dict[str, ProblemType]:
    status_of = {reason: status for status, reasons in _STATUS.items() for reason in reasons}
    assert len(status_of) == sum(map(len, _STATUS.values())), "a reason has two statuses"
    found = {
        reason.code: ProblemType(status_of.get(reason, _CONFLICT), _title(reason.code), reason.meaning)
        for reason in Reason
    }
    assert not found.keys() & DOOR_PROBLEMS.keys(), "a code means two things"
    found |= {code: ProblemType(status, _title(code), said) for code, (status, said) in DOOR_PROBLEMS.items()}
    return found


PROBLEMS: Final[dict[str, ProblemType]] = _catalogue()
"""Every code, of refusals and of the doors."""

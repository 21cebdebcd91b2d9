"""What a client may ask over the socket: one model per `op`, and reading a message into one of them.

Reading is pure and answers everything, whatever the bytes: a request, or a problem with the request's id if it had one
that can be told.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NamedTuple, TypeAlias, get_args

from pydantic import Field, TypeAdapter, ValidationError

from api.json_bodies import parse, validation_problem
from api.live import Channel
from api.live.tape import INTERVALS
from api.problems import Problem, problem, problem_of
from api.schemas.base import Counter, In, SeriesName
from domain.rejections import Reason, refuse

MESSAGE_BYTES_MAX: Final = 64 * 1024
SUBSCRIPTIONS_MAX: Final = 50

RequestId: TypeAlias = Annotated[str, Field(max_length=64)] | Annotated[int, Field(ge=0, lt=2**53)]
Interval = Annotated[str, Field(pattern=f"^({'|'.join(INTERVALS)})$", examples=["1m"])]
IdempotencyKey = Annotated[str, Field(min_length=1, max_length=255)]


class _Request(In):
    req_id: RequestId | None = Field(default=None, description="Comes back with the answer.")


class Auth(_Request):
    """Sign in with an API key: the signature is that of `GET` and the socket's own path, with an empty body."""

    op: Literal["auth"]
    key: Annotated[str, Field(max_length=64)]
    timestamp: Annotated[str, Field(max_length=15)] | Annotated[int, Field(ge=0, lt=10**15)]
    nonce: Annotated[str, Field(max_length=64)]
    signature: Annotated[str, Field(max_length=128)]


class _OfChannel(_Request):
    channel: Channel = Field(strict=False)
    series: list[SeriesName] | None = Field(
        default=None,
        min_length=1,
        max_length=SUBSCRIPTIONS_MAX,
        description="Of a public channel; a private one has none.",
    )
    interval: Interval | None = Field(default=None, description="Of candles.")


class Subscribe(_OfChannel):
    """Be told of a channel: where it stands, then its messages."""

    op: Literal["subscribe"]
    from_seq: Counter | None = Field(default=None, description="The last `seq` that was read, to go on from there.")


class Resume(_OfChannel):
    """Subscribe and go on after the message that was read last."""

    op: Literal["resume"]
    from_seq: Counter


class Unsubscribe(_OfChannel):
    """Be told no more of a channel."""

    op: Literal["unsubscribe"]


class Ping(_Request):
    """Ask for the time of the house."""

    op: Literal["ping"]


class Place(_Request):
    """Place an order, as `POST /v1/orders` does."""

    op: Literal["order.place"]
    order: dict[str, Any] = Field(description="A body of `POST /v1/orders`.")
    idempotency_key: IdempotencyKey | None = None


class Cancel(_Request):
    """Cancel an open order."""

    op: Literal["order.cancel"]
    id: Annotated[
        str, Field(max_length=64, description="Of the order, or `client:` and its client order id.", examples=["ord_1"])
    ]
    idempotency_key: IdempotencyKey | None = None


class CancelAll(_Request):
    """Cancel all open orders, or those of one series."""

    op: Literal["order.cancel_all"]
    series: SeriesName | None = None
    idempotency_key: IdempotencyKey | None = None


class CancelOnDisconnect(_Request):
    """Whether the orders placed over this socket are canceled when it closes, for whatever reason."""

    op: Literal["cancel_on_disconnect"]
    enabled: bool


Request: TypeAlias = Auth | Subscribe | Resume | Unsubscribe | Ping | Place | Cancel | CancelAll | CancelOnDisconnect
MODELS: Final[tuple[type[_Request], ...]] = (
    Auth,
    Subscribe,
    Resume,
    Unsubscribe,
    Ping,
    Place,
    Cancel,
    CancelAll,
    CancelOnDisconnect,
)
OPS: Final[tuple[str, ...]] = tuple(get_args(model.model_fields["op"].annotation)[0] for model in MODELS)
_READER: Final[TypeAdapter[Request]] = TypeAdapter(Annotated[Request, Field(discriminator="op")])


class Unreadable(NamedTuple):
    """A message that is no request, and what can be told of it."""

    op: str | None
    req_id: str | int | None
    problem: Problem


def read(message: str | bytes) -> Request | Unreadable:
    """The request of a message."""
    raw = message.encode("utf-8", "surrogatepass") if isinstance(message, str) else message
    if len(raw) > MESSAGE_BYTES_MAX:
        return Unreadable(None, None, problem("body_too_large", f"A message has at most {MESSAGE_BYTES_MAX} bytes."))
    try:
        body = parse(raw)
    except Problem as found:
        return Unreadable(None, None, found)
    if type(body) is not dict:
        return Unreadable(None, None, problem_of(refuse(Reason.WRONG_TYPE, "", "must be a JSON object", None)))
    try:
        return _READER.validate_python(body)
    except ValidationError as error:
        return Unreadable(*_named(body), _problem(body, error))


def _named(body: dict[str, Any]) -> tuple[str | None, str | int | None]:
    """`op` and `req_id` where they are what they should be."""
    op, req_id = body.get("op"), body.get("req_id")
    is_told = (type(req_id) is str and len(req_id) <= 64) or (type(req_id) is int and 0 <= req_id < 2**53)
    return (op if op in OPS else None), (req_id if is_told else None)


def _problem(body: dict[str, Any], error: ValidationError) -> Problem:
    if body.get("op") not in OPS:
        rule = f"must be one of {', '.join(OPS)}"
        if "op" not in body:
            return problem_of(refuse(Reason.MISSING_FIELD, "op", rule, None))
        return problem_of(refuse(Reason.WRONG_TYPE, "op", rule, body["op"]))
    # The first step of each location is the op, by which the model was chosen.
    return validation_problem([{**found, "loc": ("body", *found["loc"][1:])} for found in error.errors()])

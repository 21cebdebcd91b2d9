"""Every message that the socket sends, as a model: what the reference describes and the tests hold each message to."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, TypeAdapter

from api.schemas.base import Counter, CurrencyId, Decimal, OrderId, Out, PartyId, SeriesId, Time
from api.schemas.market import Candle, Day, Trade
from api.schemas.orders import (
    Fill,
    Hold,
    Order,
    OrderAccepted,
    OrderChanged,
    OrdersCanceled,
    OrderStatus,
    OrderType,
    SideName,
    TimeInForceName,
)
from api.schemas.problems import ProblemBody
from api.websocket.requests import Interval, RequestId

Level = Annotated[
    tuple[Decimal, Decimal, Counter],
    Field(description='Price, quantity, number of orders; the quantity "0": the level is gone.'),
]
More = Annotated[
    Literal[True] | None,
    Field(default=None, description="There: the next message of the channel has the rest, and the same `prev_seq`."),
]


class Heartbeat(Out):
    """Each second."""

    channel: Literal["heartbeat"]
    counter: Counter = Field(description="One more each second, the same for all sockets.")
    position: Counter = Field(description="Log position up to which everything was told.")
    ts: Time


class _Data(Out):
    type: Literal["snapshot", "update"]
    seq: Counter = Field(description="Log position up to which the channel is told with this message.")
    prev_seq: Counter = Field(description="`seq` of the message before it; 0 for a snapshot.")
    ts: Time = Field(description="House time of the last entry of the log that it tells of.")


class BookMessage(_Data):
    """A snapshot is the whole window, an update the levels of it that have changed, with their absolute quantities."""

    channel: Literal["book"]
    series: SeriesId
    bids: list[Level] = Field(description="Best first, at most 500 in a snapshot.")
    asks: list[Level]
    checksum: Counter = Field(description="CRC-32 of the best ten levels of each side after this message.")


class TradesMessage(_Data):
    """A snapshot shows the last hundred."""

    channel: Literal["trades"]
    series: SeriesId
    trades: list[Trade] = Field(description="In the order of the log.")
    more: More


class TickerMessage(_Data):
    """The whole ticker each time; what there is none of is null."""

    channel: Literal["ticker"]
    series: SeriesId
    last: Decimal | None
    last_quantity: Decimal | None
    last_at: Time | None
    bid: Decimal | None
    bid_quantity: Decimal | None
    ask: Decimal | None
    ask_quantity: Decimal | None
    spread: Decimal | None
    day: Day


class CandlesMessage(_Data):
    """Candles that have changed, the one in progress last; a snapshot has that one alone."""

    channel: Literal["candles"]
    series: SeriesId
    interval: Interval
    candles: list[Candle]


class StreamOrder(Out):
    """An order after its last change, as `GET /v1/orders/{id}` shows it; without its client order id."""

    id: OrderId
    party: PartyId
    series: SeriesId
    symbol: str
    side: SideName
    type: OrderType
    price: Decimal
    quantity: Decimal
    time_in_force: TimeInForceName
    primary: bool
    status: OrderStatus
    end_reason: str | None
    filled_quantity: Decimal
    remaining_quantity: Decimal
    canceled_quantity: Decimal
    average_price: Decimal | None
    hold: Hold
    notional: Decimal
    fees: Decimal
    taxes: Decimal
    royalty: Decimal
    currency: CurrencyId
    accepted_at: Time | None
    accepted_command: Counter | None
    last_command: Counter
    position: Counter


class StreamRefusal(Out):
    """A command of the party that the log refused."""

    status: Literal["refused"]
    kind: Literal["new", "cancel", "reduce", "cancel_all", "other"]
    code: str
    title: str
    command: Counter
    at: Time
    position: Counter
    series: SeriesId | None = None
    quantity: Decimal | None = None
    order: OrderId | None = None


class OrdersMessage(_Data):
    """A snapshot has the open orders; an update every order that was touched, as it is now, and what was refused."""

    channel: Literal["orders"]
    orders: list[StreamOrder | StreamRefusal]
    more: More
    omitted: Counter | None = Field(default=None, description="Open orders, the oldest, for which there was no room.")


class FillsMessage(_Data):
    """A snapshot is empty: fills are not a state."""

    channel: Literal["fills"]
    fills: list[Fill]
    more: More


class StreamBalance(Out):
    """One account of the party. What is held is what its open orders hold."""

    asset: CurrencyId | SeriesId
    code: str = Field(description="Code of the currency, or symbol of the series.")
    kind: Literal["available", "in_use", "retired", "receivable"]
    available: Decimal
    held: Decimal
    position: Counter


class BalancesMessage(_Data):
    """A snapshot has all accounts of the party; an update those that have changed, as they are now."""

    channel: Literal["balances"]
    balances: list[StreamBalance]
    more: More


class Replay(Out):
    """What was missed for longer than the channel remembers; it has no place in the channel's order."""

    channel: Literal["trades", "fills", "orders"]
    type: Literal["replay"]
    series: SeriesId | None = None
    from_seq: Counter
    to_seq: Counter
    complete: bool = Field(description="False: there was more; the lists of HTTP have all of it.")
    more: More
    trades: list[Trade] | None = None
    fills: list[Fill] | None = None
    orders: list[Order] | None = None


class Accepted(Out):
    """The answer to a request that was carried out."""

    op: str
    ok: Literal[True]
    req_id: RequestId | None = None
    subscriptions: Counter | None = Field(default=None, description="How many the socket has now.")
    party: PartyId | None = None
    scopes: list[str] | None = None
    enabled: bool | None = None
    ts: Time | None = None
    replayed: bool | None = Field(default=None, description="The remembered answer to the same request.")
    result: OrderAccepted | OrderChanged | OrdersCanceled | None = None


class Refused(Out):
    """The answer to a request that was not."""

    op: str | None
    ok: Literal[False]
    req_id: RequestId | None = None
    problem: ProblemBody


Sent: TypeAlias = (
    Heartbeat
    | BookMessage
    | TradesMessage
    | TickerMessage
    | CandlesMessage
    | OrdersMessage
    | FillsMessage
    | BalancesMessage
    | Replay
    | Accepted
    | Refused
)
MODELS = (
    Heartbeat,
    BookMessage,
    TradesMessage,
    TickerMessage,
    CandlesMessage,
    OrdersMessage,
    FillsMessage,
    BalancesMessage,
    Replay,
    Accepted,
    Refused,
)
_BY_CHANNEL: dict[str, TypeAdapter[Any]] = {
    name: TypeAdapter(model)
    for name, model in (
        ("heartbeat", Heartbeat),
        ("book", BookMessage),
        ("trades", TradesMessage),
        ("ticker", TickerMessage),
        ("candles", CandlesMessage),
        ("orders", OrdersMessage),
        ("fills", FillsMessage),
        ("balances", BalancesMessage),
    )
}
_REPLAY: TypeAdapter[Any] = TypeAdapter(Replay)
_ACCEPTED: TypeAdapter[Any] = TypeAdapter(Accepted)
_REFUSED: TypeAdapter[Any] = TypeAdapter(Refused)


def check(message: dict[str, Any]) -> None:
    """Raise ValidationError for what the socket must not send."""
    if "op" in message:
        adapter = _ACCEPTED if message.get("ok") else _REFUSED
    elif message.get("type") == "replay":
        adapter = _REPLAY
    else:
        adapter = _BY_CHANNEL[message["channel"]]
    adapter.validate_python(message)

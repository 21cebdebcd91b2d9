"""Orders, fills and what precedes them. `api.order_terms` reads `PlaceOrder` with msgspec under the same rules."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from api.schemas.base import (
    Counter,
    CurrencyId,
    Decimal,
    In,
    OrderId,
    Out,
    PartyId,
    SeriesId,
    SeriesName,
    Time,
    TradeId,
    shaped,
)

CLIENT_ORDER_ID_PATTERN: Final = "^[A-Za-z0-9_-]{1,36}$"
ClientOrderId = Annotated[str, shaped(CLIENT_ORDER_ID_PATTERN, 36, "The party's own name for the order.", "my-7")]
BATCH_ORDERS_MAX: Final = 1_000

SideName = Literal["buy", "sell"]
TimeInForceName = Literal["GTC", "IOC"]
OrderType = Literal["limit", "market"]
OrderStatus = Literal["open", "filled", "canceled", "partly_filled_and_canceled"]


class PlaceOrder(In):
    """An order. `price` is the limit, or of a market order the worst price at which it may trade."""

    series: SeriesName
    side: SideName
    type: OrderType = "limit"
    price: Decimal | None = None
    quantity: Decimal
    time_in_force: TimeInForceName | None = Field(
        default=None, description="GTC where absent; a market order is always IOC."
    )
    primary: bool = Field(default=False, description="A sale of unissued units by the issuer.")
    client_order_id: ClientOrderId | None = None


class PlaceOrders(In):
    """Up to 1,000 orders, decided one after the other in this order."""

    orders: list[PlaceOrder] = Field(min_length=1, max_length=BATCH_ORDERS_MAX)


class ReduceOrder(In):
    """Takes a part off an open order, which keeps its place in the queue."""

    reduce_by: Decimal


class Hold(Out):
    """What an order keeps from being spent: money for a buy, units for a sell."""

    amount: Decimal
    asset: CurrencyId | SeriesId


class OrderAccepted(Out):
    """An order that the log holds, as it was right after it was placed."""

    id: OrderId
    client_order_id: ClientOrderId | None = None
    series: SeriesId
    symbol: str
    side: SideName
    type: OrderType
    price: Decimal
    quantity: Decimal
    time_in_force: TimeInForceName
    status: Literal["open", "filled", "canceled", "executed"] = Field(
        description="`executed`: traded at once, what was left is canceled; `/v1/fills` says how much."
    )
    remaining_quantity: Decimal
    fills: Counter = Field(description="Number of trades it led to at once.")
    hold: Hold
    command: Counter
    position: Counter = Field(description="Of the log entry with the result.")


class OrderChanged(Out):
    """An order after a cancel or a reduction."""

    id: OrderId
    remaining_quantity: Decimal
    command: Counter
    position: Counter


class OrdersCanceled(Out):
    """What a cancel of all led to."""

    orders: Counter = Field(description="Orders that ended.")
    command: Counter
    position: Counter


class OrderRefused(Out):
    """Why an order of a batch was refused. `position` is 0 where it was refused before the log."""

    code: str
    title: str
    detail: str
    status: int
    pointer: str | None = None
    command: Counter
    position: Counter


class BatchResult(Out):
    """Of each order of the batch, in its order: what was accepted, or why not."""

    order: OrderAccepted | None = None
    refusal: OrderRefused | None = None


class BatchResults(Out):
    results: list[BatchResult]
    accepted: Counter
    refused: Counter
    position: Counter = Field(description="The greatest position of them.")


class Order(Out):
    """The whole life of an order."""

    id: OrderId
    client_order_id: ClientOrderId | None = None
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
    end_reason: str | None = None
    filled_quantity: Decimal
    remaining_quantity: Decimal
    canceled_quantity: Decimal
    average_price: Decimal | None = None
    hold: Hold
    notional: Decimal = Field(description="Paid or received, without fees and taxes.")
    fees: Decimal
    taxes: Decimal
    royalty: Decimal
    currency: CurrencyId
    accepted_at: Time
    accepted_command: Counter
    last_command: Counter
    position: Counter = Field(description="Of the log entry that touched it last.")


class Reduction(Out):
    """A part that was taken off."""

    quantity: Decimal
    at: Time
    command: Counter
    position: Counter


class OrderRefusal(Out):
    """An order command that the log refused."""

    command: Counter
    at: Time
    party: PartyId
    series: SeriesId | None
    kind: Literal["new", "cancel", "reduce", "cancel_all", "other"]
    order: OrderId | None = Field(description="That was to be changed.")
    code: str
    title: str
    position: Counter


class Fill(Out):
    """One trade, as one of its two parties sees it."""

    trade: TradeId
    order: OrderId
    party: PartyId
    series: SeriesId
    symbol: str
    side: SideName
    role: Literal["maker", "taker"]
    price: Decimal
    quantity: Decimal
    notional: Decimal
    fee: Decimal
    tax: Decimal
    royalty: Decimal
    currency: CurrencyId
    primary: bool
    at: Time
    position: Counter


class OrderLife(Order):
    """An order with everything that happened to it, in the order of the log."""

    life: list[Fill] = Field(description="Its fills, at most 1,000.")
    reductions: list[Reduction]
    whole: bool = Field(description="False where it has more fills; `/v1/fills?order=` has them all.")


class PreviewOrder(In):
    """An order that is not placed."""

    series: SeriesName
    side: SideName
    type: OrderType = "limit"
    price: Decimal | None = None
    quantity: Decimal
    time_in_force: TimeInForceName | None = None
    primary: bool = False


class Preview(Out):
    """What would happen if the order came next, at the book of `position`."""

    series: SeriesId
    currency: CurrencyId
    fillable_quantity: Decimal = Field(description="What would trade at once.")
    average_price: Decimal | None = None
    notional: Decimal = Field(description="Of what would trade at once.")
    fee: Decimal = Field(description="Of what would trade at once, negative for a rebate.")
    tax: Decimal
    royalty: Decimal
    total: Decimal = Field(description="What would be paid, or received, for it.")
    hold: Hold
    available: Decimal | None = Field(description="What the party has of the asset that would be held.")
    resting_quantity: Decimal = Field(description="What would stay in the book.")
    ahead_quantity: Decimal = Field(description="What would stand before it at its price.")
    would_be_refused: str | None = Field(description="Code of the refusal that it would get, as far as is known now.")
    position: Counter

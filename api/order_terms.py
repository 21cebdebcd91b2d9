"""From the body of an order to its terms as numbers: what a door can see is refused here, with field, rule and value.

Decoding is typed and lean: this is the hot path, for single orders, for batches and for the socket.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

import msgspec
from pydantic import BaseModel, ValidationError

from api.doors import Doors
from api.json_bodies import parse, validation_problem
from api.problems import Problem
from api.schemas import orders as schemas
from api.series_facts import SeriesFact
from api.wire import SIDES, TIMES_IN_FORCE
from domain.rejections import Reason, Refusal, refuse
from matching.layout import COMMAND, FLAG_MARKET, FLAG_PRIMARY, Kind

_COMMAND: Final = struct.Struct("<qqqqqiiibbbb")
assert _COMMAND.size == COMMAND.itemsize

_SIDE_OF: Final = {name: number for number, name in enumerate(SIDES)}
_TIF_OF: Final = {None: 0} | {name: number for number, name in enumerate(TIMES_IN_FORCE)}
IOC: Final = _TIF_OF["IOC"]
_CLIENT_ORDER_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,36}", re.ASCII)


class PlaceOrder(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """`api.schemas.orders.PlaceOrder` for the hot path; a test holds the two equal."""

    series: str
    side: Literal["buy", "sell"]
    quantity: str
    type: Literal["limit", "market"] = "limit"
    price: str | None = None
    time_in_force: Literal["GTC", "IOC"] | None = None
    primary: bool = False
    client_order_id: str | None = None


class PlaceOrders(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    orders: list[PlaceOrder]


_ORDER_DECODER: Final = msgspec.json.Decoder(PlaceOrder)
_BATCH_DECODER: Final = msgspec.json.Decoder(PlaceOrders)


class Terms(NamedTuple):
    """An order that a door has read."""

    series: SeriesFact
    price: int
    """Ticks."""
    lots: int
    side: int
    tif: int
    flags: int
    client_order_id: str | None


def terms_of(doors: Doors, order: PlaceOrder) -> Terms | Refusal:
    """The terms of an order, or which of its fields breaks its rule."""
    series = doors.series.named(order.series)
    if isinstance(series, Refusal):
        return series
    market = order.type == "market"
    if order.price is None:
        reason = Reason.PROTECTION_REQUIRED if market else Reason.MISSING_FIELD
        return refuse(reason, "price", "must be given", None)
    if market and order.time_in_force == "GTC":
        rule = "must be IOC or absent: what is left of a market order never rests"
        return refuse(Reason.WRONG_TYPE, "time_in_force", rule, "GTC")
    name = order.client_order_id
    if name is not None and _CLIENT_ORDER_ID.fullmatch(name) is None:
        reason = Reason.MALFORMED_CLIENT_ORDER_ID
        return refuse(reason, "client_order_id", reason.meaning, name)
    price = series.ticks(order.price)
    if isinstance(price, Refusal):
        return price
    lots = series.lots(order.quantity)
    if isinstance(lots, Refusal):
        return lots
    flags = (FLAG_MARKET if market else 0) | (FLAG_PRIMARY if order.primary else 0)
    tif = IOC if market else _TIF_OF[order.time_in_force]
    return Terms(series, price, lots, _SIDE_OF[order.side], tif, flags, name)


def command_row(
    kind: int,
    party: int,
    *,
    series: int = 0,
    target: int = 0,
    price: int = 0,
    lots: int = 0,
    side: int = 0,
    tif: int = 0,
    flags: int = 0,
) -> bytes:
    """The COMMAND row of what a party asks for itself."""
    return _COMMAND.pack(0, 0, price, lots, target, party, series, party, kind, side, tif, flags)


def new_order_row(party: int, terms: Terms) -> bytes:
    """The COMMAND row of an order."""
    series, price, lots, side, tif, flags, _ = terms
    return command_row(Kind.NEW, party, series=series.number, price=price, lots=lots, side=side, tif=tif, flags=flags)


# -- reading bodies ----------------------------------------------------------------------------------------------------


def read_order(body: bytes | Mapping[str, Any]) -> PlaceOrder:
    try:
        return _ORDER_DECODER.decode(body) if isinstance(body, bytes) else msgspec.convert(body, PlaceOrder)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise why_not(body, schemas.PlaceOrder) from error


def read_orders(body: bytes) -> list[PlaceOrder]:
    """The orders of a batch. Raises Problem."""
    try:
        orders = _BATCH_DECODER.decode(body).orders
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise why_not(body, schemas.PlaceOrders) from error
    if not 1 <= len(orders) <= schemas.BATCH_ORDERS_MAX:
        raise why_not(body, schemas.PlaceOrders)
    return orders


def why_not(body: bytes | Mapping[str, Any], model: type[BaseModel]) -> Problem:
    """What is wrong with a body that the typed decoder refused, in full and in the words of every other door."""
    try:
        model.model_validate(parse(body) if isinstance(body, bytes) else body)
    except Problem as found:
        return found
    except ValidationError as error:
        return validation_problem([{**found, "loc": ("body", *found["loc"])} for found in error.errors()])
    raise AssertionError("the two schemas of an order disagree")

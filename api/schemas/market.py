"""What everybody may see of trading: no body here names a party or an order."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from api.schemas.base import Counter, Decimal, Out, SeriesId, Time, TradeId
from api.schemas.orders import SideName

Interval = Literal["1m", "5m", "1h", "1d"]
Level = Annotated[
    list[Decimal | Counter],
    Field(
        min_length=3,
        max_length=3,
        description="Price, quantity, number of orders.",
        examples=[["12.40", "5", 2]],
    ),
]


class Book(Out):
    """Depth of a series, each side from the best price outward."""

    series: SeriesId
    symbol: str
    position: Counter
    bids: list[Level]
    asks: list[Level]
    checksum: Counter = Field(description="CRC-32 of the best ten of each side.")


class Trade(Out):
    trade: TradeId
    price: Decimal
    quantity: Decimal
    notional: Decimal
    taker_side: SideName
    primary: bool
    at: Time
    position: Counter


class Candle(Out):
    """Trading in one interval; one without trades does not exist."""

    start: Time
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    quantity: Decimal
    notional: Decimal
    trades: Counter


class Candles(Out):
    """Candles, the latest first."""

    series: SeriesId
    interval: Interval
    candles: list[Candle]


class Day(Out):
    """The 24 hours up to now."""

    high: Decimal | None
    low: Decimal | None
    change: Decimal | None
    quantity: Decimal
    notional: Decimal
    trades: Counter


class Ticker(Out):
    """A series now; what there is none of is null."""

    series: SeriesId
    symbol: str
    last: Decimal | None
    last_at: Time | None
    bid: Decimal | None
    ask: Decimal | None
    spread: Decimal | None
    day: Day


class Tickers(Out):
    tickers: list[Ticker]

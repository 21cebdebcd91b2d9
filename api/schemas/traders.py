"""What a party has: balances and what holds them, holdings, grants, statements."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from api.schemas.base import (
    Counter,
    CurrencyId,
    Decimal,
    GrantId,
    OrderId,
    Out,
    PartyId,
    SeriesId,
    Time,
)


class HoldOfOrder(Out):
    """A part of what is held: for one open order."""

    order: OrderId
    series: SeriesId
    amount: Decimal


class Balance(Out):
    """One account. What is held is what its open orders hold, to the last digit."""

    asset: CurrencyId | SeriesId
    code: str = Field(description="Code of the currency, or symbol of the series.")
    kind: Literal[
        "available",
        "in_use",
        "retired",
        "suspense",
        "fee_revenue",
        "platform_revenue",
        "tax_collected",
        "outside",
        "issuance",
        "receivable",
    ]
    available: Decimal
    held: Decimal
    holds: list[HoldOfOrder] = Field(description="The orders behind it, at most 100 an account.")
    position: Counter = Field(description="Of the last log entry that changed it.")


class Balances(Out):
    party: PartyId
    balances: list[Balance]


class Holding(Out):
    """License units of one series."""

    series: SeriesId
    symbol: str
    available: Decimal
    held: Decimal
    in_use: Decimal
    retired: Decimal
    position: Counter


class Holdings(Out):
    party: PartyId
    holdings: list[Holding]


class Grant(Out):
    """The right that comes with units of a series."""

    id: GrantId
    holder: PartyId
    series: SeriesId
    symbol: str
    quantity: Decimal = Field(description="Held now.")
    bought: Decimal
    sold: Decimal
    returned: Decimal
    granted_at: Time
    changed_at: Time
    command: Counter = Field(description="Of the first purchase.")
    last_command: Counter
    position: Counter


class StatementLine(Out):
    """What one command did to a money account. `amount` is the sum of its parts."""

    command: Counter
    at: Time
    series: SeriesId | None
    reason: str
    amount: Decimal = Field(description="Into the account; negative out of it.")
    balance: Decimal = Field(description="After it, available and held together.")
    trade: Decimal
    fee: Decimal
    tax: Decimal
    royalty: Decimal
    share: Decimal
    other: Decimal
    position: Counter


class Statement(Out):
    """A money account over a time: opening + total = closing."""

    party: PartyId
    currency: CurrencyId
    currency_code: str
    opening: Decimal
    closing: Decimal
    total: Decimal
    lines: Counter = Field(description="Of the whole time.")
    data: list[StatementLine] = Field(description="The newest first.")
    next_cursor: str | None
    has_more: bool

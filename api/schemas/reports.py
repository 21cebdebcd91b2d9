"""Reports: revenue and how it was split, the house's income, and the report of one model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from api.schemas.base import (
    Counter,
    CurrencyId,
    Decimal,
    ModelId,
    Out,
    PartyId,
    Ppb,
    SeriesId,
    Time,
)
from api.schemas.models import Lineage, Model, ModelVersion
from api.schemas.payments import Agreement
from api.schemas.series import Series

PERIOD_PATTERN = "^[0-9]{4}-[0-9]{2}(-[0-9]{2})?$"


class PayeeShare(Out):
    """What a payee got of a series in a period: earned = shares − reclaimed."""

    period: str = Field(description="A month, or a day.", pattern=PERIOD_PATTERN)
    payee: PartyId
    payee_name: str | None
    series: SeriesId
    symbol: str
    model: ModelId
    currency: str
    sales: Decimal = Field(description="Split by waterfalls that name the payee; likewise royalties and refunds.")
    royalties: Decimal
    refunds: Decimal
    shares: Decimal
    reclaimed: Decimal
    earned: Decimal
    carried: Decimal = Field(description="Less than a minor unit: what at the end is in suspense for the payee.")
    first_position: Counter
    last_position: Counter


class SeriesShare(Out):
    """sales + royalties − refunds = shares − reclaimed + suspense after − suspense before."""

    period: str = Field(pattern=PERIOD_PATTERN)
    series: SeriesId
    symbol: str
    model: ModelId
    currency: str
    sales: Decimal
    royalties: Decimal
    refunds: Decimal
    shares: Decimal
    reclaimed: Decimal
    suspense_before: Decimal
    suspense_after: Decimal
    reconciles: bool
    first_position: Counter
    last_position: Counter


class Earned(Out):
    """A sum in one currency."""

    currency: str
    currency_id: CurrencyId
    earned: Decimal
    shares: Decimal
    reclaimed: Decimal
    models: Counter
    series: Counter


class RevenueShare(Out):
    """Revenue by payee and by series, each at most 1,000 rows; the CSV has them all."""

    payees: list[PayeeShare]
    series: list[SeriesShare]
    totals: list[Earned]
    whole: bool


class ShareLine(Out):
    """A payee's part of one command's sales, royalties or refund in a series."""

    series: SeriesId
    symbol: str
    command: Counter
    at: Time
    payee: PartyId
    sales: Decimal
    royalties: Decimal
    refunds: Decimal
    waterfall_version: Counter
    weight_ppb: Ppb
    carried_before: Decimal
    share: Decimal = Field(description="Negative: given back.")
    carried_after: Decimal
    position: Counter


class Income(Out):
    """What was traded, and what the house took for it."""

    period: str = Field(pattern=PERIOD_PATTERN)
    currency: str
    trades: Counter
    notional: Decimal
    primary: Decimal
    fees: Decimal
    taxes: Decimal
    royalties: Decimal
    first_position: Counter
    last_position: Counter


class HouseIncome(Out):
    income: list[Income]


class PayeeWeight(Out):
    payee: PartyId
    weight_ppb: Ppb


class SeriesReport(Out):
    """A series with its units and how its revenue is split now."""

    series: Series
    issued: Decimal
    with_holders: Decimal
    in_use: Decimal
    retired: Decimal
    holders: Counter
    waterfall: list[PayeeWeight]
    suspense: Decimal


class ModelReport(Out):
    """All there is to say about a model."""

    model: Model
    versions: list[ModelVersion]
    lineage: Lineage | None = Field(description="Of the newest published version.")
    descendants: Lineage | None
    series: list[SeriesReport]
    agreements: list[Agreement] = Field(description="For the developer and who may see all; else empty.")
    earned: list[Earned] = Field(description="By all payees together.")
    earned_by_payee: list[PayeeShare] = Field(description="What the asking party may see of it.")


Format = Literal["json", "csv"]

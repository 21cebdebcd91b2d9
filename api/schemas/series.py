"""Currencies, license series, their list prices, fees and taxes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from api import wire
from api.schemas.base import (
    LAX,
    Counter,
    CurrencyId,
    CurrencyName,
    Day,
    Decimal,
    In,
    Line,
    ModelId,
    ModelVersionId,
    Note,
    Out,
    PartyId,
    Ppm,
    SeriesId,
    Source,
    TermsId,
    Time,
    good,
    number,
    shaped,
)
from api.schemas.parties import Country
from api.series_facts import SeriesFact, SeriesFacts
from domain.commands import (
    AdoptFeeSchedule,
    HaltSeries,
    ListSeries,
    RecordListPrice,
    RegisterCurrency,
    SetTaxRate,
)
from domain.rejections import Reason, refuse
from domain.values import HaltReason, PriceBasis, is_decimal, parse_money, parse_quantity

CurrencyCode = Annotated[str, shaped("^[A-Z][A-Z0-9]{2,7}$", 8, "Code of a currency.", "USD")]
Symbol = Annotated[
    str, shaped("^[A-Z0-9]+([.-][A-Z0-9]+)*/[A-Z][A-Z0-9]{2,7}$", 80, "Symbol of a series.", "LLM-7B-COMM/USD")
]
PhaseName = Literal["open", "halted", "ended"]
MakerPpm = Annotated[int, Field(ge=-1_000_000, le=1_000_000, description="Parts per million, negative for a rebate.")]


class NewCurrency(In):
    code: CurrencyCode
    exponent: int = Field(ge=0, le=4, description="Decimals of its smallest unit.")

    def command(self) -> RegisterCurrency:
        return RegisterCurrency(code=self.code, exponent=self.exponent)


class Currency(Out):
    id: CurrencyId
    code: CurrencyCode
    exponent: int


class NewSeries(In):
    symbol: Symbol
    model_version: ModelVersionId
    terms: TermsId
    currency: CurrencyName
    tick_size: Decimal = Field(description="Step of the price of one lot.")
    lot_size: Decimal = Field(description="Units of one lot.")
    unit_name: Line
    supply_cap: Decimal = Field(description="Units that are ever issued, at most.")
    max_order_quantity: Decimal
    max_order_notional: Decimal
    ends_at: Time | None = None

    def command(self, facts: SeriesFacts) -> ListSeries:
        currency = good(facts.currency_named(self.currency))
        if not is_decimal(self.lot_size, positive=True):
            good(refuse(Reason.MALFORMED_NUMBER, "lot_size", "must be a positive plain decimal", self.lot_size))
        return ListSeries(
            symbol=self.symbol,
            model_version=number(wire.MODEL_VERSION, self.model_version, "model_version"),
            terms=number(wire.TERMS, self.terms, "terms"),
            currency=currency.number,
            tick_minor=good(parse_money(self.tick_size, currency.exponent, field="tick_size")),
            lot_size=self.lot_size,
            unit_name=self.unit_name,
            supply_cap_lots=good(parse_quantity(self.supply_cap, self.lot_size, field="supply_cap")),
            max_order_lots=good(parse_quantity(self.max_order_quantity, self.lot_size, field="max_order_quantity")),
            max_notional_minor=good(
                parse_money(self.max_order_notional, currency.exponent, field="max_order_notional")
            ),
            ends_ns=None if self.ends_at is None else good(wire.at_ns_of(self.ends_at, "ends_at")),
        )


class Halting(In):
    reason: Annotated[HaltReason, LAX]
    note: Note | None = None

    def command(self, series: int) -> HaltSeries:
        return HaltSeries(series=series, reason=self.reason, note=self.note)


class NewListPrice(In):
    price: Decimal
    basis: Annotated[PriceBasis, LAX]
    source: Source
    effective_day: Day

    def command(self, series: SeriesFact) -> RecordListPrice:
        return RecordListPrice(
            series=series.number,
            price_ticks=good(series.ticks(self.price)),
            basis=self.basis,
            source=self.source,
            effective_day=self.effective_day,
        )


class ListPrice(Out):
    series: SeriesId
    price: Decimal
    basis: PriceBasis
    source: str
    effective_day: Day
    recorded_at: Time
    position: Counter


class Series(Out):
    id: SeriesId
    symbol: Symbol
    phase: PhaseName
    halt_reason: HaltReason | None
    model: ModelId
    model_key: str
    model_title: str
    model_version: ModelVersionId
    semver: str
    terms: TermsId
    issuer: PartyId
    currency: CurrencyId
    currency_code: CurrencyCode
    currency_exponent: int
    tick_size: Decimal
    lot_size: Decimal
    unit_name: str
    supply_cap: Decimal
    max_order_quantity: Decimal
    max_order_notional: Decimal
    resale_allowed: bool
    royalty_ppm: Ppm
    ends_at: Time | None
    list_price: Decimal | None = Field(description="The newest.")
    listed_at: Time
    position: Counter


class NewFees(In):
    maker_ppm: MakerPpm
    taker_ppm: Ppm

    def command(self) -> AdoptFeeSchedule:
        return AdoptFeeSchedule(maker_ppm=self.maker_ppm, taker_ppm=self.taker_ppm)


class Fees(Out):
    """Rates of every order that is accepted from now on."""

    fee_schedule: Counter
    maker_ppm: MakerPpm
    taker_ppm: Ppm
    adopted_at: Time
    position: Counter


class NewTaxRate(In):
    country: Country
    tax_ppm: Ppm

    def command(self) -> SetTaxRate:
        return SetTaxRate(country=self.country, tax_ppm=self.tax_ppm)


class TaxRate(Out):
    country: Country
    tax_ppm: Ppm
    set_at: Time
    position: Counter

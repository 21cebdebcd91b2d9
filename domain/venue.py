"""The venue: currencies, license series and their life, list prices, fees and tax rates."""

from __future__ import annotations

from domain.catalogue import Catalogue, Currency, Due, DueKind, FeeSchedule, Series, next_number
from domain.commands import (
    AdoptFeeSchedule,
    HaltSeries,
    ListSeries,
    RecordListPrice,
    RegisterCurrency,
    ResumeSeries,
    SetTaxRate,
)
from domain.events import (
    CurrencyRegistered,
    FeeScheduleAdopted,
    ListPriceRecorded,
    SeriesEnded,
    SeriesHalted,
    SeriesListed,
    SeriesResumed,
    TaxRateSet,
    WaterfallCompiled,
)
from domain.models import usable_model_version
from domain.outcomes import CancelAll, Decided
from domain.permissions import must_own, not_in_future
from domain.rejections import Reason, Refusal, refuse
from domain.revenue import agreements_in_force, compile_for_series, payee_accounts
from domain.values import HOUSE, AccountKind, AccountRef, Role, SeriesPhase


def register_currency(catalogue: Catalogue, command: RegisterCurrency, actor: int, at_ns: int) -> Decided | Refusal:
    taken = catalogue.currency_by_code.get(command.code)
    if taken is not None:
        return refuse(Reason.CURRENCY_CODE_TAKEN, "code", "must be unique", command.code, f"currency {taken} has it")
    return Decided(
        (CurrencyRegistered(currency=next_number(catalogue.currencies), code=command.code, exponent=command.exponent),)
    )


def list_series(catalogue: Catalogue, command: ListSeries, actor: int, at_ns: int) -> Decided | Refusal:
    """The series and its first waterfall, so that its first sale can be split."""
    refusal = usable_model_version(catalogue, command.model_version, "model_version")
    if refusal is not None:
        return refusal
    model_number = catalogue.model_versions[command.model_version].model
    issuer = catalogue.models[model_number].developer
    terms = catalogue.terms.get(command.terms)
    if terms is None:
        return refuse(Reason.UNKNOWN_TERMS, "terms", "must be adopted terms", command.terms)
    currency = catalogue.currencies.get(command.currency)
    if currency is None:
        return refuse(Reason.UNKNOWN_CURRENCY, "currency", "must be a registered currency", command.currency)
    refusal = must_own(issuer, actor, "model")
    if refusal is not None:
        return refusal
    if terms.developer != issuer:
        return refuse(
            Reason.TERMS_OF_ANOTHER_DEVELOPER,
            "terms",
            f"must be of party {issuer}",
            command.terms,
            f"they are of party {terms.developer}",
        )
    refusal = _symbol_free(catalogue, command, currency) or _limits_agree(command)
    if refusal is not None:
        return refusal
    ends_ns = _end(command.ends_ns, terms.term_ends_ns, at_ns)
    if isinstance(ends_ns, Refusal):
        return ends_ns
    agreement = catalogue.models[model_number].agreement
    if agreement is None:
        return refuse(
            Reason.NO_AGREEMENT, "model_version", "its model must have an agreement in force", command.model_version
        )

    fact = SeriesListed(
        series=next_number(catalogue.series),
        symbol=command.symbol,
        model_version=command.model_version,
        terms=command.terms,
        currency=command.currency,
        issuer=issuer,
        tick_minor=command.tick_minor,
        lot_size=command.lot_size,
        unit_name=command.unit_name,
        supply_cap_lots=command.supply_cap_lots,
        max_order_lots=command.max_order_lots,
        max_notional_minor=command.max_notional_minor,
        resale_allowed=terms.transferable,
        royalty_ppm=terms.resale_royalty_ppm,
        ends_ns=ends_ns,
    )
    waterfall = compile_for_series(catalogue, fact.series, _row(fact), agreement, agreements_in_force(catalogue))
    if isinstance(waterfall, Refusal):
        return waterfall
    return Decided((fact, waterfall), opens=_accounts(fact, waterfall))


def halt_series(catalogue: Catalogue, command: HaltSeries, actor: int, at_ns: int) -> Decided | Refusal:
    series = _not_ended(catalogue, command.series)
    if isinstance(series, Refusal):
        return series
    if series.phase is SeriesPhase.HALTED:
        return refuse(Reason.SERIES_HALTED, "series", "must not be halted yet", command.series)
    return Decided((SeriesHalted(series=command.series, reason=command.reason, note=command.note),))


def resume_series(catalogue: Catalogue, command: ResumeSeries, actor: int, at_ns: int) -> Decided | Refusal:
    series = _not_ended(catalogue, command.series)
    if isinstance(series, Refusal):
        return series
    if series.phase is not SeriesPhase.HALTED:
        return refuse(Reason.SERIES_NOT_HALTED, "series", "must be halted", command.series)
    return Decided((SeriesResumed(series=command.series),))


def end_series(catalogue: Catalogue, number: int, at_ns: int) -> Decided:
    """The time of the series has come, halted or not."""
    return Decided((SeriesEnded(series=number),), movement=CancelAll(number))


def record_list_price(catalogue: Catalogue, command: RecordListPrice, actor: int, at_ns: int) -> Decided | Refusal:
    series = _not_ended(catalogue, command.series)
    if isinstance(series, Refusal):
        return series
    refusal = None if _operates(catalogue, actor) else must_own(series.issuer, actor, "series")
    refusal = refusal or not_in_future(command.effective_day, at_ns, "effective_day")
    if refusal is not None:
        return refusal
    price_max = series.max_notional_minor // series.tick_minor
    if command.price_ticks > price_max:
        return refuse(Reason.PRICE_OUT_OF_RANGE, "price_ticks", f"must be 1 to {price_max}", command.price_ticks)
    return Decided(
        (
            ListPriceRecorded(
                series=command.series,
                price_ticks=command.price_ticks,
                basis=command.basis,
                source=command.source,
                effective_day=command.effective_day,
            ),
        )
    )


def adopt_fee_schedule(catalogue: Catalogue, command: AdoptFeeSchedule, actor: int, at_ns: int) -> Decided | Refusal:
    """An order keeps the rates of its acceptance, so every rebate ever adopted must be paid by every taker rate."""
    schedules = catalogue.fee_schedules.values()
    maker_ppm = min([command.maker_ppm, *(schedule.maker_ppm for schedule in schedules)])
    taker_ppm = min([command.taker_ppm, *(schedule.taker_ppm for schedule in schedules)])
    if maker_ppm + taker_ppm < 0:
        field = "maker_ppm" if maker_ppm == command.maker_ppm else "taker_ppm"
        return refuse(
            Reason.REBATE_EXCEEDS_TAKER_FEE,
            field,
            "no maker rebate may exceed the lowest taker rate ever adopted",
            getattr(command, field),
            f"lowest maker rate {maker_ppm} ppm, lowest taker rate {taker_ppm} ppm",
        )
    return Decided(
        (
            FeeScheduleAdopted(
                fee_schedule=next_number(catalogue.fee_schedules),
                maker_ppm=command.maker_ppm,
                taker_ppm=command.taker_ppm,
            ),
        )
    )


def set_tax_rate(catalogue: Catalogue, command: SetTaxRate, actor: int, at_ns: int) -> Decided | Refusal:
    return Decided((TaxRateSet(country=command.country, tax_ppm=command.tax_ppm),))


def _operates(catalogue: Catalogue, actor: int) -> bool:
    return actor != HOUSE and Role.OPERATOR in catalogue.parties[actor].roles


def _symbol_free(catalogue: Catalogue, command: ListSeries, currency: Currency) -> Refusal | None:
    if not command.symbol.endswith(f"/{currency.code}"):
        return refuse(Reason.MALFORMED_SYMBOL, "symbol", f"must end with /{currency.code}", command.symbol)
    taken = catalogue.series_by_symbol.get(command.symbol)
    if taken is not None:
        return refuse(Reason.SYMBOL_TAKEN, "symbol", "must be unique", command.symbol, f"series {taken} has it")
    return None


def _limits_agree(command: ListSeries) -> Refusal | None:
    """One lot at one tick must be an order, and an order never above the supply."""
    if command.tick_minor > command.max_notional_minor:
        rule = f"must be at most max_notional_minor {command.max_notional_minor}"
        return refuse(Reason.LIMITS_CONTRADICT, "tick_minor", rule, command.tick_minor)
    if command.max_order_lots > command.supply_cap_lots:
        rule = f"must be at most supply_cap_lots {command.supply_cap_lots}"
        return refuse(Reason.LIMITS_CONTRADICT, "max_order_lots", rule, command.max_order_lots)
    return None


def _end(asked_ns: int | None, terms_end_ns: int | None, at_ns: int) -> int | Refusal | None:
    """A series ends with its terms at the latest."""
    if asked_ns is not None and terms_end_ns is not None and asked_ns > terms_end_ns:
        rule = f"must be at most {terms_end_ns}, when the terms end"
        return refuse(Reason.END_AGAINST_TERMS, "ends_ns", rule, asked_ns)
    ends_ns = terms_end_ns if asked_ns is None else asked_ns
    if ends_ns is not None and ends_ns <= at_ns:
        return refuse(Reason.TIME_IN_PAST, "ends_ns", f"must be after {at_ns}", ends_ns)
    return ends_ns


def _accounts(fact: SeriesListed, waterfall: WaterfallCompiled) -> tuple[AccountRef, ...]:
    money = -fact.currency
    return (
        AccountRef(-fact.series, money, AccountKind.SUSPENSE),
        AccountRef(-fact.series, fact.series, AccountKind.ISSUANCE),
        AccountRef(HOUSE, money, AccountKind.FEE_REVENUE),
        AccountRef(HOUSE, money, AccountKind.TAX_COLLECTED),
        *payee_accounts(waterfall, fact.currency),
    )


def _not_ended(catalogue: Catalogue, number: int) -> Series | Refusal:
    series = catalogue.series.get(number)
    if series is None:
        return refuse(Reason.UNKNOWN_SERIES, "series", "must be a listed series", number)
    if series.phase is SeriesPhase.ENDED:
        return refuse(Reason.SERIES_ENDED, "series", "must not have ended", number)
    return series


def _row(fact: SeriesListed) -> Series:
    return Series(
        symbol=fact.symbol,
        model_version=fact.model_version,
        terms=fact.terms,
        currency=fact.currency,
        issuer=fact.issuer,
        tick_minor=fact.tick_minor,
        max_notional_minor=fact.max_notional_minor,
        ends_ns=fact.ends_ns,
    )


# -- the fold ----------------------------------------------------------------------------------------------------------


def currency_registered(catalogue: Catalogue, fact: CurrencyRegistered, at_ns: int, command: int) -> None:
    assert fact.currency == next_number(catalogue.currencies), fact
    catalogue.currencies[fact.currency] = Currency(code=fact.code, exponent=fact.exponent)
    catalogue.currency_by_code[fact.code] = fact.currency


def series_listed(catalogue: Catalogue, fact: SeriesListed, at_ns: int, command: int) -> None:
    assert fact.series == next_number(catalogue.series), fact
    catalogue.series[fact.series] = _row(fact)
    catalogue.series_by_symbol[fact.symbol] = fact.series
    if fact.ends_ns is not None:
        catalogue.add_due(Due(fact.ends_ns, DueKind.END_SERIES, fact.series))


def series_halted(catalogue: Catalogue, fact: SeriesHalted, at_ns: int, command: int) -> None:
    catalogue.series[fact.series].phase = SeriesPhase.HALTED


def series_resumed(catalogue: Catalogue, fact: SeriesResumed, at_ns: int, command: int) -> None:
    catalogue.series[fact.series].phase = SeriesPhase.OPEN


def series_ended(catalogue: Catalogue, fact: SeriesEnded, at_ns: int, command: int) -> None:
    catalogue.series[fact.series].phase = SeriesPhase.ENDED


def list_price_recorded(catalogue: Catalogue, fact: ListPriceRecorded, at_ns: int, command: int) -> None:
    """No decision depends on list prices."""


def fee_schedule_adopted(catalogue: Catalogue, fact: FeeScheduleAdopted, at_ns: int, command: int) -> None:
    assert fact.fee_schedule == next_number(catalogue.fee_schedules), fact
    catalogue.fee_schedules[fact.fee_schedule] = FeeSchedule(maker_ppm=fact.maker_ppm, taker_ppm=fact.taker_ppm)


def tax_rate_set(catalogue: Catalogue, fact: TaxRateSet, at_ns: int, command: int) -> None:
    catalogue.tax_rates[fact.country] = fact.tax_ppm

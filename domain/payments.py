"""Money from and to the outside world, and refunds of sales.

An external reference is unique per party and direction: the same payment is never recorded twice, whoever sends it
again under another request.
"""

from __future__ import annotations

from domain.catalogue import Catalogue, Payment
from domain.commands import RecordDeposit, RecordWithdrawal, RefundSale
from domain.events import DepositRecorded, SaleRefunded, WithdrawalRecorded
from domain.outcomes import Decided, Journal, Leg, NegativeSale
from domain.permissions import not_in_future
from domain.rejections import Reason, Refusal, refuse
from domain.values import HOUSE, AccountKind, AccountRef, PostingCode


def record_deposit(catalogue: Catalogue, command: RecordDeposit, actor: int, at_ns: int) -> Decided | Refusal:
    refusal = _payment(catalogue, command, catalogue.deposits, at_ns)
    if refusal is not None:
        return refusal
    outside, available = _accounts(command)
    leg = Leg(debit=outside, credit=available, amount_minor=command.amount_minor, code=PostingCode.DEPOSIT)
    return Decided(
        (
            DepositRecorded(
                party=command.party,
                currency=command.currency,
                amount_minor=command.amount_minor,
                reference=command.reference,
                effective_day=command.effective_day,
            ),
        ),
        opens=(outside, available),
        movement=Journal((leg,)),
    )


def record_withdrawal(catalogue: Catalogue, command: RecordWithdrawal, actor: int, at_ns: int) -> Decided | Refusal:
    refusal = _payment(catalogue, command, catalogue.withdrawals, at_ns)
    if refusal is not None:
        return refusal
    if catalogue.parties[command.party].frozen:
        return refuse(Reason.PARTY_FROZEN, "party", "must not be frozen", command.party)
    outside, available = _accounts(command)
    leg = Leg(debit=available, credit=outside, amount_minor=command.amount_minor, code=PostingCode.WITHDRAWAL)
    return Decided(
        (
            WithdrawalRecorded(
                party=command.party,
                currency=command.currency,
                amount_minor=command.amount_minor,
                reference=command.reference,
                effective_day=command.effective_day,
            ),
        ),
        opens=(outside, available),
        movement=Journal((leg,)),
    )


def refund_sale(catalogue: Catalogue, command: RefundSale, actor: int, at_ns: int) -> Decided | Refusal:
    series = catalogue.series.get(command.series)
    if series is None:
        return refuse(Reason.UNKNOWN_SERIES, "series", "must be a listed series", command.series)
    if command.buyer not in catalogue.parties:
        return refuse(Reason.UNKNOWN_PARTY, "buyer", "must be a registered party", command.buyer)
    if not 1 <= command.waterfall_version <= series.waterfall_version:
        rule = f"must be 1 to {series.waterfall_version}"
        return refuse(Reason.NO_WATERFALL, "waterfall_version", rule, command.waterfall_version)
    if command.trade_command < 1 or command.trade_fill < 0:
        field, least = ("trade_command", 1) if command.trade_command < 1 else ("trade_fill", 0)
        return refuse(Reason.VALUE_OUT_OF_RANGE, field, f"must be at least {least}", getattr(command, field))
    refunded = catalogue.refunded_lots.get((command.trade_command, command.trade_fill), 0)
    if refunded + command.lots > command.trade_lots:
        return refuse(
            Reason.REFUND_EXCEEDS_SALE,
            "lots",
            f"must be at most {command.trade_lots - refunded}",
            command.lots,
            f"{refunded} of {command.trade_lots} lots were refunded before",
        )
    amount_minor = command.price_ticks * series.tick_minor * command.lots
    if amount_minor > series.max_notional_minor:
        rule = f"price times lots must be at most {series.max_notional_minor} minor units"
        return refuse(Reason.NOTIONAL_TOO_LARGE, "price_ticks", rule, amount_minor)
    return Decided(
        (
            SaleRefunded(
                trade_command=command.trade_command,
                trade_fill=command.trade_fill,
                trade_lots=command.trade_lots,
                series=command.series,
                buyer=command.buyer,
                lots=command.lots,
                price_ticks=command.price_ticks,
                waterfall_version=command.waterfall_version,
                amount_minor=amount_minor,
                reason=command.reason,
            ),
        ),
        movement=NegativeSale(
            series=command.series,
            buyer=command.buyer,
            lots=command.lots,
            price_ticks=command.price_ticks,
            waterfall_version=command.waterfall_version,
        ),
    )


def _payment(
    catalogue: Catalogue, command: RecordDeposit | RecordWithdrawal, recorded: dict[int, dict[str, Payment]], at_ns: int
) -> Refusal | None:
    if command.party not in catalogue.parties:
        return refuse(Reason.UNKNOWN_PARTY, "party", "must be a registered party", command.party)
    if command.currency not in catalogue.currencies:
        return refuse(Reason.UNKNOWN_CURRENCY, "currency", "must be a registered currency", command.currency)
    first = recorded.get(command.party, {}).get(command.reference)
    if first is None:
        return not_in_future(command.effective_day, at_ns, "effective_day")
    same = (first.currency, first.amount_minor, first.effective_day) == (
        command.currency,
        command.amount_minor,
        command.effective_day,
    )
    if same:
        return refuse(
            Reason.DUPLICATE_REFERENCE,
            "reference",
            "must not be recorded yet",
            command.reference,
            f"command {first.command} recorded it",
        )
    return refuse(
        Reason.REFERENCE_CONFLICT,
        "reference",
        f"command {first.command} recorded it with {first.amount_minor} minor units of currency {first.currency}"
        f" on {first.effective_day}",
        command.reference,
        f"now {command.amount_minor} of currency {command.currency} on {command.effective_day}",
    )


def _accounts(command: RecordDeposit | RecordWithdrawal) -> tuple[AccountRef, AccountRef]:
    """The outside world's account and the party's."""
    return (
        AccountRef(HOUSE, -command.currency, AccountKind.OUTSIDE),
        AccountRef(command.party, -command.currency, AccountKind.AVAILABLE),
    )


# -- the fold ----------------------------------------------------------------------------------------------------------


def deposit_recorded(catalogue: Catalogue, fact: DepositRecorded, at_ns: int, command: int) -> None:
    _remember(catalogue.deposits, fact, command)


def withdrawal_recorded(catalogue: Catalogue, fact: WithdrawalRecorded, at_ns: int, command: int) -> None:
    _remember(catalogue.withdrawals, fact, command)


def _remember(
    recorded: dict[int, dict[str, Payment]], fact: DepositRecorded | WithdrawalRecorded, command: int
) -> None:
    of_party = recorded.setdefault(fact.party, {})
    assert fact.reference not in of_party, fact
    of_party[fact.reference] = Payment(
        currency=fact.currency, amount_minor=fact.amount_minor, effective_day=fact.effective_day, command=command
    )


def sale_refunded(catalogue: Catalogue, fact: SaleRefunded, at_ns: int, command: int) -> None:
    trade = (fact.trade_command, fact.trade_fill)
    refunded = catalogue.refunded_lots.get(trade, 0) + fact.lots
    assert refunded <= fact.trade_lots, fact
    catalogue.refunded_lots[trade] = refunded

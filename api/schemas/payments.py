"""Money in and out, refunds, and how revenue is split."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api import wire
from api.schemas.base import (
    AgreementId,
    Counter,
    CurrencyName,
    Day,
    Decimal,
    In,
    ModelId,
    Note,
    Out,
    PartyId,
    Ppb,
    Time,
    TradeId,
    good,
    number,
    numbers,
    shaped,
)
from api.series_facts import SeriesFacts
from domain.commands import RecordDeposit, RecordWithdrawal, SignAgreement
from domain.values import parse_money

Reference = Annotated[
    str, shaped("^[A-Za-z0-9][A-Za-z0-9._:/+-]*$", 64, "Identity of the payment at the bank.", "bank:2026-000123")
]


class NewPayment(In):
    """Money that came from, or went to, the outside world."""

    party: PartyId
    currency: CurrencyName
    amount: Decimal
    reference: Reference
    effective_day: Day

    def deposit(self, facts: SeriesFacts) -> RecordDeposit:
        currency, amount_minor = self._amount(facts)
        return RecordDeposit(
            party=number(wire.PARTY, self.party, "party"),
            currency=currency,
            amount_minor=amount_minor,
            reference=self.reference,
            effective_day=self.effective_day,
        )

    def withdrawal(self, facts: SeriesFacts) -> RecordWithdrawal:
        currency, amount_minor = self._amount(facts)
        return RecordWithdrawal(
            party=number(wire.PARTY, self.party, "party"),
            currency=currency,
            amount_minor=amount_minor,
            reference=self.reference,
            effective_day=self.effective_day,
        )

    def _amount(self, facts: SeriesFacts) -> tuple[int, int]:
        currency = good(facts.currency_named(self.currency))
        return currency.number, good(parse_money(self.amount, currency.exponent))


class NewRefund(In):
    """Takes a sale back, or a part of it, through the revenue split that was in force when it was made."""

    trade: TradeId
    quantity: Decimal
    reason: Note


class AgentShare(In):
    party: PartyId
    share_ppb: int = Field(ge=1, le=1_000_000_000)


class NewAgreement(In):
    """How revenue of a model is split; the developer gets what the shares leave."""

    model: ModelId
    effective_at: Time | None = Field(default=None, description="At once where absent.")
    platform_ppb: Ppb
    agents: list[AgentShare] = Field(default_factory=list, max_length=32)
    data_ppb: Ppb
    upstream_ppb: Ppb

    def command(self) -> SignAgreement:
        parties = numbers(wire.PARTY, [share.party for share in self.agents], "agents")
        effective_at = self.effective_at
        return SignAgreement(
            model=number(wire.MODEL, self.model, "model"),
            effective_at_ns=None if effective_at is None else good(wire.at_ns_of(effective_at, "effective_at")),
            platform_ppb=self.platform_ppb,
            agents=tuple((party, share.share_ppb) for party, share in zip(parties, self.agents, strict=True)),
            data_ppb=self.data_ppb,
            upstream_ppb=self.upstream_ppb,
        )


class AgreedShare(Out):
    party: PartyId
    share_ppb: Ppb


class Agreement(Out):
    id: AgreementId
    model: ModelId
    effective_at: Time
    platform_ppb: Ppb
    agents: list[AgreedShare]
    data_ppb: Ppb
    upstream_ppb: Ppb
    took_effect_at: Time | None
    in_force: bool = Field(description="Whether sales of the model are split by it now.")
    position: Counter

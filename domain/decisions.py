"""The two functions of the domain: `decide` what follows from a command, `evolve` the state by a fact.

Both are pure but for one thing: `evolve` changes the catalogue it is given in place and returns it, since one fold owns
it. A refused command changes nothing. Time and identity are passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from domain import commands, datasets, events, governance, licensing, models, parties, payments, revenue, venue
from domain.catalogue import Catalogue, Due, DueKind
from domain.commands import Command
from domain.events import Fact
from domain.fields import check
from domain.outcomes import Decided
from domain.permissions import actor_may
from domain.rejections import Refusal
from domain.values import Role

_Decide: TypeAlias = Callable[[Catalogue, Any, int, int], Decided | Refusal]
_Evolve: TypeAlias = Callable[[Catalogue, Any, int, int], None]


def decide(catalogue: Catalogue, command: Command, *, actor: int, at_ns: int) -> Decided | Refusal:
    """What follows from a command of `actor` (a party, 0 the house) at a time that never decreases.

    Checks the shape of every field first, then who asks, then the rules of the area.
    """
    refusal = may_ask(catalogue, command, actor)
    _, decide_area = DECISIONS[type(command)]
    return refusal if refusal is not None else decide_area(catalogue, command, actor, at_ns)


def may_ask(catalogue: Catalogue, command: Command, actor: int) -> Refusal | None:
    """What is wrong with the shape of a command, or with who asks, whatever the rules of its area say."""
    roles, _ = DECISIONS[type(command)]
    return check(command) or actor_may(catalogue, actor, roles)


def evolve(catalogue: Catalogue, fact: Fact, *, at_ns: int, command: int) -> Catalogue:
    """The catalogue after the fact, changed in place. Never refuses: a fact has happened."""
    FOLD[type(fact)](catalogue, fact, at_ns, command)
    return catalogue


def next_due(catalogue: Catalogue) -> Due | None:
    """What time makes happen next, ordered by (time, kind, number), or None."""
    return catalogue.next_due()


def decide_due(catalogue: Catalogue, due: Due, *, at_ns: int) -> Decided:
    """What follows from the time of a due having come; never refused."""
    assert due.due_ns <= at_ns, (due, at_ns)
    match due.kind:
        case DueKind.END_SERIES:
            return venue.end_series(catalogue, due.number, at_ns)
        case DueKind.APPLY_AGREEMENT:
            return revenue.apply_agreement(catalogue, due.number, at_ns)


HOUSE_ONLY: Final = Role(0)

DECISIONS: Final[dict[type[Command], tuple[Role, _Decide]]] = {
    commands.RegisterParty: (Role.OPERATOR, parties.register_party),
    commands.GrantRole: (Role.OPERATOR, parties.grant_role),
    commands.RevokeRole: (Role.OPERATOR, parties.revoke_role),
    commands.DeclareOwnership: (Role.OPERATOR | Role.RISK, parties.declare_ownership),
    commands.FreezeParty: (Role.OPERATOR | Role.RISK, parties.freeze_party),
    commands.UnfreezeParty: (Role.OPERATOR | Role.RISK, parties.unfreeze_party),
    commands.RegisterDataset: (Role.PROVIDER, datasets.register_dataset),
    commands.RegisterDatasetVersion: (Role.PROVIDER, datasets.register_dataset_version),
    commands.PublishDatasetVersion: (Role.PROVIDER, datasets.publish_dataset_version),
    commands.WithdrawDatasetVersion: (Role.PROVIDER, datasets.withdraw_dataset_version),
    commands.RegisterModel: (Role.DEVELOPER, models.register_model),
    commands.RecordTrainingRun: (Role.DEVELOPER, models.record_training_run),
    commands.RegisterModelVersion: (Role.DEVELOPER, models.register_model_version),
    commands.PublishModelVersion: (Role.DEVELOPER, models.publish_model_version),
    commands.WithdrawModelVersion: (Role.DEVELOPER, models.withdraw_model_version),
    commands.AdoptTerms: (Role.DEVELOPER, licensing.adopt_terms),
    commands.RegisterCurrency: (Role.OPERATOR, venue.register_currency),
    commands.ListSeries: (Role.DEVELOPER, venue.list_series),
    commands.HaltSeries: (Role.OPERATOR | Role.RISK, venue.halt_series),
    commands.ResumeSeries: (Role.OPERATOR | Role.RISK, venue.resume_series),
    commands.RecordListPrice: (Role.OPERATOR | Role.DEVELOPER, venue.record_list_price),
    commands.AdoptFeeSchedule: (Role.OPERATOR | Role.FINANCE, venue.adopt_fee_schedule),
    commands.SetTaxRate: (Role.OPERATOR | Role.FINANCE, venue.set_tax_rate),
    commands.RecordDeposit: (Role.FINANCE, payments.record_deposit),
    commands.RecordWithdrawal: (Role.FINANCE, payments.record_withdrawal),
    commands.RefundSale: (Role.FINANCE, payments.refund_sale),
    # The platform signs: a developer alone cannot set the platform's share.
    commands.SignAgreement: (Role.OPERATOR | Role.FINANCE, revenue.sign_agreement),
    commands.OpenHouse: (HOUSE_ONLY, governance.open_house),
    commands.RecordStateRoot: (HOUSE_ONLY, governance.record_state_root),
}
"""Who may ask for it (any one of the roles; the house always), and what decides it."""

FOLD: Final[dict[type[Fact], _Evolve]] = {
    events.PartyRegistered: parties.party_registered,
    events.RoleGranted: parties.role_granted,
    events.RoleRevoked: parties.role_revoked,
    events.OwnershipDeclared: parties.ownership_declared,
    events.PartyFrozen: parties.party_frozen,
    events.PartyUnfrozen: parties.party_unfrozen,
    events.DatasetRegistered: datasets.dataset_registered,
    events.DatasetVersionRegistered: datasets.dataset_version_registered,
    events.DatasetVersionPublished: datasets.dataset_version_published,
    events.DatasetVersionWithdrawn: datasets.dataset_version_withdrawn,
    events.ModelRegistered: models.model_registered,
    events.TrainingRunRecorded: models.training_run_recorded,
    events.ModelVersionRegistered: models.model_version_registered,
    events.ModelVersionPublished: models.model_version_published,
    events.ModelVersionWithdrawn: models.model_version_withdrawn,
    events.TermsAdopted: licensing.terms_adopted,
    events.CurrencyRegistered: venue.currency_registered,
    events.SeriesListed: venue.series_listed,
    events.SeriesHalted: venue.series_halted,
    events.SeriesResumed: venue.series_resumed,
    events.SeriesEnded: venue.series_ended,
    events.ListPriceRecorded: venue.list_price_recorded,
    events.FeeScheduleAdopted: venue.fee_schedule_adopted,
    events.TaxRateSet: venue.tax_rate_set,
    events.DepositRecorded: payments.deposit_recorded,
    events.WithdrawalRecorded: payments.withdrawal_recorded,
    events.SaleRefunded: payments.sale_refunded,
    events.AgreementSigned: revenue.agreement_signed,
    events.AgreementTookEffect: revenue.agreement_took_effect,
    events.WaterfallCompiled: revenue.waterfall_compiled,
    events.WaterfallCompilationFailed: revenue.waterfall_compilation_failed,
    events.HouseOpened: governance.house_opened,
    events.StateRootRecorded: governance.state_root_recorded,
}

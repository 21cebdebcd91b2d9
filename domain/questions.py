"""What must have been asked for a fact to come about: history can be decided again from facts alone.

A fact carries every input of its decision under the name that the command gives it, so the command is the fact with the
assigned numbers left out. Sealed text is replaced by a placeholder; no decision reads it.
"""

from __future__ import annotations

from dataclasses import Field, fields, replace
from typing import Any, Final, cast

from domain import commands as c
from domain import events as e
from domain.commands import Command
from domain.events import Fact, Sealed

COMMAND_OF: Final[dict[type[Fact], type[Command]]] = {
    e.PartyRegistered: c.RegisterParty,
    e.RoleGranted: c.GrantRole,
    e.RoleRevoked: c.RevokeRole,
    e.OwnershipDeclared: c.DeclareOwnership,
    e.PartyFrozen: c.FreezeParty,
    e.PartyUnfrozen: c.UnfreezeParty,
    e.DatasetRegistered: c.RegisterDataset,
    e.DatasetVersionRegistered: c.RegisterDatasetVersion,
    e.DatasetVersionPublished: c.PublishDatasetVersion,
    e.DatasetVersionWithdrawn: c.WithdrawDatasetVersion,
    e.ModelRegistered: c.RegisterModel,
    e.TrainingRunRecorded: c.RecordTrainingRun,
    e.ModelVersionRegistered: c.RegisterModelVersion,
    e.ModelVersionPublished: c.PublishModelVersion,
    e.ModelVersionWithdrawn: c.WithdrawModelVersion,
    e.TermsAdopted: c.AdoptTerms,
    e.CurrencyRegistered: c.RegisterCurrency,
    e.SeriesListed: c.ListSeries,
    e.SeriesHalted: c.HaltSeries,
    e.SeriesResumed: c.ResumeSeries,
    e.ListPriceRecorded: c.RecordListPrice,
    e.FeeScheduleAdopted: c.AdoptFeeSchedule,
    e.TaxRateSet: c.SetTaxRate,
    e.DepositRecorded: c.RecordDeposit,
    e.WithdrawalRecorded: c.RecordWithdrawal,
    e.SaleRefunded: c.RefundSale,
    e.AgreementSigned: c.SignAgreement,
    e.HouseOpened: c.OpenHouse,
    e.StateRootRecorded: c.RecordStateRoot,
}
"""The command whose first fact this is. Facts that are in no place here come second, or because time has passed."""

UNREAD: Final = "(sealed)"


def question_of(fact: Fact) -> Command | None:
    """The command that `fact` answers, or None where it is no first answer to a command."""
    asked = COMMAND_OF.get(type(fact))
    return None if asked is None else asked(**{name: _opened(getattr(fact, name)) for name in _fields(asked)})


def with_text_of(decided: Fact, found: Fact) -> Fact:
    """`decided` with the sealed text that `found` has, so that the two can be compared."""
    if type(decided) is not type(found):
        return decided
    changed: Any = decided
    sealed = {name: getattr(found, name) for name, field in _fields(found).items() if "sealed_for" in field.metadata}
    return cast("Fact", replace(changed, **sealed))


def _fields(of: Any) -> dict[str, Field[Any]]:
    return {field.name: field for field in fields(of)}


def _opened(value: Any) -> Any:
    return UNREAD if isinstance(value, Sealed) else value

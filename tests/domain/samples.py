"""One well-formed sample of every command and every fact, and strategies that make any well-formed fact."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from domain import commands as c
from domain import events as e
from domain.rejections import Reason
from domain.values import (
    BaseRelation,
    Classification,
    DigestBasis,
    HaltReason,
    LineageRole,
    PartyKind,
    PersonalData,
    PriceBasis,
    Purpose,
    Role,
    TermKind,
    UnitKind,
    WithdrawalKind,
)
from tests.domain.house import DIGEST, PERCENT, START_NS, TODAY, a_dataset, a_series

COMMANDS: Final[list[c.Command]] = [
    c.RegisterParty(kind=PartyKind.COMPANY, legal_name="Acme", country="DE", roles=Role.TRADER | Role.AGENT),
    c.GrantRole(party=1, role=Role.RISK),
    c.RevokeRole(party=1, role=Role.RISK),
    c.DeclareOwnership(owner=1, owned=2),
    c.FreezeParty(party=1, note="a note"),
    c.UnfreezeParty(party=1, note="a note"),
    a_dataset(1),
    c.RegisterDatasetVersion(dataset=1, label="v1", digest=DIGEST, digest_basis=DigestBasis.ARTIFACT, parents=(1, 2)),
    c.PublishDatasetVersion(dataset_version=1),
    c.WithdrawDatasetVersion(dataset_version=1, kind=WithdrawalKind.MOVED, effective_day=TODAY, note="moved"),
    c.RegisterModel(
        developer=1, key="a/b", title="B", family="b", modality="text->text", license="MIT", source="a list"
    ),
    c.RecordTrainingRun(model=1, dataset_versions=(1,), params_digest=DIGEST, started_day=TODAY, ended_day=TODAY),
    c.RegisterModelVersion(
        model=1,
        semver="1.0.0",
        digest=DIGEST,
        digest_basis=DigestBasis.ARTIFACT,
        training_run=1,
        datasets=((1, 5, LineageRole.PRETRAINING),),
        bases=((1, 5, BaseRelation.MERGE),),
    ),
    c.PublishModelVersion(model_version=1),
    c.WithdrawModelVersion(model_version=1, kind=WithdrawalKind.WITHDRAWN, effective_day=TODAY, note="gone"),
    c.AdoptTerms(
        developer=1,
        purpose=Purpose.RESEARCH,
        territory=("AT", "DE"),
        term=TermKind.FIXED_END,
        term_ends_ns=START_NS + 1,
        term_days=30,
        unit=UnitKind.SEAT,
        transferable=True,
        derivatives_allowed=False,
        resale_royalty_ppm=1,
        text_digest=DIGEST,
        license="MIT",
    ),
    c.RegisterCurrency(code="USD", exponent=2),
    c.ListSeries(
        **{
            **{field.name: getattr(a_series(1, 1), field.name) for field in fields(c.ListSeries)},
            "ends_ns": START_NS + 1,
        }
    ),
    c.HaltSeries(series=1, reason=HaltReason.RISK, note="a note"),
    c.ResumeSeries(series=1),
    c.RecordListPrice(series=1, price_ticks=5, basis=PriceBasis.DEMO, source="a rule", effective_day=TODAY),
    c.AdoptFeeSchedule(maker_ppm=-1, taker_ppm=1),
    c.SetTaxRate(country="DE", tax_ppm=190_000),
    c.RecordDeposit(party=1, currency=1, amount_minor=5, reference="bank-1", effective_day=TODAY),
    c.RecordWithdrawal(party=1, currency=1, amount_minor=5, reference="bank-1", effective_day=TODAY),
    c.RefundSale(
        trade_command=1,
        trade_fill=0,
        trade_lots=5,
        series=1,
        buyer=1,
        lots=5,
        price_ticks=5,
        waterfall_version=1,
        reason="faulty",
    ),
    c.SignAgreement(
        model=1,
        effective_at_ns=START_NS,
        platform_ppb=20 * PERCENT,
        agents=((1, PERCENT),),
        data_ppb=PERCENT,
        upstream_ppb=PERCENT,
    ),
    c.OpenHouse(orders_max=1 << 24, levels_max=1 << 22, accounts_max=1 << 24),
    c.RecordStateRoot(at_command=1, root=DIGEST),
]

FACTS: Final[list[e.Fact]] = [
    e.PartyRegistered(
        party=1, kind=PartyKind.COMPANY, legal_name="Émile & Söhne GmbH", country="DE", roles=Role.TRADER | Role.AGENT
    ),
    e.RoleGranted(party=1, role=Role.RISK),
    e.RoleRevoked(party=1, role=Role.RISK),
    e.OwnershipDeclared(owner=1, owned=2),
    e.PartyFrozen(party=1, note="under review\nsince today"),
    e.PartyUnfrozen(party=1),
    e.DatasetRegistered(
        dataset=2,
        provider=1,
        key="laion-5b",
        title='LAION "5B"',
        license="CC-BY-4.0",
        classification=Classification.IMPORTANT,
        tags=("image", "text"),
        personal_data=PersonalData.YES,
        source="a catalogue",
    ),
    e.DatasetVersionRegistered(
        dataset_version=3, dataset=2, label="v1", digest=DIGEST, digest_basis=DigestBasis.CATALOGUE_ROW, parents=(1, 2)
    ),
    e.DatasetVersionPublished(dataset_version=3, dataset=2),
    e.DatasetVersionWithdrawn(
        dataset_version=3, dataset=2, kind=WithdrawalKind.WITHDRAWN, effective_day=TODAY, note="after a report"
    ),
    e.ModelRegistered(
        model=4,
        developer=1,
        key="acme/model",
        title="A model",
        family="acme",
        modality="text->text",
        license="Apache-2.0",
        source="a catalogue",
    ),
    e.TrainingRunRecorded(
        training_run=5, model=4, dataset_versions=(3,), params_digest=DIGEST, started_day="2026-01-01", ended_day=TODAY
    ),
    e.ModelVersionRegistered(
        model_version=6,
        model=4,
        semver="1.0.0-rc.1",
        digest=DIGEST,
        digest_basis=DigestBasis.ARTIFACT,
        training_run=5,
        datasets=((3, 700_000_000, LineageRole.PRETRAINING),),
        bases=((5, 1_000_000_000, BaseRelation.FINE_TUNE),),
    ),
    e.ModelVersionPublished(model_version=6, model=4),
    e.ModelVersionWithdrawn(model_version=6, model=4, kind=WithdrawalKind.PAUSED, effective_day=TODAY),
    e.TermsAdopted(
        terms=7,
        developer=1,
        purpose=Purpose.NON_COMMERCIAL,
        territory=("AT", "DE"),
        term=TermKind.DAYS_FROM_ACTIVATION,
        term_days=365,
        unit=UnitKind.SEAT,
        transferable=True,
        derivatives_allowed=False,
        resale_royalty_ppm=50_000,
        text_digest=DIGEST,
        license="proprietary-api",
    ),
    e.CurrencyRegistered(currency=1, code="USD", exponent=2),
    e.SeriesListed(
        series=8,
        symbol="MODEL/USD",
        model_version=6,
        terms=7,
        currency=1,
        issuer=1,
        tick_minor=1,
        lot_size="1000000",
        unit_name="token",
        supply_cap_lots=1_000_000,
        max_order_lots=10_000,
        max_notional_minor=9_000_000_000_000,
        resale_allowed=True,
        royalty_ppm=50_000,
        ends_ns=START_NS,
    ),
    e.SeriesHalted(series=8, reason=HaltReason.REGULATOR, note="by order"),
    e.SeriesResumed(series=8),
    e.SeriesEnded(series=8),
    e.ListPriceRecorded(series=8, price_ticks=250, basis=PriceBasis.LISTED, source="a price list", effective_day=TODAY),
    e.FeeScheduleAdopted(fee_schedule=1, maker_ppm=-100, taker_ppm=300),
    e.TaxRateSet(country="DE", tax_ppm=190_000),
    e.DepositRecorded(party=1, currency=1, amount_minor=50_000, reference="bank-1", effective_day=TODAY),
    e.WithdrawalRecorded(party=1, currency=1, amount_minor=50_000, reference="bank-2", effective_day=TODAY),
    e.SaleRefunded(
        trade_command=40,
        trade_fill=0,
        trade_lots=10,
        series=8,
        buyer=1,
        lots=4,
        price_ticks=250,
        waterfall_version=1,
        amount_minor=1_000,
        reason="faulty",
    ),
    e.AgreementSigned(
        agreement=9,
        model=4,
        effective_at_ns=START_NS,
        platform_ppb=200_000_000,
        agents=((1, 50_000_000),),
        data_ppb=100_000_000,
        upstream_ppb=150_000_000,
    ),
    e.AgreementTookEffect(agreement=9),
    e.WaterfallCompiled(
        series=8,
        version=2,
        agreement=9,
        developer=1,
        rows=((0, 200_000_000), (1, 800_000_000)),
        derivation=((0, "platform", "1/5"), (1, "developer", "4/5")),
    ),
    e.WaterfallCompilationFailed(series=8, agreement=9, reason=Reason.TOO_MANY_PAYEES),
    e.HouseOpened(orders_max=1 << 24, levels_max=1 << 22, accounts_max=1 << 24),
    e.StateRootRecorded(at_command=1_000, root=DIGEST),
]


def any_value(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a type that has a canonical form; a field that must be sealed is."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return any_value(arguments[0])
    if origin in (Union, UnionType):
        clear = {NoneType, str} if e.Sealed in arguments else {NoneType}
        present = [any_value(item) for item in arguments if item not in clear]
        return st.one_of(*present, *([st.none()] if NoneType in arguments else []))
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(any_value(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(any_value, arguments))
    if isinstance(hint, type) and issubclass(hint, Role):
        return st.integers(0, 255).map(Role)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    if is_dataclass(hint):
        hints = get_type_hints(hint, include_extras=True)
        cls: Any = hint
        return st.builds(cls, **{field.name: any_value(hints[field.name]) for field in fields(hint)})
    plain: dict[Any, st.SearchStrategy[Any]] = {
        int: st.integers(-(2**63), 2**63 - 1),
        bool: st.booleans(),
        str: st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        bytes: st.binary(max_size=40),
    }
    return plain[hint]

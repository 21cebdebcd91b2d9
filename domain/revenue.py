"""Revenue agreements, and the waterfalls that follow from them when they take effect."""

from __future__ import annotations

from domain.catalogue import Agreement, Catalogue, Due, DueKind, Series, next_number
from domain.commands import SignAgreement
from domain.events import AgreementSigned, AgreementTookEffect, Fact, WaterfallCompilationFailed, WaterfallCompiled
from domain.outcomes import Decided
from domain.permissions import must_hold
from domain.rejections import Reason, Refusal, refuse
from domain.values import HOUSE, PPB, AccountKind, AccountRef, Role, SeriesPhase
from domain.waterfall import ancestry, compile_waterfall


def sign_agreement(catalogue: Catalogue, command: SignAgreement, actor: int, at_ns: int) -> Decided | Refusal:
    """It takes effect through `AgreementTookEffect` when its time has come, at once where that is now.

    Every waterfall it will change is compiled on the lineage and the agreements of today, so that what cannot be split
    is refused at signing.
    """
    model = catalogue.models.get(command.model)
    if model is None:
        return refuse(Reason.UNKNOWN_MODEL, "model", "must be a registered model", command.model)
    effective_at_ns = at_ns if command.effective_at_ns is None else command.effective_at_ns
    if effective_at_ns < at_ns:
        return refuse(Reason.TIME_IN_PAST, "effective_at_ns", f"must be at least {at_ns}", effective_at_ns)
    if model.last_signed is not None:
        earliest_ns = catalogue.agreements[model.last_signed].effective_at_ns
        if effective_at_ns < earliest_ns:
            return refuse(
                Reason.AGREEMENT_OUT_OF_ORDER,
                "effective_at_ns",
                f"must be at least {earliest_ns}, when agreement {model.last_signed} takes effect",
                effective_at_ns,
            )
    for index, (party, _) in enumerate(command.agents):
        refusal = must_hold(catalogue, party, Role.AGENT, f"agents[{index}].party")
        if refusal is not None:
            return refusal
    whole = command.platform_ppb + sum(share for _, share in command.agents) + command.data_ppb + command.upstream_ppb
    if whole > PPB:
        rule = f"platform, agents, data and upstream must add up to at most {PPB} ppb"
        return refuse(Reason.SHARES_ABOVE_WHOLE, "platform_ppb", rule, whole)

    fact = AgreementSigned(
        agreement=next_number(catalogue.agreements),
        model=command.model,
        effective_at_ns=effective_at_ns,
        platform_ppb=command.platform_ppb,
        agents=command.agents,
        data_ppb=command.data_ppb,
        upstream_ppb=command.upstream_ppb,
    )
    refusal = _compilable(catalogue, fact)
    return refusal if refusal is not None else Decided((fact,))


def apply_agreement(catalogue: Catalogue, number: int, at_ns: int) -> Decided:
    """The agreement takes effect: each series that it reaches gets a new waterfall or keeps its own."""
    agreement = catalogue.agreements[number]
    agreements = agreements_in_force(catalogue) | {agreement.model: agreement}
    facts: list[Fact] = [AgreementTookEffect(agreement=number)]
    opens: list[AccountRef] = []
    for series_number, series in affected_series(catalogue, agreement.model):
        model = catalogue.model_versions[series.model_version].model
        own = number if model == agreement.model else catalogue.models[model].agreement
        assert own is not None, series
        compiled = compile_for_series(catalogue, series_number, series, own, agreements)
        if isinstance(compiled, Refusal):
            facts.append(WaterfallCompilationFailed(series=series_number, agreement=number, reason=compiled.reason))
        else:
            facts.append(compiled)
            opens += payee_accounts(compiled, series.currency)
    return Decided(tuple(facts), opens=tuple(dict.fromkeys(opens)))


def agreements_in_force(catalogue: Catalogue) -> dict[int, Agreement]:
    """By model."""
    return {
        number: catalogue.agreements[model.agreement]
        for number, model in catalogue.models.items()
        if model.agreement is not None
    }


def affected_series(catalogue: Catalogue, model: int) -> list[tuple[int, Series]]:
    """The series of the model and of models made from it that have not ended, by number."""
    return [
        (number, series)
        for number, series in sorted(catalogue.series.items())
        if series.phase is not SeriesPhase.ENDED
        and any(
            catalogue.model_versions[version].model == model for version in ancestry(catalogue, series.model_version)
        )
    ]


def compile_for_series(
    catalogue: Catalogue, number: int, series: Series, agreement: int, agreements: dict[int, Agreement]
) -> WaterfallCompiled | Refusal:
    """The next waterfall of a series, listed or about to be; `agreement` is the one of its own model."""
    waterfall = compile_waterfall(catalogue, series.model_version, agreements)
    if isinstance(waterfall, Refusal):
        return waterfall
    return WaterfallCompiled(
        series=number,
        version=series.waterfall_version + 1,
        agreement=agreement,
        developer=series.issuer,
        rows=waterfall.rows,
        derivation=waterfall.derivation,
    )


def payee_accounts(fact: WaterfallCompiled, currency: int) -> list[AccountRef]:
    """Where the payees are paid: the house into its platform revenue, everybody else into what they can spend."""
    return [
        AccountRef(party, -currency, AccountKind.PLATFORM_REVENUE if party == HOUSE else AccountKind.AVAILABLE)
        for party, _ in fact.rows
    ]


def _compilable(catalogue: Catalogue, fact: AgreementSigned) -> Refusal | None:
    agreements = agreements_in_force(catalogue) | {fact.model: _row(fact)}
    for version in sorted({series.model_version for _, series in affected_series(catalogue, fact.model)}):
        waterfall = compile_waterfall(catalogue, version, agreements)
        if isinstance(waterfall, Refusal):
            return waterfall
    return None


def _row(fact: AgreementSigned) -> Agreement:
    return Agreement(
        model=fact.model,
        effective_at_ns=fact.effective_at_ns,
        platform_ppb=fact.platform_ppb,
        agents=fact.agents,
        data_ppb=fact.data_ppb,
        upstream_ppb=fact.upstream_ppb,
    )


# -- the fold ----------------------------------------------------------------------------------------------------------


def agreement_signed(catalogue: Catalogue, fact: AgreementSigned, at_ns: int, command: int) -> None:
    assert fact.agreement == next_number(catalogue.agreements), fact
    catalogue.agreements[fact.agreement] = _row(fact)
    catalogue.models[fact.model].last_signed = fact.agreement
    catalogue.add_due(Due(fact.effective_at_ns, DueKind.APPLY_AGREEMENT, fact.agreement))


def agreement_took_effect(catalogue: Catalogue, fact: AgreementTookEffect, at_ns: int, command: int) -> None:
    agreement = catalogue.agreements[fact.agreement]
    assert not agreement.took_effect, fact
    agreement.took_effect = True
    catalogue.models[agreement.model].agreement = fact.agreement


def waterfall_compiled(catalogue: Catalogue, fact: WaterfallCompiled, at_ns: int, command: int) -> None:
    series = catalogue.series[fact.series]
    assert fact.version == series.waterfall_version + 1, fact
    series.waterfall_version = fact.version


def waterfall_compilation_failed(
    catalogue: Catalogue, fact: WaterfallCompilationFailed, at_ns: int, command: int
) -> None:
    """The series keeps the waterfall it has."""

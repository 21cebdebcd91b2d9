"""License terms: what a unit of a series entitles to. Terms never change; other terms are other terms."""

from __future__ import annotations

from domain.catalogue import Catalogue, Terms, next_number
from domain.commands import AdoptTerms
from domain.events import TermsAdopted
from domain.outcomes import Decided
from domain.permissions import must_hold, must_own
from domain.rejections import Reason, Refusal, refuse
from domain.values import Role, TermKind


def adopt_terms(catalogue: Catalogue, command: AdoptTerms, actor: int, at_ns: int) -> Decided | Refusal:
    refusal = (
        must_hold(catalogue, command.developer, Role.DEVELOPER, "developer")
        or must_own(command.developer, actor, "terms")
        or _term_complete(command)
    )
    if refusal is not None:
        return refusal
    if command.term_ends_ns is not None and command.term_ends_ns <= at_ns:
        return refuse(Reason.TIME_IN_PAST, "term_ends_ns", f"must be after {at_ns}", command.term_ends_ns)
    if command.resale_royalty_ppm and not command.transferable:
        return refuse(
            Reason.LIMITS_CONTRADICT,
            "resale_royalty_ppm",
            "must be 0 where the license is not transferable",
            command.resale_royalty_ppm,
        )
    return Decided(
        (
            TermsAdopted(
                terms=next_number(catalogue.terms),
                developer=command.developer,
                purpose=command.purpose,
                territory=command.territory,
                term=command.term,
                term_ends_ns=command.term_ends_ns,
                term_days=command.term_days,
                unit=command.unit,
                transferable=command.transferable,
                derivatives_allowed=command.derivatives_allowed,
                resale_royalty_ppm=command.resale_royalty_ppm,
                text_digest=command.text_digest,
                license=command.license,
            ),
        )
    )


def _term_complete(command: AdoptTerms) -> Refusal | None:
    """A fixed end has an end, days from activation have days, and neither has the other's."""
    needs = {
        "term_ends_ns": (command.term is TermKind.FIXED_END, command.term_ends_ns),
        "term_days": (command.term is TermKind.DAYS_FROM_ACTIVATION, command.term_days),
    }
    for field, (needed, value) in needs.items():
        if needed != (value is not None):
            rule = f"must be {'given' if needed else 'absent'} for a term that is {command.term.value}"
            return refuse(Reason.MALFORMED_TERM, field, rule, value)
    return None


# -- the fold ----------------------------------------------------------------------------------------------------------


def terms_adopted(catalogue: Catalogue, fact: TermsAdopted, at_ns: int, command: int) -> None:
    assert fact.terms == next_number(catalogue.terms), fact
    catalogue.terms[fact.terms] = Terms(
        developer=fact.developer,
        term=fact.term,
        term_ends_ns=fact.term_ends_ns,
        transferable=fact.transferable,
        resale_royalty_ppm=fact.resale_royalty_ppm,
    )

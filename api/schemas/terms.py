"""Terms of licenses."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api import wire
from api.schemas.base import (
    LAX,
    Counter,
    Digest,
    In,
    Line,
    Out,
    PartyId,
    Ppm,
    TermsId,
    Time,
    digest_of,
    good,
    number,
    shaped,
)
from domain.commands import AdoptTerms
from domain.values import Purpose, TermKind, UnitKind

Territory = Annotated[str, shaped("^(worldwide|[A-Z]{2})$", 9, "`worldwide` alone, or sorted countries.", "worldwide")]
Days = Annotated[int, Field(ge=1, le=36_525)]


class NewTerms(In):
    developer: PartyId | None = Field(default=None, description="The asking party where absent.")
    purpose: Annotated[Purpose, LAX]
    territory: list[Territory] = Field(min_length=1, max_length=249)
    term: Annotated[TermKind, LAX]
    term_ends_at: Time | None = Field(default=None, description="Only of a fixed end.")
    term_days: Days | None = Field(default=None, description="Only of days from activation.")
    unit: Annotated[UnitKind, LAX]
    transferable: bool
    derivatives_allowed: bool
    resale_royalty_ppm: Ppm
    text_digest: Digest
    license: Line

    def command(self, actor: int) -> AdoptTerms:
        ends_at = self.term_ends_at
        return AdoptTerms(
            developer=actor if self.developer is None else number(wire.PARTY, self.developer, "developer"),
            purpose=self.purpose,
            territory=tuple(self.territory),
            term=self.term,
            term_ends_ns=None if ends_at is None else good(wire.at_ns_of(ends_at, "term_ends_at")),
            term_days=self.term_days,
            unit=self.unit,
            transferable=self.transferable,
            derivatives_allowed=self.derivatives_allowed,
            resale_royalty_ppm=self.resale_royalty_ppm,
            text_digest=digest_of(self.text_digest, "text_digest"),
            license=self.license,
        )


class Terms(Out):
    id: TermsId
    developer: PartyId
    purpose: Purpose
    territory: list[str]
    term: TermKind
    term_ends_at: Time | None
    term_days: Days | None
    unit: UnitKind
    transferable: bool
    derivatives_allowed: bool
    resale_royalty_ppm: Ppm
    text_digest: Digest
    license: str
    position: Counter

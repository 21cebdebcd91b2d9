"""Parties: what they are, what they may do, who owns them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api import wire
from api.schemas.base import LAX, Counter, In, Line, Note, Out, PartyId, RoleName, number, roles_of, shaped
from domain.commands import DeclareOwnership, FreezeParty, GrantRole, RegisterParty, UnfreezeParty
from domain.values import PartyKind, Role

Country = Annotated[str, shaped("^[A-Z]{2}$", 2, "ISO 3166-1 alpha-2 code.", "DE")]


class NewParty(In):
    kind: Annotated[PartyKind, LAX]
    legal_name: Line
    country: Country
    roles: list[RoleName] = Field(max_length=len(Role))

    def command(self) -> RegisterParty:
        return RegisterParty(
            kind=self.kind, legal_name=self.legal_name, country=self.country, roles=roles_of(self.roles)
        )


class NewRole(In):
    role: RoleName

    def command(self, party: int) -> GrantRole:
        return GrantRole(party=party, role=roles_of([self.role]))


class NewOwner(In):
    """Who is the beneficial owner of the party."""

    owner: PartyId

    def command(self, party: int) -> DeclareOwnership:
        return DeclareOwnership(owner=number(wire.PARTY, self.owner, "owner"), owned=party)


class Freezing(In):
    note: Note | None = None

    def command(self, party: int) -> FreezeParty:
        return FreezeParty(party=party, note=self.note)


class Unfreezing(In):
    note: Note | None = None

    def command(self, party: int) -> UnfreezeParty:
        return UnfreezeParty(party=party, note=self.note)


class Party(Out):
    id: PartyId
    kind: PartyKind
    legal_name: str | None = Field(description="Absent where its key was erased.")
    country: Country
    roles: list[RoleName]
    frozen: bool
    owner: PartyId | None = Field(description="The declared beneficial owner.")
    position: Counter = Field(description="Of the last log entry about it.")

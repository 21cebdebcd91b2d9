"""Parties, their roles, who owns them, and freezing."""

from __future__ import annotations

from domain.catalogue import Catalogue, Party, next_number
from domain.commands import DeclareOwnership, FreezeParty, GrantRole, RegisterParty, RevokeRole, UnfreezeParty
from domain.events import OwnershipDeclared, PartyFrozen, PartyRegistered, PartyUnfrozen, RoleGranted, RoleRevoked
from domain.outcomes import Decided
from domain.rejections import Reason, Refusal, refuse
from domain.values import Role

EXCLUSIVE = Role.TRADER | Role.OPERATOR


def root_owner(catalogue: Catalogue, party: int) -> int:
    """The beneficial owner at the end of the chain of declared owners; the party itself where none is declared."""
    owner = catalogue.parties[party].owner
    while owner is not None:
        party, owner = owner, catalogue.parties[owner].owner
    return party


def register_party(catalogue: Catalogue, command: RegisterParty, actor: int, at_ns: int) -> Decided | Refusal:
    refusal = _roles_compatible(command.roles, "roles")
    if refusal is not None:
        return refusal
    return Decided(
        (
            PartyRegistered(
                party=next_number(catalogue.parties),
                kind=command.kind,
                legal_name=command.legal_name,
                country=command.country,
                roles=command.roles,
            ),
        )
    )


def grant_role(catalogue: Catalogue, command: GrantRole, actor: int, at_ns: int) -> Decided | Refusal:
    party = _known(catalogue, command.party, "party")
    if isinstance(party, Refusal):
        return party
    refusal = _one_role(command.role)
    if refusal is not None:
        return refusal
    if command.role in party.roles:
        return refuse(Reason.ROLE_ALREADY_HELD, "role", "must not be held yet", command.role.name)
    refusal = _roles_compatible(party.roles | command.role, "role")
    if refusal is not None:
        return refusal
    return Decided((RoleGranted(party=command.party, role=command.role),))


def revoke_role(catalogue: Catalogue, command: RevokeRole, actor: int, at_ns: int) -> Decided | Refusal:
    party = _known(catalogue, command.party, "party")
    if isinstance(party, Refusal):
        return party
    refusal = _one_role(command.role)
    if refusal is not None:
        return refusal
    if command.role not in party.roles:
        return refuse(Reason.ROLE_NOT_HELD, "role", "must be held", command.role.name)
    return Decided((RoleRevoked(party=command.party, role=command.role),))


def declare_ownership(catalogue: Catalogue, command: DeclareOwnership, actor: int, at_ns: int) -> Decided | Refusal:
    owner = _known(catalogue, command.owner, "owner")
    if isinstance(owner, Refusal):
        return owner
    owned = _known(catalogue, command.owned, "owned")
    if isinstance(owned, Refusal):
        return owned
    if owned.owner is not None:
        return refuse(
            Reason.OWNER_ALREADY_DECLARED,
            "owned",
            "must have no declared owner",
            command.owned,
            f"party {owned.owner} owns it",
        )
    if root_owner(catalogue, command.owner) == command.owned:
        return refuse(Reason.OWNERSHIP_CIRCLE, "owner", "must not be owned by what it owns", command.owner)
    return Decided((OwnershipDeclared(owner=command.owner, owned=command.owned),))


def freeze_party(catalogue: Catalogue, command: FreezeParty, actor: int, at_ns: int) -> Decided | Refusal:
    party = _known(catalogue, command.party, "party")
    if isinstance(party, Refusal):
        return party
    if party.frozen:
        return refuse(Reason.PARTY_FROZEN, "party", "must not be frozen yet", command.party)
    return Decided((PartyFrozen(party=command.party, note=command.note),))


def unfreeze_party(catalogue: Catalogue, command: UnfreezeParty, actor: int, at_ns: int) -> Decided | Refusal:
    party = _known(catalogue, command.party, "party")
    if isinstance(party, Refusal):
        return party
    if not party.frozen:
        return refuse(Reason.PARTY_NOT_FROZEN, "party", "must be frozen", command.party)
    return Decided((PartyUnfrozen(party=command.party, note=command.note),))


def _known(catalogue: Catalogue, number: int, field: str) -> Party | Refusal:
    party = catalogue.parties.get(number)
    return party if party is not None else refuse(Reason.UNKNOWN_PARTY, field, "must be a registered party", number)


def _one_role(role: Role) -> Refusal | None:
    if len(role) == 1:
        return None
    return refuse(Reason.VALUE_OUT_OF_RANGE, "role", "must be exactly one role", role)


def _roles_compatible(roles: Role, field: str) -> Refusal | None:
    if EXCLUSIVE in roles:
        return refuse(Reason.ROLES_EXCLUDE_EACH_OTHER, field, "must not hold both trader and operator", roles)
    return None


# -- the fold ----------------------------------------------------------------------------------------------------------


def party_registered(catalogue: Catalogue, fact: PartyRegistered, at_ns: int, command: int) -> None:
    assert fact.party == next_number(catalogue.parties), fact
    catalogue.parties[fact.party] = Party(kind=fact.kind, country=fact.country, roles=fact.roles)


def role_granted(catalogue: Catalogue, fact: RoleGranted, at_ns: int, command: int) -> None:
    catalogue.parties[fact.party].roles |= fact.role


def role_revoked(catalogue: Catalogue, fact: RoleRevoked, at_ns: int, command: int) -> None:
    catalogue.parties[fact.party].roles &= ~fact.role


def ownership_declared(catalogue: Catalogue, fact: OwnershipDeclared, at_ns: int, command: int) -> None:
    assert catalogue.parties[fact.owned].owner is None, fact
    catalogue.parties[fact.owned].owner = fact.owner


def party_frozen(catalogue: Catalogue, fact: PartyFrozen, at_ns: int, command: int) -> None:
    catalogue.parties[fact.party].frozen = True


def party_unfrozen(catalogue: Catalogue, fact: PartyUnfrozen, at_ns: int, command: int) -> None:
    catalogue.parties[fact.party].frozen = False

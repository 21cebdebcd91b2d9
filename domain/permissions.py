"""Who may do what: the actor must hold one of the command's roles, and own what it changes. The house may do all."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from domain.catalogue import Catalogue
from domain.rejections import Reason, Refusal, refuse
from domain.values import DAY_NS, HOUSE, Role

EPOCH: Final = date(1970, 1, 1)


def actor_may(catalogue: Catalogue, actor: int, roles: Role) -> Refusal | None:
    """The actor is the house, or a party that is not frozen and holds one of the roles; no roles: the house only."""
    if actor == HOUSE:
        return None
    party = catalogue.parties.get(actor)
    if party is None:
        return refuse(Reason.UNKNOWN_PARTY, "actor", "must be a registered party", actor)
    if party.frozen:
        return refuse(Reason.PARTY_FROZEN, "actor", "must not be frozen", actor)
    if not roles:
        return refuse(Reason.HOUSE_ONLY, "actor", "must be the house", actor)
    if not party.roles & roles:
        return refuse(Reason.ROLE_REQUIRED, "actor", f"must hold the role {role_words(roles)}", actor)
    return None


def must_hold(catalogue: Catalogue, number: int, role: Role, field: str) -> Refusal | None:
    """The party that the field names exists and holds the role."""
    party = catalogue.parties.get(number)
    if party is None:
        return refuse(Reason.UNKNOWN_PARTY, field, "must be a registered party", number)
    if not party.roles & role:
        return refuse(Reason.ROLE_REQUIRED, field, f"must hold the role {role_words(role)}", number)
    return None


def must_own(owner: int, actor: int, what: str) -> Refusal | None:
    """The actor is the owner or the house."""
    if actor in (HOUSE, owner):
        return None
    return refuse(Reason.NOT_THE_OWNER, "actor", f"must own the {what}", actor, f"party {owner} owns it")


def not_in_future(day: str, at_ns: int, field: str) -> Refusal | None:
    """The day is at most the UTC day of the command."""
    today = EPOCH + timedelta(days=at_ns // DAY_NS)
    if date.fromisoformat(day) <= today:
        return None
    return refuse(Reason.DAY_IN_FUTURE, field, f"must be at most {today.isoformat()}", day)


def role_words(roles: Role) -> str:
    return " or ".join(str(role.name).lower() for role in Role if role in roles)

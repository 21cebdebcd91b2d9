"""`tallystick party`: the first parties of a house, registered by the house itself, before anybody can sign in."""

from __future__ import annotations

import typer

from api.bootstrap import House, Places
from api.commands.door import Failed
from api.output import Output
from api.wire import PARTY, public_id
from domain.commands import RegisterParty
from domain.events import PartyRegistered
from domain.rejections import Refusal
from domain.values import HOUSE, PartyKind, Role
from ledger.sequencer import Ask, Reply


def add(output: Output, where: Places, name: str, *, kind: str, country: str, roles: list[str]) -> None:
    """Needs the log for itself: a house that is served registers parties at its doors."""
    command = RegisterParty(kind=_kind(kind), legal_name=name, country=country, roles=_roles(roles))
    with House(where) as house:
        (answer,) = house.process([Ask(command, HOUSE)])
    if isinstance(answer, Refusal):
        raise Failed(answer.code, answer.message)
    assert isinstance(answer, Reply)
    (fact,) = answer.facts
    assert isinstance(fact, PartyRegistered)
    party = public_id(PARTY, fact.party)
    if output.as_json:
        output.json({"id": party, "command": answer.command, "position": answer.position})
    else:
        output.line(f"{party}: {name}, at position {answer.position}")


def _kind(text: str) -> PartyKind:
    try:
        return PartyKind(text)
    except ValueError:
        raise typer.BadParameter(f"--kind: one of {', '.join(PartyKind)}; got {text}") from None


def _roles(names: list[str]) -> Role:
    known = {str(role.name).lower(): role for role in Role}
    roles = Role(0)
    for name in names:
        if name not in known:
            raise typer.BadParameter(f"--role: one of {', '.join(known)}; got {name}")
        roles |= known[name]
    return roles

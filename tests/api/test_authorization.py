"""One table says who may do what; here it is tried out whole, and held against the rules of the domain."""

from __future__ import annotations

import itertools
from typing import Final

import pytest
from fastapi import APIRouter, Depends

from api.auth.principal import ANONYMOUS, SCOPES, Principal
from api.authorization import RULES, action_of, authorize, principal_for, visible_party
from api.problems import Problem
from domain import commands
from domain.commands import Command
from domain.decisions import DECISIONS, HOUSE_ONLY
from domain.values import Role

ME, OTHER = 7, 8
ROLES: Final = (Role(0), *Role)
READING: Final = {action for action, rule in RULES.items() if rule.scope == "read"}


def principal(roles: Role, scopes: frozenset[str] = SCOPES) -> Principal:
    return Principal(ME, roles, scopes, "key", 1)


def outcome(who: Principal, action: str, owner: int | None) -> str:
    try:
        authorize(who, action, owner)
    except Problem as refusal:
        return refusal.code
    return "allowed"


@pytest.mark.parametrize("action", RULES)
@pytest.mark.parametrize("role", ROLES, ids=lambda role: str(role.name or "none"))
def test_every_action_by_every_role_on_own_others_and_no_object(action: str, role: Role) -> None:
    rule = RULES[action]
    holds = rule.public or not rule.roles or (role in rule.roles and role != Role(0))
    sees = rule.public or not rule.own or bool(role & rule.see_all)
    who = principal(role)
    assert outcome(who, action, None) == ("allowed" if holds else "forbidden")
    assert outcome(who, action, ME) == ("allowed" if holds else "forbidden")
    assert outcome(who, action, OTHER) == ("forbidden" if not holds else "allowed" if sees else "not_found")


@pytest.mark.parametrize("action", RULES)
def test_every_action_needs_its_scope_and_somebody(action: str) -> None:
    rule = RULES[action]
    everything = Role(255)
    for size in range(4):
        for scopes in itertools.combinations(sorted(SCOPES), size):
            allowed = rule.public or rule.scope in scopes
            who = principal(everything, frozenset(scopes))
            assert outcome(who, action, ME) == ("allowed" if allowed else "forbidden")
    assert outcome(ANONYMOUS, action, None) == ("allowed" if rule.public else "unauthenticated")
    assert outcome(ANONYMOUS, action, ANONYMOUS.party) == ("allowed" if rule.public else "unauthenticated")


def test_what_is_not_in_the_table_cannot_be_done() -> None:
    with pytest.raises(KeyError):
        authorize(principal(Role(255)), "orders.destroy")
    with pytest.raises(AssertionError):
        principal_for.__globals__["PrincipalFor"]("orders.destroy")


def test_an_auditor_reads_everything_and_changes_nothing() -> None:
    auditor = principal(Role.AUDITOR)
    # A preview is a reading of a trader's own possibilities.
    blind = {action for action in READING if outcome(auditor, action, OTHER) != "allowed"}
    assert blind == {"orders.preview"}
    # What anybody may do with what is its own: leave the market, and look after its keys.
    own = {action for action in RULES.keys() - READING if outcome(auditor, action, ME) == "allowed"}
    assert own == {"orders.cancel", "keys.write", "keys.revoke"}
    assert [action for action in RULES.keys() - READING if outcome(auditor, action, OTHER) == "allowed"] == []


def test_an_operator_cannot_trade_and_nobody_acts_in_anothers_name() -> None:
    assert outcome(principal(Role.OPERATOR), "orders.place", ME) == "forbidden"
    assert outcome(principal(Role.OPERATOR), "payments.write", None) == "forbidden"
    for action in ("orders.place", "orders.cancel", "keys.write"):
        assert outcome(principal(Role(255)), action, OTHER) == "not_found"


def test_who_sees_all_is_asked_for_no_party() -> None:
    assert visible_party(principal(Role.TRADER), "orders.read") == ME
    assert visible_party(principal(Role.TRADER | Role.AUDITOR), "orders.read") is None
    assert visible_party(ANONYMOUS, "series.read") is None


ASKED_BY: Final[dict[type[Command], str]] = {
    commands.RegisterParty: "parties.write",
    commands.GrantRole: "parties.write",
    commands.RevokeRole: "parties.write",
    commands.DeclareOwnership: "parties.write",
    commands.FreezeParty: "parties.write",
    commands.UnfreezeParty: "parties.write",
    commands.RegisterDataset: "datasets.write",
    commands.RegisterDatasetVersion: "datasets.write",
    commands.PublishDatasetVersion: "datasets.write",
    commands.WithdrawDatasetVersion: "datasets.write",
    commands.RegisterModel: "models.write",
    commands.RecordTrainingRun: "models.write",
    commands.RegisterModelVersion: "models.write",
    commands.PublishModelVersion: "models.write",
    commands.WithdrawModelVersion: "models.write",
    commands.AdoptTerms: "terms.write",
    commands.RegisterCurrency: "operate.write",
    commands.ListSeries: "series.write",
    commands.HaltSeries: "series.halt",
    commands.ResumeSeries: "series.halt",
    commands.RecordListPrice: "series.write",
    commands.AdoptFeeSchedule: "fees.write",
    commands.SetTaxRate: "fees.write",
    commands.RecordDeposit: "payments.write",
    commands.RecordWithdrawal: "payments.write",
    commands.RefundSale: "payments.write",
    commands.SignAgreement: "agreements.write",
}


def test_the_doors_let_every_role_ask_that_the_domain_hears() -> None:
    asked = {command: roles for command, (roles, _) in DECISIONS.items() if roles != HOUSE_ONLY}
    assert asked.keys() == ASKED_BY.keys()
    for command, roles in asked.items():
        assert roles in RULES[ASKED_BY[command]].roles, command
    # And none that no command of the action would hear.
    for action in set(ASKED_BY.values()):
        heard = Role(0)
        for command, name in ASKED_BY.items():
            heard |= asked[command] if name == action else Role(0)
        assert RULES[action].roles == heard, action


def test_a_route_says_its_action_by_its_dependency() -> None:
    router = APIRouter()

    @router.get("/said")
    async def said(_principal: Principal = Depends(principal_for("orders.read"))) -> None: ...  # noqa: B008

    @router.get("/router", dependencies=[Depends(principal_for("audit.read"))])
    async def by_decorator() -> None: ...

    @router.get("/unsaid")
    async def unsaid() -> None: ...

    assert [action_of(route) for route in router.routes] == ["orders.read", "audit.read", None]

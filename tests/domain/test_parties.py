"""Parties: roles, ownership, freezing."""

from domain.commands import DeclareOwnership, FreezeParty, GrantRole, RegisterParty, RevokeRole, UnfreezeParty
from domain.events import PartyRegistered
from domain.parties import root_owner
from domain.rejections import Reason
from domain.values import PartyKind, Role
from tests.domain.house import House


def test_parties_are_numbered_from_one_without_gaps() -> None:
    house = House()
    assert [house.party(Role.TRADER), house.party(), house.party(Role.RISK)] == [1, 2, 3]


def test_a_registration_carries_every_input() -> None:
    fact = House().do(
        RegisterParty(kind=PartyKind.INDIVIDUAL, legal_name="Ada Byron", country="GB", roles=Role.TRADER | Role.AGENT)
    )
    assert fact == PartyRegistered(
        party=1, kind=PartyKind.INDIVIDUAL, legal_name="Ada Byron", country="GB", roles=Role.TRADER | Role.AGENT
    )


def test_the_catalogue_remembers_no_name() -> None:
    house = House()
    house.party()
    assert "Acme" not in repr(house.catalogue)


def test_a_trader_is_never_an_operator() -> None:
    house = House()
    both = RegisterParty(kind=PartyKind.COMPANY, legal_name="Acme", country="DE", roles=Role.TRADER | Role.OPERATOR)
    assert house.refuses(both).reason is Reason.ROLES_EXCLUDE_EACH_OTHER
    trader, operator = house.party(Role.TRADER), house.party(Role.OPERATOR)
    for party, role in ((trader, Role.OPERATOR), (operator, Role.TRADER)):
        refusal = house.refuses(GrantRole(party=party, role=role))
        assert (refusal.code, refusal.field) == ("roles_exclude_each_other", "role")


def test_a_trader_becomes_an_operator_after_giving_up_trading() -> None:
    house = House()
    party = house.party(Role.TRADER)
    house.do(RevokeRole(party=party, role=Role.TRADER))
    house.do(GrantRole(party=party, role=Role.OPERATOR))
    assert house.catalogue.parties[party].roles == Role.OPERATOR


def test_roles_are_granted_and_revoked_one_at_a_time() -> None:
    house = House()
    party = house.party(Role.PROVIDER)
    assert house.refuses(GrantRole(party=party, role=Role.PROVIDER)).reason is Reason.ROLE_ALREADY_HELD
    assert house.refuses(RevokeRole(party=party, role=Role.AGENT)).reason is Reason.ROLE_NOT_HELD
    assert house.refuses(GrantRole(party=party, role=Role.AGENT | Role.RISK)).reason is Reason.VALUE_OUT_OF_RANGE
    assert house.refuses(RevokeRole(party=party, role=Role(0))).reason is Reason.VALUE_OUT_OF_RANGE
    assert house.refuses(GrantRole(party=9, role=Role.AGENT)).reason is Reason.UNKNOWN_PARTY
    assert house.refuses(RevokeRole(party=-1, role=Role.AGENT)).reason is Reason.UNKNOWN_PARTY


def test_ownership_resolves_to_the_root() -> None:
    house = House()
    parent, child, grandchild = house.party(), house.party(), house.party()
    house.do(DeclareOwnership(owner=child, owned=grandchild))
    house.do(DeclareOwnership(owner=parent, owned=child))
    assert [root_owner(house.catalogue, party) for party in (parent, child, grandchild)] == [parent] * 3


def test_ownership_never_goes_in_a_circle_and_has_one_owner() -> None:
    house = House()
    first, second, third = house.party(), house.party(), house.party()
    house.do(DeclareOwnership(owner=first, owned=second))
    house.do(DeclareOwnership(owner=second, owned=third))
    circle = house.refuses(DeclareOwnership(owner=third, owned=first))
    assert (circle.code, circle.field, circle.value) == ("ownership_circle", "owner", "3")
    assert house.refuses(DeclareOwnership(owner=first, owned=first)).reason is Reason.OWNERSHIP_CIRCLE
    second_owner = house.refuses(DeclareOwnership(owner=first, owned=third))
    assert second_owner.reason is Reason.OWNER_ALREADY_DECLARED
    assert "party 2 owns it" in second_owner.message
    assert house.refuses(DeclareOwnership(owner=8, owned=first)).field == "owner"
    assert house.refuses(DeclareOwnership(owner=first, owned=8)).field == "owned"


def test_a_frozen_party_does_nothing_until_it_is_unfrozen() -> None:
    house = House()
    risk, operator = house.party(Role.RISK), house.party(Role.OPERATOR)
    house.do(FreezeParty(party=operator, note="under review\nsince today"), actor=risk)
    register = RegisterParty(kind=PartyKind.COMPANY, legal_name="New", country="FR", roles=Role(0))
    assert house.refuses(register, actor=operator).reason is Reason.PARTY_FROZEN
    assert house.refuses(FreezeParty(party=operator), actor=risk).reason is Reason.PARTY_FROZEN
    assert house.refuses(FreezeParty(party=9), actor=risk).reason is Reason.UNKNOWN_PARTY
    assert house.refuses(UnfreezeParty(party=9), actor=risk).reason is Reason.UNKNOWN_PARTY
    house.do(UnfreezeParty(party=operator), actor=risk)
    assert house.refuses(UnfreezeParty(party=operator), actor=risk).reason is Reason.PARTY_NOT_FROZEN
    assert house.do(register, actor=operator).party == 3

"""License terms: a kind of term has what belongs to it, and nothing else."""

from dataclasses import replace

import pytest

from domain.rejections import Reason
from domain.values import Role, TermKind
from tests.domain.house import START_NS, House, some_terms


@pytest.mark.parametrize(
    ("term", "ends_ns", "days", "field"),
    [
        (TermKind.PERPETUAL, START_NS + 1, None, "term_ends_ns"),
        (TermKind.PERPETUAL, None, 30, "term_days"),
        (TermKind.FIXED_END, None, None, "term_ends_ns"),
        (TermKind.FIXED_END, START_NS + 1, 30, "term_days"),
        (TermKind.DAYS_FROM_ACTIVATION, None, None, "term_days"),
        (TermKind.DAYS_FROM_ACTIVATION, START_NS + 1, 30, "term_ends_ns"),
    ],
)
def test_a_term_with_the_wrong_parts_is_refused(
    term: TermKind, ends_ns: int | None, days: int | None, field: str
) -> None:
    house = House()
    command = replace(some_terms(house.party(Role.DEVELOPER)), term=term, term_ends_ns=ends_ns, term_days=days)
    refusal = house.refuses(command)
    assert (refusal.code, refusal.field) == ("malformed_term", field)


def test_each_kind_of_term_is_adopted_with_its_parts() -> None:
    house = House()
    developer = house.party(Role.DEVELOPER)
    house.terms(developer)
    house.terms(developer, term=TermKind.FIXED_END, term_ends_ns=START_NS + 1)
    assert house.terms(developer, term=TermKind.DAYS_FROM_ACTIVATION, term_days=365) == 3


def test_terms_end_in_the_future() -> None:
    house = House()
    command = replace(some_terms(house.party(Role.DEVELOPER)), term=TermKind.FIXED_END, term_ends_ns=START_NS)
    assert house.refuses(command).reason is Reason.TIME_IN_PAST


def test_a_license_that_is_not_transferable_has_no_resale_royalty() -> None:
    house = House()
    command = replace(some_terms(house.party(Role.DEVELOPER)), transferable=False)
    assert house.refuses(command).reason is Reason.LIMITS_CONTRADICT
    house.do(replace(command, resale_royalty_ppm=0))


@pytest.mark.parametrize("territory", [(), ("DE", "AT"), ("DE", "DE"), ("worldwide", "DE"), ("XX",), ("de",)])
def test_a_territory_is_worldwide_or_sorted_distinct_countries(territory: tuple[str, ...]) -> None:
    house = House()
    terms = some_terms(house.party(Role.DEVELOPER))
    refusal = house.refuses(replace(terms, territory=territory))
    assert (refusal.code, refusal.field) == ("malformed_territory", "territory")
    house.do(replace(terms, territory=("AT", "DE")))


def test_terms_belong_to_their_developer() -> None:
    house = House()
    developer, other = house.party(Role.DEVELOPER), house.party(Role.DEVELOPER)
    assert house.refuses(some_terms(developer), actor=other).reason is Reason.NOT_THE_OWNER
    assert house.refuses(some_terms(house.party(Role.TRADER))).reason is Reason.ROLE_REQUIRED
    assert house.refuses(some_terms(99)).reason is Reason.UNKNOWN_PARTY

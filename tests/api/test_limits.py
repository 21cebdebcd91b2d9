"""Limits let through what they promise, never more, and remember no more than they may."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.auth.authentication import RATE, authenticate, charge
from api.auth.limits import Limiter, address_of, cost_of_batch, rate_headers
from api.auth.sessions import cookie_name
from api.problems import Problem
from api.settings import Settings
from tests.api.auth_world import TRADER, World, a_scope, log_url_of

SECOND_NS = 1_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now_ns = 10**15

    def __call__(self) -> int:
        return self.now_ns


def passes(limiter: Limiter, who: str = "x", cost: int = 1) -> bool:
    try:
        limiter.spend(who, cost)
    except Problem:
        return False
    return True


def test_the_quota_passes_at_once_and_refills_evenly() -> None:
    clock = Clock()
    limiter = Limiter("key", 10, 5, clock=clock)
    assert [passes(limiter) for _ in range(12)] == [True] * 10 + [False] * 2
    clock.now_ns += SECOND_NS // 2
    assert [passes(limiter) for _ in range(2)] == [True, False]
    clock.now_ns += 5 * SECOND_NS
    assert [passes(limiter) for _ in range(11)] == [True] * 10 + [False]


@given(
    st.integers(1, 20),
    st.integers(1, 5),
    st.lists(st.tuples(st.integers(0, 2 * SECOND_NS), st.integers(1, 4)), max_size=80),
)
def test_in_any_window_no_more_passes_than_twice_the_quota_and_over_time_no_more_than_the_rate(
    quota: int, window: int, asked: list[tuple[int, int]]
) -> None:
    clock = Clock()
    limiter = Limiter("key", quota, window, clock=clock)
    began = clock.now_ns
    passed: list[tuple[int, int]] = []
    for wait_ns, cost in asked:
        clock.now_ns += wait_ns
        if cost <= quota and passes(limiter, cost=cost):
            passed.append((clock.now_ns, cost))
    for at_ns, _ in passed:
        within = sum(cost for when, cost in passed if at_ns - window * SECOND_NS < when <= at_ns)
        assert within <= 2 * quota
    whole = sum(cost for _, cost in passed)
    assert whole <= quota + -(-(clock.now_ns - began) * quota // (window * SECOND_NS)) + 1


@given(st.integers(1, 50), st.lists(st.integers(0, SECOND_NS), max_size=50))
def test_waiting_as_long_as_the_answer_says_is_enough(quota: int, waits: list[int]) -> None:
    clock = Clock()
    limiter = Limiter("key", quota, clock=clock)
    for wait_ns in waits:
        clock.now_ns += wait_ns // 100
        try:
            limiter.spend("x", 3)
        except Problem as refusal:
            clock.now_ns += (refusal.retry_after_ms or 0) * 1_000_000
            limiter.spend("x", 3)


def test_each_has_a_quota_of_its_own() -> None:
    limiter = Limiter("key", 1, clock=Clock())
    assert passes(limiter, "a") and passes(limiter, "b")
    assert not passes(limiter, "a") and not passes(limiter, "b")


def test_what_costs_nothing_always_passes_and_what_costs_more_than_all_waits_for_all() -> None:
    clock = Clock()
    limiter = Limiter("key", 5, clock=clock)
    assert passes(limiter, cost=99)
    assert not passes(limiter)
    assert passes(limiter, cost=0)
    clock.now_ns += SECOND_NS
    assert passes(limiter, cost=99)


def test_looking_takes_nothing() -> None:
    clock = Clock()
    limiter = Limiter("address", 2, clock=clock)
    for _ in range(5):
        limiter.refuse_if_spent("x")
    assert passes(limiter)
    limiter.refuse_if_spent("x")
    assert passes(limiter)
    with pytest.raises(Problem):
        limiter.refuse_if_spent("x")
    clock.now_ns += SECOND_NS // 2
    limiter.refuse_if_spent("x")


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, SECOND_NS // 4)), max_size=200))
def test_no_more_are_remembered_than_the_bound(asked: list[tuple[int, int]]) -> None:
    clock = Clock()
    limiter = Limiter("address", 3, clock=clock, remembered_max=8)
    for who, wait_ns in asked:
        clock.now_ns += wait_ns
        passes(limiter, str(who))
        assert len(limiter) <= 8


def test_the_headers_say_what_is_left() -> None:
    clock = Clock()
    limiter = Limiter("principal", 10, 5, clock=clock)
    assert dict(rate_headers(limiter.spend("x", 3))) == {
        "ratelimit-policy": '"principal";q=10;w=5',
        "ratelimit": '"principal";r=7;t=2',
        "x-ratelimit-limit": "10",
        "x-ratelimit-remaining": "7",
        "x-ratelimit-reset": "2",
    }
    limiter.spend("x", 7)
    with pytest.raises(Problem) as caught:
        limiter.spend("x")
    assert (caught.value.status, caught.value.retry_after_ms, caught.value.headers["Retry-After"]) == (429, 500, "1")
    assert caught.value.headers["x-ratelimit-remaining"] == "0"


@pytest.mark.parametrize(("orders", "cost"), [(0, 0), (1, 1), (100, 1), (101, 2), (1_000, 10)])
def test_a_batch_costs_one_for_each_hundred_orders(orders: int, cost: int) -> None:
    assert cost_of_batch(orders) == cost


@pytest.mark.parametrize(
    ("host", "address"),
    [
        (None, "local"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:0db8:0001:0002::/64"),
        ("2001:db8:1:2::9", "2001:0db8:0001:0002::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("not:an:address", "not:an:address"),
    ],
)
def test_a_network_of_ipv6_is_one_address(host: str | None, address: str) -> None:
    assert address_of(host) == address


# -- of requests -------------------------------------------------------------------------------------------------------


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    settings = Settings(key_requests_per_second=5, address_requests_per_second=3)
    made = World(tmp_path, log_url_of(tmp_path), settings)
    yield made
    made.auth.close()


def codes_of(world: World, times: int, **headers: str) -> list[str]:
    codes = []
    for _ in range(times):
        try:
            authenticate(world.doors, a_scope(headers=headers), b"")
            codes.append("ok")
        except Problem as refusal:
            codes.append(refusal.code)
    return codes


def test_who_is_not_signed_in_shares_the_limit_of_the_address(world: World) -> None:
    assert codes_of(world, 4) == ["ok"] * 3 + ["rate_limited"]
    authenticate(world.doors, a_scope(host="192.0.2.99"), b"")


def test_a_key_has_its_own_limit_and_its_cancels_have_none(world: World) -> None:
    signer = world.signer()
    left = []
    for _ in range(5):
        scope = world.signed(signer)
        authenticate(world.doors, scope, b"")
        left.append(scope[RATE].remaining)
    assert left == [4, 3, 2, 1, 0]
    with pytest.raises(Problem) as caught:
        authenticate(world.doors, world.signed(signer), b"")
    assert caught.value.code == "rate_limited"
    for _ in range(50):
        assert authenticate(world.doors, world.signed(signer, "DELETE"), b"", cost=0).party == TRADER


def test_a_user_has_one_limit_for_all_its_sessions(world: World) -> None:
    user = world.auth.add_user("ada@example.org", "correct horse battery", TRADER)
    name = cookie_name(world.settings)
    one, other = world.auth.start_session(user).token, world.auth.start_session(user).token
    assert codes_of(world, 3, cookie=f"{name}={one}") == ["ok"] * 3
    assert codes_of(world, 3, cookie=f"{name}={other}") == ["ok"] * 2 + ["rate_limited"]


def test_a_batch_is_charged_when_its_size_is_known(world: World) -> None:
    signer = world.signer()
    scope = world.signed(signer, "POST", "/v1/orders/batch")
    principal = authenticate(world.doors, scope, b"")
    charge(world.doors, scope, principal, cost_of_batch(400) - 1)
    assert scope[RATE].remaining == 1
    with pytest.raises(Problem):
        charge(world.doors, scope, principal, 2)

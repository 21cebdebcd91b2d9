"""People at a browser: signing in, guessing, staying signed in, and requests that a foreign page would send."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from api.auth.authentication import authenticate
from api.auth.passwords import Passwords, strong
from api.auth.principal import SCOPES, Principal
from api.auth.sessions import (
    SESSIONS_PER_USER_MAX,
    SignedIn,
    cookie_name,
    csrf_token,
    expired_cookie,
    session_cookie,
    sign_in,
    sign_out,
    token_of,
)
from api.auth.store import FREE_FAILURES
from api.problems import Problem
from api.settings import Settings
from domain.values import Role
from tests.api.auth_world import QUICK, TRADER, World, a_scope, log_url_of, postgres_world

LOGIN, PASSWORD = "ada@example.org", "correct horse battery staple"
OWN_ORIGIN = "http://127.0.0.1:8420"


@pytest.fixture(params=["sqlite", "postgres"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "postgres":
        made = postgres_world(tmp_path, request.getfixturevalue("postgres_database"))
    else:
        made = World(tmp_path, log_url_of(tmp_path))
    made.auth.add_user(LOGIN, PASSWORD, TRADER)
    yield made
    made.auth.close()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, log_url_of(tmp_path))
    made.auth.add_user(LOGIN, PASSWORD, TRADER)
    yield made
    made.auth.close()


def enter(world: World, password: str = PASSWORD, login: str = LOGIN) -> SignedIn:
    return world.auth.sign_in(login, password)


def refusal_of_entering(world: World, password: str, login: str = LOGIN) -> Problem:
    with pytest.raises(Problem) as caught:
        world.auth.sign_in(login, password)
    return caught.value


def asks(world: World, token: str, method: str = "GET", **headers: str) -> Principal:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named["cookie"] = f"theme=dark; {cookie_name(world.settings)}={token}"
    return authenticate(world.doors, a_scope(method, headers=named), b"")


def refused(world: World, token: str, method: str, **headers: str) -> str:
    with pytest.raises(Problem) as caught:
        asks(world, token, method, **headers)
    return caught.value.code


# -- signing in --------------------------------------------------------------------------------------------------------


def test_who_signed_in_is_its_party_with_the_roles_of_now(world: World) -> None:
    signed_in = enter(world)
    principal = asks(world, signed_in.token)
    assert (principal.party, principal.roles, principal.scopes, principal.how, principal.key, principal.user) == (
        TRADER,
        Role.TRADER,
        SCOPES,
        "session",
        None,
        1,
    )
    world.catalogue.parties[TRADER].roles = Role.DEVELOPER
    assert asks(world, signed_in.token).roles == Role.DEVELOPER


def test_a_session_outlives_a_restart_and_its_token_is_not_in_the_store(world: World) -> None:
    world.restart()
    signed_in = enter(world)
    assert signed_in.token not in repr(signed_in)
    assert signed_in.token.encode() not in b"".join(file.read_bytes() for file in world.folder.iterdir())
    world.wait(60)
    asks(world, signed_in.token)
    world.restart()
    assert asks(world, signed_in.token).party == TRADER


def test_case_and_spaces_of_a_login_do_not_matter(small: World) -> None:
    assert enter(small, login=" ADA@Example.org ").session.user == 1


def test_an_unknown_login_and_a_wrong_password_are_one_answer(small: World) -> None:
    wrong, unknown = refusal_of_entering(small, "wrong"), refusal_of_entering(small, PASSWORD, "eve@example.org")
    assert (wrong.status, wrong.code, wrong.detail) == (unknown.status, unknown.code, unknown.detail)
    assert wrong.code == "sign_in_failed"


def test_a_new_token_each_time_and_the_old_one_stays_good(small: World) -> None:
    first, second = enter(small), enter(small)
    assert first.token != second.token
    assert asks(small, first.token).session == first.session
    sign_out(small.auth, first.session)
    assert asks(small, first.token).how == "anonymous"
    assert asks(small, second.token).how == "session"


def test_a_rotated_session_has_another_token_and_keeps_its_age(small: World) -> None:
    first = enter(small)
    small.wait(3000)
    rotated = small.auth.rotate_session(first.session)
    assert asks(small, first.token).how == "anonymous"
    assert asks(small, rotated.token).how == "session"
    assert rotated.session.created_ns == first.session.created_ns


def test_of_many_sessions_of_a_user_the_oldest_ends(small: World) -> None:
    tokens = []
    for _ in range(SESSIONS_PER_USER_MAX + 2):
        tokens.append(enter(small).token)
        small.wait(1)
    how = [asks(small, token).how for token in tokens]
    assert how == ["anonymous"] * 2 + ["session"] * SESSIONS_PER_USER_MAX


def test_a_session_ends_an_hour_after_its_last_use(small: World) -> None:
    token = enter(small).token
    small.wait(3599)
    assert asks(small, token).how == "session"
    small.wait(3599)
    assert asks(small, token).how == "session"
    small.wait(3600)
    assert asks(small, token).how == "anonymous"


def test_a_session_that_is_used_all_day_ends_all_the_same(small: World) -> None:
    token = enter(small).token
    for _ in range(2 * small.settings.session_hours - 1):
        small.wait(1800)
        assert asks(small, token).how == "session"
    small.wait(1800)
    assert asks(small, token).how == "anonymous"


def test_sessions_that_ended_are_dropped(small: World) -> None:
    signed_in = enter(small)
    principal = asks(small, signed_in.token)
    assert small.auth.is_active(principal)
    small.wait(3601)
    assert not small.auth.is_active(principal)
    small.auth.maintain()
    assert small.auth._sessions == {}


def test_an_open_socket_keeps_its_session(small: World) -> None:
    principal = asks(small, enter(small).token)
    for _ in range(5):
        small.wait(3000)
        assert small.auth.is_active(principal)


@pytest.mark.parametrize("change", ["password", "disable"])
def test_a_changed_password_or_a_disabled_user_ends_every_session(world: World, change: str) -> None:
    principal = asks(world, enter(world).token)
    other = world.open()
    if change == "password":
        other.set_password(1, "another good password")
    else:
        other.disable_user(1)
    other.close()
    world.auth.maintain()
    assert not world.auth.is_active(principal)
    assert refusal_of_entering(world, PASSWORD).code == "sign_in_failed"
    if change == "password":
        assert enter(world, "another good password").session.user == 1


def test_a_party_that_is_gone_has_nobody(small: World) -> None:
    token = enter(small).token
    del small.catalogue.parties[TRADER]
    assert asks(small, token).how == "anonymous"


# -- guessing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("login", [LOGIN, "nobody@example.org"])
def test_each_wrong_password_after_the_fifth_waits_twice_as_long(small: World, login: str) -> None:
    for _ in range(FREE_FAILURES):
        assert refusal_of_entering(small, "wrong", login).code == "sign_in_failed"
    for seconds in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900):
        locked = refusal_of_entering(small, PASSWORD, login)
        assert (locked.code, locked.status, locked.headers["Retry-After"]) == ("sign_in_locked", 429, str(seconds))
        small.wait(seconds)
        assert refusal_of_entering(small, "wrong", login).code == "sign_in_failed"


def test_a_locked_login_opens_after_its_wait_and_starts_anew(world: World) -> None:
    for _ in range(FREE_FAILURES):
        refusal_of_entering(world, "wrong")
    world.restart()
    assert refusal_of_entering(world, PASSWORD).code == "sign_in_locked"
    world.wait(1)
    assert enter(world).session.user == 1
    for _ in range(FREE_FAILURES):
        assert refusal_of_entering(world, "wrong").code == "sign_in_failed"


def test_many_guesses_at_once_are_no_more_than_one_after_the_other(world: World) -> None:
    with ThreadPoolExecutor(8) as pool:
        codes = sorted(pool.map(lambda _: refusal_of_entering(world, "wrong").code, range(16)))
    assert codes == ["sign_in_failed"] * FREE_FAILURES + ["sign_in_locked"] * (16 - FREE_FAILURES)


def test_one_address_tries_ten_passwords_a_minute(small: World) -> None:
    async def enter_often() -> list[str]:
        codes = []
        for number in range(12):
            try:
                await sign_in(small.auth, f"user{number}@example.org", "wrong", "192.0.2.1")
            except Problem as refusal:
                codes.append(refusal.code)
        assert (await sign_in(small.auth, LOGIN, PASSWORD, "192.0.2.2")).session.party == TRADER
        return codes

    assert asyncio.run(enter_often()) == ["sign_in_failed"] * 10 + ["rate_limited"] * 2


def test_the_failures_of_yesterday_are_forgotten(small: World) -> None:
    for _ in range(FREE_FAILURES):
        refusal_of_entering(small, "wrong")
    small.wait(86_402)
    small.auth.maintain()
    refusal_of_entering(small, "wrong")
    assert refusal_of_entering(small, "wrong").code == "sign_in_failed"


# -- passwords ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weak", ["", "short", "x" * 11, "x" * 12, "passwordpassword", "TallystickTally", "y" * 257])
def test_a_weak_password_is_refused(weak: str) -> None:
    with pytest.raises(Problem) as caught:
        strong(weak)
    assert caught.value.code == "password_too_weak"


def test_a_password_is_kept_as_argon2id_and_never_shown(small: World) -> None:
    user = small.auth.users()[0]
    assert user.password_hash.startswith("$argon2id$")
    assert user.password_hash not in repr(user)
    assert Passwords()._hasher.memory_cost == 64 * 1024


def test_a_hash_of_older_costs_is_made_anew_at_the_next_sign_in(small: World) -> None:
    older = Passwords(PasswordHasher(time_cost=2, memory_cost=8, parallelism=1)).hash(PASSWORD)
    assert QUICK.is_outdated(older)
    small.auth.users()[0].password_hash = older
    enter(small)
    assert not QUICK.is_outdated(small.auth.users()[0].password_hash)
    small.restart()
    assert enter(small).session.user == 1


@pytest.mark.parametrize("password", ["\x00" * 20, "\udcff" * 20, "密码" * 8, "x" * 100_000])
def test_any_text_may_be_tried(small: World, password: str) -> None:
    assert refusal_of_entering(small, password).code == "sign_in_failed"


@pytest.mark.parametrize("login", ["", "ab", "a b", "ad\na", "é@example.org", "x" * 65, LOGIN.upper()])
def test_a_login_is_plain_and_taken_once(small: World, login: str) -> None:
    with pytest.raises(Problem) as caught:
        small.auth.add_user(login, PASSWORD, TRADER)
    assert caught.value.code == ("login_taken" if login == LOGIN.upper() else "malformed_text")


# -- requests of a session ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_what_changes_something_needs_our_page_and_its_token(small: World, method: str) -> None:
    signed_in, stranger = enter(small), enter(small)
    csrf = csrf_token(small.auth, signed_in.session)
    ours = {"x_csrf_token": csrf, "origin": OWN_ORIGIN}
    assert asks(small, signed_in.token, method, **ours).party == TRADER
    assert refused(small, signed_in.token, method, origin=OWN_ORIGIN) == "csrf_failed"
    others = csrf_token(small.auth, stranger.session)
    for wrong in (others, csrf[:-1], "", "\xff"):
        assert refused(small, signed_in.token, method, origin=OWN_ORIGIN, x_csrf_token=wrong) == "csrf_failed"
    for foreign in ("https://evil.example", "http://127.0.0.1:8421", "https://127.0.0.1:8420", "null", ""):
        assert refused(small, signed_in.token, method, x_csrf_token=csrf, origin=foreign) == "origin_not_allowed"
    for site in ("cross-site", "same-site"):
        assert refused(small, signed_in.token, method, x_csrf_token=csrf, sec_fetch_site=site) == "origin_not_allowed"


def test_reading_needs_neither(small: World) -> None:
    assert asks(small, enter(small).token, "GET", origin="https://evil.example").how == "session"


def test_who_is_not_signed_in_cannot_be_sent_by_a_foreign_page_either(small: World) -> None:
    """So that no page signs its visitors in as somebody else."""
    with pytest.raises(Problem) as caught:
        authenticate(small.doors, a_scope("POST", headers={"origin": "https://evil.example"}), b"")
    assert caught.value.code == "origin_not_allowed"


def test_a_socket_is_opened_from_our_pages_or_by_no_browser(tmp_path: Path) -> None:
    world = World(tmp_path, log_url_of(tmp_path), Settings(allowed_origins=("https://desk.example",)))

    def opens(**headers: str) -> str:
        return authenticate(world.doors, a_scope(headers=headers, kind="websocket"), b"").how

    assert opens() == opens(origin=OWN_ORIGIN) == opens(origin="https://desk.example") == "anonymous"
    for foreign in ("https://evil.example", "https://desk.example.evil.example", "null"):
        with pytest.raises(Problem) as caught:
            opens(origin=foreign)
        assert caught.value.code == "origin_not_allowed"
    world.auth.close()


# -- cookies -----------------------------------------------------------------------------------------------------------


def test_over_https_the_cookie_belongs_to_this_host_alone() -> None:
    https, loopback = Settings(behind_proxy=True), Settings()
    assert session_cookie(https, "t") == ("__Host-session=t; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200; Secure")
    assert session_cookie(loopback, "t") == "session=t; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200"
    assert expired_cookie(loopback) == "session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"


def test_two_cookies_of_the_name_or_a_strange_one_are_none() -> None:
    token = "a" * 43
    assert token_of(f"x=1; session={token};y", "session") == token
    assert token_of(f"session={token}; session={'b' * 43}", "session") is None
    for strange in ("", "session", "session=", "session=short", f"xsession={token}", f"session={token}a"):
        assert token_of(strange, "session") is None

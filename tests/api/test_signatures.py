"""A signature is accepted once, for exactly the request that was signed, while its key is good."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Scope

from api.auth.authentication import authenticate, authenticate_message
from api.auth.principal import Principal
from api.auth.signatures import Ed25519Signer, HmacSigner, Signatures, hmac_verifier, signed_headers, signed_string
from api.problems import Problem
from domain.values import Role
from tests.api.auth_world import TRADER, World, a_scope, log_url_of, postgres_world

BODY = b'{"price":"12.40"}'


@pytest.fixture(params=["sqlite", "postgres"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "postgres":
        made = postgres_world(tmp_path, request.getfixturevalue("postgres_database"))
    else:
        made = World(tmp_path, log_url_of(tmp_path))
    yield made
    made.auth.close()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, log_url_of(tmp_path))
    yield made
    made.auth.close()


def refused(world: World, scope: Scope, body: bytes = b"") -> str:
    with pytest.raises(Problem) as caught:
        authenticate(world.doors, scope, body)
    return caught.value.code


def accepted(world: World, scope: Scope, body: bytes = b"") -> Principal:
    return authenticate(world.doors, scope, body)


# -- what is signed ----------------------------------------------------------------------------------------------------


def test_the_signed_string_is_five_lines() -> None:
    text = signed_string(b"1789300800000", b"POST", b"/v1/orders?a=b", b"{}", b"n-1")
    assert text.split(b"\n") == [
        b"1789300800000",
        b"POST",
        b"/v1/orders?a=b",
        b"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        b"n-1",
    ]


def test_the_headers_of_a_known_request_are_these() -> None:
    # The signature is what `openssl dgst -sha256 -hmac tsk_example -binary | base64` prints of the five lines.
    made = signed_headers(
        HmacSigner("key_1", "tsk_example"), "GET", "/v1/orders", timestamp_ms=1_789_300_800_000, nonce="n-1"
    )
    assert made == {
        "X-Api-Key": "key_1",
        "X-Timestamp": "1789300800000",
        "X-Nonce": "n-1",
        "X-Signature": "xvB8AjeYMdtuKLoC7Ee3w7WIZC3kiEPNfMP4NzWB99s=",
    }


def test_a_signed_request_is_of_its_party_with_the_roles_of_now(small: World) -> None:
    signer = small.signer(scopes={"read", "trade"})
    principal = accepted(small, small.signed(signer, "POST", "/v1/orders?x=1", BODY), BODY)
    assert principal == Principal(TRADER, Role.TRADER, frozenset({"read", "trade"}), "key", 1)
    small.catalogue.parties[TRADER].roles = Role.AGENT
    assert accepted(small, small.signed(signer)).roles == Role.AGENT


def test_an_ed25519_key_signs_too_and_the_server_never_sees_its_private_half(small: World) -> None:
    private_key = Ed25519PrivateKey.generate()
    public_key = b64encode(private_key.public_key().public_bytes_raw()).decode()
    made = small.key(kind="ed25519", public_key=public_key)
    assert made.secret is None
    signer = Ed25519Signer(made.key.id, private_key)
    assert accepted(small, small.signed(signer, "POST", "/v1/orders", BODY), BODY).key == made.key.number
    assert refused(small, small.signed(Ed25519Signer(made.key.id, Ed25519PrivateKey.generate()))) == "signature_invalid"


@pytest.mark.parametrize("kind", ["hmac", "ed25519"])
@pytest.mark.parametrize(
    "change",
    [
        {"method": b"DELETE"},
        {"raw_path": b"/v1/orders/"},
        {"raw_path": b"/v1/orders%2f"},
        {"query_string": b"series=ser_2"},
        {"query_string": b""},
        {"body": b'{"price":"12.41"}'},
        {"body": b""},
        {"x-nonce": b"another"},
        {"x-timestamp": b"-1"},
        {"x-signature": b64encode(bytes(32))},
        {"x-signature": b""},
        {"x-signature": b"!"},
        {"x-api-key": b"key_1"},
        {"x-api-key": b"key_zz"},
    ],
)
def test_nothing_that_was_signed_can_be_changed(small: World, kind: str, change: dict[str, bytes]) -> None:
    small.signer()
    if kind == "hmac":
        signer: Any = small.signer()
    else:
        private_key = Ed25519PrivateKey.generate()
        public_key = b64encode(private_key.public_key().public_bytes_raw()).decode()
        signer = Ed25519Signer(small.key(kind="ed25519", public_key=public_key).key.id, private_key)
    scope = small.signed(signer, "POST", "/v1/orders?series=ser_1", BODY)
    body = change.get("body", BODY)
    headers = dict(scope["headers"])
    for name, value in change.items():
        if name.startswith("x-"):
            headers[name.encode()] = value
        elif name == "method":
            scope["method"] = value.decode()
        elif name != "body":
            scope[name] = value
    scope["headers"] = list(headers.items())
    assert refused(small, scope, body) == "signature_invalid"
    # What was sent before was no replay of it: the request itself is still good.
    assert accepted(small, small.signed(signer, "POST", "/v1/orders?series=ser_1", BODY), BODY).party == TRADER


@pytest.mark.parametrize("missing", ["X-Timestamp", "X-Nonce", "X-Signature"])
def test_a_key_without_the_rest_is_no_signature(small: World, missing: str) -> None:
    headers = signed_headers(small.signer(), "GET", "/v1/orders", timestamp_ms=small.now_ms)
    del headers[missing]
    assert refused(small, a_scope(headers=headers)) == "signature_invalid"


def test_an_unknown_key_is_answered_like_a_wrong_signature(small: World) -> None:
    def answer(key_id: str) -> tuple[int, str, str]:
        with pytest.raises(Problem) as caught:
            authenticate(small.doors, small.signed(HmacSigner(key_id, "tsk_guess")), b"")
        return caught.value.status, caught.value.code, caught.value.detail

    assert answer(small.key().key.id) == answer("key_777")


@given(
    st.binary(max_size=20),
    st.binary(max_size=70),
    st.binary(max_size=100),
    st.binary(max_size=20),
)
def test_any_bytes_in_the_headers_are_a_problem_and_nothing_else(
    timestamp: bytes, nonce: bytes, signature: bytes, body: bytes
) -> None:
    signatures = Signatures(lambda: 10_000, window_ms=5_000, floor_ms=0)
    with pytest.raises(Problem) as caught:
        signatures.check(
            1,
            hmac_verifier(b"secret"),
            timestamp=timestamp,
            nonce=nonce,
            signature=signature,
            method=b"GET",
            target=b"/",
            body=body,
        )
    assert caught.value.code in ("signature_invalid", "signature_expired")


# -- when --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("skew_ms", "code"), [(-5_000, None), (5_000, None), (-5_001, "signature_expired"), (5_001, "signature_expired")]
)
def test_the_timestamp_is_within_five_seconds_of_ours(small: World, skew_ms: int, code: str | None) -> None:
    scope = small.signed(small.signer(), timestamp_ms=small.now_ms + skew_ms)
    if code is None:
        assert accepted(small, scope).party == TRADER
    else:
        assert refused(small, scope) == code


# -- once --------------------------------------------------------------------------------------------------------------


def test_the_same_request_again_is_refused(small: World) -> None:
    scope = small.signed(small.signer())
    accepted(small, scope)
    assert refused(small, scope) == "nonce_reused"


def test_a_nonce_is_of_its_key_alone(small: World) -> None:
    one, other = small.signer(), small.signer()
    accepted(small, small.signed(one, nonce="n"))
    accepted(small, small.signed(other, nonce="n"))
    assert refused(small, small.signed(one, "DELETE", nonce="n")) == "nonce_reused"


def test_who_cannot_sign_uses_up_no_nonce(small: World) -> None:
    signer = small.signer()
    assert refused(small, small.signed(HmacSigner(signer.key_id, "tsk_guess"), nonce="n")) == "signature_invalid"
    assert accepted(small, small.signed(signer, nonce="n")).party == TRADER


@given(st.lists(st.tuples(st.integers(0, 4_000), st.integers(-5_000, 5_000)), min_size=1, max_size=60))
def test_no_request_is_ever_accepted_twice(steps: list[tuple[int, int]]) -> None:
    """Whenever each was sent, and whatever was sent and forgotten in between."""
    now_ms = 1_000_000
    signatures = Signatures(lambda: now_ms, window_ms=5_000, floor_ms=0)
    sent: list[tuple[bytes, bytes]] = []

    def send(timestamp: bytes, nonce: bytes) -> str | None:
        try:
            signatures.check(
                1,
                lambda _text, _signature: True,
                timestamp=timestamp,
                nonce=nonce,
                signature=b"",
                method=b"GET",
                target=b"/",
                body=b"",
            )
        except Problem as refusal:
            return refusal.code
        return None

    for number, (wait_ms, skew_ms) in enumerate(steps):
        now_ms += wait_ms
        fresh = (b"%d" % (now_ms + skew_ms), b"n%d" % number)
        assert send(*fresh) is None
        sent.append(fresh)
        assert {send(*old) for old in sent} <= {"nonce_reused", "signature_expired"}


def test_what_is_remembered_is_bounded_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.auth.signatures.NONCES_MAX", 3)
    now_ms = 1_000_000
    signatures = Signatures(lambda: now_ms, window_ms=5_000, floor_ms=0)

    def send(nonce: bytes) -> None:
        signatures.check(
            1,
            lambda _text, _signature: True,
            timestamp=b"%d" % now_ms,
            nonce=nonce,
            signature=b"",
            method=b"GET",
            target=b"/",
            body=b"",
        )

    for nonce in (b"a", b"b", b"c"):
        send(nonce)
    with pytest.raises(Problem) as caught:
        send(b"d")
    assert (caught.value.code, caught.value.headers["Retry-After"]) == ("rate_limited", "10")
    now_ms += 10_001
    send(b"d")


# -- after a restart ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("killed", [False, True])
def test_a_nonce_is_not_good_again_after_a_restart(world: World, killed: bool) -> None:
    world.restart()
    signer = world.signer()
    world.wait(6)
    scopes = [world.signed(signer, timestamp_ms=world.now_ms + skew_ms) for skew_ms in (-4_000, 0, 4_999)]
    for scope in scopes:
        accepted(world, scope)
    world.wait(0.2)
    world.restart(killed=killed)
    for _ in range(12):
        assert {refused(world, scope) for scope in scopes} <= {"signature_expired", "nonce_reused"}
        world.wait(1)


def test_after_a_clean_stop_new_requests_are_good_at_once(small: World) -> None:
    small.restart()
    signer = small.signer()
    small.wait(1)
    accepted(small, small.signed(signer))
    small.wait(0.1)
    small.restart()
    small.wait(0.001)
    assert accepted(small, small.signed(signer)).party == TRADER


def test_after_a_kill_requests_are_good_when_nothing_from_before_can_be_repeated(small: World) -> None:
    small.restart()
    signer = small.signer()
    small.restart(killed=True)
    small.wait(5)
    assert refused(small, small.signed(signer)) == "signature_expired"
    small.wait(0.001)
    assert accepted(small, small.signed(signer)).party == TRADER


def test_a_clock_that_was_set_back_lets_nothing_in_twice(small: World) -> None:
    signer = small.signer()
    scopes = []
    for _ in range(6):
        scopes.append(small.signed(signer))
        accepted(small, scopes[-1])
        small.wait(7)
    small.wait(-42)
    assert {refused(small, scope) for scope in scopes} <= {"signature_expired", "nonce_reused"}


# -- with which key ----------------------------------------------------------------------------------------------------


def test_a_revoked_key_is_cut_off_at_once(world: World) -> None:
    signer = world.signer()
    principal = accepted(world, world.signed(signer))
    assert principal.key is not None and world.auth.is_active(principal)
    world.auth.revoke_key(principal.key)
    assert refused(world, world.signed(signer)) == "key_revoked"
    assert not world.auth.is_active(principal)
    world.restart(killed=True)
    world.wait(6)
    assert refused(world, world.signed(signer)) == "key_revoked"


def test_a_key_that_another_process_revoked_is_cut_off_by_the_next_maintenance(world: World) -> None:
    signer = world.signer()
    principal = accepted(world, world.signed(signer))
    other = world.open()
    other.revoke_key(principal.key or 0)
    other.close()
    world.auth.maintain()
    assert refused(world, world.signed(signer)) == "key_revoked"


def test_a_key_that_another_process_made_is_known_after_the_next_maintenance(world: World) -> None:
    here, world.auth = world.auth, world.open()
    signer = world.signer()
    world.auth.close()
    world.auth = here
    assert refused(world, world.signed(signer)) == "signature_invalid"
    world.auth.maintain()
    assert accepted(world, world.signed(signer)).party == TRADER


def test_a_key_ends_at_its_date(small: World) -> None:
    made = small.key(expires_ns=small.now_ns + 3 * 10**9)
    signer = HmacSigner(made.key.id, made.secret or "")
    accepted(small, small.signed(signer))
    small.wait(3)
    assert refused(small, small.signed(signer)) == "key_expired"


def test_only_the_owner_of_a_revoked_key_learns_that_it_was_revoked(small: World) -> None:
    made = small.key()
    small.auth.revoke_key(made.key.number)
    assert refused(small, small.signed(HmacSigner(made.key.id, "tsk_guess"))) == "signature_invalid"


def test_guessing_meets_the_limit_of_the_address_and_canceling_is_still_possible(small: World) -> None:
    signer = small.signer()
    guess = HmacSigner(signer.key_id, "tsk_guess")
    codes = [refused(small, small.signed(guess)) for _ in range(small.settings.address_requests_per_second + 1)]
    assert (codes[0], codes[-2], codes[-1]) == ("signature_invalid", "signature_invalid", "rate_limited")
    assert refused(small, small.signed(signer)) == "rate_limited"
    assert authenticate(small.doors, small.signed(signer, "DELETE"), b"", cost=0).party == TRADER


def test_an_open_socket_signs_a_get_of_its_own_path(small: World) -> None:
    signer = small.signer()
    headers = signed_headers(signer, "GET", "/v1/ws", timestamp_ms=small.now_ms)
    message = {
        "op": "auth",
        "key": headers["X-Api-Key"],
        "timestamp": headers["X-Timestamp"],
        "nonce": headers["X-Nonce"],
        "signature": headers["X-Signature"],
    }
    scope = a_scope(target="/v1/ws", kind="websocket")
    assert authenticate_message(small.doors, scope, message).party == TRADER
    for wrong in (message, message | {"signature": 7}, {"op": "auth"}):
        with pytest.raises(Problem):
            authenticate_message(small.doors, scope, wrong)


def test_when_a_key_was_last_used_is_written_later(world: World) -> None:
    signer = world.signer()
    principal = accepted(world, world.signed(signer))
    world.auth.maintain()
    world.restart()
    found = world.auth.key_number(principal.key or 0)
    assert found is not None and found.last_used_ns == world.now_ns

"""What is kept of users and keys: durable, sealed, readable by its owner alone, on both databases."""

from __future__ import annotations

import stat
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, text

from api.auth.database import AuthSchemaUnknown, open_auth_engine
from api.auth.keys import KEYS_PER_PARTY_MAX, ApiKey, checked_key_request
from api.auth.sealing import KEY_FILE, AuthKeyUnusable, Sealer, open_sealer
from api.problems import Problem
from domain.rejections import Refusal
from domain.values import HOUSE
from tests.api.auth_world import OTHER_TRADER, TRADER, World, a_key_request, log_url_of, postgres_world

PASSWORD = "correct horse battery staple"  # noqa: S105  (of nobody)


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


def told(keys: Sequence[ApiKey]) -> list[tuple[object, ...]]:
    return [(key.id, key.party, key.kind, key.label, sorted(key.scopes), key.expires_ns) for key in keys]


def ids_of(keys: Sequence[ApiKey]) -> list[str]:
    return [key.id for key in keys]


def test_users_and_keys_are_the_same_after_a_restart(world: World) -> None:
    world.auth.add_user("ada@example.org", PASSWORD, TRADER)
    world.key(scopes={"read"}, label="desk", expires_ns=world.now_ns + 1)
    world.key(OTHER_TRADER)
    before, users = told(world.auth.keys()), world.auth.users()
    world.restart()
    assert told(world.auth.keys()) == before
    assert before[0] == ("key_1", TRADER, "hmac", "desk", ["read"], world.now_ns + 1)
    assert world.auth.users() == users
    assert ids_of(world.auth.keys(TRADER)) == ["key_1"]


def test_no_file_and_no_object_holds_a_secret_in_clear(small: World) -> None:
    made = small.key()
    assert made.secret is not None and made.secret.startswith("tsk_") and len(made.secret) == 47
    small.auth.close()
    everything = b"".join(file.read_bytes() for file in small.folder.iterdir())
    assert made.secret.encode() not in everything
    assert made.secret not in repr(made)
    small.auth = small.open()


def test_the_files_belong_to_their_owner_alone(small: World) -> None:
    for name in (KEY_FILE, "auth.sqlite"):
        assert stat.S_IMODE((small.folder / name).stat().st_mode) == 0o600
    assert [file.name for file in small.folder.iterdir() if file.name.startswith(".")] == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_file_that_others_may_read_is_refused(small: World, mode: int) -> None:
    (small.folder / KEY_FILE).chmod(mode)
    with pytest.raises(AuthKeyUnusable, match="mode must be 0600"):
        small.open()


def test_a_key_file_that_was_cut_exchanged_or_lost_is_refused(small: World) -> None:
    small.key()
    path = small.folder / KEY_FILE
    whole = path.read_bytes()
    path.write_bytes(whole[:31])
    with pytest.raises(AuthKeyUnusable, match="must hold 32 bytes, got 31"):
        small.open()
    path.write_bytes(bytes(32))
    with pytest.raises(AuthKeyUnusable, match="not the file"):
        small.open()
    path.unlink()
    with pytest.raises(AuthKeyUnusable, match="not the file"):
        small.open()
    path.write_bytes(whole)
    assert ids_of(small.open().keys()) == ["key_1"]


def test_a_sealed_secret_opens_only_in_its_own_row(tmp_path: Path) -> None:
    sealer = open_sealer(tmp_path)
    sealed = sealer.seal(b"secret", "api_key.1.7")
    assert open_sealer(tmp_path).unseal(sealed, "api_key.1.7") == b"secret"
    for blob, place in ((sealed, "api_key.1.8"), (sealed[:-1], "api_key.1.7"), (b"", "api_key.1.7")):
        with pytest.raises(AuthKeyUnusable):
            sealer.unseal(blob, place)
    assert sealer.seal(b"secret", "api_key.1.7") != sealed


def test_each_purpose_has_a_secret_of_its_own_that_outlives_a_restart() -> None:
    sealer, other = Sealer(bytes(32)), Sealer(bytes(range(32)))
    secrets = {sealer.secret("cursors"), sealer.secret("csrf"), other.secret("cursors"), bytes(32)}
    assert len(secrets) == 4
    assert Sealer(bytes(32)).secret("csrf") == sealer.secret("csrf")


def test_a_store_of_another_release_is_refused(small: World) -> None:
    small.auth.close()
    engine = open_auth_engine(small.folder, small.log_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE meta SET value = 2 WHERE name = 'schema'"))
    engine.dispose()
    with pytest.raises(AuthSchemaUnknown, match="expected 1, found 2"):
        small.open()
    engine = open_auth_engine.__globals__["_sqlite_engine"](small.folder / "auth.sqlite")
    with engine.begin() as connection:
        connection.execute(text("UPDATE meta SET value = 1 WHERE name = 'schema'"))
    engine.dispose()
    small.auth = small.open()


def test_in_postgres_the_store_is_a_schema_of_its_own(tmp_path: Path, postgres_database: str) -> None:
    world = World(tmp_path, make_url(postgres_database))
    with world.auth._engine.connect() as connection:
        found = connection.execute(text("SELECT table_schema, table_name FROM information_schema.tables")).all()
    ours = {name for schema, name in found if schema == "auth"}
    assert ours == {"meta", "users", "api_keys", "sessions", "sign_in_failures"}
    assert not {name for schema, name in found if schema == "public"} & ours
    assert not (tmp_path / "auth.sqlite").exists()
    world.auth.close()


def test_a_copy_has_every_user_and_key_and_no_session(world: World, tmp_path: Path) -> None:
    user = world.auth.add_user("ada@example.org", PASSWORD, TRADER)
    made = world.key()
    world.auth.revoke_key(world.key(OTHER_TRADER).key.number)
    signed_in = world.auth.start_session(user)
    rows = list(world.auth.dump())
    assert [(table, row["number"]) for table, row in rows] == [("users", 1), ("api_keys", 1), ("api_keys", 2)]
    folder = tmp_path / "restored"
    folder.mkdir()
    (folder / KEY_FILE).write_bytes((world.folder / KEY_FILE).read_bytes())
    (folder / KEY_FILE).chmod(0o600)
    restored = World(folder, log_url_of(folder))
    restored.auth.load(rows)
    assert list(restored.auth.dump()) == rows
    assert restored.auth.sign_in("ada@example.org", PASSWORD).session.user == user.number
    assert restored.auth.session(signed_in.token) is None
    restored.key()
    assert ids_of(restored.auth.keys()) == ["key_1", "key_2", "key_3"]
    assert made.key.id == "key_1"
    restored.auth.close()


def test_two_processes_number_their_keys_apart(world: World) -> None:
    stores = [world.open() for _ in range(3)]
    request = a_key_request()
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda number: stores[number % 3].add_key(TRADER, request).key.number, range(12)))
    assert sorted(made) == list(range(1, 13))
    world.auth.maintain()
    assert len(ids_of(world.auth.keys())) == 12
    for store in stores:
        store.close()


def test_a_party_has_a_bounded_number_of_keys_and_a_revoked_one_makes_room(
    small: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert KEYS_PER_PARTY_MAX == 64
    monkeypatch.setattr("api.auth.store.KEYS_PER_PARTY_MAX", 2)
    first = small.key()
    small.key()
    with pytest.raises(Problem) as caught:
        small.key()
    assert caught.value.code == "too_many_keys"
    small.auth.revoke_key(first.key.number)
    small.auth.revoke_key(first.key.number)
    small.key()
    small.key(OTHER_TRADER)


def test_nobody_becomes_the_house(small: World) -> None:
    with pytest.raises(AssertionError):
        small.key(HOUSE)
    with pytest.raises(AssertionError):
        small.auth.add_user("house", PASSWORD, HOUSE)


def test_the_store_maintains_itself(small: World) -> None:
    small.restart()
    other = small.open()
    other.add_key(TRADER, a_key_request())
    other.close()
    until = time.monotonic() + 10
    while small.auth.key(b"key_1") is None and time.monotonic() < until:
        time.sleep(0.05)
    assert small.auth.key(b"key_1") is not None


# -- what may become a key ---------------------------------------------------------------------------------------------

PUBLIC_KEY = b64encode(bytes([0x58] + [0x66] * 31)).decode()
"""The base point of the curve, which is a point of it."""


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"kind": "rsa"}, "kind"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["read", "withdraw"]}, "scopes"),
        ({"scopes": ["manage"]}, "scopes"),
        ({"label": "x" * 65}, "label"),
        ({"label": "a\nb"}, "label"),
        ({"expires_ns": 100}, "expires_at"),
        ({"public_key": PUBLIC_KEY}, "public_key"),
        ({"kind": "ed25519"}, "public_key"),
        ({"kind": "ed25519", "public_key": "x"}, "public_key"),
        ({"kind": "ed25519", "public_key": b64encode(bytes(31)).decode()}, "public_key"),
        ({"kind": "ed25519", "public_key": "é"}, "public_key"),
    ],
)
def test_what_cannot_become_a_key_is_refused_by_field(asked: dict[str, Any], field: str) -> None:
    usual: dict[str, Any] = {"kind": "hmac", "scopes": ["read"], "granted": frozenset({"read", "trade"}), "at_ns": 100}
    found = checked_key_request(**(usual | asked))
    assert isinstance(found, Refusal) and found.field == field


def test_a_key_may_be_good_for_no_more_than_who_asks() -> None:
    granted = frozenset({"read", "manage"})
    allowed = checked_key_request(kind="hmac", scopes=["read"], granted=granted, at_ns=0)
    assert not isinstance(allowed, Refusal) and allowed.scopes == {"read"}
    assert isinstance(checked_key_request(kind="hmac", scopes=["trade"], granted=granted, at_ns=0), Refusal)

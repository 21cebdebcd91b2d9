"""Keys of subjects: what is sealed for one is opened with its key, in its place, and not otherwise."""

from __future__ import annotations

import random
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from pysqlite3 import dbapi2
from sqlalchemy import create_engine, make_url

from ledger.keys import KeyStore, MemoryKeyStore, SealBroken, SqliteKeyStore, SqlKeyStore


def seeded(seed: int) -> Callable[[int], bytes]:
    return random.Random(seed).randbytes


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> KeyStore:
    return MemoryKeyStore(seeded(1)) if request.param == "memory" else SqliteKeyStore(tmp_path / "keys", seeded(1))


def test_what_is_sealed_for_a_subject_is_opened_with_its_key(store: KeyStore) -> None:
    blob = store.seal(7, b"Ada Byron", b"party-7\n1\nlegal_name")
    assert b"Ada" not in blob and len(blob) == 12 + len("Ada Byron") + 16
    assert store.unseal(7, blob, b"party-7\n1\nlegal_name") == b"Ada Byron"


def test_a_subject_without_a_key_reads_nothing(store: KeyStore) -> None:
    blob = store.seal(7, b"text", b"place")
    assert store.unseal(8, blob, b"place") is None


def test_a_seal_is_bound_to_its_place_subject_and_bytes(store: KeyStore) -> None:
    blob = store.seal(7, b"text", b"place")
    store.seal(8, b"text", b"place")
    for subject, altered, place in (
        (7, blob, b"another place"),
        (8, blob, b"place"),
        (7, blob[:-1] + bytes([blob[-1] ^ 1]), b"place"),
        (7, blob[:20], b"place"),
        (7, b"", b"place"),
    ):
        with pytest.raises(SealBroken):
            store.unseal(subject, altered, place)


def test_the_same_text_is_never_sealed_to_the_same_bytes(store: KeyStore) -> None:
    assert store.seal(7, b"text", b"place") != store.seal(7, b"text", b"place")


def test_keys_outlive_the_process_and_belong_to_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys.sqlite"
    blob = SqliteKeyStore(path, seeded(1)).seal(7, b"text", b"place")
    assert SqliteKeyStore(path, seeded(2)).unseal(7, blob, b"place") == b"text"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_is_durable_before_anything_is_sealed_with_it(tmp_path: Path) -> None:
    path = tmp_path / "keys.sqlite"
    first = SqliteKeyStore(path, seeded(1))
    second = SqliteKeyStore(path, seeded(2))
    blob = first.seal(7, b"text", b"place")
    # Another connection sees the committed row at once, and another store keeps to the key.
    with dbapi2.connect(path) as connection:
        assert connection.execute("SELECT subject, length(key) FROM subject_keys").fetchall() == [(7, 32)]
    connection.close()
    assert second.unseal(7, blob, b"place") == b"text"
    assert first.unseal(7, second.seal(7, b"more", b"place"), b"place") == b"more"


def test_two_processes_that_meet_make_one_key(tmp_path: Path) -> None:
    path = tmp_path / "keys.sqlite"
    second = SqliteKeyStore(path, seeded(2))

    def entropy_while_the_other_is_faster(count: int) -> bytes:
        if count == 32:
            second.seal(7, b"", b"")
        return bytes(count)

    first = SqliteKeyStore(path, entropy_while_the_other_is_faster)
    assert second.unseal(7, first.seal(7, b"text", b"place"), b"place") == b"text"


def test_keys_live_in_postgresql_too(postgres_database: str) -> None:
    engine = create_engine(make_url(postgres_database).set(drivername="postgresql+psycopg2"))
    try:
        blob = SqlKeyStore(engine, seeded(1)).seal(7, b"text", b"place")
        assert SqlKeyStore(engine, seeded(2)).unseal(7, blob, b"place") == b"text"
    finally:
        engine.dispose()

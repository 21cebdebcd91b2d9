"""Backup and restore: while the house runs, from either database into either, and nothing damaged comes back."""

from __future__ import annotations

import hmac
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api import cli
from api.auth.keys import checked_key_request
from api.auth.principal import SCOPES
from api.auth.store import AuthStore
from api.bootstrap import House, key_store, log_for_reading, places
from api.settings import Settings
from domain.commands import RegisterParty
from domain.rejections import Refusal
from domain.values import HOUSE, PartyKind, Role
from ledger.keys import SqliteKeyStore
from ledger.sequencer import Ask, Reply
from ledger.store import Store
from tests.api.small_house import LIMITS, tell

PASSWORD = "correct horse battery staple"  # noqa: S105


def cli_run(*arguments: object, exit_code: int = 0) -> dict[str, Any]:
    result = CliRunner().invoke(cli.app, [*map(str, arguments), "--json"])
    assert result.exit_code == exit_code, (result.exit_code, result.stdout, result.stderr, result.exception)
    value: dict[str, Any] = json.loads(result.stdout)
    return value


def entries(data: Path, log_url: str | None = None) -> list[tuple[Any, ...]]:
    with log_for_reading(places(data, log_url)) as recorder:
        return [tuple(entry) for entry in recorder.read()]


@pytest.fixture
def told(tmp_path: Path) -> Path:
    data = tmp_path / "house"
    tell(data)
    return data


def test_a_restored_house_has_the_same_log_the_same_keys_and_the_same_users(told: Path, tmp_path: Path) -> None:
    where = places(told)
    with AuthStore.open(told, where.log_url, Settings()) as auth:
        user = auth.add_user("ada", PASSWORD, 3)
        asked = checked_key_request(kind="hmac", scopes=["trade"], granted=SCOPES, at_ns=1)
        assert not isinstance(asked, Refusal)
        made_key = auth.add_key(3, asked)
        token = auth.start_session(user).token

    made = cli_run("backup", tmp_path / "backup", "--data", told)
    assert {"log.sqlite", "keys.sqlite", "auth.jsonl", "auth.key"} == set(made["files"])
    assert all(file.stat().st_mode & 0o077 == 0 for file in (tmp_path / "backup").iterdir())
    proof = cli_run("restore", tmp_path / "backup", "--data", tmp_path / "again")

    assert proof["restored"] is True and proof["position"] == made["position"] == len(entries(told))
    assert proof["running_hash"] == made["running_hash"]
    assert entries(tmp_path / "again") == entries(told)
    sealed = key_store(places(told)).seal(3, b"hello", b"")
    assert key_store(places(tmp_path / "again")).unseal(3, sealed, b"") == b"hello"
    with AuthStore.open(tmp_path / "again", places(tmp_path / "again").log_url, Settings()) as auth:
        assert auth.sign_in("ada", PASSWORD).session.party == 3
        key = auth.key(made_key.key.id.encode())
        assert key is not None and key.scopes == {"trade"} and made_key.secret is not None
        assert key.verify(b"hello", hmac.digest(made_key.secret.encode(), b"hello", "sha256"))
        assert auth.session(token) is None, "everybody signs in again"


def test_a_backup_made_while_the_house_is_busy_ends_with_a_whole_append_and_goes_on_where_it_ends(
    tmp_path: Path,
) -> None:
    where = places(tmp_path / "house")
    with House(where, limits=LIMITS) as house:
        writer = house.writer()
        writer.start()
        stop, going = threading.Event(), threading.Event()

        def register() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                if number > 20:
                    going.set()
                command = RegisterParty(
                    kind=PartyKind.COMPANY, legal_name=f"Party {number}", country="NL", roles=Role.TRADER
                )
                assert isinstance(writer.submit(Ask(command, HOUSE)).result(), Reply)

        busy = threading.Thread(target=register)
        busy.start()
        try:
            assert going.wait(30)
            made = cli_run("backup", tmp_path / "backup", "--data", where.data)
        finally:
            stop.set()
            busy.join()
            writer.close()
        end = house.store.position
    assert 0 < made["position"] <= end
    cli_run("restore", tmp_path / "backup", "--data", tmp_path / "again")
    again = places(tmp_path / "again")
    assert entries(again.data) == entries(where.data)[: made["position"]]
    with House(again, limits=LIMITS) as house:
        assert house.store.position == made["position"] and len(house.state.catalogue.parties) >= 20
    with log_for_reading(again) as recorder:
        opened = SqliteKeyStore(again.keys, bytes)
        assert opened.fingerprint(b"x") == SqliteKeyStore(where.keys, bytes).fingerprint(b"x")
        assert Store(recorder).position == made["position"]


def test_either_kind_of_log_is_restored_into_either_database(
    told: Path, tmp_path: Path, postgres_database: str
) -> None:
    cli_run("backup", tmp_path / "first", "--data", told)
    moved = cli_run("restore", tmp_path / "first", "--data", tmp_path / "moved", "--log-url", postgres_database)
    assert entries(tmp_path / "moved", postgres_database) == entries(told)
    assert {"log.sqlite", "log.sqlite-wal"}.isdisjoint(file.name for file in (tmp_path / "moved").iterdir())

    made = cli_run("backup", tmp_path / "second", "--data", tmp_path / "moved", "--log-url", postgres_database)
    assert made["database"] == "postgresql" and "log.copy" in made["files"]
    back = cli_run("restore", tmp_path / "second", "--data", tmp_path / "back")
    assert back["running_hash"] == moved["running_hash"] and entries(tmp_path / "back") == entries(told)

    refused = cli_run(
        "restore", tmp_path / "second", "--data", tmp_path / "x", "--log-url", postgres_database, exit_code=1
    )
    assert refused["error"]["code"] == "restore_target_not_empty" and not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", ["log.sqlite", "keys.sqlite", "manifest.json"])
def test_a_backup_with_one_other_byte_is_refused_before_anything_is_made(told: Path, tmp_path: Path, name: str) -> None:
    cli_run("backup", tmp_path / "backup", "--data", told)
    file = tmp_path / "backup" / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    refused = cli_run("restore", tmp_path / "backup", "--data", tmp_path / "again", exit_code=1)
    assert refused["restored"] is False and refused["error"]["code"] == "backup_damaged"
    assert not (tmp_path / "again").exists() and not (tmp_path / "again.restoring").exists()


def test_a_backup_without_its_manifest_is_none(told: Path, tmp_path: Path) -> None:
    cli_run("backup", tmp_path / "backup", "--data", told)
    (tmp_path / "backup" / "manifest.json").unlink()
    refused = cli_run("restore", tmp_path / "backup", "--data", tmp_path / "again", exit_code=1)
    assert refused["error"]["code"] == "backup_incomplete"


def test_what_is_there_is_never_written_over(told: Path, tmp_path: Path) -> None:
    assert cli_run("backup", told, "--data", told, exit_code=1)["error"]["code"] == "backup_target_not_empty"
    cli_run("backup", tmp_path / "backup", "--data", told)
    refused = cli_run("restore", tmp_path / "backup", "--data", told, exit_code=1)
    assert refused["error"]["code"] == "restore_target_not_empty"
    assert cli_run("verify", "--data", told)["verified"] is True


def test_a_log_that_was_forged_with_a_fitting_manifest_is_still_found_out(told: Path, tmp_path: Path) -> None:
    """Whoever can write the backup can write its manifest; executing the log finds it all the same."""
    cli_run("backup", tmp_path / "backup", "--data", told)
    manifest = tmp_path / "backup" / "manifest.json"
    stated = json.loads(manifest.read_text())
    stated["running_hash"] = "00" * 32
    manifest.write_text(json.dumps(stated))
    refused = cli_run("restore", tmp_path / "backup", "--data", tmp_path / "again", exit_code=1)
    assert refused["error"]["code"] == "backup_damaged" and not (tmp_path / "again").exists()

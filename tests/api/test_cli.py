"""The `tallystick` command: JSON and nothing else on stdout, exit codes, and a message instead of a traceback."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pysqlite3 import dbapi2 as sqlite
from typer.testing import CliRunner, Result

from api import cli
from api.commands.doctor import is_wal_reset_fixed
from api.demo import market, script
from api.warming import warm
from ledger.blocks import decode_block
from matching.layout import FILL, Section
from tests.api.small_house import tell

HEAVY = ("numba", "numpy", "sqlalchemy", "cryptography", "genai_prices", "alembic")


def tallystick(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def found(result: Result, exit_code: int = 0) -> dict[str, Any]:
    """The one JSON object on stdout."""
    assert result.exit_code == exit_code, (result.exit_code, result.stdout, result.stderr, result.exception)
    value: dict[str, Any] = json.loads(result.stdout)
    return value


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that tests only read."""
    data = tmp_path_factory.mktemp("story")
    tell(data)
    return data


@pytest.fixture
def altered(tmp_path: Path) -> Callable[[str, Callable[[bytes], bytes]], Path]:
    """A copy of the story in which the state of one entry was changed behind the house's back."""

    def alter(where: str, change: Callable[[bytes], bytes]) -> Path:
        tell(tmp_path)
        with sqlite.connect(tmp_path / "log.sqlite") as connection:
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f"DROP TRIGGER {name}")
            position, state = connection.execute(f"SELECT position, state FROM log WHERE {where}").fetchone()  # noqa: S608
            connection.execute("UPDATE log SET state = ? WHERE position = ?", (change(bytes(state)), position))
        connection.close()
        return tmp_path

    return alter


def with_another_fill(state: bytes) -> bytes:
    """The first fill of a block has one lot more."""
    fills = decode_block(state).rows(Section.FILLS)
    more = fills.copy()
    more["lots"][0] += 1
    assert state.count(fills.tobytes()) == 1
    return state.replace(fills.tobytes(), more.tobytes())


FIRST_FILL = "position = 39"


# -- help --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--help"]])
def test_help_loads_nothing_of_the_house(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-P", "-m", "api.cli", *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert "Usage: tallystick" in done.stdout
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in loaded and not loaded & {*HEAVY, "ledger", "matching", "domain"}


def test_every_command_has_help() -> None:
    for command in ([], ["demo"], ["verify"], ["log"], ["migrate"], ["doctor"], ["warm"], ["report"], ["import"]):
        result = tallystick(*command, "--help")
        assert result.exit_code == 0 and "Usage" in result.stdout, command


def test_the_defaults_of_the_demo_are_those_of_its_history() -> None:
    assert (cli.SEED, cli.DAYS) == (script.SEED, market.DAYS)


# -- usage -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["verify", "--database", "sqlite", "--log-url", "sqlite:///x"], "not both"),
        (["verify", "--log-url", "nonsense"], "not a database URL"),
        (["verify", "--log-url", "mysql://x/y"], "mysql"),
        (["verify", "--log-url", "sqlite://"], "sqlite"),
        (["verify", "--database", "oracle"], "oracle"),
        (["report", "revenue-share", "--month", "2026-13"], "2026-13"),
        (["report", "revenue-share", "--payee", "-1"], "--payee"),
        (["log", "--topic", "Nothing"], "Nothing"),
        (["log", "--rows", "nothing"], "nothing"),
        (["log", "--unseal"], "no keys"),
        (["log", "--from", "0"], "--from"),
        (["demo", "--days", "91"], "--days"),
        (["import", "catalogue", "nowhere-at-all"], "nowhere-at-all"),
        (["nothing"], "nothing"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_says_what_is_wrong(arguments: list[str], said: str, tmp_path: Path) -> None:
    data = [] if arguments == ["nothing"] else ["--data", str(tmp_path)]
    result = tallystick(*arguments, *data)
    assert result.exit_code == 2 and said in result.stderr and result.stdout == ""


def test_postgres_without_a_server_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TALLYSTICK_POSTGRES_URL", raising=False)
    result = tallystick("verify", "--database", "postgres", "--data", tmp_path)
    assert result.exit_code == 2 and "TALLYSTICK_POSTGRES_URL" in result.stderr


# -- outages -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["verify"], ["log"], ["report", "revenue-share"]])
def test_no_log_is_a_message_with_a_code(command: list[str], tmp_path: Path) -> None:
    result = tallystick(*command, "--data", tmp_path / "none", "--json")
    assert found(result, 1)["error"]["code"] == "log_schema_missing"
    assert "Traceback" not in result.stderr and not (tmp_path / "none").exists()


@pytest.mark.parametrize("command", [["verify"], ["migrate"], ["demo", "--days", "1"]])
def test_a_log_of_a_newer_release_is_left_alone(command: list[str], tmp_path: Path) -> None:
    tell(tmp_path)
    with sqlite.connect(tmp_path / "log.sqlite") as connection:
        connection.execute("UPDATE log_schema SET version_num = '9999'")
    connection.close()
    error = found(tallystick(*command, "--data", tmp_path, "--json"), 1)["error"]
    assert error["code"] == "log_schema_unknown" and "9999" in error["message"]


@pytest.mark.parametrize("command", [["verify"], ["migrate"]])
def test_a_server_that_does_not_answer_is_a_message_with_a_code(command: list[str], tmp_path: Path) -> None:
    url = f"postgresql://nobody@/nothing?host={tmp_path}"
    result = tallystick(*command, "--data", tmp_path, "--log-url", url, "--json")
    assert found(result, 1)["error"]["code"] == "log_unavailable"


# -- migrate -----------------------------------------------------------------------------------------------------------


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    first = found(tallystick("migrate", "--data", tmp_path / "new", "--json"))
    assert first["revision"] == "0001" and first["log"].endswith("log.sqlite")
    before = (tmp_path / "new" / "log.sqlite").read_bytes()
    assert found(tallystick("migrate", "--data", tmp_path / "new", "--json")) == first
    assert (tmp_path / "new" / "log.sqlite").read_bytes() == before


# -- verify ------------------------------------------------------------------------------------------------------------


def test_a_sound_log_is_verified(story: Path) -> None:
    verified = found(tallystick("verify", "--data", story, "--json"))
    assert verified["verified"] is True and verified["position"] == 52 and len(verified["state_hash"]) == 64
    people = tallystick("verify", "--data", story)
    assert people.exit_code == 0 and verified["state_hash"] in people.stdout


def test_an_altered_row_is_named_with_position_section_row_and_field(
    altered: Callable[[str, Callable[[bytes], bytes]], Path],
) -> None:
    data = altered(FIRST_FILL, with_another_fill)
    answer = found(tallystick("verify", "--data", data, "--json"), 3)
    assert answer["verified"] is False
    assert answer["error"] == {
        "code": "log_disagrees",
        "message": "position 39, section FILLS, row 0, field lots: row differs: expected 3, found 4",
        "position": 39,
        "section": "FILLS",
        "row": 0,
        "field": "lots",
        "expected": "3",
        "found": "4",
    }


@pytest.mark.parametrize(
    ("where", "old", "new"),
    [
        ("topic = 'DepositRecorded.1'", b'"amount_minor":100000', b'"amount_minor":900000'),
        ("topic = 'SeriesListed.1'", b'"terms":1', b'"terms":7'),
        ("topic = 'ModelVersionPublished.1'", b'"model_version":1', b'"model_version":5'),
        ("topic = 'HouseOpened.1'", b'"orders_max"', b'"orders_most"'),
        ("topic = 'PartyFrozen.1'", b'{"envelope"', b'["envelope"'),
    ],
)
def test_an_altered_fact_is_tampering(
    altered: Callable[[str, Callable[[bytes], bytes]], Path], where: str, old: bytes, new: bytes
) -> None:
    data = altered(where, lambda state: state.replace(old, new))
    error = found(tallystick("verify", "--data", data, "--json"), 3)["error"]
    assert error["code"] in {"log_disagrees", "log_entry_unreadable"} and error["position"] > 0


def test_a_log_that_was_cut_inside_an_append_is_tampering(tmp_path: Path) -> None:
    tell(tmp_path)
    with sqlite.connect(tmp_path / "log.sqlite") as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("DELETE FROM log WHERE position = 52")
    connection.close()
    assert found(tallystick("verify", "--data", tmp_path, "--json"), 3)["error"]["code"] == "log_truncated"


# -- log and report ----------------------------------------------------------------------------------------------------


def test_the_log_is_printed_as_json_lines(story: Path) -> None:
    result = tallystick(
        "log", "--data", story, "--json", "--from", 38, "--to", 40, "--rows", "fills", "--rows", "results"
    )
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["position"] for line in lines] == [38, 39, 40]
    assert [row["lots"] for row in lines[1]["rows"]["fills"]] == [3]
    assert set(lines[1]["rows"]["fills"][0]) == set(FILL.names or ())


def test_the_log_is_narrowed_to_a_topic_and_unsealed_on_request(story: Path) -> None:
    sealed = tallystick("log", "--data", story, "--topic", "PartyRegistered")
    assert sealed.stdout.count("sealed(") == 5 and "Bert Buyer" not in sealed.stdout
    opened = tallystick("log", "--data", story, "--topic", "PartyRegistered.1", "--unseal")
    assert "Bert Buyer" in opened.stdout and "sealed(" not in opened.stdout


def test_the_log_stops_at_an_entry_that_cannot_be_read(
    altered: Callable[[str, Callable[[bytes], bytes]], Path],
) -> None:
    data = altered("topic = 'CurrencyRegistered.1'", lambda state: state[:-1])
    result = tallystick("log", "--data", data)
    assert result.exit_code == 3 and "log_entry_unreadable: position 13" in result.stderr
    assert len(result.stdout.splitlines()) == 12


def test_the_revenue_share_report_adds_up(story: Path) -> None:
    report = found(tallystick("report", "revenue-share", "--data", story, "--json"))
    assert report["reconciles"] is True and report["totals"][0]["sales_minor"] == 1212
    people = tallystick("report", "revenue-share", "--data", story, "--series", "ONE/EUR", "--month", "2026-10")
    assert people.exit_code == 0 and "5.05 EUR" in people.stdout and "2026-09" not in people.stdout
    unknown = tallystick("report", "revenue-share", "--data", story, "--series", "TWO/EUR")
    assert unknown.exit_code == 2 and "TWO/EUR" in unknown.stderr


# -- doctor ------------------------------------------------------------------------------------------------------------


def checks(result: Result, exit_code: int = 0) -> dict[str, dict[str, Any]]:
    return {check["check"]: check for check in found(result, exit_code)["checks"]}


def test_the_doctor_finds_a_sound_house_healthy(story: Path) -> None:
    examined = checks(tallystick("doctor", "--data", story, "--json"))
    assert all(check["ok"] for check in examined.values())
    assert examined["log end"]["detail"].startswith("position 52, block 29")


def test_the_doctor_needs_no_log(tmp_path: Path) -> None:
    examined = checks(tallystick("doctor", "--data", tmp_path / "none", "--json"))
    assert examined["log"]["ok"] is None and examined["keys"]["ok"] is None and not (tmp_path / "none").exists()


def test_the_doctor_sees_keys_that_others_can_read(tmp_path: Path) -> None:
    tell(tmp_path)
    (tmp_path / "keys.sqlite").chmod(0o644)
    examined = checks(tallystick("doctor", "--data", tmp_path, "--json"), 1)
    assert examined["keys"]["code"] == "keys_readable_by_others"


def test_the_doctor_sees_a_last_block_that_seals_another_history(
    altered: Callable[[str, Callable[[bytes], bytes]], Path],
) -> None:
    data = altered("topic = 'PartyFrozen.1'", lambda state: state.replace(b'"party":5', b'"party":4'))
    assert checks(tallystick("doctor", "--data", data, "--json"), 1)["log end"]["code"] == "log_not_sealed"


@pytest.mark.parametrize(
    ("version", "fixed"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 0), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 53, 4), True),
    ],
)
def test_releases_of_sqlite_with_the_wal_reset_bug_are_known(version: tuple[int, int, int], fixed: bool) -> None:
    assert is_wal_reset_fixed(version) is fixed


# -- import ------------------------------------------------------------------------------------------------------------


TABLES = {
    "licenses.csv": [
        {
            "license": "MIT",
            "name": "MIT License",
            "spdx_id": "MIT",
            "spdx_licenseref": "",
            "category": "Permissive",
            "permitted_use": "any",
            "attribution": "yes",
            "share_alike": "no",
            "models": "1",
            "datasets": "1",
        }
    ],
    "datasets.csv": [
        {
            "id": "letters",
            "name": "Letters",
            "provider": "Library",
            "license": "MIT",
            "size": "",
            "modality": "text",
            "has_personal_data": "no",
            "personal_data_basis": "",
            "year": "2020",
            "withdrawn": "",
            "withdrawal_note": "",
            "derived_from": "",
            "source": "a list",
        }
    ],
    "models.csv": [
        {
            "id": f"lab/{name}",
            "name": name,
            "family": "",
            "developer": "Lab",
            "provider": "",
            "release_date": "2021-05",
            "open_weights": weights,
            "license": "MIT",
            "context_tokens": "",
            "input_usd_per_mtok": "",
            "output_usd_per_mtok": "",
            "domain": "general",
            "modality": "text->text",
            "parameters": "7B",
            "base_model_id": "",
            "base_relation": "",
            "source": "a paper",
        }
        for name, weights in (("reader", "1"), ("broken", "perhaps"))
    ],
    "lineage.csv": [
        {
            "model_id": "lab/reader",
            "dataset_id": "letters",
            "role": "fine-tuning",
            "confidence": "medium",
            "source": "it",
        }
    ],
}


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    folder = tmp_path / "tables"
    folder.mkdir()
    for name, rows in TABLES.items():
        with (folder / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return folder


def test_a_catalogue_is_imported_once_and_refused_rows_are_named(tables: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    planned = found(tallystick("import", "catalogue", tables, "--data", data, "--dry-run", "--json"))
    assert planned["dry_run"] is True and not data.exists()
    first = found(tallystick("import", "catalogue", tables, "--data", data, "--json"))
    assert first["submitted"] == planned["submitted"] and first["submitted"]["model"] == 1
    assert [(row["file"], row["line"], row["field"]) for row in first["refused"]] == [("models.csv", 3, "open_weights")]
    before = found(tallystick("verify", "--data", data, "--json"))
    again = found(tallystick("import", "catalogue", tables, "--data", data, "--json"))
    assert again["submitted"] == {} and again["existing"]["model"] == 1 and again["refused"] == first["refused"]
    assert found(tallystick("verify", "--data", data, "--json"))["state_hash"] == before["state_hash"]
    people = tallystick("import", "catalogue", tables, "--data", data, "--dry-run")
    assert people.exit_code == 0 and "perhaps" in people.stdout


def test_a_folder_without_the_tables_is_a_message_with_a_code(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = tallystick("import", "catalogue", tmp_path / "empty", "--data", tmp_path / "data", "--json")
    assert found(result, 1)["error"]["code"] == "table_missing"


def test_a_country_that_does_not_exist_is_wrong_usage(tables: Path, tmp_path: Path) -> None:
    result = tallystick("import", "catalogue", tables, "--data", tmp_path / "data", "--country", "XX")
    assert result.exit_code == 2 and "XX" in result.stderr


# -- warm --------------------------------------------------------------------------------------------------------------


def test_after_warming_no_kernel_is_left_to_compile(tmp_path: Path) -> None:
    assert found(tallystick("warm", "--json")).keys() == {"compiled", "seconds"}
    tell(tmp_path)
    began: list[str] = []
    assert warm(lambda _done, name: began.append(name)) == 0 and began == []

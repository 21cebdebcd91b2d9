"""`./dev` makes the environment once, never trusts a half-made one, and passes exits through.

Python itself is played by a script that writes down how it was called, so that nothing is downloaded here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PLAYED_PYTHON = """#!/bin/sh
echo "$*" >>"$CALLS"
case "$*" in
    --version) echo "Python 3.11.2" ;;
    *sysconfig*) mkdir -p "$HOUSE/.venv/site"; echo "$HOUSE/.venv/site" ;;
    "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; cp "$0" "$3/bin/lint-imports" ;;
    *" pip "*|"-m pip "*) exit "${PIP_EXIT:-0}" ;;
    "-P -m api.cli "*) echo "tallystick said $*"; exit "${CLI_EXIT:-0}" ;;
    "-m mypy") exit "${MYPY_EXIT:-0}" ;;
    "-m pytest "*) exit "${PYTEST_EXIT:-0}" ;;
    "-P -m "*) echo "ran $*" ;;
esac
"""


class House:
    """A checkout with nothing in it but `dev` and two locks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls_file = folder / "calls"
        shutil.copy(ROOT / "dev", folder)
        self.lock("requirements.lock", "a==1 \\\n")
        self.lock("requirements-dev.lock", "a==1 \\\nb==2 \\\n")
        python = folder / "played-python"
        python.write_text(PLAYED_PYTHON)
        python.chmod(0o755)
        self.environment = os.environ | {
            "CALLS": str(self.calls_file),
            "HOUSE": str(folder),
            "TALLYSTICK_PYTHON": str(python),
        }

    def lock(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def dev(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        self.calls_file.write_text("")
        command: list[str | Path] = [self.folder / "dev", *arguments]
        return subprocess.run(
            command, env=self.environment | environment, cwd="/", capture_output=True, text=True, check=False
        )

    def installed(self) -> list[str]:
        """What the last call made or installed."""
        calls = self.calls_file.read_text().splitlines()
        made = ["venv" for call in calls if call.startswith("-m venv")]
        return made + [Path(call.split()[-1]).name for call in calls if call.startswith("-m pip")]


@pytest.fixture
def house(tmp_path: Path) -> House:
    folder = tmp_path / "a house with spaces"
    folder.mkdir()
    return House(folder)


def test_the_first_use_makes_the_environment_and_the_second_does_not(house: House) -> None:
    first = house.dev("demo", "--once")
    assert house.installed() == ["venv", "requirements.lock"]
    assert first.stdout == "tallystick said -P -m api.cli demo --once\n"
    assert "ready" in first.stderr
    assert house.dev("demo").stderr == ""
    assert house.installed() == []
    assert (house.folder / ".venv/site/tallystick.pth").read_text() == f"{house.folder}\n"


def test_developing_adds_to_what_runs_and_serves_both(house: House) -> None:
    house.dev("demo")
    house.dev("test")
    assert house.installed() == ["requirements-dev.lock"]
    house.dev("demo")
    assert house.installed() == []


def test_a_changed_lock_makes_the_environment_again(house: House) -> None:
    house.dev("demo")
    house.lock("requirements.lock", "a==2 \\\n")
    house.dev("demo")
    assert house.installed() == ["venv", "requirements.lock"]


@pytest.mark.parametrize("before", [[], ["demo"]])
def test_a_failed_installation_is_not_taken_for_a_finished_one(house: House, before: list[str]) -> None:
    if before:
        house.dev(*before)
    failed = house.dev("test", PIP_EXIT="7")
    assert (failed.returncode, failed.stdout) == (7, "")
    house.dev("demo")
    assert house.installed() == ["venv", "requirements.lock"]


def test_a_moved_checkout_makes_the_environment_again(house: House, tmp_path: Path) -> None:
    house.dev("demo")
    moved = shutil.copytree(house.folder, tmp_path / "moved", symlinks=True)
    house.folder = moved
    house.environment["HOUSE"] = str(moved)
    house.dev("demo")
    assert house.installed() == ["venv", "requirements.lock"]


def test_without_a_fitting_python_it_says_what_to_install(house: House) -> None:
    refused = house.dev("demo", TALLYSTICK_PYTHON="no-such-python")
    assert refused.returncode != 0
    assert "python3-venv" in refused.stderr
    assert house.installed() == []


def test_the_exit_code_of_a_command_is_passed_through(house: House) -> None:
    assert house.dev("tallystick", "verify", CLI_EXIT="3").returncode == 3


def test_check_passes_when_every_step_passes(house: House) -> None:
    done = house.dev("check")
    assert done.returncode == 0
    assert done.stdout.endswith("check passed\n")
    steps = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("== ")]
    assert steps == ["format:", "lint:", "types:", "imports:", "dependencies:", "test:"]


def test_check_goes_on_after_a_failure_and_names_what_failed(house: House) -> None:
    done = house.dev("check", MYPY_EXIT="2", PYTEST_EXIT="5")
    assert done.returncode == 1
    assert done.stdout.endswith("check failed: types test\n")
    assert "== dependencies:" in done.stdout


def test_a_campaign_is_a_module_with_a_main_of_its_own(house: House) -> None:
    campaigns = house.folder / "tests/campaigns"
    campaigns.mkdir(parents=True)
    (campaigns / "crash_images.py").write_text('if __name__ == "__main__":\n    pass\n')
    (campaigns / "support.py").write_text("")
    done = house.dev("campaign", "crash-images", "--count", "2")
    assert done.stdout == "ran -P -m tests.campaigns.crash_images --count 2\n"
    for arguments in (["campaign"], ["campaign", "support"], ["campaign", "no-such"]):
        refused = house.dev(*arguments)
        assert refused.returncode == 2
        assert refused.stderr.rstrip().endswith("one of crash-images")
        assert house.installed() == []


@pytest.mark.parametrize("arguments", [["nonsense"], ["check", "twice"]])
def test_what_it_does_not_know_is_a_usage_error(house: House, arguments: list[str]) -> None:
    assert house.dev(*arguments).returncode == 2
    assert house.installed() == []


def test_help_needs_no_environment(house: House) -> None:
    assert house.dev().stdout == house.dev("--help").stdout
    assert house.dev("help").stdout.startswith("Usage: ./dev COMMAND")
    assert house.installed() == []

"""The locks, the documents and the packages say the same as `pyproject.toml`, and nothing names a machine."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RUN, DEVELOP = PROJECT["dependencies"], PROJECT["optional-dependencies"]["dev"]
LOCKS = ["requirements.lock", "requirements-dev.lock"]

NOT_OURS = {".git", ".hypothesis", ".venv", "__pycache__", "build", "dist", "data", "tallystick-data"}
TEXT = {
    ".cfg",
    ".css",
    ".csv",
    ".html",
    ".ini",
    ".js",
    ".json",
    ".lock",
    ".md",
    ".mako",
    ".py",
    ".sql",
    ".toml",
    ".txt",
    "",
}
MACHINE_PATH = re.compile(r"(?<![\w.:/-])/(?:work|root|home|Users|opt|workspace)/|file:/{2}")


def name_of(requirement: str) -> str:
    return re.split(r"[<>=\[; ]", requirement)[0]


def pins(lock: str) -> dict[str, str]:
    """Each package of a lock with its version and marker, `==2.0 ; ...`."""
    lines = (line for line in (ROOT / lock).read_text().splitlines() if re.match(r"[a-z0-9]", line))
    return {name_of(line): line.removeprefix(name_of(line)).rstrip(" \\") for line in lines}


def our_text_files() -> list[Path]:
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in NOT_OURS and not name.endswith(("_cache", ".egg-info"))]
        found += [Path(folder, name) for name in files if Path(name).suffix in TEXT and not name.startswith(".venv")]
    return sorted(found)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_of_a_lock_has_hashes(lock: str) -> None:
    entries = re.split(r"\n(?=[a-z0-9])", (ROOT / lock).read_text())
    assert len(entries) > len(RUN)
    assert [entry for entry in entries if not re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry)] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_address(lock: str) -> None:
    assert (
        re.findall(r".*(?:://|--(?:extra-)?index-url|--find-links|--trusted-host| @ ).*", (ROOT / lock).read_text())
        == []
    )


def test_the_locks_hold_every_direct_dependency() -> None:
    assert {name_of(line) for line in RUN} <= set(pins("requirements.lock"))
    assert {name_of(line) for line in RUN + DEVELOP} <= set(pins("requirements-dev.lock"))


def test_developing_uses_the_very_versions_that_run() -> None:
    develop = pins("requirements-dev.lock")
    assert {name: develop.get(name) for name in pins("requirements.lock")} == pins("requirements.lock")


def test_the_prices_behind_the_final_state_hash_are_pinned() -> None:
    assert "genai-prices==0.2.3" in RUN
    assert pins("requirements.lock")["genai-prices"] == "==0.2.3"


def test_every_direct_dependency_has_its_row_in_the_docs_and_no_other_has() -> None:
    chapters = (ROOT / "docs/dependencies.md").read_text().split("\n## ")[1:]
    rows = [re.findall(r"^\| ([a-z0-9-]+) \| \S.*\| \S.*\|.*\|$", chapter, re.MULTILINE) for chapter in chapters]
    assert [[name for name in names if name != "package"] for names in rows] == [
        sorted(name_of(line) for line in RUN),
        sorted(name_of(line) for line in DEVELOP),
    ]


def test_every_command_of_the_readme_exists() -> None:
    named = set(re.findall(r"\./dev ([a-z-]+)", (ROOT / "README.md").read_text()))
    known = subprocess.run([ROOT / "dev"], capture_output=True, text=True, check=True).stdout
    assert {"demo", "test"} <= named
    assert named <= set(re.findall(r"^  ([a-z]+)", known, re.MULTILINE))


def test_no_text_of_ours_names_the_machine_it_was_written_on() -> None:
    files = our_text_files()
    assert {ROOT / "README.md", ROOT / "dev", ROOT / "domain/__init__.py"} <= set(files)
    named = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in files
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if MACHINE_PATH.search(line)
    ]
    assert named == []


@pytest.mark.parametrize("package", ["domain", "ledger", "matching", "projections", "api", "benchmarks", "tests"])
def test_every_package_says_in_one_sentence_what_it_is_for(package: str) -> None:
    said = ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text()))
    assert said
    assert said.endswith(".")
    assert "\n\n" not in said


def test_relative_links_of_the_documents_lead_somewhere() -> None:
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    dangling = [
        f"{document.relative_to(ROOT)}: {target}"
        for document in documents
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
        if not (document.parent / target).exists()
    ]
    assert dangling == []

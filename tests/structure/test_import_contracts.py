"""Each import contract is broken on purpose once, in a copy of the house, and seen to be caught."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LINTER = PROJECT["tool"]["importlinter"]
CONTRACTS = {contract["id"]: contract for contract in LINTER["contracts"]}

# contract, the module that breaks it, the import that does
BREACHES = [
    ("layers", "ledger.store", "import projections"),
    ("layers", "domain.values", "from matching import book"),
    ("layers", "api.bootstrap", "import benchmarks"),
    ("domain-stdlib", "domain.values", "import numpy"),
    ("domain-stdlib", "domain.events", "import pydantic"),
    ("kernels-know-no-domain", "matching.layout", "from domain import values"),
    ("kernels-know-no-domain", "matching.book", "from domain.values import Side"),
    ("one-appender", "ledger.sequencer", "from ledger import recorder"),
    ("one-appender", "api.cli", "from ledger.recorder import tables"),
    ("projections-only-fold", "projections", "from ledger import state"),
    ("projections-only-fold", "projections", "import ledger.sequencer"),
    ("projections-only-fold", "projections", "from ledger.execution import run"),
    ("only-doors-know-the-wire", "ledger.store", "import fastapi"),
    ("only-doors-know-the-wire", "projections", "from starlette import status"),
    ("no-circles", "domain.values", "from domain import commands"),
]


def file_of(tree: Path, module: str) -> Path:
    path = tree.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def broken_contracts(tree: Path) -> list[str]:
    """The names of the contracts that lint-imports says are broken in this copy; it says KEPT of all the others."""
    command: list[str | Path] = [Path(sys.executable).parent / "lint-imports", "--no-logo", "--no-cache"]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    verdicts = {line.rsplit(" ", 1)[0]: line.rsplit(" ", 1)[1] for line in lines if line.endswith((" KEPT", " BROKEN"))}
    assert set(verdicts) == {contract["name"] for contract in CONTRACTS.values()}, done.stdout + done.stderr
    assert done.returncode == ("BROKEN" in verdicts.values())
    return [name for name, verdict in verdicts.items() if verdict == "BROKEN"]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages and the configuration, somewhere they may be broken."""
    for package in LINTER["root_packages"]:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_house_keeps_every_contract(copy: Path) -> None:
    assert broken_contracts(copy) == []


@pytest.mark.parametrize(("contract", "module", "breach"), BREACHES)
def test_a_breach_is_caught(copy: Path, contract: str, module: str, breach: str) -> None:
    with file_of(copy, module).open("a") as source:
        source.write(f"\n{breach}\n")
    assert CONTRACTS[contract]["name"] in broken_contracts(copy)


def test_every_contract_is_broken_by_some_breach() -> None:
    assert {contract for contract, _, _ in BREACHES} == set(CONTRACTS)


def test_the_domain_contract_names_every_run_time_dependency() -> None:
    needed = {re.split(r"[<>=\[; ]", line)[0] for line in PROJECT["project"]["dependencies"]}
    distributions = importlib.metadata.packages_distributions()
    named = {
        re.sub("[._]", "-", distribution).lower()
        for module in CONTRACTS["domain-stdlib"]["forbidden_modules"]
        for distribution in distributions[module]
    }
    assert needed <= named


def test_every_import_of_the_domain_is_of_the_standard_library_or_of_itself() -> None:
    imported = set()
    for path in sorted((ROOT / "domain").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {(path.name, alias.name.split(".")[0]) for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((path.name, (node.module or ".").split(".")[0]))
    allowed = sys.stdlib_module_names | {"domain"}
    assert [(file, module) for file, module in sorted(imported) if module not in allowed] == []

"""The rulebook and its tests hold together: every criterion is tested, and no test names one that does not exist.

A test says which criteria it is about in its docstring, as `RB-nnn`.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import ROOT

RULEBOOK = ROOT / "docs" / "reference" / "rulebook.md"
TESTS = ROOT / "tests" / "matching" / "rulebook"
LEAST = 150
CRITERION = re.compile(r"^- \*\*(RB-\d{3})\*\* (\S.*)$", re.MULTILINE)
REFERENCE = re.compile(r"RB-\d+")


def criteria_in(text: str) -> list[tuple[str, str]]:
    """Number and sentence of each criterion, as they are written."""
    return CRITERION.findall(text)


def references_in(source: str) -> dict[str, list[str]]:
    """Criteria by test function."""
    return {
        node.name: REFERENCE.findall(ast.get_docstring(node) or "")
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def referenced(folder: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for file in sorted(folder.glob("test_*.py")):
        for name, numbers in references_in(file.read_text()).items():
            found[f"{file.name}::{name}"] = numbers
    return found


def faults(criteria: list[tuple[str, str]], tests: dict[str, list[str]]) -> list[str]:
    """What is wrong with a rulebook and its tests."""
    numbers = [number for number, _ in criteria]
    known, named = set(numbers), {number for found in tests.values() for number in found}
    found = [f"{number} stands twice" for number, count in Counter(numbers).items() if count > 1]
    found += [
        f"{number} is out of order" for number, before in zip(numbers[1:], numbers, strict=False) if number < before
    ]
    found += [f"{number} has no test" for number in sorted(known - named)]
    found += [f"{number} is named by a test and does not exist" for number in sorted(named - known)]
    found += [f"{test} names no criterion" for test, about in tests.items() if not about]
    sentences = Counter(sentence for _, sentence in criteria)
    found += [f"twice the same sentence: {sentence}" for sentence, count in sentences.items() if count > 1]
    found += [f"{number} is not one sentence" for number, sentence in criteria if not sentence.endswith(".")]
    if len(known) < LEAST:
        found.append(f"{len(known)} criteria are fewer than {LEAST}")
    return found


def test_every_criterion_has_a_test_and_every_test_a_criterion() -> None:
    assert faults(criteria_in(RULEBOOK.read_text()), referenced(TESTS)) == []


def _sound() -> tuple[list[tuple[str, str]], dict[str, list[str]]]:
    criteria = [(f"RB-{number:03d}", f"Rule {number}.") for number in range(1, LEAST + 1)]
    return criteria, {f"test_{number}": [number] for number, _ in criteria}


def test_a_sound_rulebook_has_no_fault() -> None:
    assert faults(*_sound()) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda criteria, _: criteria.append(("RB-151", "New.")), "RB-151 has no test"),
        (lambda _, tests: tests.update(test_x=["RB-999"]), "RB-999 is named by a test and does not exist"),
        (lambda _, tests: tests.update(test_x=[]), "test_x names no criterion"),
        (lambda criteria, _: criteria.append(("RB-150", "Again.")), "RB-150 stands twice"),
        (lambda criteria, _: criteria.insert(0, criteria.pop()), "RB-001 is out of order"),
        (lambda criteria, tests: (criteria.pop(), tests.popitem()), "149 criteria are fewer than 150"),
        (lambda criteria, _: criteria.__setitem__(0, ("RB-001", "No end")), "RB-001 is not one sentence"),
        (lambda criteria, _: criteria.__setitem__(0, ("RB-001", "Rule 2.")), "twice the same sentence: Rule 2."),
    ],
)
def test_each_fault_is_found(change: object, expected: str) -> None:
    criteria, tests = _sound()
    change(criteria, tests)  # type: ignore[operator]
    assert faults(criteria, tests) == [expected]


def test_references_are_those_of_docstrings_of_tests() -> None:
    source = (
        'def test_a():\n    """RB-001 RB-002"""\n\ndef test_b():\n    "nothing"\n\ndef helper():\n    """RB-003"""\n'
    )
    assert references_in(source) == {"test_a": ["RB-001", "RB-002"], "test_b": []}

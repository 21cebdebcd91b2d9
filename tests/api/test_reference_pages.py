"""The reference pages that are checked in are the ones that the program makes, and nothing is missing from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.authorization import RULES
from api.problems import DOOR_PROBLEMS
from api.reference_pages import (
    PAGES,
    REFERENCE,
    command_line_page,
    facts_page,
    permissions_page,
    rejections_page,
    write_pages,
)
from domain.decisions import DECISIONS
from domain.events import TOPICS
from domain.rejections import MEANINGS


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_up_to_date(name: str) -> None:
    assert (REFERENCE / name).read_text(encoding="utf-8") == PAGES[name](), "run: python -m api.reference_pages"


def test_every_code_has_a_row_with_its_number_and_its_meaning() -> None:
    rows = set(rejections_page().splitlines())
    for reason, meaning in MEANINGS.items():
        assert f"| {int(reason)} | `{reason.code}` | {meaning} |" in rows


def test_every_problem_of_the_doors_is_on_the_page_of_refusals() -> None:
    rows = set(rejections_page().splitlines())
    for code, (status, meaning) in DOOR_PROBLEMS.items():
        assert f"| {status} | `{code}` | {meaning} |" in rows


def test_every_action_is_on_the_page_of_permissions() -> None:
    page = permissions_page()
    assert [action for action in RULES if f"| `{action}` | " not in page] == []
    assert "| `orders.read` | anybody signed in | `read` | yes, except risk or auditor |" in page


def test_every_fact_and_every_command_is_on_the_page_of_facts() -> None:
    page = facts_page()
    assert {topic for topic in TOPICS if f"| `{topic}` |" not in page} == set()
    assert {command.__name__ for command in DECISIONS if f"`{command.__name__}`" not in page} == set()
    assert (
        "| `SeriesHalted.1` | New orders of the series are refused; orders may be canceled. Sealed: `note`. |" in page
    )


def test_every_option_is_on_the_page_of_the_command_line() -> None:
    sections = dict(section.split("\n", 1) for section in command_line_page().split("\n## ")[1:])
    assert "| `--days N` | Trading days. | `90` |" in sections["tallystick demo"]
    assert "| `DIR` | Folder of the tables. | required |" in sections["tallystick import catalogue"]
    assert r"| `--database sqlite\|postgres` |" in sections["tallystick verify"]
    assert "--data" not in sections["tallystick warm"]


def test_the_pages_are_written_as_they_are_made(tmp_path: Path) -> None:
    write_pages(tmp_path)
    assert {file.name: file.read_text(encoding="utf-8") for file in tmp_path.iterdir()} == {
        name: page() for name, page in PAGES.items()
    }

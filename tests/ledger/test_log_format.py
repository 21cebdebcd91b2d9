"""The reference page of the log's format is the one that the program makes, and nothing is missing from it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from domain.events import TOPICS
from domain.upcasts import UPCASTS
from domain.values import PostingCode
from ledger import log_format
from ledger.log_format import log_format_page
from matching.layout import LAYOUTS, PRIVATE, Section

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "log-format.md"


def test_the_page_is_up_to_date() -> None:
    made = subprocess.run([sys.executable, "-m", "ledger.log_format"], capture_output=True, check=True, cwd=ROOT)
    assert made.stdout.decode() == PAGE.read_text() == log_format_page()


def test_every_topic_has_a_row_with_its_stream_and_its_fields() -> None:
    rows = {line.split("`")[1]: line for line in log_format_page().splitlines() if line.startswith("| `")}
    assert set(TOPICS) | set(UPCASTS) <= set(rows)
    assert rows["PartyFrozen.1"] == (
        "| `PartyFrozen.1` | `party-<party>` | `party` integer, `note` sealed for `actor`? |"
    )
    assert rows["TaxRateSet.1"] == "| `TaxRateSet.1` | `taxes` | `country` text, `tax_ppm` integer |"


def test_every_column_has_a_row_that_says_whether_it_is_private() -> None:
    chapters = dict(chapter.split("\n", 1) for chapter in log_format_page().split("\n### "))
    for section, dtype in LAYOUTS.items():
        rows = [line for line in chapters[f"{section.value}: {section.name.lower()}"].splitlines() if "| `" in line]
        marked = {row.split("`")[1]: "| private |" in row for row in rows}
        assert marked == {name: name in PRIVATE.get(section, ()) for name in dtype.names or ()}


def test_every_number_of_a_section_is_laid_out_or_reserved() -> None:
    rows = [line for line in log_format_page().splitlines() if line.startswith("| ")]
    for section in Section:
        row = next(row for row in rows if row.startswith(f"| {section.value} | ") and section.name.lower() in row)
        if section in LAYOUTS:
            assert row.endswith(f"| {LAYOUTS[section].itemsize} |") and "reserved" not in row
        else:
            assert row.endswith("|  |") and "reserved for" in row


def test_a_new_column_without_a_meaning_stops_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    wider = np.dtype([*LAYOUTS[Section.FILLS].descr, ("venue", "<i8")])
    monkeypatch.setitem(LAYOUTS, Section.FILLS, wider)
    with pytest.raises(AssertionError, match="venue"):
        log_format_page()


def test_a_reserved_number_that_gets_a_layout_stops_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LAYOUTS, Section.PHASES, np.dtype([("command", "<i8")]))
    with pytest.raises(AssertionError, match="reserved"):
        log_format_page()


def test_a_code_without_a_meaning_stops_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(log_format.POSTING_MEANINGS, PostingCode.MINT)
    with pytest.raises(AssertionError, match="Posting codes"):
        log_format_page()

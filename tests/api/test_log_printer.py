"""Entries are shown as they are: numbers exact, sealed text sealed, rows on request."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.bootstrap import key_store, log_for_reading, places
from api.log_printer import LogPrinter, is_of_topic, moment, topics_known
from domain.events import TOPICS
from ledger.mapper import LogEntryUnreadable
from ledger.store import Appended, Store
from matching.layout import Section
from tests.api.small_house import SEPTEMBER_NS, tell


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("told")
    tell(folder)
    return folder


@pytest.fixture(scope="module")
def entries(data: Path) -> list[Appended]:
    with log_for_reading(places(data)) as recorder:
        return list(Store(recorder).read())


def the(entries: list[Appended], topic: str) -> Appended:
    return next(entry for entry in entries if is_of_topic(entry, topic))


def test_a_fact_is_one_line_with_its_place_time_origin_and_fields(entries: list[Appended]) -> None:
    entry = the(entries, "CurrencyRegistered")
    (line,) = LogPrinter().lines(entry)
    assert line == (
        f"{entry.position:>8}  2026-09-13T12:00:06.000000000Z  CurrencyRegistered.1  currency-1@1  (command 7, actor 0)"
        '  currency=1 code="EUR" exponent=2'
    )


def test_a_fact_as_json_has_envelope_and_fields(entries: list[Appended]) -> None:
    entry = the(entries, "DepositRecorded")
    assert LogPrinter().as_json(entry) == {
        "position": entry.position,
        "stream": "payments-4",
        "version": 1,
        "topic": "DepositRecorded.1",
        "envelope": {"command": 25, "at_ns": SEPTEMBER_NS + 14 * 10**9, "actor": 1},
        "fact": {
            "party": 4,
            "currency": 1,
            "amount_minor": 100_000,
            "reference": "r-4",
            "effective_day": "2026-09-13",
        },
    }


def test_sealed_text_is_opened_only_with_its_key(data: Path, entries: list[Appended]) -> None:
    entry = the(entries, "PartyRegistered")
    sealed = LogPrinter().as_json(entry)["fact"]["legal_name"]
    assert set(sealed) == {"sealed"} and bytes.fromhex(sealed["sealed"])
    assert "legal_name=sealed(38 bytes)" in next(LogPrinter().lines(entry))
    opened = LogPrinter(unseal=key_store(places(data)).unseal)
    assert opened.as_json(entry)["fact"]["legal_name"] == "The Office"
    assert 'legal_name="The Office" country="NL"' in next(opened.lines(entry))
    without_key = LogPrinter(unseal=lambda *_: None)
    assert without_key.as_json(entry)["fact"]["legal_name"] == sealed


def test_a_block_shows_header_and_section_counts(entries: list[Appended]) -> None:
    block = next(entry for entry in entries if LogPrinter().as_json(entry).get("sections", {}).get("fills"))
    assert next(LogPrinter().lines(block)).endswith(
        "FlowBlock.1  block 21, epoch 1, from command 29: "
        "commands 1, results 1, fills 1, postings 6, grants 1, accounts 1"
    )
    found = LogPrinter().as_json(block)
    assert found["sections"] == {"commands": 1, "results": 1, "fills": 1, "postings": 6, "grants": 1, "accounts": 1}
    assert found["header"]["first_command"] == 29 and len(found["header"]["running_hash"]) == 64
    assert "rows" not in found


def test_rows_are_shown_on_request_with_names_for_people_and_numbers_for_programs(entries: list[Appended]) -> None:
    printer = LogPrinter(sections=[Section.POSTINGS])
    block = next(entry for entry in entries if "rows" in printer.as_json(entry))
    assert [line.strip() for line in printer.lines(block)][1:] == [
        "postings[0] command=25 debit=7 credit=8 amount=100000 code=deposit fill=0"
    ]
    assert printer.as_json(block)["rows"] == {
        "postings": [{"command": 25, "debit": 7, "credit": 8, "amount": 100_000, "code": 9, "fill": 0}]
    }


def test_an_empty_block_says_so(entries: list[Appended]) -> None:
    assert next(LogPrinter().lines(entries[1])).endswith("from command 2: empty")


def test_an_entry_that_cannot_be_read_is_named(entries: list[Appended]) -> None:
    altered = entries[0]._replace(state=entries[0].state.replace(b"orders_max", b"orders-max"))
    with pytest.raises(LogEntryUnreadable, match="position 1"):
        list(LogPrinter().lines(altered))


def test_topics_are_asked_for_with_or_without_their_version(entries: list[Appended]) -> None:
    assert is_of_topic(entries[0], "HouseOpened") and is_of_topic(entries[0], "HouseOpened.1")
    assert not is_of_topic(entries[0], "HouseOpened.2") and not is_of_topic(entries[0], "House")
    assert set(topics_known()) == {*TOPICS, "FlowBlock.1"}


def test_moments_are_exact_to_the_nanosecond() -> None:
    assert moment(SEPTEMBER_NS + 1) == "2026-09-13T12:00:00.000000001Z"
    assert moment(0) == "1970-01-01T00:00:00.000000000Z"

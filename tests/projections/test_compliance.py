"""The history of the log: every entry is a row, found by who, what, when, about whom and under which terms."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from api.bootstrap import log_for_reading, places
from domain.events import TOPIC_OF
from projections import compliance
from projections.compliance import FLOW, Compliance, EntryFilter
from projections.database import generations_at
from projections.runner import Follower, new_generation
from tests.api.small_house import AGENT, BUYER, COLLECTOR, OCTOBER_NS, OFFICE, STUDIO, tell
from tests.projections.following import asking


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("told")
    tell(folder)
    return folder


@pytest.fixture(scope="module")
def reads(data: Path) -> Iterator[Connection]:
    with asking(data, data / "reads", lambda: [Compliance()]) as connection:
        yield connection


def found(reads: Connection, **asked: Any) -> list[str]:
    return [row.kind for row in compliance.entries(reads, EntryFilter(**asked), oldest_first=True)]


def test_every_entry_of_the_log_is_a_row(data: Path, reads: Connection) -> None:
    with log_for_reading(places(data)) as log:
        told = [(entry.position, entry.stream, entry.topic.partition(".")[0]) for entry in log.read()]
    rows = compliance.entries(reads, oldest_first=True, limit=10_000)
    assert [(row.position, row.stream, row.kind) for row in rows] == told
    for row in rows:
        assert compliance.entry(reads, row.position) == row
        assert isinstance(json.loads(row.detail), dict)
    assert compliance.entry(reads, len(told) + 1) is None


def test_pages_go_on_in_both_directions(reads: Connection) -> None:
    everything = list(compliance.entries(reads, limit=10_000))
    for oldest_first in (False, True):
        pages: list[Any] = []
        after = None
        while page := compliance.entries(reads, after=after, oldest_first=oldest_first, limit=7):
            pages += page
            after = page[-1].position
        assert pages == (everything[::-1] if oldest_first else everything)


def test_entries_are_found_by_what_they_concern_even_where_the_fact_does_not_name_it(reads: Connection) -> None:
    assert (
        found(reads, series=1, without_flow=True)
        == [
            "WaterfallCompiled",
            "SeriesListed",
            "SaleRefunded",
            "WaterfallCompiled",
        ]
        or found(reads, series=1, without_flow=True)[0] == "SeriesListed"
    )
    assert set(found(reads, terms=1)) == {"TermsAdopted", "SeriesListed", "WaterfallCompiled", "SaleRefunded"}
    assert set(found(reads, model=1)) > {"ModelRegistered", "ModelVersionRegistered", "ModelVersionPublished"}
    assert found(reads, model=1).count("AgreementTookEffect") == 2
    published = next(row for row in compliance.entries(reads) if row.kind == "ModelVersionPublished")
    assert (published.party, published.model, published.number) == (STUDIO, 1, 1)


def test_entries_are_found_by_who_acted_and_whom_they_concern(reads: Connection) -> None:
    assert found(reads, party=COLLECTOR) == ["PartyRegistered", "DepositRecorded", "PartyFrozen"]
    assert found(reads, party=BUYER) == ["PartyRegistered", "DepositRecorded", "SaleRefunded"]
    assert set(found(reads, actor=OFFICE)) == {
        "FeeScheduleAdopted",
        "AgreementSigned",
        "DepositRecorded",
        "SaleRefunded",
        "PartyFrozen",
    }
    assert found(reads, about=AGENT) == ["PartyRegistered"]
    assert set(found(reads, about=OFFICE)) > set(found(reads, actor=OFFICE))


def test_entries_are_found_by_kind_stream_text_time_and_position(reads: Connection) -> None:
    assert found(reads, kinds=["CurrencyRegistered", "HouseOpened"]) == ["HouseOpened", "CurrencyRegistered"]
    assert found(reads, stream="series-1", kinds=["SeriesListed"]) == ["SeriesListed"]
    assert found(reads, search="WHERE THE MONEY") == ["PartyFrozen"]
    assert found(reads, search="one/eur") == ["SeriesListed"]
    assert found(reads, search="%") == []
    october = compliance.entries(reads, EntryFilter(first_at_ns=OCTOBER_NS), oldest_first=True)
    assert [row.kind for row in october if row.kind != FLOW] == [
        "AgreementSigned",
        "AgreementTookEffect",
        "WaterfallCompiled",
        "PartyFrozen",
    ]
    assert len(found(reads, first_position=3, last_position=7)) == 5
    assert not found(reads, last_at_ns=0)


def test_counts_by_kind_follow_the_filter(reads: Connection) -> None:
    counts = {row.kind: row.entries for row in compliance.kind_counts(reads)}
    assert counts["PartyRegistered"] == 5 and sum(counts.values()) == len(compliance.entries(reads, limit=10_000))
    assert {row.kind for row in compliance.kind_counts(reads, EntryFilter(party=COLLECTOR))} == {
        "PartyRegistered",
        "DepositRecorded",
        "PartyFrozen",
    }


def test_a_block_says_which_commands_it_holds_and_what_came_of_them(reads: Connection) -> None:
    blocks = compliance.entries(reads, EntryFilter(kinds=[FLOW]), oldest_first=True, limit=10_000)
    (block,) = [row for row in blocks if row.command == 29]
    counts = json.loads(block.detail)
    assert (counts["commands"], counts["fills"], counts["last_command"], counts["refused"]) == (1, 1, 29, 0)
    assert compliance.block_of_command(reads, 29) == block
    assert compliance.block_of_command(reads, 1) is None and compliance.block_of_command(reads, 10**6) is None


def test_a_command_leads_to_its_facts(reads: Connection) -> None:
    (frozen,) = compliance.entries(reads, EntryFilter(kinds=["PartyFrozen"]))
    assert compliance.entries_of_command(reads, frozen.command) == [frozen]
    took_effect = compliance.entries(reads, EntryFilter(kinds=["AgreementTookEffect"]))[0]
    facts = compliance.entries_of_command(reads, took_effect.command)
    assert [row.kind for row in facts] == ["AgreementTookEffect", "WaterfallCompiled"]


def test_causes_are_followed_to_the_beginning(reads: Connection) -> None:
    newest = compliance.entries(reads, EntryFilter(kinds=["WaterfallCompiled"]))[0]
    assert [row.kind for row in compliance.chain_of_causes(reads, newest.position)] == [
        "WaterfallCompiled",
        "AgreementTookEffect",
        "AgreementSigned",
        "ModelRegistered",
        "PartyRegistered",
    ]
    (refund,) = compliance.entries(reads, EntryFilter(kinds=["SaleRefunded"]))
    chain = compliance.chain_of_causes(reads, refund.position)
    assert [row.kind for row in chain] == ["SaleRefunded", FLOW] and chain[1].command == refund.number == 29
    (listed,) = compliance.entries(reads, EntryFilter(kinds=["SeriesListed"]))
    assert [row.kind for row in compliance.chain_of_causes(reads, listed.position)][:2] == [
        "SeriesListed",
        "ModelVersionPublished",
    ]
    assert compliance.chain_of_causes(reads, 10**6) == []


def test_every_cause_is_a_kind_of_fact_and_a_column() -> None:
    kinds = {cls.__name__ for cls in TOPIC_OF}
    for kind, (causes, column) in compliance.BECAUSE.items():
        assert {kind, *causes} <= kinds and column in compliance.log_entries.c


def test_personal_text_is_shown_only_where_its_key_is_at_hand(data: Path, tmp_path: Path) -> None:
    with log_for_reading(places(data)) as log, new_generation(generations_at(tmp_path), [Compliance()]) as database:
        Follower(log, database, [Compliance()], None).catch_up()
        with database.engine.connect() as reads:
            rows = compliance.entries(reads, limit=10_000)
    assert {row.text for row in rows} == {None}
    assert not any("Bert Buyer" in row.detail or "money came" in row.detail for row in rows)

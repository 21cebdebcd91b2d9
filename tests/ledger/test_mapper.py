"""Facts to log entries and back: golden bytes, sealed fields, altered bytes, older topics."""

from __future__ import annotations

import json
import random
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.events import TOPIC_OF, TOPICS, DatasetRegistered, Envelope, Fact, PartyRegistered, Sealed
from domain.upcasts import UPCASTS
from domain.values import PartyKind, PersonalData, Role
from ledger.keys import MemoryKeyStore
from ledger.mapper import SEALED_FIELDS, LogEntryUnreadable, from_entry, stream_of, to_entry
from tests.domain.samples import FACTS, any_value

GOLDEN = Path(__file__).parent.parent / "golden" / "facts"
ENVELOPE = Envelope(
    command=12, at_ns=1_786_665_600_000_000_000, actor=3, request_id=bytes(16), body_hash=bytes(range(16))
)


def sealed_in_the_open(subject: int, plaintext: bytes, aad: bytes) -> bytes:
    """Shows in the golden files what is sealed, for whom and where."""
    return b"%d|%b|%b" % (subject, aad, plaintext)


def opened(subject: int, blob: bytes, aad: bytes) -> bytes | None:
    head = b"%d|%b|" % (subject, aad)
    assert blob.startswith(head)
    return blob.removeprefix(head)


def golden(topic: str) -> bytes:
    return (GOLDEN / f"{topic}.json").read_bytes().removesuffix(b"\n")


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: TOPIC_OF[type(fact)])
def test_a_fact_is_written_to_its_golden_bytes_for_ever(fact: Fact) -> None:
    topic, state = to_entry(stream_of(fact), 1, ENVELOPE, fact, sealed_in_the_open)
    assert state == golden(topic)
    assert from_entry(stream_of(fact), 1, topic, state, opened) == (ENVELOPE, fact)


def test_every_topic_ever_has_a_golden_file_and_every_golden_file_is_read() -> None:
    topics = {path.stem for path in GOLDEN.glob("*.json")}
    assert topics == set(TOPICS) | set(UPCASTS)
    for topic in topics:
        body = json.loads(golden(topic))
        fact = next(fact for fact in FACTS if type(fact).__name__ == topic.partition(".")[0])
        envelope, read = from_entry(stream_of(fact), 1, topic, golden(topic))
        assert type(read) is type(fact) and envelope.command == body["envelope"]["command"]


def test_a_data_set_of_the_first_version_is_read_with_personal_data_unknown() -> None:
    _, fact = from_entry("dataset-2", 1, "DatasetRegistered.1", golden("DatasetRegistered.1"))
    assert isinstance(fact, DatasetRegistered)
    assert fact.personal_data is PersonalData.UNKNOWN and fact.key == "laion-5b"


def test_old_bytes_are_as_strict_as_new_ones() -> None:
    old = golden("DatasetRegistered.1")
    for altered in (old.replace(b'"dataset":2', b'"dataset": 2'), old.replace(b'"key"', b'"personal_data":"no","key"')):
        with pytest.raises(LogEntryUnreadable):
            from_entry("dataset-2", 1, "DatasetRegistered.1", altered)


@settings(max_examples=200)
@given(st.one_of([any_value(cls) for cls in TOPICS.values()]), any_value(Envelope), st.integers(1, 2**40))
def test_every_fact_survives_the_log_sealed(fact: Fact, envelope: Envelope, version: int) -> None:
    keys = MemoryKeyStore(random.Random(1).randbytes)
    topic, state = to_entry(stream_of(fact), version, envelope, fact, keys.seal)
    assert from_entry(stream_of(fact), version, topic, state) == (envelope, fact)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_personal_text_is_sealed_in_the_log_and_opened_with_its_key(name: str) -> None:
    keys = MemoryKeyStore(random.Random(1).randbytes)
    fact = PartyRegistered(party=1, kind=PartyKind.COMPANY, legal_name=name, country="DE", roles=Role(0))
    topic, state = to_entry("party-1", 1, ENVELOPE, fact, keys.seal)
    assert from_entry("party-1", 1, topic, state, keys.unseal) == (ENVELOPE, fact)
    _, without_key = from_entry("party-1", 1, topic, state, MemoryKeyStore(random.Random(2).randbytes).unseal)
    assert isinstance(without_key, PartyRegistered) and isinstance(without_key.legal_name, Sealed)


def test_a_sealed_field_moved_to_another_place_is_found_out() -> None:
    keys = MemoryKeyStore(random.Random(1).randbytes)
    topic, state = to_entry("party-1", 1, ENVELOPE, FACTS[0], keys.seal)
    with pytest.raises(LogEntryUnreadable, match="sealed text was altered"):
        from_entry("party-1", 2, topic, state, keys.unseal)


def test_names_and_free_text_are_sealed_for_their_subject() -> None:
    assert {cls.__name__: sealed for cls, sealed in SEALED_FIELDS.items() if sealed} == {
        "PartyRegistered": (("legal_name", "party"),),
        "PartyFrozen": (("note", "actor"),),
        "PartyUnfrozen": (("note", "actor"),),
        "DatasetVersionWithdrawn": (("note", "actor"),),
        "ModelVersionWithdrawn": (("note", "actor"),),
        "SeriesHalted": (("note", "actor"),),
        "SaleRefunded": (("reason", "actor"),),
    }
    for cls in TOPIC_OF:
        typed: Any = cls
        personal = {field.name for field in fields(typed) if "Personal" in str(field.type)}
        assert personal - {"personal_data"} == {name for name, _ in SEALED_FIELDS[cls]}


@pytest.mark.parametrize(
    ("stream", "topic", "state", "detail"),
    [
        ("series-8", "SeriesEnded.9", golden("SeriesEnded.1"), "unknown topic"),
        ("series-8", "SeriesEnded.1", b"", "not readable as JSON"),
        ("series-9", "SeriesEnded.1", golden("SeriesEnded.1"), "belongs to stream series-8"),
        ("series-8", "SeriesEnded.1", golden("SeriesEnded.1")[:-1], "not readable as JSON"),
        ("series-8", "SeriesEnded.1", golden("SeriesEnded.1") + b" ", "not in canonical form"),
        ("series-8", "SeriesEnded.1", golden("CurrencyRegistered.1"), "unknown field"),
        ("series-8", "SeriesEnded.1", b"[]", "must be an envelope and a fact"),
        ("series-8", "SeriesEnded.1", b'{"envelope":{},"fact":{"series":8}}', "missing field"),
        ("series-8", "SeriesEnded.1", b"\xff\x00", "not readable as JSON"),
    ],
)
def test_what_cannot_be_read_is_an_error_that_names_the_place(
    stream: str, topic: str, state: bytes, detail: str
) -> None:
    with pytest.raises(LogEntryUnreadable) as caught:
        from_entry(stream, 4, topic, state, position=77)
    message = str(caught.value)
    assert caught.value.code == "log_entry_unreadable" in message
    assert f"position 77, entry {stream}@4, topic {topic}" in message
    assert detail in message


def test_no_altered_byte_of_an_entry_is_read_as_what_was_written() -> None:
    state = golden("SeriesListed.1")
    written = from_entry("series-8", 1, "SeriesListed.1", state)
    chance = random.Random(20260814)
    for _ in range(400):
        at, change = chance.randrange(len(state)), chance.randrange(1, 256)
        altered = state[:at] + bytes([state[at] ^ change]) + state[at + 1 :]
        try:
            read = from_entry("series-8", 1, "SeriesListed.1", altered)
        except LogEntryUnreadable:
            continue
        assert read != written

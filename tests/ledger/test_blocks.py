"""Flow blocks: golden bytes of each section's layout, what altered bytes are taken for, the running hash."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.blocks import (
    DIRECTORY,
    GENESIS_HASH,
    HEADER,
    SECTION_VERSION,
    Block,
    BlockUnreadable,
    chain,
    decode_block,
    encode_block,
    seal,
)
from matching.layout import LAYOUTS, PRIVATE, Code, Ending, Kind, Section, Side, TimeInForce

GOLDEN = Path(__file__).parent.parent / "golden" / "blocks"
AT_NS = 1_786_665_600_000_000_000
MAX = 2**63 - 1

HEADERS: dict[str, Any] = {
    "magic": b"TSFLOW\r\n",
    "layout": 1,
    "shard": 0,
    "block": 258,
    "epoch": 3,
    "first_at_ns": AT_NS,
    "last_at_ns": AT_NS + 1,
    "first_command": 1_000_000_000_000,
    "active_command": 999_999_999_999,
    "continues": 1,
    "sections": 1,
    "running_hash": bytes(range(32)),
}
REST = {name: HEADERS[name] for name in ("epoch", "first_at_ns", "last_at_ns", "first_command", "active_command")}
FIRST = HEADERS["first_command"]

ROWS: dict[Section, list[tuple[Any, ...]]] = {
    Section.COMMANDS: [
        (FIRST, AT_NS, 10_150, 25, 0, 7, 3, 9, Kind.NEW, Side.SELL, TimeInForce.IOC, 2),
        (FIRST + 1, AT_NS + 1, 0, 0, 77, 2**31 - 1, -3, 0, Kind.CANCEL, Side.BUY, TimeInForce.GTC, -128),
    ],
    Section.REQUESTS: [(FIRST, bytes(range(16)), bytes(range(240, 256)))],
    Section.CLIENT_IDS: [(FIRST, b"a", 0), (FIRST + 1, b"abcdefghijklmnopqrstuvwxyz-0123456_9", 0)],
    Section.LEGS: [(FIRST, 4, 5, 1_250, 9, 0), (FIRST, 5, 6, MAX, 15, 0)],
    Section.RESULTS: [(FIRST, 78, 5, MAX, Code.OK, 2), (FIRST + 1, 0, 0, 0, Code.ORDER_NOT_OPEN, 0)],
    Section.FILLS: [(FIRST, 76, 78, 10_151, 20)],
    Section.ENDINGS: [(FIRST, 78, 5, Ending.IOC, 0)],
    Section.POSTINGS: [(FIRST, 4, 5, 203_020, 1, 0), (FIRST, 5, 4, 1, 16, 2**31 - 1)],
    Section.GRANTS: [(FIRST, 12, 7, 3, 0, -20, 80)],
    Section.ACCOUNTS: [(FIRST, 0, -3, -1, 4)],
}


def rows_of(section: Section) -> Any:
    return np.array(ROWS[section], LAYOUTS[section])


def block_of(sections: dict[Section, Any]) -> bytes:
    state = encode_block(sections, shard=HEADERS["shard"], continues=bool(HEADERS["continues"]), **REST)
    seal(state, block=HEADERS["block"], running_hash=HEADERS["running_hash"])
    return bytes(state)


def golden(name: str) -> bytes:
    """The bytes of a golden file, which holds a word of eight bytes per line."""
    return bytes.fromhex((GOLDEN / f"{name}.hex").read_text())


def name_of(section: Section) -> str:
    return f"{section.name.lower()}.{SECTION_VERSION}"


def content(block: Block) -> tuple[Any, ...]:
    """All that a block says."""
    return (block.header.tobytes(), *((section, rows.tobytes()) for section, rows in block.sections.items()))


EVERY = block_of({section: rows_of(section) for section in LAYOUTS})
"""A block with a section of each kind."""


# -- golden bytes ------------------------------------------------------------------------------------------------------


def test_every_layout_has_a_golden_block_and_every_golden_block_a_layout() -> None:
    assert set(ROWS) == set(LAYOUTS)
    assert {path.stem for path in GOLDEN.glob("*.hex")} == {"empty.1", *map(name_of, LAYOUTS)}


@pytest.mark.parametrize("section", LAYOUTS, ids=name_of)
def test_a_section_is_written_to_its_golden_bytes_for_ever(section: Section) -> None:
    assert block_of({section: rows_of(section)}) == golden(name_of(section))


@pytest.mark.parametrize("section", LAYOUTS, ids=name_of)
def test_the_golden_bytes_of_a_section_are_read_field_by_field(section: Section) -> None:
    block = decode_block(golden(name_of(section)))
    assert {name: block.header[name].item() for name in HEADER.names or ()} == HEADERS
    assert list(block.sections) == [section]
    assert block.rows(section).tolist() == ROWS[section]


def test_a_block_without_rows_is_a_header() -> None:
    state = golden("empty.1")
    assert state == block_of({}) == block_of({section: rows_of(section)[:0] for section in LAYOUTS})
    block = decode_block(state)
    assert len(state) == HEADER.itemsize and block.sections == {}
    assert {name: block.header[name].item() for name in HEADER.names or ()} == {**HEADERS, "sections": 0}
    assert all(len(block.rows(section)) == 0 and block.rows(section).dtype == LAYOUTS[section] for section in LAYOUTS)


def test_sections_follow_each_other_by_number_without_a_gap_and_are_encoded_to_the_same_bytes_again() -> None:
    block = decode_block(EVERY)
    assert list(block.sections) == sorted(LAYOUTS)
    assert {section: rows.tolist() for section, rows in block.sections.items()} == ROWS
    rows = sum(len(ROWS[section]) * LAYOUTS[section].itemsize for section in LAYOUTS)
    assert len(EVERY) == HEADER.itemsize + len(LAYOUTS) * DIRECTORY.itemsize + rows
    assert block_of(block.sections) == block_of(dict(reversed(block.sections.items()))) == EVERY


def test_layouts_are_signed_little_endian_aligned_and_begin_with_the_command() -> None:
    for section, dtype in LAYOUTS.items():
        assert dtype.names and dtype.fields and dtype.names[0] == "command", section
        assert dtype.itemsize % 8 == 0 and set(PRIVATE.get(section, ())) <= set(dtype.names), section
        end = 0
        for name in dtype.names:
            kind, offset, *_ = dtype.fields[name]
            assert offset == end, (section, name)
            assert kind.kind in "VS" or (kind.kind == "i" and kind.byteorder in "<|=" and offset % kind.itemsize == 0)
            end = offset + kind.itemsize
        assert end == dtype.itemsize, section


# -- bytes that were altered -------------------------------------------------------------------------------------------


def says_something_else(state: bytes) -> bool:
    """Whether the bytes are refused, or read as another block than EVERY."""
    try:
        return content(decode_block(state)) != content(decode_block(EVERY))
    except BlockUnreadable as error:
        return error.code == "log_entry_unreadable" and bool(str(error))


def test_a_block_cut_anywhere_or_continued_is_unreadable() -> None:
    for size in range(len(EVERY)):
        with pytest.raises(BlockUnreadable):
            decode_block(EVERY[:size])
    for more in (b"\0", bytes(8), EVERY):
        with pytest.raises(BlockUnreadable):
            decode_block(EVERY + more)


def test_no_bit_of_a_block_can_be_turned_unseen() -> None:
    for at in range(len(EVERY)):
        for bit in range(8):
            altered = bytearray(EVERY)
            altered[at] ^= 1 << bit
            assert says_something_else(bytes(altered)), (at, bit)


@given(st.data())
def test_no_altered_stretch_of_a_block_is_read_as_what_was_written(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(EVERY) - 1))
    written = data.draw(st.binary(min_size=1, max_size=min(40, len(EVERY) - at)))
    altered = EVERY[:at] + written + EVERY[at + len(written) :]
    assert altered == EVERY or says_something_else(altered)


NUMBERS = st.one_of(st.integers(-(2**31), 2**31 - 1), st.sampled_from([0, 1, 16, 17]))
LONG_NUMBERS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-8, 400))


@given(NUMBERS, st.lists(st.tuples(NUMBERS, NUMBERS, LONG_NUMBERS, LONG_NUMBERS), max_size=4), st.binary(max_size=300))
def test_any_directory_is_read_within_its_bounds_or_refused(
    count: int, directory: list[tuple[int, int, int, int]], rest: bytes
) -> None:
    state = bytearray(golden("empty.1"))
    struct.pack_into("<i", state, 68, count)
    state += b"".join(struct.pack("<iiqq", *entry) for entry in directory) + rest
    try:
        block = decode_block(bytes(state))
    except BlockUnreadable:
        return
    assert len(block.sections) == count
    used = HEADER.itemsize + count * DIRECTORY.itemsize + sum(rows.nbytes for rows in block.sections.values())
    assert used == len(state)


@given(st.binary(max_size=400))
def test_bytes_that_are_no_block_are_unreadable(state: bytes) -> None:
    with pytest.raises(BlockUnreadable):
        decode_block(state)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda state: memoryview(b"." + state)[1:]])
def test_a_block_is_read_from_any_buffer(kind: Any) -> None:
    assert content(decode_block(kind(EVERY))) == content(decode_block(EVERY))


def test_the_rows_of_a_block_cannot_be_written() -> None:
    rows = decode_block(EVERY).rows(Section.FILLS)
    with pytest.raises(ValueError, match="read-only"):
        rows["lots"] = 1


# -- the running hash --------------------------------------------------------------------------------------------------


def test_the_running_hash_is_what_the_reference_says() -> None:
    assert GENESIS_HASH.hex() == "00" * 32
    stream, topic = "party-é", "PartyFrozen.1"
    text = b"".join(
        (
            bytes(range(32)),
            struct.pack("<qq", 258, 7),
            struct.pack("<i", 8) + stream.encode(),
            struct.pack("<i", 13) + topic.encode(),
            hashlib.sha256(b"state").digest(),
        )
    )
    assert chain(bytes(range(32)), 258, stream, 7, topic, b"state") == hashlib.sha256(text).digest()


ENTRY: list[Any] = [GENESIS_HASH, 1, "party-1", 1, "PartyFrozen.1", b"state"]


@pytest.mark.parametrize(
    ("at", "other"), [*enumerate([bytes(31) + b"\1", 2, "party-2", 2, "PartyFrozen.2", b"State"])], ids=str
)
def test_every_part_of_an_entry_is_in_the_running_hash(at: int, other: Any) -> None:
    altered = [*ENTRY]
    altered[at] = other
    assert chain(*altered) != chain(*ENTRY)


def test_text_moved_from_the_stream_into_the_topic_changes_the_running_hash() -> None:
    assert chain(GENESIS_HASH, 1, "ab", 1, "c", b"") != chain(GENESIS_HASH, 1, "a", 1, "bc", b"")

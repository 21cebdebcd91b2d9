"""Flow blocks: what the kernels were told and what they did, as one entry of the log.

A block is a header, a directory and its sections, all little-endian. A section is an array of one fixed-width dtype
(`matching.layout.LAYOUTS`), begins at a multiple of 8 bytes and is absent when it has no rows. The header's running
hash covers every earlier entry of the log, so any block seals the whole history before it.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from matching.layout import LAYOUTS, Section

TOPIC = "FlowBlock.1"
MAGIC = b"TSFLOW\r\n"
LAYOUT_VERSION = 1
"""Of the header and the directory; each section states its own."""
SECTION_VERSION = 1

HEADER = np.dtype(
    [
        ("magic", "S8"),
        ("layout", "<i4"),
        ("shard", "<i4"),
        ("block", "<i8"),
        ("epoch", "<i8"),
        ("first_at_ns", "<i8"),
        ("last_at_ns", "<i8"),
        ("first_command", "<i8"),  # the first that starts here, or the next to come if none does
        ("active_command", "<i8"),  # the one this block resumes, 0 if none
        ("continues", "<i4"),  # 1: the last command goes on in the next block
        ("sections", "<i4"),
        ("running_hash", "V32"),
    ]
)
_HEADER = struct.Struct("<8siiqqqqqqii32s")
_BLOCK_AT, _HASH_AT = 16, 72
DIRECTORY = np.dtype([("kind", "<i4"), ("layout", "<i4"), ("rows", "<i8"), ("offset", "<i8")])

_ENTRY = struct.Struct("<iiqq")
assert _HEADER.size == HEADER.itemsize and _ENTRY.size == DIRECTORY.itemsize
GENESIS_HASH = bytes(32)
"""The running hash before the first entry."""

Rows = Any
"""np.ndarray of the dtype of its section."""


class BlockUnreadable(ValueError):
    """The bytes are no flow block this program knows, or were altered."""

    code = "log_entry_unreadable"


class Block(NamedTuple):
    """A decoded block; the sections are read-only views into its bytes."""

    header: Any
    sections: dict[Section, Rows]

    def rows(self, section: Section) -> Rows:
        """The rows of `section`, an empty array if the block has none."""
        return self.sections.get(section, _EMPTY[section])


_EMPTY = {section: np.frombuffer(b"", layout) for section, layout in LAYOUTS.items()}


def encode_block(
    sections: Mapping[Section, Rows],
    *,
    shard: int,
    epoch: int,
    first_at_ns: int,
    last_at_ns: int,
    first_command: int,
    active_command: int,
    continues: bool,
) -> bytearray:
    """Bytes of a block; its number and running hash are still zero (see `seal`)."""
    present = [section for section in sorted(sections) if len(sections[section])]
    offset = HEADER.itemsize + DIRECTORY.itemsize * len(present)
    parts: list[Any] = [b"", b""]
    directory = []
    for section in present:
        rows = sections[section]
        padding = -offset % 8
        offset += padding
        directory.append(_ENTRY.pack(section, SECTION_VERSION, len(rows), offset))
        offset += rows.nbytes
        parts += (bytes(padding), rows)
    parts[0] = _HEADER.pack(
        MAGIC,
        LAYOUT_VERSION,
        shard,
        0,
        epoch,
        first_at_ns,
        last_at_ns,
        first_command,
        active_command,
        continues,
        len(present),
        GENESIS_HASH,
    )
    parts[1] = b"".join(directory)
    return bytearray().join(parts)


def seal(state: bytearray, *, block: int, running_hash: bytes) -> None:
    """Write the block's number and the hash over every earlier entry into its header."""
    state[_BLOCK_AT : _BLOCK_AT + 8] = block.to_bytes(8, "little")
    state[_HASH_AT : _HASH_AT + 32] = running_hash


def decode_block(state: bytes | memoryview | bytearray) -> Block:
    """Read a block, with every bound checked. Raises BlockUnreadable."""
    if len(state) < HEADER.itemsize:
        raise BlockUnreadable(f"flow block of {len(state)} bytes is shorter than its header ({HEADER.itemsize})")
    headers = np.frombuffer(state, HEADER, 1)
    if not headers.flags.aligned:
        return decode_block(bytes(state))
    header = headers[0]
    if header["magic"] != MAGIC.rstrip(b"\0") or header["layout"] != LAYOUT_VERSION:
        raise BlockUnreadable(f"flow block has magic {header['magic']!r} and layout {header['layout']}")
    count = int(header["sections"])
    end = HEADER.itemsize + DIRECTORY.itemsize * count
    if not 0 <= count <= len(Section) or end > len(state):
        raise BlockUnreadable(f"flow block states {count} sections")
    sections: dict[Section, Rows] = {}
    previous = 0
    for kind, layout, rows, offset in _ENTRY.iter_unpack(memoryview(state)[HEADER.itemsize : end]):
        if kind <= previous or kind not in LAYOUTS or layout != SECTION_VERSION:
            raise BlockUnreadable(f"flow block has a section of kind {kind}, layout {layout}, after kind {previous}")
        dtype = LAYOUTS[Section(kind)]
        if rows < 1 or offset != -(-end // 8) * 8 or offset + rows * dtype.itemsize > len(state):
            raise BlockUnreadable(f"section {Section(kind).name} states {rows} rows at byte {offset}")
        sections[Section(kind)] = np.frombuffer(state, dtype, rows, offset)
        end = offset + rows * dtype.itemsize
        previous = kind
    if end != len(state):
        raise BlockUnreadable(f"flow block of {len(state)} bytes ends at byte {end}")
    return Block(header, sections)


def chain(running_hash: bytes, position: int, stream: str, version: int, topic: str, state: Any) -> bytes:
    """The running hash with one more entry: SHA-256 of the hash so far, position, version, stream, topic, H(state)."""
    digest = hashlib.sha256(running_hash)
    digest.update(position.to_bytes(8, "little") + version.to_bytes(8, "little") + _counted(stream) + _counted(topic))
    digest.update(hashlib.sha256(state).digest())
    return digest.digest()


@lru_cache(maxsize=1_024)
def _counted(text: str) -> bytes:
    """The length of a text and its bytes."""
    raw = text.encode()
    return len(raw).to_bytes(4, "little") + raw

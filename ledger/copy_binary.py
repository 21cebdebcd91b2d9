"""PostgreSQL's binary COPY format for rows of the log.

The driver writes and reads `bytea` as escaped text, twice the size; COPY moves the bytes as they are. The format is
described under COPY, "Binary Format", in PostgreSQL's manual: a header, then per row a field count and per field a
length and its bytes, all big-endian, and a field count of -1 at the end.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # Signature, no flags, no extension.
_TRAILER = b"\xff\xff"
_POSITION = struct.Struct(">hiqi")  # Field count, length and value of the position, length of the stream's name.
_VERSION = struct.Struct(">iqi")  # Length and value of the version, length of the topic.
_LENGTH = struct.Struct(">i")

# Small pieces travel together: one call from the driver for many facts, not two for each.
_JOIN_BELOW = 64 * 1024

# (stream, version, topic, state): what is appended; the log gives it its position.
Entry = tuple[str, int, str, bytes | bytearray | memoryview]


class RecordedEntry(NamedTuple):
    """One entry of the log, as recorded."""

    position: int
    stream: str
    version: int
    topic: str
    state: bytes


class CopySource:
    """The file a COPY FROM STDIN reads: each payload is handed to the driver whole, never cut or joined in Python."""

    def __init__(self, first_position: int, entries: Sequence[Entry]) -> None:
        self._pieces = _pieces(first_position, entries)

    def read(self, _size: int = -1) -> bytes:
        return next(self._pieces, b"")


def _pieces(first_position: int, entries: Sequence[Entry]) -> Iterator[bytes]:
    before = bytearray(_HEADER)
    for position, (stream, version, topic, state) in enumerate(entries, first_position):
        stream_bytes, topic_bytes = stream.encode(), topic.encode()
        payload = state if isinstance(state, bytes) else bytes(state)
        before += b"".join(
            (
                _POSITION.pack(5, 8, position, len(stream_bytes)),
                stream_bytes,
                _VERSION.pack(8, version, len(topic_bytes)),
                topic_bytes,
                _LENGTH.pack(len(payload)),
            )
        )
        if len(payload) < _JOIN_BELOW:
            before += payload
            if len(before) < _JOIN_BELOW:
                continue
            yield bytes(before)
        else:
            yield bytes(before)
            yield payload
        before.clear()
    yield bytes(before + _TRAILER)


class CopySink:
    """The file a COPY TO STDOUT writes; `entries` is complete when the COPY has ended.

    The server sends one message per row, the header in front of the first, so a message is parsed as it comes.
    """

    def __init__(self) -> None:
        self.entries: list[RecordedEntry] = []
        self._at_start = True

    def write(self, message: bytes) -> None:
        at = 0
        if self._at_start:
            assert message.startswith(_HEADER), message[:19]
            at, self._at_start = len(_HEADER), False
        if len(message) - at <= len(_TRAILER):
            return
        fields, _, position, length = _POSITION.unpack_from(message, at)
        assert fields == 5, fields
        at += _POSITION.size
        stream = message[at : at + length].decode()
        at += length
        _, version, length = _VERSION.unpack_from(message, at)
        at += _VERSION.size
        topic = message[at : at + length].decode()
        at += length
        (length,) = _LENGTH.unpack_from(message, at)
        at += _LENGTH.size
        assert len(message) == at + length, (position, len(message), at, length)
        self.entries.append(RecordedEntry(position, stream, version, topic, message[at:]))

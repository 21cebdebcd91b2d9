"""The trades of the last 24 hours, read back from the log when the hub starts: so no chart begins empty.

Only what everybody may see is read: fills, and of each its taker's command. Bounded in bytes, the latest first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

import numpy as np

from domain.values import DAY_NS, PostingCode
from ledger.blocks import Block, decode_block
from ledger.store import SHARD_STREAM
from matching.layout import Section
from projections.flow import TRADE

BYTES_MAX: Final = 64 << 20
_FILL_BITS: Final = 24


class Entry(Protocol):
    """An entry of a log."""

    @property
    def position(self) -> int: ...

    @property
    def version(self) -> int: ...

    @property
    def state(self) -> bytes: ...


class Log(Protocol):
    def entry(self, stream: str, version: int) -> Entry | None: ...

    def last_of_stream(self, stream: str) -> Entry | None: ...


def recent_trades(
    log: Log, tick_minor_of: Callable[[int], int], *, at_ns: int, until_position: int, bytes_max: int = BYTES_MAX
) -> list[tuple[int, Any]]:
    """(position, rows of TRADE) of the blocks with trades in the 24 hours before `at_ns`, in the order of the log.

    The rows lack parties, orders and fees. The start may be missing where it needs more than `bytes_max`.
    """
    blocks: list[tuple[int, Block]] = []
    entry = log.last_of_stream(SHARD_STREAM)
    size = 0
    while entry is not None and size < bytes_max:
        block = decode_block(entry.state)
        if int(block.header["last_at_ns"]) <= at_ns - DAY_NS:
            break
        size += len(entry.state)
        if entry.position <= until_position:
            blocks.append((entry.position, block))
        entry = log.entry(SHARD_STREAM, entry.version - 1)
    found = []
    takers = np.zeros(0, [("command", "<i8")])
    fills = 0
    for position, block in reversed(blocks):
        takers, fills, rows = _trades(block, takers, fills, tick_minor_of)
        if len(rows):
            found.append((position, rows))
    return found


def _trades(block: Block, before: Any, fills_before: int, tick_minor_of: Callable[[int], int]) -> tuple[Any, int, Any]:
    """(the command that goes on in the next block, its fills so far, the trades of this one)."""
    commands = block.rows(Section.COMMANDS)
    active = int(block.header["active_command"])
    if active and len(before):
        commands = np.concatenate([before, commands])
    fills = block.rows(Section.FILLS)
    # Fills of a command that began before the first block that was read have nothing to say what they are of.
    at = np.searchsorted(commands["command"], fills["command"])
    at[at == len(commands)] = 0
    known = commands["command"][at] == fills["command"] if len(commands) else np.zeros(len(fills), bool)
    fills, at = fills[known], at[known]
    number = np.arange(len(fills)) - np.searchsorted(fills["command"], fills["command"])
    number[fills["command"] == active] += fills_before
    rows = np.zeros(len(fills), TRADE)
    for name in ("command", "lots"):
        rows[name] = fills[name]
    rows["price_ticks"] = fills["price"]
    rows["fill"] = number
    takers = commands[at] if len(fills) else commands[:0]
    for name, of in (("at_ns", "at_ns"), ("series", "series"), ("taker_side", "side")):
        rows[name] = takers[of]
    ticks_minor = np.array([tick_minor_of(series) for series in rows["series"].tolist()], np.int64)
    rows["notional_minor"] = rows["price_ticks"] * ticks_minor * rows["lots"]
    postings = block.rows(Section.POSTINGS)
    mints = postings[postings["code"] == int(PostingCode.MINT)]
    keys = [(of["command"] << _FILL_BITS) + of["fill"] for of in (rows, mints)]
    rows["primary"] = np.isin(*keys)
    going_on = commands[-1:] if block.header["continues"] else commands[:0]
    ours = fills["command"] == (going_on["command"][0] if len(going_on) else 0)
    goes_on_since = fills_before if len(going_on) and int(going_on["command"][0]) == active else 0
    return going_on, goes_on_since + int(ours.sum()), rows

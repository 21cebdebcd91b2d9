"""Comparing rows by the million."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from ledger.blocks import Block
from ledger.tables import Out
from matching.layout import FLAG_SYSTEM, LAYOUTS, NONE, Kind, Section, kernel

OUTCOMES: Final = (
    Section.RESULTS,
    Section.FILLS,
    Section.ENDINGS,
    Section.POSTINGS,
    Section.GRANTS,
    Section.ACCOUNTS,
)
"""What the kernel writes, in the order of `Out`."""
WORD_BYTES: Final = 8
_SECTIONS = tuple(int(section) for section in OUTCOMES)
_WORDS = tuple(LAYOUTS[section].itemsize // WORD_BYTES for section in OUTCOMES)
_MASS_CANCEL, _JOURNAL = int(Kind.MASS_CANCEL), int(Kind.JOURNAL)
_OPEN_ACCOUNT, _REFUND = int(Kind.OPEN_ACCOUNT), int(Kind.REFUND)


class Survey(NamedTuple):
    """What one look over the commands of a block finds: the first row of each sort, the number of rows if none is."""

    out_of_order: int
    """Not the next number, or earlier than the one before."""
    overtaking: int
    """Of a party, although at its time something else was due first."""
    moves_value: int
    """A movement of the house (see `ledger.movements.moves_value`)."""


def survey(commands: Any, number: int, at_ns: int, due_ns: int) -> Survey:
    """Look over `commands` (COMMAND) that should begin with `number`, not before `at_ns`.

    `due_ns`: when something is due, NONE for nothing.
    """
    return Survey(*_survey(commands, number, at_ns, due_ns))


@kernel
def _survey(commands: Any, number: int, at_ns: int, due_ns: int) -> tuple[int, int, int]:
    count = len(commands)
    out_of_order = overtaking = moves_value = count
    for row in range(count):
        command = commands[row]
        if (command["command"] != number + row or command["at_ns"] < at_ns) and out_of_order == count:
            out_of_order = row
        at_ns = command["at_ns"]
        kind = command["kind"]
        by_house = int(command["flags"]) & FLAG_SYSTEM != 0
        if due_ns != NONE and at_ns >= due_ns and not by_house and kind != _OPEN_ACCOUNT and overtaking == count:
            overtaking = row
        of_house = kind == _JOURNAL or kind == _REFUND or (kind == _MASS_CANCEL and by_house)  # noqa: PLR1714
        if of_house and moves_value == count:
            moves_value = row
    return out_of_order, overtaking, moves_value


def words_of(out: Out) -> tuple[Any, ...]:
    """The sections of `out` as integers of 8 bytes, in the order of OUTCOMES."""
    written = (out.results, out.fills, out.endings, out.postings, out.grants, out.accounts)
    return tuple(rows.view(np.int64) for rows in written)


def expected_words(block: Block) -> tuple[Any, ...]:
    """The sections of a block as integers of 8 bytes that cannot be written, in the order of OUTCOMES."""
    return tuple(block.rows(section).view(np.int64) for section in OUTCOMES)


@kernel
def same_so_far(written: Any, used: Any, expected: Any, done: Any) -> bool:
    """Whether what was written is what is expected next in each section, of which `done` ([6] rows) came before.

    `written`, `expected`: a tuple of [n] i8 for each of OUTCOMES. Counts what was written into `done` if it is.
    """
    different = np.int64(0)
    for section in range(len(_SECTIONS)):
        rows = used[_SECTIONS[section]]
        first = done[section] * _WORDS[section]
        count = rows * _WORDS[section]
        here, there = written[section], expected[section]
        if first + count > len(there):
            return False
        for at in range(count):
            different |= here[at] ^ there[first + at]
    if different != 0:
        return False
    for section in range(len(_SECTIONS)):
        done[section] += used[_SECTIONS[section]]
    return True

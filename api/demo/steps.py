"""The steps of a scripted history, as an engine takes them one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from domain.commands import Command

Rows: TypeAlias = NDArray[np.void]
"""Structured array of one of the dtypes of `matching.layout`."""


@dataclass(frozen=True, slots=True)
class Submit:
    """One command for the domain, at a time, of an actor (0: the house). The script expects it to be accepted."""

    at_ns: int
    actor: int
    command: Command


@dataclass(frozen=True, slots=True, eq=False)
class Orders:
    """Order flow: rows of `matching.layout.COMMAND`, `at_ns` never decreasing, `command` 0: the house numbers them.

    The engine answers with the RESULT rows of exactly these commands, in their order.
    """

    rows: Rows


@dataclass(frozen=True, slots=True)
class EndOfDay:
    """Nothing more happens on this day; `number` of `of` trading days are over."""

    at_ns: int
    day: str
    number: int
    of: int


Step: TypeAlias = Submit | Orders | EndOfDay
Answer: TypeAlias = Any
"""RESULT rows after `Orders`; anything after other steps, where the script does not look at it."""

"""Comparing rows by the million."""

from __future__ import annotations

from typing import Any

import numpy as np

from matching.layout import kernel


@kernel
def first_out_of_order(commands: Any, number: int, at_ns: int) -> int:
    """First row whose number is not the next or whose time is before the last; the number of rows if there is none."""
    for row in range(len(commands)):
        if commands[row]["command"] != number + row or commands[row]["at_ns"] < at_ns:
            return row
        at_ns = commands[row]["at_ns"]
    return len(commands)


@kernel
def are_equal(left: Any, right: Any) -> bool:
    """Whether two arrays of the same length hold the same integers."""
    different = np.int64(0)
    for at in range(len(left)):
        different |= left[at] ^ right[at]
    return bool(different == 0)

"""Memory that is dropped whole: rows of one stretch of time, and the open-addressing table in which they are found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from matching.layout import NONE

ROWS: Final = 256
"""Room of a fresh generation; its table has four places for each row, and never fewer than two."""


class Generation:
    """Rows that are only ever added."""

    def __init__(self, zeros: Callable[[int], Any], reindex: Callable[[Any, Any, int], None]) -> None:
        """`zeros(count)` gives so many empty rows, `reindex(rows, index, count)` enters the first rows into a table."""
        self._zeros = zeros
        self._reindex = reindex
        self.rows = zeros(ROWS)
        self.index = np.full(4 * ROWS, NONE, np.int64)
        self.count = 0

    def reserve(self, more: int) -> None:
        """Make room for so many rows more."""
        needed = self.count + more
        if needed > len(self.rows):
            rows = self._zeros(max(needed, 2 * len(self.rows)))
            rows[: self.count] = self.rows[: self.count]
            self.rows = rows
        size = len(self.index)
        while size < 2 * needed:
            size *= 2
        if size > len(self.index):
            self._enter_all(size)

    def fill(self, rows: Any) -> None:
        """Hold `rows` and nothing else."""
        self.count = 0
        self.reserve(len(rows))
        self.rows[: len(rows)] = rows
        self.count = len(rows)
        self._enter_all(len(self.index))

    def _enter_all(self, size: int) -> None:
        self.index = np.full(size, NONE, np.int64)
        self._reindex(self.rows, self.index, self.count)

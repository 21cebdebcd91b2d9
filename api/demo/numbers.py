"""Seeded numbers in pure integer arithmetic: splitmix64 by counter, the same on every machine and Python."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

_GAMMA: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
_SEED_MASK: Final = 2**64 - 1


class Draws:
    """A stream of uniform integers; each call goes on where the last one ended."""

    def __init__(self, seed: int) -> None:
        self._seed = np.array([seed & _SEED_MASK], dtype=np.uint64)
        self._drawn = 0

    def words(self, count: int) -> NDArray[np.uint64]:
        """The next `count` outputs of splitmix64; arithmetic is modulo 2^64."""
        state = self._seed + np.arange(self._drawn + 1, self._drawn + count + 1, dtype=np.uint64) * _GAMMA
        self._drawn += count
        state = (state ^ (state >> np.uint64(30))) * _FIRST
        state = (state ^ (state >> np.uint64(27))) * _SECOND
        words: NDArray[np.uint64] = state ^ (state >> np.uint64(31))
        return words

    def below(self, bound: int, count: int) -> Integers:
        """`count` integers from 0 to bound − 1; 1 <= bound <= 2^31. Their bias is below 2^-32."""
        assert 1 <= bound <= 2**31, bound
        return (((self.words(count) >> np.uint64(32)) * np.uint64(bound)) >> np.uint64(32)).astype(np.int64)

    def between(self, low: int, high: int, count: int) -> Integers:
        """`count` integers from low to high, both included."""
        return low + self.below(high - low + 1, count)

    def pick(self, cumulative: Integers, count: int) -> Integers:
        """`count` indices, each as likely as its weight; `cumulative`: running sums of the weights, rising."""
        return np.searchsorted(cumulative, self.below(int(cumulative[-1]), count), side="right").astype(np.int64)

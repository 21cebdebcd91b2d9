"""How the stream writes the numbers of one series.

The same few prices and quantities come again and again, so their texts are remembered. The texts are those of every
other door: decimal digits with exactly the decimals of the currency and of the lot size.
"""

from __future__ import annotations

from typing import Final

from api.series_facts import SeriesFact
from api.wire import rfc3339

REMEMBERED_MAX: Final = 8_192


class Texts:
    """Texts of one series, for any thread: two that meet make a text twice."""

    def __init__(self, series: SeriesFact) -> None:
        self.series = series
        self._prices: dict[int, str] = {}
        self._quantities: dict[int, str] = {}

    def price(self, ticks: int) -> str:
        text = self._prices.get(ticks)
        if text is None:
            text = self.series.price(ticks)
            _remember(self._prices, ticks, text)
        return text

    def quantity(self, lots: int) -> str:
        text = self._quantities.get(lots)
        if text is None:
            text = self.series.quantity(lots)
            _remember(self._quantities, lots, text)
        return text

    def money(self, amount_minor: int) -> str:
        return self.series.money(amount_minor)


def _remember(memory: dict[int, str], number: int, text: str) -> None:
    if len(memory) >= REMEMBERED_MAX:
        memory.clear()
    memory[number] = text


class Times:
    """Texts of times for one thread: the rows of one batch share theirs."""

    def __init__(self) -> None:
        self._at_ns = -1
        self._text = ""

    def text(self, at_ns: int) -> str:
        if at_ns != self._at_ns:
            self._at_ns = at_ns
            self._text = rfc3339(at_ns)
        return self._text

"""What the doors must know of a series to read and print its prices and quantities, from the fact that listed it.

A series never changes what is here, so each is read from the log once. Texts that were parsed are remembered: the
same few prices and quantities come again and again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from api.wire import CURRENCY, SERIES, format_price, number_of, public_id, tick_size
from domain.events import SeriesListed
from domain.rejections import Reason, Refusal, refuse
from domain.values import format_money, parse_price, parse_quantity
from ledger.mapper import from_entry

if TYPE_CHECKING:
    from api.bootstrap import House

REMEMBERED_MAX: Final = 4_096


class SeriesFact:
    """One series: how its numbers are written."""

    def __init__(self, listed: SeriesListed, *, code: str, exponent: int) -> None:
        self.listed = listed
        self.number = listed.series
        self.id = public_id(SERIES, listed.series)
        self.symbol = listed.symbol
        self.named_json = f'"series":{orjson.dumps(self.id).decode()},"symbol":{orjson.dumps(self.symbol).decode()}'
        """The members of an object that say which series it is about."""
        self.currency = listed.currency
        self.currency_id = public_id(CURRENCY, listed.currency)
        self.currency_code = code
        self.exponent = exponent
        self.tick_minor = listed.tick_minor
        self.tick_size = tick_size(listed.tick_minor, exponent)
        self.lot_size = listed.lot_size
        whole, _, decimals = listed.lot_size.partition(".")
        self._lot_units, self._lot_decimals = int(whole + decimals), len(decimals)
        self._prices: dict[str, int] = {}
        self._quantities: dict[str, int] = {}
        self.price = _Texts(lambda ticks: format_price(ticks, listed.tick_minor, exponent)).__getitem__
        """The text of a price in ticks."""
        self.quantity = _Texts(lambda lots: format_money(lots * self._lot_units, self._lot_decimals)).__getitem__
        """The text of a quantity in lots."""
        self.money = _Texts(lambda amount_minor: format_money(amount_minor, exponent)).__getitem__
        """The text of an amount in minor units."""

    def ticks(self, text: object, field: str = "price") -> int | Refusal:
        """A price in ticks."""
        known = self._prices.get(text) if type(text) is str else None
        if known is not None:
            return known
        return _remember(self._prices, text, parse_price(text, self.tick_size, field=field))

    def lots(self, text: object, field: str = "quantity") -> int | Refusal:
        """A quantity in lots."""
        known = self._quantities.get(text) if type(text) is str else None
        if known is not None:
            return known
        return _remember(self._quantities, text, parse_quantity(text, self.lot_size, field=field))


class _Texts(dict[int, str]):
    """Texts of numbers, made when they are first asked for. Any thread may ask: two that meet make a text twice."""

    def __init__(self, text_of: Callable[[int], str]) -> None:
        super().__init__()
        self._text_of = text_of

    def __missing__(self, number: int) -> str:
        if len(self) >= REMEMBERED_MAX:
            self.clear()
        text = self[number] = self._text_of(number)
        return text


def _remember(memory: dict[str, int], text: object, number: int | Refusal) -> int | Refusal:
    if isinstance(number, int) and isinstance(text, str):
        if len(memory) >= REMEMBERED_MAX:
            memory.clear()
        memory[text] = number
    return number


class CurrencyFact(NamedTuple):
    """One currency: how its amounts are written."""

    number: int
    id: str
    code: str
    exponent: int

    def money(self, amount_minor: int) -> str:
        return format_money(amount_minor, self.exponent)


class SeriesFacts:
    """The series of a house by number, id and symbol, and its currencies by number, id and code."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._known: dict[int, SeriesFact] = {}
        self._by_text: dict[str, SeriesFact] = {}

    def of(self, number: int) -> SeriesFact | None:
        """The series of this number, or None."""
        known = self._known.get(number)
        return known or (self._read(number) if number in self._house.state.catalogue.series else None)

    def named(self, text: object, field: str = "series") -> SeriesFact | Refusal:
        """The series of an id or a symbol."""
        known = self._by_text.get(text) if type(text) is str else None
        if known is not None:
            return known
        if type(text) is str and "/" in text:
            number: int | Refusal | None = self._house.state.catalogue.series_by_symbol.get(text)
            if number is None:
                return refuse(Reason.UNKNOWN_SYMBOL, field, "must be the symbol of a listed series", text)
        else:
            number = number_of(SERIES, text, field)
        if isinstance(number, Refusal):
            return number
        found = self.of(number)
        if found is None:
            return refuse(Reason.UNKNOWN_SERIES, field, "must be a listed series", text)
        self._by_text[found.id] = self._by_text[found.symbol] = found
        return found

    def currency(self, number: int) -> CurrencyFact:
        """The currency of this number, which exists."""
        row = self._house.state.catalogue.currencies[number]
        return CurrencyFact(number, public_id(CURRENCY, number), row.code, row.exponent)

    def currency_named(self, text: str, field: str = "currency") -> CurrencyFact | Refusal:
        """The currency of an id or a code."""
        catalogue = self._house.state.catalogue
        number: int | Refusal | None = catalogue.currency_by_code.get(text)
        if number is None:
            number = number_of(CURRENCY, text, field)
        if isinstance(number, Refusal):
            return number
        if number not in catalogue.currencies:
            return refuse(Reason.UNKNOWN_CURRENCY, field, "must be a registered currency", text)
        return self.currency(number)

    def _read(self, number: int) -> SeriesFact:
        entry = self._house.recorder.entry(f"series-{number}", 1)
        assert entry is not None, number
        _, listed = from_entry(entry.stream, entry.version, entry.topic, entry.state)
        assert isinstance(listed, SeriesListed), listed
        currency = self._house.state.catalogue.currencies[listed.currency]
        known = SeriesFact(listed, code=currency.code, exponent=currency.exponent)
        self._known[number] = known
        return known

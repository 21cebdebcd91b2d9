"""List prices and their dated changes, from the `genai-prices` package that is installed; read offline, exact.

A price there is US dollars per million tokens, one for input and one for output. Here each is an integer of
micro-dollars (10^-6 US dollars per million tokens), which holds every decimal that the package means: prices go to six
decimals. Some carry the noise of a binary fraction (0.13999999999999999 for 0.14); those are rounded to the sixth
decimal, half to even, and say so in `rounded`.

Where prices depend on the size of a request, its base tier counts; where they depend on the time of day, the rate that
holds without such a condition. The state of the demo market depends on these prices, so the version is checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.metadata import version
from typing import Final

from genai_prices.data import providers
from genai_prices.types import ModelInfo, ModelPrice, StartDateConstraint, TieredPrices

PACKAGE: Final = "genai-prices"
PACKAGE_VERSION: Final = "0.2.3"
DECIMALS: Final = 6

PACK_INPUT_MTOK: Final = 3
PACK_OUTPUT_MTOK: Final = 1
"""A pack of size 1 is three million input and one million output tokens; a pack of size N is N times that."""
PACK_SIZES: Final = (1, 10, 100, 1_000, 10_000)
"""With 10,000 every price of six decimals makes a whole number of cents."""
PACK_MINOR_MIN: Final = 1_000
"""A pack costs at least this many cents, so that a one-cent tick is at most a thousandth of its price."""
MICRO_PER_MINOR: Final = 10_000


class WrongPackage(RuntimeError):
    """Another version of the price package is installed than the one the demo is pinned to."""


@dataclass(frozen=True, slots=True)
class ListPrice:
    """Rates from `day` on (None: since before the package dates it), in micro-dollars per million tokens."""

    day: str | None
    input_micro: int
    output_micro: int
    rounded: bool

    def pack_micro(self, size: int) -> int:
        """Price of a pack in micro-dollars."""
        return size * (PACK_INPUT_MTOK * self.input_micro + PACK_OUTPUT_MTOK * self.output_micro)

    def same_rates(self, other: ListPrice) -> bool:
        return (self.input_micro, self.output_micro) == (other.input_micro, other.output_micro)


@dataclass(frozen=True, slots=True)
class Entry:
    """One model in one provider's price list. `prices` is in order of day; one without any input or output is empty."""

    provider: str
    provider_name: str
    model: str
    title: str
    prices: tuple[ListPrice, ...]

    @property
    def source(self) -> str:
        return f"{PACKAGE}=={PACKAGE_VERSION}:{self.provider}/{self.model}"

    def changes(self, first_day: str, last_day: str) -> tuple[ListPrice, ...]:
        """The prices that began in those days, both included, with another input or output rate than before."""
        return tuple(
            after
            for before, after in zip(self.prices, self.prices[1:], strict=False)
            if after.day is not None and first_day <= after.day <= last_day and not after.same_rates(before)
        )

    def in_force(self, first_day: str, last_day: str) -> tuple[ListPrice, ...]:
        """What held on the day before `first_day`, and then each change up to `last_day`."""
        opening = [price for price in self.prices if price.day is None or price.day < first_day][-1:]
        return (*opening, *self.changes(first_day, last_day))


@cache
def entries() -> tuple[Entry, ...]:
    """Every entry of the package, in its order; raises `WrongPackage` if it is not the pinned version."""
    installed = version(PACKAGE)
    if installed != PACKAGE_VERSION:
        raise WrongPackage(f"the demo market is pinned to {PACKAGE}=={PACKAGE_VERSION}, {installed} is installed")
    return tuple(
        Entry(
            provider=provider.id,
            provider_name=provider.name,
            model=model.id,
            title=model.name or model.id,
            prices=tuple(_prices(model)),
        )
        for provider in providers
        for model in provider.models
    )


def pack_size(prices: tuple[ListPrice, ...]) -> int:
    """The smallest pack in which each of the prices is a whole number of cents, none below `PACK_MINOR_MIN`."""
    for size in PACK_SIZES:
        packs = [price.pack_micro(size) for price in prices]
        if all(micro % MICRO_PER_MINOR == 0 and micro >= PACK_MINOR_MIN * MICRO_PER_MINOR for micro in packs):
            return size
    raise ValueError(f"no pack of {PACK_SIZES} makes whole cents of {prices}")


def pack_minor(price: ListPrice, size: int) -> int:
    """Price of a pack in cents; exact."""
    minor, rest = divmod(price.pack_micro(size), MICRO_PER_MINOR)
    assert rest == 0, (price, size)
    return minor


def _prices(model: ModelInfo) -> Iterator[ListPrice]:
    if isinstance(model.prices, ModelPrice):
        yield from _list_price(None, model.prices)
        return
    for conditional in model.prices:
        if conditional.constraint is None:
            yield from _list_price(None, conditional.prices)
        elif isinstance(conditional.constraint, StartDateConstraint):
            yield from _list_price(conditional.constraint.start_date.isoformat(), conditional.prices)


def _list_price(day: str | None, prices: ModelPrice) -> Iterator[ListPrice]:
    """At most one: a price for neither input nor output tokens is none (such as one per image or per second)."""
    rates = [_base(getattr(prices, name, None)) for name in ("input_mtok", "output_mtok")]
    if rates == [None, None]:
        return
    (input_micro, input_rounded), (output_micro, output_rounded) = (_micro(rate or Decimal(0)) for rate in rates)
    yield ListPrice(day, input_micro, output_micro, input_rounded or output_rounded)


def _base(price: object) -> Decimal | None:
    if isinstance(price, TieredPrices):
        price = price.base
    assert price is None or isinstance(price, Decimal), price
    return price


def _micro(rate: Decimal) -> tuple[int, bool]:
    """(The rate in micro-dollars, whether it had to be rounded half to even), from its digits, in integers."""
    sign, digits, exponent = rate.as_tuple()
    assert sign == 0 and isinstance(exponent, int), rate
    number = int("".join(map(str, digits)))
    shift = exponent + DECIMALS
    if shift >= 0:
        return number * 10**shift, False
    unit = 10**-shift
    whole, rest = divmod(number, unit)
    return whole + (2 * rest > unit or (2 * rest == unit and whole % 2 == 1)), rest != 0

"""What the demo market lists: every asset with its lineage, its unit, and its prices with their basis.

Two kinds of asset, because real prices and known lineage hardly overlap:

* *listed*: an entry of a price list, at its real prices and with their real dated changes; all entries with a change of
  input or output price inside the ninety days, and some of the makers' own entries;
* *demo*: a model with known lineage, at a price by a stated rule (`demo_price_minor`).

A unit is a pack of 3N million input and N million output tokens, with N so large that each price is a whole number of
cents; a pack of a demo price has N = 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Final

from api.catalogue_import import FIRST_SEMVER
from api.demo import prices, tables
from api.demo.licenses import license_class

EVE: Final = "2026-08-16"
"""Everything is registered on this day."""
FIRST_DAY: Final = "2026-08-17"
LAST_DAY: Final = "2026-11-14"
DAYS: Final = 90

SERVICE_LICENSE: Final = "LicenseRef-proprietary-api"
"""What a price list sells: use as a service, without a license to the weights."""

MAKERS_OWN: Final = (
    ("anthropic", "claude-haiku-5-5"),
    ("anthropic", "claude-opus-5-5"),
    ("anthropic", "claude-sonnet-5-5"),
    ("cohere", "command-a"),
    ("cohere", "command-r-plus"),
    ("deepseek", "deepseek-v3.2"),
    ("google", "gemini-2.5-pro"),
    ("google", "gemini-3.1-pro-preview"),
    ("google", "gemini-3.8-flash"),
    ("meta", "muse-spark-1.3"),
    ("minimax", "MiniMax-M2.7"),
    ("mistral", "codestral-2508"),
    ("mistral", "mistral-large-2512"),
    ("moonshotai", "kimi-k3.1-pro"),
    ("openai", "gpt-4.1"),
    ("openai", "gpt-5.5"),
    ("openai", "gpt-6-luna"),
    ("openai", "gpt-6-sol"),
    ("openai", "o3"),
    ("openai", "text-embedding-3-large"),
    ("x-ai", "grok-4.3"),
    ("x-ai", "grok-4.7"),
    ("zai", "GLM-4.5"),
)
"""Entries of the makers' own price lists that are listed although their price stands still: (provider, model)."""

DEMO_PRICE_RULE: Final = (
    "10.00 USD plus 0.10 USD per begun 100 million parameters (10.00 USD more where their number is not known), "
    "twice that for a license of class Commercial"
)
_NAME_MARKS: Final = ("~", "@cf/", "global.", "regional.")
_PARAMETER_UNITS: Final = {"M": 10**6, "B": 10**9, "T": 10**12}


@dataclass(frozen=True, slots=True)
class AssetPrice:
    """Price of a pack from `day` on; the first price of an asset holds from the eve."""

    day: str
    price_minor: int
    rounded: bool


@dataclass(frozen=True, slots=True)
class Asset:
    """One model with all that the market says of it. `developer` is the key of an organization."""

    key: str
    title: str
    developer: str
    family: str
    modality: str
    license: str
    license_class: str
    semver: str
    source: str
    bases: tuple[str, ...]
    base_relation: str
    edges: tuple[tables.EdgeRow, ...]
    pack_size: int
    prices: tuple[AssetPrice, ...]
    basis: str
    """`listed` or `demo`, as every price of the asset is."""
    price_source: str

    @property
    def unit(self) -> str:
        million_in = prices.PACK_INPUT_MTOK * self.pack_size
        million_out = prices.PACK_OUTPUT_MTOK * self.pack_size
        return f"pack of {million_in} million input and {million_out} million output tokens"


@cache
def assets() -> tuple[Asset, ...]:
    """Demo assets in the order of their table, then listed ones in the order of the package."""
    return (*_demo_assets(), *_listed_assets())


def demo_price_minor(parameters: str, class_of_license: str) -> int:
    """The price in cents of a model that no price list has; the rule is `DEMO_PRICE_RULE`."""
    count = _parameter_count(parameters)
    extra = 1_000 if count is None else 10 * -(-count // 10**8)
    return (1_000 + extra) * (2 if class_of_license == "Commercial" else 1)


def maker_of(model: str) -> str:
    """Key of the organization that made the model of a price list, by the longest prefix that its name begins with."""
    name = model.lower()
    for mark in _NAME_MARKS:
        name = name.removeprefix(mark)
    found = max(
        (prefix, row.key) if name.startswith(prefix) else ("", "")
        for row in tables.organizations()
        for prefix in row.model_prefixes
    )
    assert found[1], f"no organization makes {model!r}"
    return found[1]


def _demo_assets() -> tuple[Asset, ...]:
    own = {row.license: row.license_class for row in tables.own_licenses()}
    edges: dict[str, list[tables.EdgeRow]] = {}
    for edge in tables.lineage():
        edges.setdefault(edge.model, []).append(edge)
    return tuple(
        Asset(
            key=row.id,
            title=row.title,
            developer=row.developer,
            family=row.family,
            modality=row.modality,
            license=row.license,
            license_class=(of := license_class(row.license, own)),
            semver=row.semver or FIRST_SEMVER,
            source=row.source,
            bases=row.base_models,
            base_relation=row.base_relation,
            edges=tuple(edges.get(row.id, ())),
            pack_size=1,
            prices=(AssetPrice(EVE, demo_price_minor(row.parameters, of), rounded=False),),
            basis="demo",
            price_source=f"rule of the demo market: {DEMO_PRICE_RULE}",
        )
        for row in tables.models()
    )


def _listed_assets() -> tuple[Asset, ...]:
    own = {row.license: row.license_class for row in tables.own_licenses()}
    of = license_class(SERVICE_LICENSE, own)
    chosen = []
    for entry in prices.entries():
        changed = entry.changes(FIRST_DAY, LAST_DAY)
        if changed or (entry.provider, entry.model) in MAKERS_OWN:
            in_force = entry.in_force(FIRST_DAY, LAST_DAY)
            assert len(in_force) == len(changed) + 1, entry
            size = prices.pack_size(in_force)
            chosen.append(
                Asset(
                    key=_key(entry),
                    title=f"{entry.title} (price list of {entry.provider_name})",
                    developer=maker_of(entry.model),
                    family="",
                    modality="",
                    license=SERVICE_LICENSE,
                    license_class=of,
                    semver=FIRST_SEMVER,
                    source=entry.source,
                    bases=(),
                    base_relation="",
                    edges=(),
                    pack_size=size,
                    prices=tuple(
                        AssetPrice(day, prices.pack_minor(price, size), price.rounded)
                        for day, price in zip((EVE, *(price.day or EVE for price in changed)), in_force, strict=True)
                    ),
                    basis="listed",
                    price_source=entry.source,
                )
            )
    return tuple(chosen)


def _key(entry: prices.Entry) -> str:
    """Provider and model in one lower-case name; marks in front go, what else a key may not hold becomes a hyphen."""
    model = entry.model.lower().lstrip("~@")
    return f"{entry.provider}/" + "".join(letter if letter.isalnum() or letter in "/._-" else "-" for letter in model)


def _parameter_count(text: str) -> int | None:
    """ "6.9B" is 6,900,000,000; exact, in integers."""
    if not text:
        return None
    count = Decimal(text[:-1]) * _PARAMETER_UNITS[text[-1]]
    assert count == int(count), text
    return int(count)

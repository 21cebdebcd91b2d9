"""The eve of the demo market: who registers what, in which order, before the first day of trading.

Dense numbers are predicted (the first party is 1 …), as nothing else is registered in the demo.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Final

from api.catalogue_import import DATASET_LABEL, WEIGHTS_ASSUMED, equal_weights_ppb, row_digest
from api.demo import cast, market, tables
from api.demo.licenses import NOT_KNOWN
from api.demo.steps import Submit
from domain.commands import (
    AdoptFeeSchedule,
    AdoptTerms,
    Command,
    DeclareOwnership,
    ListSeries,
    PublishDatasetVersion,
    PublishModelVersion,
    RecordDeposit,
    RecordListPrice,
    RecordTrainingRun,
    RegisterCurrency,
    RegisterDataset,
    RegisterDatasetVersion,
    RegisterModel,
    RegisterModelVersion,
    RegisterParty,
    SetTaxRate,
    SignAgreement,
    WithdrawDatasetVersion,
)
from domain.values import (
    DAY_NS,
    HOUSE,
    BaseRelation,
    Classification,
    DigestBasis,
    LineageRole,
    PersonalData,
    PriceBasis,
    Purpose,
    TermKind,
    UnitKind,
    WithdrawalKind,
)

USD: Final = 1
TICK_MINOR: Final = 1
SUPPLY_CAP_LOTS: Final = 1_000_000
ORDER_LOTS_MAX: Final = 5_000
ORDER_NOTIONAL_MINOR_MAX: Final = 5_000_000_000

MAKER_PPM: Final = -100
TAKER_PPM: Final = 500
ROYALTY_PPM: Final = 25_000

PLATFORM_PPB: Final = 80_000_000
DATA_PPB: Final = 150_000_000
UPSTREAM_PPB: Final = 100_000_000
AGENT_PPB: Final = 30_000_000

MAKER_DEPOSIT_MINOR: Final = 5_000_000_000
BUYER_DEPOSIT_MINOR: Final = 1_000_000_000

SERVICE_DAYS: Final = 365
FIXED_ENDS: Final = {
    "laion/clip-vit-b-32-laion2b-s34b-b79k": 30,
    "cerebras/cerebras-gpt": 60,
    "rwkv/rwkv-4-pile": 75,
}
"""Assets whose licenses end inside the ninety days, at 16:00 of the trading day with that number."""

_START_NS: Final = 8 * 3_600 * 10**9
_STEP_NS: Final = 10**9
_PURPOSES: Final = {"Source-available": Purpose.NON_COMMERCIAL, "Free Restricted": Purpose.RESEARCH}
"""What a license of the class is sold for; any purpose otherwise."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What trading needs to know of a series; its number is its place in `listings`, from 1."""

    asset: market.Asset
    issuer: int
    resale: bool
    ends_ns: int | None


def day_ns(day: str) -> int:
    """The first nanosecond of a UTC day."""
    return (date.fromisoformat(day) - date(1970, 1, 1)).days * DAY_NS


def listings() -> tuple[Listing, ...]:
    """The series in order of listing: one per asset. Every fifth asset is not resold; its issuer alone sells."""
    numbers = cast.number_of()
    first_ns = day_ns(market.FIRST_DAY)
    return tuple(
        Listing(
            asset=asset,
            issuer=numbers[asset.developer],
            resale=index % 5 != 4,
            ends_ns=first_ns + (FIXED_ENDS[asset.key] - 1) * DAY_NS + 16 * 3_600 * 10**9
            if asset.key in FIXED_ENDS
            else None,
        )
        for index, asset in enumerate(market.assets())
    )


def eve() -> Iterator[Submit]:
    """Every registration, one a second from 08:00 on."""
    at_ns = day_ns(market.EVE) + _START_NS
    for actor, command in _commands():
        yield Submit(at_ns, actor, command)
        at_ns += _STEP_NS


def _commands() -> Iterator[tuple[int, Command]]:
    numbers = cast.number_of()
    yield from _venue(numbers)
    dataset_versions: dict[str, int] = {}
    yield from _datasets(numbers, dataset_versions)
    yield from _models(numbers, dataset_versions)
    yield from _agreements(numbers)
    yield from _series()
    yield from _withdrawals(numbers, dataset_versions)
    yield from _deposits(numbers)


def _venue(numbers: dict[str, int]) -> Iterator[tuple[int, Command]]:
    for member in cast.members():
        yield (
            HOUSE,
            RegisterParty(kind=member.kind, legal_name=member.legal_name, country=member.country, roles=member.roles),
        )
    operator, finance = numbers["operator"], numbers["finance"]
    for owner, owned in cast.OWNERSHIPS:
        yield operator, DeclareOwnership(owner=numbers[owner], owned=numbers[owned])
    yield operator, RegisterCurrency(code="USD", exponent=2)
    yield finance, AdoptFeeSchedule(maker_ppm=MAKER_PPM, taker_ppm=TAKER_PPM)
    for country, tax_ppm in cast.TAX_PPM.items():
        yield finance, SetTaxRate(country=country, tax_ppm=tax_ppm)


def _datasets(numbers: dict[str, int], versions: dict[str, int]) -> Iterator[tuple[int, Command]]:
    for number, row in enumerate(tables.datasets(), start=1):
        provider = numbers[row.provider]
        yield (
            provider,
            RegisterDataset(
                provider=provider,
                key=row.id,
                title=row.title,
                license=_license(row.license),
                classification=_classification(row),
                tags=(),
                personal_data=PersonalData(row.personal_data),
                source=row.source,
            ),
        )
        yield (
            provider,
            RegisterDatasetVersion(
                dataset=number,
                label=DATASET_LABEL,
                digest=_dataset_digest(row),
                digest_basis=DigestBasis.CATALOGUE_ROW,
                parents=tuple(versions[parent] for parent in row.derived_from),
            ),
        )
        yield provider, PublishDatasetVersion(dataset_version=number)
        versions[row.id] = number


def _models(numbers: dict[str, int], dataset_versions: dict[str, int]) -> Iterator[tuple[int, Command]]:
    model_versions: dict[str, int] = {}
    runs = 0
    for number, asset in enumerate(market.assets(), start=1):
        developer = numbers[asset.developer]
        assumed = len(asset.edges) > 1 or len(asset.bases) > 1
        yield (
            developer,
            RegisterModel(
                developer=developer,
                key=asset.key,
                title=asset.title,
                family=asset.family or None,
                modality=asset.modality or None,
                license=_license(asset.license),
                source=f"{asset.source}{WEIGHTS_ASSUMED}" if assumed else asset.source,
            ),
        )
        used = tuple(dataset_versions[edge.dataset] for edge in asset.edges)
        if used:
            runs += 1
            yield developer, RecordTrainingRun(model=number, dataset_versions=used)
        yield (
            developer,
            RegisterModelVersion(
                model=number,
                semver=asset.semver,
                digest=_asset_digest(asset),
                digest_basis=DigestBasis.CATALOGUE_ROW,
                training_run=runs if used else None,
                datasets=tuple(
                    (version, weight_ppb, LineageRole(edge.role))
                    for version, weight_ppb, edge in zip(used, equal_weights_ppb(len(used)), asset.edges, strict=True)
                ),
                bases=tuple(
                    (model_versions[base], weight_ppb, BaseRelation(asset.base_relation))
                    for base, weight_ppb in zip(asset.bases, equal_weights_ppb(len(asset.bases)), strict=True)
                ),
            ),
        )
        yield developer, PublishModelVersion(model_version=number)
        model_versions[asset.key] = number


def _agreements(numbers: dict[str, int]) -> Iterator[tuple[int, Command]]:
    agents = [numbers[member.key] for member in cast.AGENTS]
    for index, asset in enumerate(market.assets()):
        yield (
            numbers["finance"],
            SignAgreement(
                model=index + 1,
                platform_ppb=PLATFORM_PPB,
                agents=agent_shares(index, agents),
                data_ppb=DATA_PPB if asset.edges else 0,
                upstream_ppb=UPSTREAM_PPB if asset.bases else 0,
            ),
        )


def agent_shares(index: int, agents: list[int]) -> tuple[tuple[int, int], ...]:
    """Every seventh asset is sold through one agent, every forty-ninth through two."""
    count = (index % 7 == 6) + (index % 49 == 48)
    return tuple((agents[(index + place) % len(agents)], AGENT_PPB) for place in range(count))


def _series() -> Iterator[tuple[int, Command]]:
    terms: dict[tuple[int, str, bool, int | None], int] = {}
    for number, listing in enumerate(listings(), start=1):
        asset = listing.asset
        kind = (listing.issuer, asset.license, listing.resale, listing.ends_ns)
        if kind not in terms:
            terms[kind] = len(terms) + 1
            yield listing.issuer, _terms(listing)
        yield (
            listing.issuer,
            ListSeries(
                symbol=symbol_of(asset.key),
                model_version=number,
                terms=terms[kind],
                currency=USD,
                tick_minor=TICK_MINOR,
                lot_size="1",
                unit_name=asset.unit,
                supply_cap_lots=SUPPLY_CAP_LOTS,
                max_order_lots=ORDER_LOTS_MAX,
                max_notional_minor=ORDER_NOTIONAL_MINOR_MAX,
                ends_ns=listing.ends_ns,
            ),
        )
        yield listing.issuer, list_price(number, asset, asset.prices[0])


def _terms(listing: Listing) -> AdoptTerms:
    asset = listing.asset
    if listing.ends_ns is not None:
        term = TermKind.FIXED_END
    else:
        term = TermKind.DAYS_FROM_ACTIVATION if asset.basis == "listed" else TermKind.PERPETUAL
    text = f"{asset.license}\n{term}\n{'transferable' if listing.resale else 'not transferable'}\n"
    return AdoptTerms(
        developer=listing.issuer,
        purpose=_PURPOSES.get(asset.license_class, Purpose.ANY),
        territory=("worldwide",),
        term=term,
        term_ends_ns=listing.ends_ns,
        term_days=SERVICE_DAYS if term is TermKind.DAYS_FROM_ACTIVATION else None,
        unit=UnitKind.METERED,
        transferable=listing.resale,
        derivatives_allowed=asset.license_class in ("Public Domain", "Permissive", "Copyleft", "Copyleft Limited"),
        resale_royalty_ppm=ROYALTY_PPM if listing.resale else 0,
        text_digest=sha256(text.encode()).digest(),
        license=asset.license,
    )


def list_price(series: int, asset: market.Asset, price: market.AssetPrice) -> RecordListPrice:
    return RecordListPrice(
        series=series,
        price_ticks=price.price_minor // TICK_MINOR,
        basis=PriceBasis(asset.basis),
        source=f"{asset.price_source} (rounded to six decimals)" if price.rounded else asset.price_source,
        effective_day=price.day,
    )


def symbol_of(key: str) -> str:
    """The key in capitals, whatever is no letter or digit as a hyphen."""
    words = "".join(letter if letter.isalnum() else " " for letter in key.upper()).split()
    return "-".join(words) + "/USD"


def _withdrawals(numbers: dict[str, int], dataset_versions: dict[str, int]) -> Iterator[tuple[int, Command]]:
    """All of them happened before the ninety days: models that used the data sets were published long ago."""
    for row in tables.datasets():
        if row.withdrawal:
            yield (
                numbers[row.provider],
                WithdrawDatasetVersion(
                    dataset_version=dataset_versions[row.id],
                    kind=WithdrawalKind(row.withdrawal),
                    effective_day=row.withdrawal_day or market.EVE,
                    note=_DAY_NOTES[row.withdrawal_day_basis],
                ),
            )


_DAY_NOTES: Final = {
    "reported": "The effective day is the day of the report.",
    "month": "Only the month is stated; the effective day is its last.",
    "recorded": "No date is stated; the effective day is the day of this record.",
}


def _deposits(numbers: dict[str, int]) -> Iterator[tuple[int, Command]]:
    for members, amount_minor in ((cast.MAKERS, MAKER_DEPOSIT_MINOR), (cast.BUYERS, BUYER_DEPOSIT_MINOR)):
        for member in members:
            yield (
                numbers["finance"],
                deposit(numbers[member.key], amount_minor, f"opening-{member.key}", market.EVE),
            )


def deposit(party: int, amount_minor: int, reference: str, day: str) -> RecordDeposit:
    return RecordDeposit(party=party, currency=USD, amount_minor=amount_minor, reference=reference, effective_day=day)


def _license(expression: str) -> str | None:
    return None if expression == NOT_KNOWN else expression


def _classification(row: tables.DatasetRow) -> Classification:
    """Data that is said to hold personal data is important; nothing else is known."""
    return Classification.IMPORTANT if row.personal_data == "yes" else Classification.GENERAL


def _dataset_digest(row: tables.DatasetRow) -> bytes:
    return row_digest(
        {
            "id": row.id,
            "title": row.title,
            "provider": row.provider,
            "license": row.license,
            "modality": row.modality,
            "personal_data": row.personal_data,
            "year": row.year,
            "derived_from": ";".join(row.derived_from),
            "source": row.source,
        }
    )


def _asset_digest(asset: market.Asset) -> bytes:
    return row_digest(
        {
            "id": asset.key,
            "title": asset.title,
            "developer": asset.developer,
            "family": asset.family,
            "modality": asset.modality,
            "license": asset.license,
            "semver": asset.semver,
            "base_models": ";".join(asset.bases),
            "source": asset.source,
        }
    )

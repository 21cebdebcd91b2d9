"""Who takes part: the house's staff, real organizations, and invented agents and traders, labeled as such."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

from api.demo import market, tables
from domain.values import PartyKind, Role

COMPANY: Final = PartyKind.COMPANY


@dataclass(frozen=True, slots=True)
class Member:
    """A party to register; `key` names it inside the script."""

    key: str
    legal_name: str
    kind: PartyKind
    country: str
    roles: Role


STAFF: Final = (
    Member("operator", "Tallystick Operations (demo)", COMPANY, "NL", Role.OPERATOR),
    Member("finance", "Tallystick Finance (demo)", COMPANY, "NL", Role.FINANCE),
    Member("risk", "Tallystick Risk (demo)", COMPANY, "NL", Role.RISK),
    Member("auditor", "Ledger & Light Auditors (demo)", COMPANY, "NL", Role.AUDITOR),
)
AGENTS: Final = (
    Member("agent-1", "Bridgewell Agency (demo)", COMPANY, "GB", Role.AGENT),
    Member("agent-2", "Kestrel Partners (demo)", COMPANY, "US", Role.AGENT),
    Member("agent-3", "Lantern Reselling (demo)", COMPANY, "SG", Role.AGENT),
    Member("agent-4", "Meridian Kontor (demo)", COMPANY, "DE", Role.AGENT),
)
MAKERS: Final = tuple(
    Member(f"maker-{number}", f"{name} (demo)", COMPANY, country, Role.TRADER)
    for number, (name, country) in enumerate(
        (
            ("Anvil Market Making", "US"),
            ("Beacon Liquidity", "GB"),
            ("Cobalt Quotes", "NL"),
            ("Drystone Trading", "DE"),
            ("Evenkeel Markets", "SG"),
        ),
        start=1,
    )
)
BUYERS: Final = tuple(
    Member(f"buyer-{number}", f"{name} (demo)", kind, country, Role.TRADER)
    for number, (name, kind, country) in enumerate(
        (
            ("Alder Bank", COMPANY, "DE"),
            ("Birchway Insurance", COMPANY, "FR"),
            ("Cedar Clinics", COMPANY, "US"),
            ("Dunmore Logistics", COMPANY, "IE"),
            ("Elmstead University", PartyKind.INSTITUTE, "GB"),
            ("Fjordlys Energi", COMPANY, "NO"),
            ("Garnet Games", COMPANY, "JP"),
            ("Harbor Analytics", COMPANY, "US"),
            ("Ironbridge Legal", COMPANY, "GB"),
            ("Juniper Media", COMPANY, "CA"),
            ("Koru Research", PartyKind.INSTITUTE, "NZ"),
            ("Lakeside County", PartyKind.GOVERNMENT, "US"),
            ("Marigold Retail", COMPANY, "IN"),
            ("Nordlicht Software", COMPANY, "DE"),
            ("Orchard Education", PartyKind.INSTITUTE, "AU"),
            ("Peregrine Robotics", COMPANY, "KR"),
            ("Quillon Press", COMPANY, "ES"),
            ("Redwood Capital Desk", COMPANY, "US"),
            ("Saffron Studio", PartyKind.INDIVIDUAL, "IT"),
        ),
        start=1,
    )
)

OWNERSHIPS: Final = (("buyer-18", "maker-1"), ("buyer-14", "buyer-1"))
"""(owner, owned), among the invented parties only."""

TAX_PPM: Final = {
    "AU": 100_000,
    "DE": 190_000,
    "ES": 210_000,
    "FR": 200_000,
    "GB": 200_000,
    "IE": 230_000,
    "IT": 220_000,
    "JP": 100_000,
    "KR": 100_000,
    "NL": 210_000,
    "NO": 250_000,
    "NZ": 150_000,
    "SG": 90_000,
}
"""Tax on a purchase by country of the buyer, for the demo; countries that are not here have none."""


@cache
def members() -> tuple[Member, ...]:
    """Everybody, in order of registration: party numbers are 1, 2, 3 …"""
    return (*STAFF, *_organizations(), *AGENTS, *MAKERS, *BUYERS)


@cache
def number_of() -> dict[str, int]:
    """Party number by key."""
    return {member.key: number for number, member in enumerate(members(), start=1)}


def _organizations() -> tuple[Member, ...]:
    developers = {asset.developer for asset in market.assets()}
    providers = {row.provider for row in tables.datasets()}
    return tuple(
        Member(
            key=row.key,
            legal_name=row.name,
            kind=PartyKind(row.kind),
            country=row.country,
            roles=(Role.DEVELOPER if row.key in developers else Role(0))
            | (Role.PROVIDER if row.key in providers else Role(0)),
        )
        for row in tables.organizations()
    )

"""What facts do to the arrays that the kernel reads: parties, rates, series, phases and waterfalls.

Applied after the catalogue has evolved. A fact that is not in the table concerns no array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from domain.catalogue import Catalogue
from domain.events import (
    Fact,
    FeeScheduleAdopted,
    HouseOpened,
    OwnershipDeclared,
    PartyFrozen,
    PartyRegistered,
    PartyUnfrozen,
    RoleGranted,
    RoleRevoked,
    SeriesEnded,
    SeriesHalted,
    SeriesListed,
    SeriesResumed,
    TaxRateSet,
    WaterfallCompiled,
)
from domain.values import HOUSE, AccountKind, AccountRef
from ledger.accounts import find_account
from ledger.tables import FROZEN, SERIES, Limits, Tables, fresh_owner, new_tables
from matching.book import UNTOUCHED
from matching.layout import NONE, PAYEES_MAX, PPB, Phase, zeros


def apply_fact(tables: Tables, catalogue: Catalogue, fact: Fact) -> Tables:
    """The tables after `fact`; the same object unless an array had to be exchanged for a larger one."""
    effect = _EFFECTS.get(type(fact))
    return effect(tables, catalogue, fact) if effect else tables


def account_number(tables: Tables, ref: AccountRef) -> int:
    """Number of an account, or NONE."""
    return int(find_account(tables.accounts, tables.account_index, ref.owner, ref.asset, int(ref.kind)))


def payee_account(party: int, currency: int) -> AccountRef:
    """Where the share of a payee is paid to."""
    return AccountRef(party, -currency, AccountKind.PLATFORM_REVENUE if party == HOUSE else AccountKind.AVAILABLE)


def _house_opened(tables: Tables, catalogue: Catalogue, fact: HouseOpened) -> Tables:
    assert not tables.tally["accounts"][0], "the house opens before anything has happened"
    return new_tables(Limits(orders=fact.orders_max, levels=fact.levels_max, accounts=fact.accounts_max))


def _grown(array: Any, rows: int, fresh: Any) -> Any:
    """`array` with room for `rows` rows, the new ones like `fresh`."""
    if rows <= len(array):
        return array
    larger = zeros(max(rows, 2 * len(array)), array.dtype, array.shape[1:])
    larger[:] = fresh
    larger[: len(array)] = array
    return larger


def _party_registered(tables: Tables, catalogue: Catalogue, fact: PartyRegistered) -> Tables:
    tables = tables._replace(owners=_grown(tables.owners, fact.party + 1, fresh_owner()))
    owner = tables.owners[fact.party]
    owner["roles"] = int(fact.roles)
    owner["beneficial"] = fact.party
    if catalogue.fee_schedules:
        schedule = catalogue.fee_schedules[len(catalogue.fee_schedules)]
        owner["maker_ppm"] = schedule.maker_ppm
        owner["taker_ppm"] = schedule.taker_ppm
    owner["tax_ppm"] = catalogue.tax_rates.get(fact.country, 0)
    tables.tally["parties"] = fact.party
    return tables


def _standing_changed(
    tables: Tables, catalogue: Catalogue, fact: RoleGranted | RoleRevoked | PartyFrozen | PartyUnfrozen
) -> Tables:
    party = catalogue.parties[fact.party]
    tables.owners[fact.party]["roles"] = int(party.roles) | (FROZEN if party.frozen else 0)
    return tables


def _ownership_declared(tables: Tables, catalogue: Catalogue, fact: OwnershipDeclared) -> Tables:
    """The declared owner may itself be owned, so everybody whose root it changed gets the new one."""
    old_root = int(tables.owners[fact.owned]["beneficial"])
    new_root = int(tables.owners[fact.owner]["beneficial"])
    beneficial = tables.owners["beneficial"]
    beneficial[beneficial == old_root] = new_root
    return tables


def _fees_adopted(tables: Tables, catalogue: Catalogue, fact: FeeScheduleAdopted) -> Tables:
    tables.owners["maker_ppm"] = fact.maker_ppm
    tables.owners["taker_ppm"] = fact.taker_ppm
    return tables


def _tax_rate_set(tables: Tables, catalogue: Catalogue, fact: TaxRateSet) -> Tables:
    for number, party in catalogue.parties.items():
        if party.country == fact.country:
            tables.owners[number]["tax_ppm"] = fact.tax_ppm
    return tables


def _series_listed(tables: Tables, catalogue: Catalogue, fact: SeriesListed) -> Tables:
    book = tables.book._replace(
        roots=_grown(tables.book.roots, fact.series + 1, NONE),
        best=_grown(tables.book.best, fact.series + 1, NONE),
        touch=_grown(tables.book.touch, fact.series + 1, UNTOUCHED),
    )
    tables = tables._replace(book=book, series=_grown(tables.series, fact.series + 1, np.zeros((), SERIES)))
    series = tables.series[fact.series]
    series["tick_minor"] = fact.tick_minor
    series["price_max"] = fact.max_notional_minor // fact.tick_minor
    series["lots_max"] = fact.max_order_lots
    series["notional_max"] = fact.max_notional_minor
    series["supply_cap"] = fact.supply_cap_lots
    series["royalty_ppm"] = fact.royalty_ppm
    series["phase"] = Phase.OPEN
    series["currency"] = fact.currency
    series["issuer"] = fact.issuer
    series["resale"] = int(fact.resale_allowed)
    series["waterfall"] = NONE
    money = -fact.currency
    for column, ref in (
        ("suspense", AccountRef(-fact.series, money, AccountKind.SUSPENSE)),
        ("issuance", AccountRef(-fact.series, fact.series, AccountKind.ISSUANCE)),
        ("fees", AccountRef(HOUSE, money, AccountKind.FEE_REVENUE)),
        ("taxes", AccountRef(HOUSE, money, AccountKind.TAX_COLLECTED)),
    ):
        number = account_number(tables, ref)
        assert number != NONE, ref
        series[column] = number
    tables.tally["series"] = fact.series
    return tables


def _phase_changed(phase: Phase) -> Callable[[Tables, Catalogue, Any], Tables]:
    def effect(tables: Tables, catalogue: Catalogue, fact: Any) -> Tables:
        tables.series[fact.series]["phase"] = phase
        return tables

    return effect


def _waterfall_compiled(tables: Tables, catalogue: Catalogue, fact: WaterfallCompiled) -> Tables:
    """Append the version. A payee goes on with its carry; a leaver's carry goes to the developer."""
    assert 0 < len(fact.rows) <= PAYEES_MAX, fact
    assert sum(weight for _, weight in fact.rows) == PPB, fact
    series = tables.series[fact.series]
    currency = int(series["currency"])
    tally = tables.tally[0]
    carry_of: dict[int, int] = {}
    at = int(series["waterfall"])
    while at != NONE:
        for row in _payees_of(tables, at):
            carry_of.setdefault(int(row["account"]), int(row["carry"]))
        at = int(tables.waterfalls[at]["previous"])

    earlier = list(carry_of)
    first = int(tally["payees"])
    version = int(tally["waterfalls"])
    tables = tables._replace(
        waterfalls=_grown(tables.waterfalls, version + 1, 0),
        payees=_grown(tables.payees, first + len(fact.rows), 0),
        carries=_grown(tables.carries, int(tally["carries"]) + len(fact.rows), 0),
    )
    stay = set()
    for place, (party, weight) in enumerate(fact.rows, first):
        account = account_number(tables, payee_account(party, currency))
        assert account != NONE, (fact.series, party)
        if account not in carry_of:
            carry_of[account] = int(tally["carries"])
            tally["carries"] += 1
            tables.carries[carry_of[account]] = (0, fact.series, account)
        tables.payees[place] = (weight, account, carry_of[account])
        stay.add(account)
    developer = account_number(tables, payee_account(fact.developer, currency))
    heir = carry_of[developer if developer in stay else int(tables.payees[first]["account"])]
    for account in earlier:
        if account not in stay:
            tables.carries[heir]["remainder"] += tables.carries[carry_of[account]]["remainder"]
            tables.carries[carry_of[account]]["remainder"] = 0
    tables.waterfalls[version] = (fact.series, fact.version, first, len(fact.rows), series["waterfall"])
    tally["payees"] += len(fact.rows)
    tally["waterfalls"] += 1
    series["waterfall"] = version
    series["version"] = fact.version
    return tables


def _payees_of(tables: Tables, waterfall: int) -> Any:
    row = tables.waterfalls[waterfall]
    return tables.payees[row["first"] : row["first"] + row["count"]]


_EFFECTS: dict[type[Fact], Callable[[Tables, Catalogue, Any], Tables]] = {
    HouseOpened: _house_opened,
    PartyRegistered: _party_registered,
    RoleGranted: _standing_changed,
    RoleRevoked: _standing_changed,
    PartyFrozen: _standing_changed,
    PartyUnfrozen: _standing_changed,
    OwnershipDeclared: _ownership_declared,
    FeeScheduleAdopted: _fees_adopted,
    TaxRateSet: _tax_rate_set,
    SeriesListed: _series_listed,
    SeriesHalted: _phase_changed(Phase.HALTED),
    SeriesResumed: _phase_changed(Phase.OPEN),
    SeriesEnded: _phase_changed(Phase.ENDED),
    WaterfallCompiled: _waterfall_compiled,
}

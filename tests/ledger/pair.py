"""The compiled kernel and its plain-Python twin, set up alike and fed alike."""

from __future__ import annotations

from typing import Any

import numpy as np

from domain.values import AccountKind
from ledger.execution import Stop, execute
from ledger.reference import OUTCOMES, ReferenceLedger
from ledger.tables import OWNER, Limits, Out, Tables, new_out, new_tables
from matching.layout import COMMAND, LEG, NONE, Kind, Phase, Section

PARTIES = 5
SERIES_COUNT = 2
CURRENCY = 1
SMALL = Limits(orders=1 << 14, levels=1 << 12, accounts=1 << 12)


class Pair:
    """Kernel and twin with `PARTIES` parties, `SERIES_COUNT` series of one currency, and money for everybody."""

    def __init__(
        self,
        *,
        maker_ppm: int = 500,
        taker_ppm: int = 2_000,
        tax_ppm: int = 190_000,
        royalty_ppm: int = 25_000,
        rows: dict[Section, int] | None = None,
    ) -> None:
        self.tables: Tables = new_tables(SMALL)
        self.out: Out = new_out(rows) if rows else new_out()
        self.twin = ReferenceLedger()
        self.kernel_rows: dict[Section, list[Any]] = {section: [] for section in OUTCOMES}
        self.command = 0
        refs = [(0, -CURRENCY, AccountKind.OUTSIDE), (0, -CURRENCY, AccountKind.FEE_REVENUE)]
        refs += [(0, -CURRENCY, AccountKind.TAX_COLLECTED), (0, -CURRENCY, AccountKind.PLATFORM_REVENUE)]
        for series in range(1, SERIES_COUNT + 1):
            refs += [(-series, -CURRENCY, AccountKind.SUSPENSE), (-series, series, AccountKind.ISSUANCE)]
        refs += [(party, -CURRENCY, AccountKind.AVAILABLE) for party in range(1, PARTIES + 1)]
        opening = np.zeros(len(refs), COMMAND)
        for row, (owner, asset, kind) in zip(opening, refs, strict=True):
            row["kind"], row["account"], row["series"], row["flags"] = Kind.OPEN_ACCOUNT, owner, asset, kind
        self.feed(opening)
        self.numbers = {ref: number for number, ref in enumerate(refs)}

        owners = np.zeros(PARTIES + 1, OWNER)
        owners["cash"] = owners["first"] = owners["last"] = NONE
        owners["roles"] = 3
        owners["maker_ppm"], owners["taker_ppm"] = maker_ppm, taker_ppm
        self.tables = self.tables._replace(owners=owners)
        self.tables.tally["parties"] = PARTIES
        for party in range(1, PARTIES + 1):
            rate = tax_ppm if party % 2 else 0
            owners["tax_ppm"][party] = rate
            self.twin.set_party(
                party, trader=True, developer=True, maker_ppm=maker_ppm, taker_ppm=taker_ppm, tax_ppm=rate
            )
        for series in range(1, SERIES_COUNT + 1):
            row = self.tables.series[series]
            limits: dict[str, Any] = {"tick_minor": 3, "price_max": 10**6, "lots_max": 1_000, "notional_max": 10**8}
            for name, value in limits.items():
                row[name] = value
            row["supply_cap"], row["royalty_ppm"], row["phase"], row["currency"] = 3_000, royalty_ppm, Phase.OPEN, 1
            row["issuer"], row["resale"], row["waterfall"] = series, 1, NONE
            row["suspense"] = self.numbers[-series, -CURRENCY, AccountKind.SUSPENSE]
            row["issuance"] = self.numbers[-series, series, AccountKind.ISSUANCE]
            row["fees"] = self.numbers[0, -CURRENCY, AccountKind.FEE_REVENUE]
            row["taxes"] = self.numbers[0, -CURRENCY, AccountKind.TAX_COLLECTED]
            self.twin.set_series(
                series,
                currency=CURRENCY,
                supply_cap=3_000,
                issuer=series,
                resale=True,
                royalty_ppm=royalty_ppm,
                **limits,
            )
        self.tables.tally["series"] = SERIES_COUNT

    def waterfall(self, series: int, weights: dict[int, int], developer: int) -> None:
        """Put the next version in force: weights in ppb by party (0: the house)."""
        rows = [(self.payee(party), weight) for party, weight in weights.items()]
        self.twin.set_waterfall(series, rows, self.payee(developer))
        tally = self.tables.tally[0]
        first, version = int(tally["payees"]), int(tally["waterfalls"])
        carries = {int(row["account"]): at for at, row in enumerate(self.tables.carries) if row["series"] == series}
        stay = []
        for place, (account, weight) in enumerate(rows, first):
            if account not in carries:
                carries[account] = int(tally["carries"])
                tally["carries"] += 1
                self.tables.carries[carries[account]] = (0, series, account)
            self.tables.payees[place] = (weight, account, carries[account])
            stay.append(account)
        heir = carries[self.payee(developer) if self.payee(developer) in stay else stay[0]]
        for account, at in carries.items():
            if account not in stay:
                self.tables.carries[heir]["remainder"] += self.tables.carries[at]["remainder"]
                self.tables.carries[at]["remainder"] = 0
        row = self.tables.series[series]
        self.tables.waterfalls[version] = (series, int(row["version"]) + 1, first, len(rows), row["waterfall"])
        row["waterfall"] = version
        row["version"] += 1
        tally["payees"] += len(rows)
        tally["waterfalls"] += 1

    def payee(self, party: int) -> int:
        kind = AccountKind.AVAILABLE if party else AccountKind.PLATFORM_REVENUE
        return self.numbers[party, -CURRENCY, kind]

    def feed(self, commands: Any, legs: Any = None) -> None:
        """Run the commands (numbered here) in the kernel and in the twin."""
        commands = commands.copy()
        legs = np.zeros(0, LEG) if legs is None else legs.copy()
        old = commands["command"].copy()
        commands["command"] = self.command + 1 + np.arange(len(commands))
        if len(legs):
            legs["command"] = commands["command"][np.searchsorted(old, legs["command"])]
        self.command += len(commands)
        self.twin.execute_all(commands, legs)
        at = leg_at = 0
        while True:
            self.out.used[:] = 0
            self.tables, at, leg_at, stop = execute(self.tables, commands, legs, self.out, at, leg_at)
            written = {
                Section.RESULTS: self.out.results,
                Section.FILLS: self.out.fills,
                Section.ENDINGS: self.out.endings,
                Section.POSTINGS: self.out.postings,
                Section.GRANTS: self.out.grants,
                Section.ACCOUNTS: self.out.accounts,
            }
            for section, rows in written.items():
                self.kernel_rows[section].append(rows[: self.out.used[section]].copy())
            if stop == Stop.DONE:
                break

    def assert_equal(self) -> None:
        """Both wrote the same bytes in every section."""
        twin = self.twin.rows_as_arrays()
        for section in OUTCOMES:
            kernel = np.concatenate(self.kernel_rows[section])
            if kernel.tobytes() != twin[section].tobytes():
                for at, (left, right) in enumerate(zip(kernel, twin[section], strict=False)):
                    assert left == right, f"{section.name} row {at}: kernel {left}, twin {right}, {kernel.dtype.names}"
                assert len(kernel) == len(twin[section]), section.name

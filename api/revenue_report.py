"""The revenue-share report: who was paid which part of what was sold, straight from the log.

One fold over the postings of each series' suspense account, which is where revenue comes in and shares go out, and over
the compiled waterfalls. It does not ask the engine: what a payee still carries of a minor unit is recomputed from the
weights, so the report reconciles two ways:

- sales + royalties − refunds = shares − reclaimed + change of suspense (per series and month);
- after each entry every payee has its weight of every amount, less a part of a minor unit; suspense holds the parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from domain.events import CurrencyRegistered, SeriesListed, WaterfallCompiled
from domain.values import PPB, AccountKind, PostingCode, format_money
from ledger.blocks import TOPIC, Block, decode_block
from ledger.mapper import from_entry
from ledger.store import Appended
from matching.layout import Kind, Section

IN: Final = {PostingCode.SALE: "sales_minor", PostingCode.ROYALTY: "royalties_minor"}
"""What comes into suspense to be split."""
BACK: Final = (PostingCode.RECLAIM, PostingCode.RECEIVABLE)
"""What comes back from payees, at once or as a debt, when a sale is refunded."""
PPB_DIGITS: Final = 9
_FACTS: Final = ("CurrencyRegistered", "SeriesListed", "WaterfallCompiled")


@dataclass(slots=True)
class SeriesMonth:
    """One series in one month. Amounts in minor units of its currency."""

    month: str
    series: int
    symbol: str
    currency: str
    sales_minor: int = 0
    """Primary sales: all of it is split."""
    royalties_minor: int = 0
    """Of resales."""
    refunds_minor: int = 0
    shares_minor: int = 0
    reclaimed_minor: int = 0
    other_minor: int = 0
    """Came into suspense for a reason that this report does not know; it does not reconcile then."""
    suspense_before_minor: int = 0
    suspense_after_minor: int = 0
    first_position: int = 0
    last_position: int = 0

    @property
    def amount_minor(self) -> int:
        return self.sales_minor + self.royalties_minor - self.refunds_minor

    @property
    def reconciles(self) -> bool:
        change = self.suspense_after_minor - self.suspense_before_minor
        return not self.other_minor and self.amount_minor == self.shares_minor - self.reclaimed_minor + change


@dataclass(slots=True)
class PayeeMonth:
    """One payee of one series in one month."""

    month: str
    series: int
    symbol: str
    currency: str
    payee: int
    """A party; 0 is the house."""
    sales_minor: int = 0
    """What was split by waterfalls that name the payee; likewise royalties and refunds."""
    royalties_minor: int = 0
    refunds_minor: int = 0
    shares_minor: int = 0
    reclaimed_minor: int = 0
    carried_ppb: int = 0
    """In 10^-9 minor units: what at the end of the month is in suspense for the payee."""
    first_position: int = 0
    last_position: int = 0


@dataclass(slots=True)
class Totals:
    """All that a report shows, in one currency."""

    currency: str
    exponent: int
    sales_minor: int = 0
    royalties_minor: int = 0
    refunds_minor: int = 0
    shares_minor: int = 0
    reclaimed_minor: int = 0
    suspense_change_minor: int = 0

    @property
    def reconciles(self) -> bool:
        amount_minor = self.sales_minor + self.royalties_minor - self.refunds_minor
        return amount_minor == self.shares_minor - self.reclaimed_minor + self.suspense_change_minor


class _Listed(NamedTuple):
    symbol: str
    currency: int


@dataclass(frozen=True, slots=True)
class Report:
    """What the fold found, narrowed to what was asked."""

    position: int
    """Of the last entry that was read."""
    series: list[SeriesMonth]
    payees: list[PayeeMonth]
    totals: list[Totals]
    differences: list[str]
    """Where a payee was not paid what its weight gives; empty in a sound log."""

    @property
    def reconciles(self) -> bool:
        return (
            not self.differences
            and all(row.reconciles for row in self.series)
            and all(row.reconciles for row in self.totals)
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "position": self.position,
            "reconciles": self.reconciles,
            "differences": self.differences,
            "totals": [asdict(row) | {"reconciles": row.reconciles} for row in self.totals],
            "series": [
                asdict(row) | {"amount_minor": row.amount_minor, "reconciles": row.reconciles} for row in self.series
            ],
            "payees": [asdict(row) for row in self.payees],
        }


class UnknownSeries(ValueError):
    """The log lists no such series."""

    code = "unknown_series"


@dataclass(slots=True)
class _Accounts:
    """Owner and suspense series (0: no suspense account) by account number."""

    owner: Any = field(default_factory=lambda: np.zeros(0, np.int64))
    suspense_of: Any = field(default_factory=lambda: np.zeros(0, np.int64))

    def open(self, rows: Any) -> None:
        assert len(self.owner) == 0 or rows["account"][0] == len(self.owner), "accounts are numbered without gaps"
        owner = rows["owner"].astype(np.int64)
        self.owner = np.concatenate([self.owner, owner])
        self.suspense_of = np.concatenate(
            [self.suspense_of, np.where(rows["kind"] == int(AccountKind.SUSPENSE), -owner, 0)]
        )


class RevenueFold:
    """Feed it the whole log, then ask."""

    def __init__(self) -> None:
        self._position = 0
        self._accounts = _Accounts()
        self._currencies: dict[int, CurrencyRegistered] = {}
        self._listed: dict[int, _Listed] = {}
        self._waterfalls: dict[int, list[dict[int, int]]] = {}
        """By series: each version's weights in ppb by payee."""
        self._carried: dict[int, dict[int, int]] = {}
        """By series: what each payee carries, in ppb."""
        self._suspense: dict[int, int] = {}
        self._series_months: dict[tuple[str, int], SeriesMonth] = {}
        self._payee_months: dict[tuple[str, int, int], PayeeMonth] = {}
        self._split_since: set[tuple[int, int]] = set()
        """(series, payee) whose carried amount has changed since it was checked."""
        self._differences: list[str] = []
        self._active: Any = None
        """The last command row that was read: a long command's postings go on in later blocks."""

    def feed(self, entry: Appended) -> None:
        """Take the next entry."""
        self._position = entry.position
        if entry.topic == TOPIC:
            self._feed_block(decode_block(entry.state), entry.position)
        elif entry.topic.partition(".")[0] in _FACTS:
            envelope, fact = from_entry(*entry[1:], position=entry.position)
            if isinstance(fact, CurrencyRegistered):
                self._currencies[fact.currency] = fact
            elif isinstance(fact, SeriesListed):
                self._listed[fact.series] = _Listed(fact.symbol, fact.currency)
            elif isinstance(fact, WaterfallCompiled):
                self._replace_waterfall(fact, month_of(envelope.at_ns), entry.position)

    def report(self, *, series: str | None = None, payee: int | None = None, month: str | None = None) -> Report:
        """The rows of a series (number or symbol), of a payee, of a month (YYYY-MM). Raises UnknownSeries."""
        number = None if series is None else self._number_of(series)

        def asked(row: SeriesMonth | PayeeMonth) -> bool:
            return (number is None or row.series == number) and (month is None or row.month == month)

        payees = [
            row for _, row in sorted(self._payee_months.items()) if asked(row) and (payee is None or row.payee == payee)
        ]
        shown = {(row.month, row.series) for row in payees}
        rows = [
            row for key, row in sorted(self._series_months.items()) if asked(row) and (payee is None or key in shown)
        ]
        return Report(
            position=self._position,
            series=rows,
            payees=payees,
            totals=self._totals(rows),
            differences=list(self._differences),
        )

    # -- facts ---------------------------------------------------------------------------------------------------------

    def _replace_waterfall(self, fact: WaterfallCompiled, month: str, position: int) -> None:
        """A payee goes on with what it carries; what leavers carry goes to the developer, else to the first payee."""
        versions = self._waterfalls.setdefault(fact.series, [])
        assert fact.version == len(versions) + 1, fact
        weights = dict(fact.rows)
        versions.append(weights)
        carried = self._carried.setdefault(fact.series, {})
        leavers = [payee for payee, ppb in carried.items() if payee not in weights and ppb]
        heir = fact.developer if fact.developer in weights else fact.rows[0][0]
        for payee in leavers:
            carried[heir] = carried.get(heir, 0) + carried[payee]
            carried[payee] = 0
            for changed in (payee, heir):
                self._payee_month(month, fact.series, changed, position).carried_ppb = carried[changed]
        for payee in weights:
            carried.setdefault(payee, 0)

    # -- flow ----------------------------------------------------------------------------------------------------------

    def _feed_block(self, block: Block, position: int) -> None:
        opened = block.rows(Section.ACCOUNTS)
        if len(opened):
            self._accounts.open(opened)
        commands = block.rows(Section.COMMANDS)
        if self._active is not None:
            commands = np.concatenate([self._active, commands])
        self._active = commands[-1:] if len(commands) else None
        postings = block.rows(Section.POSTINGS)
        into = self._accounts.suspense_of[postings["credit"]]
        out_of = self._accounts.suspense_of[postings["debit"]]
        touched = (into != 0) | (out_of != 0)
        if not touched.any():
            return
        postings, into, out_of = postings[touched], into[touched], out_of[touched]
        assert not np.any((into != 0) & (out_of != 0)), "nothing moves from suspense to suspense"
        asked = commands[np.searchsorted(commands["command"], postings["command"])]
        series = into + out_of
        months = asked["at_ns"].view("M8[ns]").astype("M8[M]").astype(np.int64)
        versions = np.where(asked["kind"] == int(Kind.REFUND), asked["target"], 0)
        payees = self._accounts.owner[np.where(into != 0, postings["debit"], postings["credit"])]
        pays = (postings["code"] == int(PostingCode.SHARE)) | np.isin(postings["code"], [int(code) for code in BACK])
        keys = np.stack(
            [months, series, versions, postings["code"].astype(np.int64), into != 0, np.where(pays, payees, 0)], axis=1
        )
        groups, group_of = np.unique(keys, axis=0, return_inverse=True)
        amounts = np.zeros(len(groups), np.int64)
        np.add.at(amounts, group_of.reshape(-1), postings["amount"])
        for (month, number, version, code, comes_in, payee), amount in zip(
            groups.tolist(), amounts.tolist(), strict=True
        ):
            text = str(np.datetime64(month, "M"))
            self._move(text, number, version, PostingCode(code), bool(comes_in), payee, amount, position)
        self._check_carried(position)

    def _check_carried(self, position: int) -> None:
        """Every split leaves each of its payees with a part of a minor unit, and suspense with the sum of the parts."""
        for series in sorted({series for series, _ in self._split_since}):
            if self._suspense[series] * PPB != sum(self._carried[series].values()):
                self._differences.append(
                    f"position {position}, series {series}: suspense holds {self._suspense[series]} minor units, "
                    f"payees carry {sum(self._carried[series].values())} / 10^9"
                )
        for series, payee in sorted(self._split_since):
            carried_ppb = self._carried[series][payee]
            if not 0 <= carried_ppb < PPB:
                self._differences.append(
                    f"position {position}, series {series}: payee {payee} carries {carried_ppb} / 10^9 of a minor "
                    "unit: it was paid another share than its weight gives"
                )
        self._split_since.clear()

    def _move(
        self, month: str, series: int, version: int, code: PostingCode, comes_in: bool, payee: int, amount: int, at: int
    ) -> None:
        """One amount through the suspense account of a series."""
        row = self._series_month(month, series, at)
        self._suspense[series] = self._suspense.get(series, 0) + (amount if comes_in else -amount)
        row.suspense_after_minor = self._suspense[series]
        if code in IN and comes_in:
            setattr(row, IN[code], getattr(row, IN[code]) + amount)
            self._split(row, version, IN[code], amount, at)
        elif code is PostingCode.REFUND and not comes_in:
            row.refunds_minor += amount
            self._split(row, version, "refunds_minor", -amount, at)
        elif code is PostingCode.SHARE and not comes_in:
            row.shares_minor += amount
            self._pay(row, payee, amount, at).shares_minor += amount
        elif code in BACK and comes_in:
            row.reclaimed_minor += amount
            self._pay(row, payee, -amount, at).reclaimed_minor += amount
        else:
            row.other_minor += amount if comes_in else -amount

    def _split(self, row: SeriesMonth, version: int, source: str, amount: int, at: int) -> None:
        """What each payee is entitled to of an amount, in ppb, is carried until it is paid. Version 0 is the newest."""
        weights = self._waterfalls[row.series][version - 1]
        carried = self._carried[row.series]
        for payee, weight in weights.items():
            self._split_since.add((row.series, payee))
            carried[payee] = carried.get(payee, 0) + amount * weight
            mine = self._payee_month(row.month, row.series, payee, at)
            setattr(mine, source, getattr(mine, source) + abs(amount))
            mine.carried_ppb = carried[payee]

    def _pay(self, row: SeriesMonth, payee: int, amount: int, at: int) -> PayeeMonth:
        carried = self._carried[row.series]
        self._split_since.add((row.series, payee))
        carried[payee] = carried.get(payee, 0) - amount * PPB
        mine = self._payee_month(row.month, row.series, payee, at)
        mine.carried_ppb = carried[payee]
        return mine

    # -- rows ----------------------------------------------------------------------------------------------------------

    def _series_month(self, month: str, series: int, position: int) -> SeriesMonth:
        row = self._series_months.get((month, series))
        if row is None:
            listed = self._listed[series]
            row = SeriesMonth(month, series, listed.symbol, self._currencies[listed.currency].code)
            row.suspense_before_minor = row.suspense_after_minor = self._suspense.get(series, 0)
            row.first_position = position
            self._series_months[month, series] = row
        row.last_position = position
        return row

    def _payee_month(self, month: str, series: int, payee: int, position: int) -> PayeeMonth:
        row = self._payee_months.get((month, series, payee))
        if row is None:
            listed = self._listed[series]
            row = PayeeMonth(month, series, listed.symbol, self._currencies[listed.currency].code, payee)
            row.first_position = position
            self._payee_months[month, series, payee] = row
        row.last_position = position
        return row

    def _totals(self, rows: Iterable[SeriesMonth]) -> list[Totals]:
        totals: dict[str, Totals] = {}
        exponents = {currency.code: currency.exponent for currency in self._currencies.values()}
        for row in rows:
            total = totals.setdefault(row.currency, Totals(row.currency, exponents[row.currency]))
            total.sales_minor += row.sales_minor
            total.royalties_minor += row.royalties_minor
            total.refunds_minor += row.refunds_minor
            total.shares_minor += row.shares_minor
            total.reclaimed_minor += row.reclaimed_minor
            total.suspense_change_minor += row.suspense_after_minor - row.suspense_before_minor
        return [totals[code] for code in sorted(totals)]

    def _number_of(self, series: str) -> int:
        if series.isascii() and series.isdigit() and int(series) in self._listed:
            return int(series)
        for number, listed in self._listed.items():
            if listed.symbol == series:
                return number
        raise UnknownSeries(f"series: must be the number or symbol of a listed series; got {series!r}")


def fold(entries: Iterable[Appended], on_entry: Callable[[int], None] = lambda _position: None) -> RevenueFold:
    """The fold over a whole log."""
    revenue = RevenueFold()
    for entry in entries:
        revenue.feed(entry)
        on_entry(entry.position)
    return revenue


def month_of(at_ns: int) -> str:
    """The UTC month of a moment, as YYYY-MM."""
    return str(np.datetime64(at_ns, "ns").astype("M8[M]"))


def exponents(totals: Iterable[Totals]) -> Mapping[str, int]:
    """Decimals of each currency of a report."""
    return {row.currency: row.exponent for row in totals}


def carried_text(carried_ppb: int, exponent: int) -> str:
    """What is carried as money, to the last billionth of a minor unit."""
    return format_money(carried_ppb, exponent + PPB_DIGITS)

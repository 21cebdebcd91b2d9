"""The revenue share is that of the report from the log, to the minor unit, and every line of it can be traced."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from api.bootstrap import places
from api.revenue_report import PayeeMonth, Report, RevenueFold, SeriesMonth
from domain.values import HOUSE, PPB
from ledger.blocks import TOPIC, decode_block
from ledger.recorder import LogRecorder
from ledger.store import Appended
from matching.layout import Section
from projections import revenue
from projections.assets import Assets
from projections.model_report import model_report
from projections.projection import ReadModel
from projections.revenue import Asked, Revenue, day_of
from projections.traders import Range, Traders
from tests.api.small_house import AGENT, OCTOBER_NS, SEPTEMBER_NS, STUDIO
from tests.projections.following import asking, followed, tell_more
from tests.simulation.market import Desk
from tests.simulation.story import Story, room

MOVED = ("sales_minor", "royalties_minor", "refunds_minor", "shares_minor", "reclaimed_minor")
PLACES = ("first_position", "last_position")
PAYEE_NAMES = ("series", "payee", "symbol", *MOVED, "carried_ppb", *PLACES)
SERIES_NAMES = ("series", "symbol", *MOVED, "suspense_before_minor", "suspense_after_minor", *PLACES)


def models() -> list[ReadModel]:
    return [Assets(), Revenue(), Traders()]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("told")
    tell_more(folder)
    return folder


@pytest.fixture(scope="module")
def reads(data: Path) -> Iterator[Connection]:
    with asking(data, data / "reads", models) as connection:
        yield connection


def report_of(log: LogRecorder) -> Report:
    fold = RevenueFold()
    for entry in log.read():
        fold.feed(Appended(*entry))
    return fold.report()


def months_of(row: PayeeMonth | SeriesMonth) -> int:
    return int(row.month.replace("-", ""))


def assert_is_the_report(reads: Connection, report: Report) -> None:
    assert report.reconciles and report.payees
    assert [(row.period, *(getattr(row, name) for name in PAYEE_NAMES)) for row in revenue.by_payee(reads)] == [
        (months_of(row), *(getattr(row, name) for name in PAYEE_NAMES)) for row in report.payees
    ]
    assert [(row.period, *(getattr(row, name) for name in SERIES_NAMES)) for row in revenue.by_series(reads)] == [
        (months_of(row), *(getattr(row, name) for name in SERIES_NAMES)) for row in report.series
    ]
    earned = {row.code: row.earned_minor for row in revenue.earned(reads)}
    assert earned == {row.currency: row.shares_minor - row.reclaimed_minor for row in report.totals}
    assert not any(row.difference_position for row in revenue.suspense_by_series(reads))


def posted(log: LogRecorder) -> dict[tuple[int, int], int]:
    """What payees were posted, by (command, payee), straight from the log."""
    owners = np.zeros(0, np.int64)
    kinds = np.zeros(0, np.int64)
    sums: dict[tuple[int, int], int] = defaultdict(int)
    for entry in log.read():
        if entry.topic != TOPIC:
            continue
        block = decode_block(entry.state)
        opened = block.rows(Section.ACCOUNTS)
        owners = np.concatenate([owners, opened["owner"]])
        kinds = np.concatenate([kinds, opened["kind"]])
        for row in block.rows(Section.POSTINGS):
            if row["code"] == 5:
                sums[int(row["command"]), int(owners[row["credit"]])] += int(row["amount"])
            elif row["code"] in (12, 14):
                sums[int(row["command"]), int(owners[row["debit"]])] -= int(row["amount"])
    return sums


def test_the_small_house_has_the_report_of_its_log(data: Path, reads: Connection) -> None:
    with LogRecorder(places(data).log_url) as log:
        assert_is_the_report(reads, report_of(log))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_histories_have_the_report_of_their_log(seed: int, tmp_path: Path) -> None:
    desk = Desk(out_rows=room(seed) if seed % 2 else None)
    Story(seed=seed, desk=desk).tell(700)
    with followed(desk.recorder, tmp_path, models, entries=50) as database, database.engine.connect() as reads:
        assert_is_the_report(reads, report_of(desk.recorder))
        assert_lines_are_what_was_posted(reads, desk.recorder)


def assert_lines_are_what_was_posted(reads: Connection, log: LogRecorder) -> None:
    expected = {key: amount for key, amount in posted(log).items() if amount}
    found: dict[tuple[int, int], int] = defaultdict(int)
    for command in {command for command, _ in expected}:
        for line in revenue.lines_of_command(reads, command):
            found[command, line.payee] += line.share_minor
    assert {key: amount for key, amount in found.items() if amount} == expected


def test_each_line_shows_the_part_that_was_posted_also_after_a_refund_by_older_weights(
    data: Path, reads: Connection
) -> None:
    with LogRecorder(places(data).log_url) as log:
        assert_lines_are_what_was_posted(reads, log)
    for payee in (HOUSE, STUDIO, AGENT):
        lines = revenue.lines_of_payee(reads, payee)
        assert [line.command for line in lines] == sorted((line.command for line in lines), reverse=True)
        months = revenue.by_payee(reads, Asked(payee=payee))
        earned = sum(row.shares_minor - row.reclaimed_minor for row in months)
        assert sum(line.share_minor for line in lines) == earned
        for line in lines:
            assert line.carry_before_ppb + line.amount_minor * line.weight_ppb == (
                line.share_minor * PPB + line.carry_after_ppb
            )
    refund = next(line for line in revenue.lines_of_payee(reads, AGENT) if line.refunds_minor == 202)
    assert refund.version == 1 and refund.share_minor in (-67, -68)


def test_lines_go_on_page_by_page_and_are_narrowed(reads: Connection) -> None:
    whole = revenue.lines_of_payee(reads, STUDIO)
    found: list[Any] = []
    after = None
    while page := revenue.lines_of_payee(reads, STUDIO, after=after, limit=2):
        found += page
        after = (page[-1].command, page[-1].series, page[-1].position)
    assert found == whole and len(whole) == 7
    assert revenue.lines_of_payee(reads, STUDIO, series=1, model=1) == whole
    assert not revenue.lines_of_payee(reads, STUDIO, model=2) and not revenue.lines_of_payee(reads, STUDIO, series=2)
    october = revenue.lines_of_payee(reads, STUDIO, within=Range(first_at_ns=OCTOBER_NS))
    assert october == [line for line in whole if line.at_ns >= OCTOBER_NS] and len(october) == 3


def test_a_line_leads_to_its_weights_and_the_reasons_for_them(reads: Connection) -> None:
    line = revenue.lines_of_payee(reads, AGENT)[-1]
    assert [(row.way, row.share) for row in revenue.ways_of_payee(reads, line.series, line.version, line.payee)] == [
        ("agent", "333333333/1000000000")
    ]
    assert [(row.payee, row.weight_ppb) for row in revenue.waterfall(reads, 1)] == [
        (HOUSE, 200_000_000),
        (STUDIO, 800_000_000),
    ]
    assert len(revenue.waterfall(reads, 1, 1)) == 3 and len(revenue.waterfall_derivation(reads, 1)) == 2
    first, second = revenue.all_agreements(reads, model=1)
    assert first.took_effect_position < second.took_effect_position
    assert revenue.agreement(reads, 2) == second and not revenue.failed_waterfalls(reads)


def test_reports_are_narrowed_by_payee_series_model_currency_and_days(reads: Connection) -> None:
    whole = revenue.by_payee(reads)
    assert [row.payee for row in revenue.by_payee(reads, Asked(payee=AGENT))] == [AGENT, AGENT]
    for same in (Asked(series=1), Asked(model=1), Asked(currency=1)):
        assert revenue.by_payee(reads, same) == whole and revenue.by_series(reads, same) == revenue.by_series(reads)
    for nothing in (Asked(series=2), Asked(model=2), Asked(currency=2), Asked(payee=99), Asked(first_day=20270101)):
        assert not revenue.by_payee(reads, nothing) and not revenue.by_series(reads, nothing)
        assert not revenue.earned(reads, nothing)
    first, last = revenue.month(202609)
    assert {row.period for row in revenue.by_payee(reads, Asked(first_day=first, last_day=last))} == {202609}
    assert revenue.by_payee(reads, after=(202609, 1, STUDIO))[0].payee == AGENT
    assert revenue.by_payee(reads, limit=2) == whole[:2]
    assert [row.period for row in revenue.by_series(reads, after=(202609, 1))] == [202610]
    assert [row.period for row in revenue.by_series(reads, by_day=True)] == [20260913, 20261003]
    (model,) = revenue.earned(reads, Asked(payee=STUDIO), by_model=True)
    assert (model.key, model.models, model.series) == ("studio/one", 1, 1)
    assert model.earned_minor == sum(row.shares_minor - row.reclaimed_minor for row in whole if row.payee == STUDIO)


def test_suspense_is_the_sum_of_what_payees_carry(reads: Connection) -> None:
    (series,) = revenue.suspense_by_series(reads)
    carried = revenue.suspense_by_payee(reads, series=1)
    assert sum(row.carried_ppb for row in carried) == series.suspense_minor * PPB > 0
    assert revenue.suspense_by_payee(reads, payee=99) == []


def test_the_income_of_the_house_is_what_traders_paid(reads: Connection) -> None:
    september, october = revenue.house_income(reads)
    assert (september.period, september.trades, september.lots, september.notional_minor) == (202609, 3, 9, 907)
    assert (september.primary_minor, september.fees_minor, september.royalties_minor) == (707, 3, 10)
    assert (october.primary_minor, october.fees_minor) == (505 + 707, 1 + 1)
    assert [row.period for row in revenue.house_income(reads, Asked(last_day=20260930), by_day=True)] == [20260913]


def test_the_report_of_a_model_says_what_it_is_who_holds_it_and_what_it_earned(reads: Connection) -> None:
    report = model_report(reads, 1)
    assert report is not None and report.model.key == "studio/one"
    assert [version.semver for version in report.versions] == ["1.0.0"]
    assert report.lineage is not None and [row.model_version for row in report.lineage.models] == [1]
    (series,) = report.series
    assert series.series.symbol == "ONE/EUR" and series.units.issued == 19 and series.units.retired == 3
    assert [row.weight_ppb for row in series.waterfall] == [200_000_000, 800_000_000]
    (earned,) = report.earned
    assert earned.code == "EUR" and earned.earned_minor == sum(
        row.shares_minor - row.reclaimed_minor for row in report.earned_by_payee
    )
    september = model_report(reads, 1, last_day=20260930)
    assert september is not None and september.earned[0].earned_minor == 615
    assert model_report(reads, 2) is None


@given(st.integers(0, 2**62))
def test_a_day_is_that_of_utc(at_ns: int) -> None:
    text = str(np.datetime64(at_ns, "ns").astype("M8[D]"))
    assert day_of(at_ns) == int(text.replace("-", ""))


def test_the_days_of_the_story() -> None:
    assert day_of(SEPTEMBER_NS) == 20260913 and day_of(OCTOBER_NS) == 20261003


def test_an_amount_that_was_not_split_by_the_weights_is_noticed(tmp_path: Path) -> None:
    """A payee that carries a whole minor unit was not paid what it is due."""
    desk = Desk()
    Story(seed=2, desk=desk).tell(200)
    altered = Altered(desk.recorder)
    with followed(altered, tmp_path, models) as database, database.engine.connect() as reads:
        assert altered.position
        found = [row.difference_position for row in revenue.suspense_by_series(reads)]
        assert altered.position in found


class Altered:
    """A log in which one share was moved from one payee to another."""

    def __init__(self, log: LogRecorder) -> None:
        self._log = log
        self.position = 0

    def max_position(self) -> int:
        return self._log.max_position()

    def subscribe(self, gt: int | None = None, *, pause_seconds: float = 0.0) -> Any:
        return self._log.subscribe(gt=gt, pause_seconds=pause_seconds)

    def read(self, start_position: int = 1, *, stop_position: int | None = None) -> Iterator[Any]:
        for entry in self._log.read(start_position, stop_position=stop_position):
            state = bytearray(entry.state)
            if entry.topic == TOPIC and not self.position:
                postings = decode_block(entry.state).rows(Section.POSTINGS)
                shares = np.flatnonzero((postings["code"] == 5) & (postings["amount"] > 1))
                if len(shares) > 2:
                    one, other = shares[0], shares[1]
                    if postings["command"][one] == postings["command"][other]:
                        self.position = entry.position
                        at = state.find(postings.tobytes())
                        moved = postings.copy()
                        moved["amount"][one] -= 1
                        moved["amount"][other] += 1
                        state[at : at + moved.nbytes] = moved.tobytes()
            yield entry._replace(state=bytes(state))

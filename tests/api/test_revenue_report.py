"""The revenue-share report tells from the log alone what the house paid, and notices where it does not add up."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from api.bootstrap import log_for_reading, places
from api.revenue_report import PayeeMonth, RevenueFold, SeriesMonth, UnknownSeries, carried_text, fold, month_of
from domain.values import PPB, PostingCode
from ledger.blocks import TOPIC, decode_block, encode_block
from ledger.recovery import recover
from ledger.state import State
from ledger.store import Appended, Store
from matching.layout import Section
from tests.api.small_house import AGENT, OCTOBER_NS, SEPTEMBER_NS, STUDIO, tell

HOUSE = 0


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Appended], State]:
    """Entries of the story, and the state that they lead to."""
    data = tmp_path_factory.mktemp("told")
    tell(data)
    with log_for_reading(places(data)) as recorder:
        store = Store(recorder)
        return list(store.read()), recover(store, None).state


@pytest.fixture
def entries(told: tuple[list[Appended], State]) -> list[Appended]:
    return told[0]


def with_postings_of(entries: list[Appended], code: PostingCode, add_minor: int) -> Iterator[Appended]:
    """The entries, with the first posting of the code raised: what an altered log would hold."""
    done = False
    for entry in entries:
        altered = entry
        if not done and entry.topic == TOPIC:
            block = decode_block(entry.state)
            postings = block.rows(Section.POSTINGS).copy()
            found = np.flatnonzero(postings["code"] == int(code))
            if len(found):
                done = True
                postings["amount"][found[0]] += add_minor
                header = block.header
                state = encode_block(
                    {**block.sections, Section.POSTINGS: postings},
                    shard=0,
                    epoch=1,
                    first_at_ns=int(header["first_at_ns"]),
                    last_at_ns=int(header["last_at_ns"]),
                    first_command=int(header["first_command"]),
                    active_command=0,
                    continues=False,
                )
                altered = entry._replace(state=bytes(state))
        yield altered
    assert done, code


def test_the_story_is_told_to_the_minor_unit(entries: list[Appended]) -> None:
    report = fold(entries).report()
    assert report.reconciles
    assert [(row.month, row.sales_minor, row.royalties_minor, row.refunds_minor) for row in report.series] == [
        ("2026-09", 707, 10, 101),
        ("2026-10", 505, 0, 0),
    ]
    assert [(row.shares_minor, row.reclaimed_minor) for row in report.series] == [(715, 100), (505, 0)]
    assert [(row.suspense_before_minor, row.suspense_after_minor) for row in report.series] == [(0, 1), (1, 1)]
    assert report.totals[0].sales_minor == 707 + 505
    assert report.position == len(entries)


def test_each_payee_has_its_weight_of_the_amounts_and_carries_the_rest(entries: list[Appended]) -> None:
    september = {row.payee: row for row in fold(entries).report(month="2026-09").payees}
    assert set(september) == {HOUSE, STUDIO, AGENT}
    for payee, weight_ppb in ((HOUSE, 100_000_000), (STUDIO, 566_666_667), (AGENT, 333_333_333)):
        row = september[payee]
        amount_minor = row.sales_minor + row.royalties_minor - row.refunds_minor
        assert amount_minor == 707 + 10 - 101
        assert (row.shares_minor - row.reclaimed_minor) * PPB + row.carried_ppb == amount_minor * weight_ppb
        assert 0 <= row.carried_ppb < PPB


def test_what_a_payee_that_left_still_carried_goes_to_the_developer(entries: list[Appended]) -> None:
    report = fold(entries).report()
    before, after = (
        {row.payee: row.carried_ppb for row in report.payees if row.month == month} for month in ("2026-09", "2026-10")
    )
    assert before[AGENT] > 0 and after[AGENT] == 0
    assert after[STUDIO] == before[STUDIO] + before[AGENT]


def test_carried_amounts_are_those_that_the_engine_remembers(told: tuple[list[Appended], State]) -> None:
    entries, state = told
    carries = dict(state.arrays())["carries"]
    last = {row.payee: row.carried_ppb for row in fold(entries).report().payees}
    assert sorted(ppb for ppb in last.values() if ppb) == sorted(int(ppb) for ppb in carries["remainder"] if ppb)


@pytest.mark.parametrize(
    ("code", "add_minor"),
    # The platform has a tenth, so ten minor units more are one that it was not paid.
    [(PostingCode.SALE, 10), (PostingCode.ROYALTY, 10), (PostingCode.SHARE, 1), (PostingCode.RECLAIM, 1)],
)
def test_an_amount_that_was_altered_does_not_reconcile(
    entries: list[Appended], code: PostingCode, add_minor: int
) -> None:
    report = fold(with_postings_of(entries, code, add_minor)).report()
    assert not report.reconciles
    assert report.differences[0].startswith("position ")


def test_rows_say_in_which_entries_their_figures_are(entries: list[Appended]) -> None:
    row = fold(entries).report(payee=AGENT, month="2026-09").payees[0]
    part = fold(entry for entry in entries if entry.position <= row.last_position).report(payee=AGENT).payees
    assert part == [row]
    assert not fold(entry for entry in entries if entry.position < row.first_position).report(payee=AGENT).payees


def test_a_report_is_narrowed_by_series_payee_and_month(entries: list[Appended]) -> None:
    whole = fold(entries)
    assert whole.report(series="1") == whole.report(series="ONE/EUR") == whole.report()
    assert {row.month for row in whole.report(month="2026-10").series} == {"2026-10"}
    assert {row.payee for row in whole.report(payee=AGENT).payees} == {AGENT}
    assert not whole.report(payee=99).series and not whole.report(month="2025-01").payees
    with pytest.raises(UnknownSeries, match="TWO/EUR"):
        whole.report(series="TWO/EUR")


def test_the_json_holds_every_figure(entries: list[Appended]) -> None:
    found = fold(entries).report().as_json()
    assert set(found["series"][0]) == {*SeriesMonth.__slots__, "amount_minor", "reconciles"}
    assert set(found["payees"][0]) == set(PayeeMonth.__slots__)


def test_a_log_without_sales_reports_nothing_and_reconciles() -> None:
    report = RevenueFold().report()
    assert report.reconciles and not report.series and not report.totals


def test_months_are_those_of_utc_and_carried_amounts_are_exact() -> None:
    assert month_of(SEPTEMBER_NS) == "2026-09" and month_of(OCTOBER_NS) == "2026-10"
    assert month_of(1_790_812_799_999_999_999) == "2026-09" and month_of(1_790_812_800_000_000_000) == "2026-10"
    assert carried_text(333_333_128, 2) == "0.00333333128"

"""The compiled split is that of exact integers, whatever the amounts."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from domain.values import DAY_NS, PPB
from projections.flow import MOVEMENT, SHARE, SUSPENSE, TRADE
from projections.revenue_fold import RevenueFold, carried_ppb
from projections.revenue_kernel import Given

SERIES, POSITION = 1, 7


def sold(amounts: list[int], days: list[int]) -> Given:
    """One block of primary sales, each a command of its own."""
    trades = np.zeros(len(amounts), TRADE)
    trades["command"] = np.arange(1, len(amounts) + 1)
    trades["at_ns"] = np.array(days) * DAY_NS
    trades["series"] = SERIES
    trades["notional_minor"] = amounts
    trades["primary"] = 1
    starts = np.array([[0, 0, 0, 0], [len(amounts), 0, 0, 0]], np.int64)
    nothing: Any = np.zeros(0, np.int64)
    return Given(
        np.array([POSITION], np.int64),
        starts,
        trades,
        np.zeros(0, MOVEMENT),
        nothing,
        np.zeros(0, SHARE),
        np.zeros(0, SUSPENSE),
    )


@given(
    amounts=st.lists(st.integers(1, 10**17), min_size=1, max_size=8),
    cuts=st.lists(st.integers(1, PPB - 1), max_size=5, unique=True),
    data=st.data(),
)
def test_what_payees_carry_is_the_sum_of_amount_times_weight(
    amounts: list[int], cuts: list[int], data: st.DataObject
) -> None:
    days = sorted(data.draw(st.lists(st.integers(0, 3), min_size=len(amounts), max_size=len(amounts))))
    ends = [0, *sorted(cuts), PPB]
    weights = [end - start for start, end in pairwise(ends)]
    fold = RevenueFold()
    fold.list_series(SERIES, 1)
    slots = [fold.slot(SERIES, payee, 1) for payee in range(len(weights))]
    row = fold.add_waterfall(SERIES, 1, list(zip(slots, weights, strict=True)))
    fold.begin_version(SERIES, row, heir=slots[0], at_ns=0, position=1)
    fold.fold(sold(amounts, days), 0, 1)

    carries = {int(payee["payee"]): payee for payee in fold.changed_payees()}
    total = sum(amounts)
    assert [divmod(total * weight, PPB) for weight in weights] == [
        (carries[payee]["whole_minor"], carries[payee]["rest_ppb"]) for payee in range(len(weights))
    ]
    assert fold.new("lines")["before_minor"].tolist() == [sum(amounts[:at]) for at in range(len(amounts))]
    for kind, rows in (("series_days", 1), ("payee_days", len(weights)), ("trading_days", 1)):
        assert len(fold.changed_days(kind)) == rows * len(set(days))
    by_day = {
        int(row["day_ends_ns"]) // DAY_NS - 1: int(row["sales_minor"]) for row in fold.changed_days("series_days")
    }
    assert by_day == {day: sum(a for a, d in zip(amounts, days, strict=True) if d == day) for day in days}


def test_nothing_is_left_to_write_once_it_was_written() -> None:
    fold = RevenueFold()
    fold.list_series(SERIES, 1)
    slot = fold.slot(SERIES, 3, 1)
    fold.begin_version(SERIES, fold.add_waterfall(SERIES, 1, [(slot, PPB)]), heir=slot, at_ns=0, position=1)
    fold.fold(sold([5], [0]), 0, 1)
    assert carried_ppb(fold.changed_payees()).tolist() == [5 * PPB]
    fold.written()
    assert not fold.changed
    assert not len(fold.changed_payees()) and not len(fold.changed_series())
    assert not any(len(fold.changed_days(kind)) for kind in ("series_days", "payee_days", "trading_days"))

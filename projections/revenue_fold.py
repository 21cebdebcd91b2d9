"""What suspense owes to whom, folded from arrays: the memory around `projections.revenue_kernel`, and its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from domain.values import DAY_NS, PPB
from matching.layout import NONE
from projections.flow import BatchFlow, FlowRows, grown, refunds_at
from projections.revenue_kernel import (
    ERA_PAYEE,
    LINE,
    PAYEE,
    SERIES,
    TRADING,
    WATERFALL,
    WEIGHT,
    Given,
    Memory,
    Out,
    begin_version,
    fold_revenue,
    slot_of,
)

Rows = Any
"""np.ndarray of a dtype of `projections.revenue_kernel`."""

_SMALLEST: Final = 16
_OUTS: Final = {
    "lines": LINE,
    "era_payees": ERA_PAYEE,
    "series_days": SERIES,
    "payee_days": PAYEE,
    "trading_days": TRADING,
}
"""In the order of their places in `Out.used`."""
assert (*_OUTS, "used") == Out._fields


class RevenueFold:
    """Feed it series, waterfalls and blocks in the order of the log; then take the rows that changed."""

    def __init__(self) -> None:
        self.memory = Memory(
            series=_no_series(_SMALLEST),
            trading=np.zeros(_SMALLEST, TRADING),
            payees=np.zeros(_SMALLEST, PAYEE),
            waterfalls=np.zeros(_SMALLEST, WATERFALL),
            weights=np.zeros(_SMALLEST, WEIGHT),
            used=np.zeros(1, np.int64),
        )
        rows = [np.zeros(_SMALLEST, dtype) for dtype in _OUTS.values()]
        self._out = Out._make([*rows, np.zeros(len(_OUTS), np.int64)])
        self.changed = False
        """Whether there may be rows that were not written."""
        self._waterfalls = 0
        self._weights = 0
        self._payees_max = 0
        """Payees of the version that has the most."""

    # -- folding -------------------------------------------------------------------------------------------------------

    def list_series(self, series: int, position: int) -> None:
        self._make_room_for_series(series)
        row = self.memory.series[series]
        row["series"] = series
        row["position"] = position
        row["changed"] = 1
        self.changed = True

    def slot(self, series: int, payee: int, position: int) -> int:
        """Number of the row of `memory.payees`, which is new if the payee was none of the series before."""
        self._make_room_for_payees(1)
        self.changed = True
        return slot_of(self.memory, series, payee, position)

    def add_waterfall(self, series: int, version: int, weights: Sequence[tuple[int, int]]) -> int:
        """A version with the (slot, weight in ppb) of its payees; returns its row of `memory.waterfalls`.

        It is the newest from here on where no block comes before it is begun.
        """
        row = self._waterfalls
        end = self._weights + len(weights)
        memory = self.memory = self.memory._replace(
            waterfalls=grown(self.memory.waterfalls, row + 1), weights=grown(self.memory.weights, end)
        )
        memory.weights[self._weights : end] = np.array(weights, WEIGHT)
        memory.waterfalls[row] = (series, version, self._weights, len(weights), memory.series["waterfall"][series])
        self._waterfalls, self._weights = row + 1, end
        self._payees_max = max(self._payees_max, len(weights))
        return row

    def begin_version(self, series: int, waterfall: int, *, heir: int, at_ns: int, position: int) -> None:
        """Go on with the version in a row of `memory.waterfalls`; the payee in slot `heir` gets what leavers carry."""
        self._make_room(era_payees=self._payees_max, payee_days=int(self.memory.used[0]))
        begin_version(self.memory, self._out, series, waterfall, heir, at_ns, position)

    def given(self, flow: BatchFlow) -> Given:
        """What `fold` takes."""
        rows, blocks = flow.rows, flow.blocks
        at = refunds_at(rows)
        refunds = rows.movements[at]
        commands = blocks.given.commands
        # A refund is one unit of work, so its block has its command.
        versions = commands["target"][np.searchsorted(commands["command"], refunds["command"])]
        ends = {kind: flow.ends[:, number] for number, kind in enumerate(FlowRows._fields)}
        starts = np.zeros((len(flow.ends) + 1, 4), np.int64)
        starts[1:, 0] = ends["trades"]
        starts[1:, 1] = np.searchsorted(at, ends["movements"])
        starts[1:, 2] = ends["shares"]
        starts[1:, 3] = ends["suspense"]
        return Given(blocks.positions, starts, rows.trades, refunds, versions, rows.shares, rows.suspense)

    def fold(self, given: Given, first: int, end: int) -> None:
        """Fold the blocks first … end − 1."""
        if first >= end:
            return
        self.changed = True
        at, to = given.starts[first].tolist(), given.starts[end].tolist()
        trades, refunds, shares, _ = (last - before for before, last in zip(at, to, strict=True))
        self._make_room_for_series(
            max(
                int(given.trades["series"][at[0] : to[0]].max(initial=0)),
                int(-given.refunds["other"][at[1] : to[1]].min(initial=0)),
                int(given.shares["series"][at[2] : to[2]].max(initial=0)),
                int(given.suspense["series"][at[3] : to[3]].max(initial=0)),
            )
        )
        self._make_room_for_payees(shares)
        # A day's row is final when the next day begins: once a touch, and once a day.
        times = [
            int(rows["at_ns"][place])
            for rows, before, last in zip((given.trades, given.refunds, given.shares), at, to, strict=False)
            if before < last
            for place in (before, last - 1)
        ]
        days = max(times) // DAY_NS - min(times) // DAY_NS + 1 if times else 0
        self._make_room(
            lines=trades + refunds,
            era_payees=2 * refunds * self._payees_max,
            series_days=min(trades + refunds + shares, days * len(self.memory.series)),
            payee_days=min((trades + refunds) * self._payees_max + shares, days * (int(self.memory.used[0]) + shares)),
            trading_days=min(trades, days * len(self.memory.series)),
        )
        fold_revenue(self.memory, given, first, end, self._out)

    # -- rows ----------------------------------------------------------------------------------------------------------

    def new(self, kind: str) -> Rows:
        """The rows of `lines` or `era_payees` since the last `written`."""
        number = list(_OUTS).index(kind)
        return getattr(self._out, kind)[: self._out.used[number]]

    def changed_series(self) -> Rows:
        """SERIES rows of series that were listed, with what changed since the last `written`."""
        rows = self.memory.series
        return rows[(rows["changed"] != 0) & (rows["series"] != 0)]

    def changed_payees(self) -> Rows:
        return self.memory.payees[self.memory.payees["changed"] != 0]

    def changed_days(self, kind: str) -> Rows:
        """Rows of `series_days`, `payee_days` or `trading_days`: those that are final now, and the last of each."""
        last = getattr(self.memory, {"series_days": "series", "payee_days": "payees", "trading_days": "trading"}[kind])
        return np.concatenate([self.new(kind), last[last["day_changed"] != 0]])

    def written(self) -> None:
        """Everything that changed has been taken."""
        for rows in (self.memory.series, self.memory.payees):
            rows["changed"] = 0
        for rows in (self.memory.series, self.memory.payees, self.memory.trading):
            rows["day_changed"] = 0
        self._out.used[:] = 0
        self.changed = False

    # -- room ----------------------------------------------------------------------------------------------------------

    def _make_room_for_series(self, series: int) -> None:
        room = len(self.memory.series)
        if series >= room:
            size = max(series + 1, 2 * room)
            self.memory = self.memory._replace(
                series=np.concatenate([self.memory.series, _no_series(size - room)]),
                trading=grown(self.memory.trading, size),
            )

    def _make_room_for_payees(self, more: int) -> None:
        payees = grown(self.memory.payees, int(self.memory.used[0]) + more)
        self.memory = self.memory._replace(payees=payees)

    def _make_room(self, **more: int) -> None:
        """Room for so many more rows of each kind."""
        used = dict(zip(_OUTS, self._out.used.tolist(), strict=True))
        rows = {kind: grown(getattr(self._out, kind), used[kind] + count) for kind, count in more.items()}
        self._out = self._out._replace(**rows)


def warm(flow: BatchFlow) -> None:
    """Call each kernel with the types that it is called with, over blocks of any content."""
    fold = RevenueFold()
    fold.list_series(1, 1)
    payee = fold.slot(1, 1, 1)
    fold.begin_version(1, fold.add_waterfall(1, 1, [(payee, PPB)]), heir=payee, at_ns=0, position=1)
    fold.fold(fold.given(flow), 0, len(flow.ends))


def carried_ppb(payees: Rows) -> Any:
    """What PAYEE rows carry."""
    return payees["whole_minor"] * PPB + payees["rest_ppb"]


def _no_series(count: int) -> Rows:
    rows = np.zeros(count, SERIES)
    rows["waterfall"] = rows["first_payee"] = NONE
    return rows

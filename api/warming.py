"""Compiles every kernel before anybody waits for an answer.

A small house in a temporary folder does once what a real one does: decide, execute, remember requests, verify, write a
snapshot and start from it, fold the log for readers. So each kernel is compiled for just the types that the house will
call it with, or loaded from the cache of machine code that an earlier warming left on disk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numba.core import event

from api.bootstrap import House, places
from domain.commands import RecordDeposit, RegisterCurrency, RegisterParty
from domain.values import HOUSE, PartyKind, Role
from ledger.blocks import TOPIC, decode_block
from ledger.recovery import recover
from ledger.requests import WEEK_NS
from ledger.sequencer import Ask, Orders
from ledger.tables import Limits
from ledger.verifier import verify
from matching.layout import CLIENT_ID, COMMAND, REQUEST, Kind
from projections import revenue_fold
from projections.flow import FlowFold

SMALL = Limits(orders=1024, levels=1024, accounts=1024)
PACKAGES = ("matching.", "ledger.", "projections.")


def warm(on_kernel: Callable[[int, str], None] = lambda _done, _name: None) -> int:
    """Compile or load every kernel; returns how many were compiled.

    `on_kernel(compiled so far, name)` is called as each compilation begins.
    """
    with _compilations(on_kernel) as listener, tempfile.TemporaryDirectory(prefix="tallystick-warm-") as folder:
        _rehearse(Path(folder))
    return listener.compiled


def _rehearse(folder: Path) -> None:
    with House(places(folder), clock=lambda: WEEK_NS, limits=SMALL) as house:
        roles = Role.TRADER | Role.FINANCE
        house.process(
            [
                Ask(
                    RegisterParty(kind=PartyKind.COMPANY, legal_name="Warm", country="US", roles=roles),
                    HOUSE,
                    bytes(16),
                ),
                Ask(RegisterCurrency(code="USD", exponent=2), HOUSE),
                Ask(
                    RecordDeposit(party=1, currency=1, amount_minor=1, reference="warm", effective_day="1970-01-01"),
                    1,
                ),
            ]
        )
        named = np.zeros(2, CLIENT_ID)
        named["client_order_id"] = b"warm"
        house.process([Orders(_orders()), Orders(_orders(), np.zeros(2, REQUEST), named)])
        house.snapshots.save(recover(house.store, None, SMALL))
        assert recover(house.store, house.snapshots, SMALL).state.root() == verify(house.store, SMALL).state_hash
        flow = FlowFold()
        blocks = [
            (entry.position, decode_block(entry.state)) for entry in house.store.recorder.read() if entry.topic == TOPIC
        ]
        revenue_fold.warm(flow.apply(blocks, ()))
        FlowFold.restored(dict(flow.arrays()))
        FlowFold.of_ledger(house.state.tables, house.state.catalogue)


def _orders() -> Any:
    rows = np.zeros(2, COMMAND)
    rows["kind"] = [Kind.NEW, Kind.CANCEL]
    rows["account"] = 1
    return rows


class _Compilations(event.Listener):
    """Hears of each kernel that numba compiles; one that is found in the cache is not compiled."""

    def __init__(self, on_kernel: Callable[[int, str], None]) -> None:
        self._on_kernel = on_kernel
        self.compiled = 0

    def on_start(self, event: Any) -> None:
        function = event.data["dispatcher"].py_func
        if function.__module__.startswith(PACKAGES):
            self._on_kernel(self.compiled, f"{function.__module__}.{function.__qualname__}")
            self.compiled += 1

    def on_end(self, event: Any) -> None: ...


@contextmanager
def _compilations(on_kernel: Callable[[int, str], None]) -> Iterator[_Compilations]:
    listener = _Compilations(on_kernel)
    event.register("numba:compile", listener)  # type: ignore[no-untyped-call]
    try:
        yield listener
    finally:
        event.unregister("numba:compile", listener)  # type: ignore[no-untyped-call]

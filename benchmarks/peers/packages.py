"""Order books that a package registry has, one Python call a command, where somebody installed them.

They are no dependencies: whoever wants their figures installs them (`pip install obook nanobook limit-order-book`).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from time import process_time_ns
from typing import Any, Final

import numpy as np

from matching.simulator import CANCEL, FLOW_RECORD, IMMEDIATE, NEW

Record = tuple[int, int, int, int, int, int]
"""A row of FLOW_RECORD: op, side, series, id, price, lots."""


def _obook(module: Any, records: list[Record]) -> Callable[[], int | None]:
    """It has every command of the flow; its trades are events. Takers are another user: it prevents self-trades."""
    book = module.Book(len(records) + 1)
    ids: dict[int, int] = {}
    left: dict[int, int] = {}

    def run() -> int:
        fills = 0
        for op, side, _series, number, price, lots in records:
            if op == NEW:
                ids[number] = book.submit(1, side, price, lots).order_id
                left[number] = lots
            elif op == IMMEDIATE:
                book.submit(2, side, price, lots, tif=module.IOC)
                fills += sum(event.kind == module.EventKind.TRADE for event in book.events())
            elif op == CANCEL:
                book.cancel(ids[number], 1)
            else:
                left[number] -= lots
                book.reduce(ids[number], left[number], 1)
        return fills

    return run


def _nanobook(module: Any, records: list[Record]) -> Callable[[], int | None]:
    """It has no reduce, so it is spared those, and trades other sizes then: its fills are not compared."""
    exchange = module.Exchange()
    ids: dict[int, int] = {}

    def run() -> None:
        for op, side, _series, number, price, lots in records:
            if op == NEW:
                ids[number] = exchange.submit_limit("sell" if side else "buy", price, lots).order_id
            elif op == IMMEDIATE:
                exchange.submit_limit("sell" if side else "buy", price, lots, "ioc")
            elif op == CANCEL:
                exchange.cancel(ids[number])

    return run


def _limit_order_book(module: Any, records: list[Record]) -> Callable[[], int | None]:
    """It reports no trades and has no reduce; immediate-or-cancel is a limit order that is canceled if it rests."""
    book = module.LimitOrderBook()

    def run() -> None:
        for op, side, _series, number, price, lots in records:
            if op == CANCEL:
                if book.has(number):
                    book.cancel(number)
            elif op in (NEW, IMMEDIATE):
                (book.limit_sell if side else book.limit_buy)(number, lots, price)
                if op == IMMEDIATE and book.has(number):
                    book.cancel(number)

    return run


PEERS: Final = {"obook": _obook, "nanobook": _nanobook, "limit-order-book": _limit_order_book}
"""By the name of the package."""


def run_peer(name: str, flow: Path) -> tuple[int, int | None] | None:
    """(ns, fills if it counts them) of a package over a file of FLOW_RECORD rows; None if it is not installed."""
    try:
        module = importlib.import_module(name.replace("-", "_"))
    except ImportError:
        return None
    run = PEERS[name](module, np.fromfile(flow, FLOW_RECORD).tolist())
    start = process_time_ns()
    fills = run()
    return process_time_ns() - start, fills

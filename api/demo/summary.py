"""What a demo came to, counted from its log and its state, never from the script."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from api.bootstrap import House
from api.revenue_report import RevenueFold
from ledger.blocks import TOPIC, decode_block
from ledger.tables import Limits
from ledger.verifier import verify
from matching.layout import Section


def count(house: House, on_entry: Callable[[int], None] = lambda _position: None) -> dict[str, Any]:
    """The figures of the house; `revenue_shared_minor` is what payees got less what refunds took back."""
    trades = 0
    revenue = RevenueFold()
    for entry in house.store.read():
        revenue.feed(entry)
        if entry.topic == TOPIC:
            trades += len(decode_block(entry.state).rows(Section.FILLS))
        on_entry(entry.position)
    report = revenue.report()
    assert report.reconciles, report.differences
    *first, (_, grants) = standing(house).items()
    return {
        **dict(first),
        "trades": trades,
        "grants": grants,
        "revenue_shared_minor": sum(row.shares_minor - row.reclaimed_minor for row in report.totals),
    }


def standing(house: House) -> dict[str, Any]:
    """The figures that the state itself knows; the number of grants is the last."""
    state = house.state
    catalogue = state.catalogue
    return {
        "position": house.store.position,
        "state_hash": state.root().hex(),
        "parties": len(catalogue.parties),
        "models": len(catalogue.models),
        "datasets": len(catalogue.datasets),
        "series": len(catalogue.series),
        "orders": int(state.tables.book.tally["next_order"][0]) - 1,
        "grants": int(state.tables.tally["grants"][0]),
    }


def verified(house: House, on_entry: Callable[[int], None]) -> bool:
    """Whether doing the whole log again gives the state that the house is in. Raises Disagreement."""
    return verify(house.store, Limits(), on_entry).state_hash == house.state.root()

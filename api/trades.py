"""One trade as the log holds it: what a refund must say of it."""

from __future__ import annotations

from typing import NamedTuple

from domain.values import PostingCode
from ledger.store import Store
from matching.layout import Section


class Trade(NamedTuple):
    series: int
    buyer: int
    lots: int
    price_ticks: int
    primary: bool
    waterfall_version: int
    """In force when the trade was made."""


def trade_in_log(store: Store, command: int, fill: int) -> Trade | None:
    """The trade of a fill, counted from 0 over the whole command; None where the log has none. Reads the log."""
    found = store.block_of(command)
    if found is None or fill < 0:
        return None
    position, block = found
    rows = block.rows(Section.FILLS)
    rows = rows[rows["command"] == command]
    before = 0
    while fill - before >= len(rows):
        if not int(block.header["continues"]):
            return None
        before += len(rows)
        following = store.block_after(int(block.header["block"]))
        if following is None:
            return None
        position, block = following
        rows = block.rows(Section.FILLS)
        rows = rows[rows["command"] == command]
    grants = block.rows(Section.GRANTS)
    # The buyer's row comes first.
    grant = grants[(grants["command"] == command) & (grants["fill"] == fill)][0]
    postings = block.rows(Section.POSTINGS)
    postings = postings[(postings["command"] == command) & (postings["fill"] == fill)]
    series = int(grant["series"])
    return Trade(
        series=series,
        buyer=int(grant["holder"]),
        lots=int(rows[fill - before]["lots"]),
        price_ticks=int(rows[fill - before]["price"]),
        primary=bool((postings["code"] == int(PostingCode.MINT)).any()),
        waterfall_version=store.count_before(f"series-{series}", "WaterfallCompiled", position),
    )

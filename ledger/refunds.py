"""What a refund says of its trade is checked against the log, which is the only place that remembers trades."""

from __future__ import annotations

import numpy as np

from domain.commands import RefundSale
from domain.rejections import Reason, Refusal
from domain.values import PostingCode
from ledger.store import Store
from matching.layout import Section


def check_trade(store: Store, command: RefundSale, until: int | None = None) -> Refusal | None:
    """None if the fill exists and was a primary sale with just these terms; a refusal naming the first that differs.

    `until`: number of the last block to look at, by default the last that is committed.
    """
    found = store.block_of(command.trade_command, until)
    if found is None:
        return _unknown(command)
    position, block = found
    fills = block.rows(Section.FILLS)
    fills = fills[fills["command"] == command.trade_command]
    # A sweep over several blocks numbers its fills through, so fills of the earlier blocks are counted, too.
    fill = command.trade_fill
    while fill >= len(fills) and int(block.header["continues"]):
        fill -= len(fills)
        following = store.block_after(int(block.header["block"]))
        assert following is not None, "a command that continues has a next block"
        position, block = following
        fills = block.rows(Section.FILLS)
        fills = fills[fills["command"] == command.trade_command]
    if fill >= len(fills):
        return _unknown(command)
    postings = block.rows(Section.POSTINGS)
    postings = postings[(postings["command"] == command.trade_command) & (postings["fill"] == command.trade_fill)]
    if not np.any(postings["code"] == int(PostingCode.MINT)):
        return Refusal(
            Reason.UNKNOWN_TRADE,
            field="trade_command",
            rule="names a primary sale",
            value=f"{command.trade_command}/{command.trade_fill}",
        )
    grants = block.rows(Section.GRANTS)
    grant = grants[(grants["command"] == command.trade_command) & (grants["fill"] == command.trade_fill)][0]
    compiled = store.count_before(f"series-{command.series}", "WaterfallCompiled", position)
    for field, said, was in (
        ("series", command.series, int(grant["series"])),
        ("buyer", command.buyer, int(grant["holder"])),
        ("trade_lots", command.trade_lots, int(fills[fill]["lots"])),
        ("price_ticks", command.price_ticks, int(fills[fill]["price"])),
        ("waterfall_version", command.waterfall_version, compiled),
    ):
        if said != was:
            return Refusal(Reason.UNKNOWN_TRADE, field=field, rule=f"is {was} in the trade", value=str(said))
    return None


def _unknown(command: RefundSale) -> Refusal:
    return Refusal(
        Reason.UNKNOWN_TRADE,
        field="trade_command",
        rule="names a fill in the log",
        value=f"{command.trade_command}/{command.trade_fill}",
    )

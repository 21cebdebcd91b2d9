"""One command that does very much passes in small blocks, is fenced and replays; a million is a campaign's work."""

from __future__ import annotations

from pathlib import Path

from ledger.tables import BLOCK_BYTES
from tests.campaigns.bounded_work import sweep_and_cancel


def test_a_sweep_and_a_mass_cancel_of_20000_orders_go_over_several_small_blocks(tmp_path: Path) -> None:
    figures = sweep_and_cancel(tmp_path, 20_000)
    assert figures["block_bytes_max"] < BLOCK_BYTES
    # One block holds 12,288 fills or endings at most.
    assert figures["blocks_that_continue"] >= 2

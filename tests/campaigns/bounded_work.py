"""One command may do a million things: a sweep of N resting orders, then a mass cancel of N orders.

Both must pass in blocks below 8 MiB and in memory that is stated, be fenced, and be what a replay of the log gives.
The measured work is done by a process of its own, so that the peak is that of the house and not of this campaign.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from ledger.blocks import TOPIC, decode_block
from ledger.recorder import LogConflict, LogRecorder, migrate
from ledger.tables import BLOCK_BYTES, Limits
from ledger.verifier import verify
from matching.layout import FLAG_PRIMARY, Code, Kind, Section, Side
from tests.campaigns.harness import Report, parser, run
from tests.simulation.market import DEVELOPER, FIRST_TRADER, START_NS, Desk, new_orders

NAME = "bounded-work"
BATCH_ROWS = 50_000
PEAK_BYTES_FIXED = 600 << 20
PEAK_BYTES_AN_ORDER = 500
"""Greatest resident memory: so much for the program, a database and a transaction, and so much for each order."""


def main() -> int:
    arguments = parser(NAME, __doc__)
    arguments.add_argument("--orders", type=int, default=1_000_000, help="orders swept and canceled (default 1000000)")
    arguments.add_argument("--work-in", type=Path, help=argparse.SUPPRESS)
    parsed = arguments.parse_args()
    if parsed.work_in:
        print(json.dumps(sweep_and_cancel(parsed.work_in, parsed.orders)))
        return 0
    return run(NAME, parsed, work)


def work(report: Report, arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.campaigns.bounded_work", "--orders", str(arguments.orders)]
        done = subprocess.run([*command, "--work-in", folder], check=True, stdout=subprocess.PIPE, text=True)
    figures = json.loads(done.stdout)
    report.details |= figures
    peak_max = PEAK_BYTES_FIXED + PEAK_BYTES_AN_ORDER * arguments.orders
    for what, found, most in (
        ("bytes of the largest block", figures["block_bytes_max"], BLOCK_BYTES),
        ("peak memory of the writer in bytes", figures["writer_peak_bytes"], peak_max),
        ("peak memory of the verifier in bytes", figures["peak_bytes"], peak_max),
    ):
        if found <= most:
            report.passed += 1
        else:
            report.fail(f"{what}: at most {most}, found {found}", replay=f"--orders {arguments.orders}")


def sweep_and_cancel(folder: Path, orders: int) -> dict[str, Any]:
    """Do the work on a log in `folder` and check all but the bounds; returns the figures."""
    limits = Limits(orders=2 * orders + 1024, levels=1 << 12, accounts=1 << 12)
    url = f"sqlite:///{folder}/log.db"
    migrate(url)
    figures: dict[str, Any] = {"orders": orders}
    with LogRecorder(url) as recorder:
        desk = Desk(recorder, limits=limits)
        desk.set_up()
        rest(desk, orders, side=Side.SELL)
        started = time.monotonic()
        sweep = desk.orders(new_orders(1, party=FIRST_TRADER, side=Side.BUY, price=100, lots=orders)).results[0]
        figures["sweep_s"] = round(time.monotonic() - started, 2)
        assert (sweep["code"], sweep["fills"], sweep["lots"]) == (Code.OK, orders, 0), sweep

        rest(desk, orders, side=Side.BUY)
        cancel = new_orders(1, party=FIRST_TRADER, side=Side.BUY, price=0)
        cancel["kind"] = Kind.MASS_CANCEL
        started = time.monotonic()
        canceled = desk.orders(cancel).results[0]
        figures["mass_cancel_s"] = round(time.monotonic() - started, 2)
        assert (canceled["code"], canceled["fills"], canceled["lots"]) == (Code.OK, orders, orders), canceled
        figures["writer_peak_bytes"] = peak_bytes()

        figures |= check_blocks(desk, orders)
        root = check_fence(url, desk, limits)
        del desk
        assert Desk(recorder, limits=limits).state.root() == root
    with LogRecorder(url) as recorder:
        verified = verify(Desk(recorder, limits=limits).store, limits)
        assert verified.state_hash == root
    figures["commands"] = verified.commands
    figures["peak_bytes"] = peak_bytes()
    return figures


def rest(desk: Desk, orders: int, *, side: Side) -> None:
    """So many orders of one lot, at one price."""
    rows = new_orders(
        min(orders, BATCH_ROWS),
        party=DEVELOPER if side == Side.SELL else FIRST_TRADER,
        side=side,
        price=100,
        flags=FLAG_PRIMARY if side == Side.SELL else 0,
    )
    for first in range(0, orders, BATCH_ROWS):
        results = desk.orders(rows[: orders - first]).results
        assert np.all(results["code"] == Code.OK) and np.all(results["lots"] == 1), results


def check_blocks(desk: Desk, orders: int) -> dict[str, int]:
    """The sweep and the cancel go over many blocks, nothing ran in between, and each has one result."""
    largest = continued = fills = endings = 0
    active = 0
    for entry in desk.store.read():
        if entry.topic != TOPIC:
            assert not active, entry.position
            continue
        block = decode_block(entry.state)
        largest = max(largest, len(entry.state))
        assert int(block.header["active_command"]) == active, entry.position
        active = 0
        if block.header["continues"]:
            continued += 1
            last = block.rows(Section.COMMANDS)
            active = int(last["command"][-1]) if len(last) else int(block.header["active_command"])
            assert active not in block.rows(Section.RESULTS)["command"], entry.position
        fills += len(block.rows(Section.FILLS))
        endings += len(block.rows(Section.ENDINGS))
    assert (fills, endings) == (orders, orders)
    return {"block_bytes_max": largest, "blocks": desk.store.blocks, "blocks_that_continue": continued}


def check_fence(url: str, desk: Desk, limits: Limits) -> bytes:
    """A second writer appends, and the first one's next append collides and writes nothing; the second one's root."""
    with LogRecorder(url) as other:
        second = Desk(other, limits=limits)
        assert second.state.root() == desk.state.root()
        row = new_orders(1, party=FIRST_TRADER, side=Side.BUY, price=1, at_ns=START_NS)
        second.orders(row)
        end = other.max_position()
        try:
            desk.orders(row)
        except LogConflict:
            assert desk.recorder.max_position() == end
            return second.state.root()
        raise AssertionError("two writers appended to one log")


def peak_bytes() -> int:
    """Greatest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    sys.exit(main())

"""The load under which a writer is killed or recorded: batches that follow from a seed and their number alone.

So whoever lost a reply can ask again with the same request ids and the same bodies, and knows what must come back. Run
as a program this is the writer: `python -m tests.campaigns.load DATA --help`.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from api.bootstrap import House, places
from domain.rejections import Refusal
from ledger.sequencer import Answer, Ask, Item, OrderReplies, Orders, Reply
from ledger.tables import Limits
from matching.layout import COMMAND, FLAG_PRIMARY, Kind
from tests.simulation.market import (
    DEVELOPER,
    FIRST_TRADER,
    OFFICER,
    START_NS,
    a_deposit,
    counted_entropy,
    request_id,
    requests_of,
    setting_up,
    writing_connection,
)

LIMITS = Limits(orders=1 << 14, levels=1 << 10, accounts=1 << 12)
TRADERS, SERIES = 4, 2
ROWS_MAX = 12
REQUESTS_A_BATCH = 100
"""Request ids of batch b are b × REQUESTS_A_BATCH and those after it; the deposit has the last of them."""

Acknowledged = dict[int, tuple[int, int, int]]
"""(command, order, code) by the number of the request."""


def batch(seed: int, number: int) -> list[Item]:
    """Order commands, and in every other batch a deposit, all with request ids; about one batch in nine has none."""
    draw = np.random.default_rng([seed, number])
    at_ns = START_NS + number * 1_000_000
    items: list[Item] = []
    count = int(draw.integers(1, ROWS_MAX + 1))
    rows = np.zeros(count, COMMAND)
    rows["kind"] = np.where(draw.random(count) < 0.8, Kind.NEW, Kind.CANCEL)
    rows["account"] = rows["actor"] = draw.integers(FIRST_TRADER, FIRST_TRADER + TRADERS, count)
    rows["series"] = draw.integers(1, SERIES + 1, count)
    rows["side"] = draw.integers(0, 2, count)
    rows["price"] = draw.integers(95, 106, count)
    rows["lots"] = draw.integers(1, 20, count)
    rows["target"] = draw.integers(1, 2 + number * ROWS_MAX // 2, count)
    primary = draw.random(count) < 0.3
    rows["account"][primary], rows["side"][primary], rows["flags"][primary] = DEVELOPER, 1, FLAG_PRIMARY
    rows["at_ns"] = at_ns
    ids = number * REQUESTS_A_BATCH + np.arange(count)
    items.append(Orders(rows, requests_of(ids, rows["price"] * 1_000 + rows["lots"]), stamped=True))
    if number % 2:
        asked = number * REQUESTS_A_BATCH + REQUESTS_A_BATCH - 1
        party = int(draw.integers(FIRST_TRADER, FIRST_TRADER + TRADERS))
        items.append(Ask(a_deposit(party, 1_000 + number, f"load-{number}"), OFFICER, request_id(asked), at_ns))
    return items


@functools.cache
def requests_in(seed: int, number: int) -> list[int]:
    """Numbers of the requests of a batch."""
    found: list[int] = []
    for item in batch(seed, number):
        first = number * REQUESTS_A_BATCH
        if isinstance(item, Orders):
            found += range(first, first + len(item.commands))
        else:
            found.append(first + REQUESTS_A_BATCH - 1)
    return found


def acknowledged(number: int, answers: Sequence[Answer]) -> Acknowledged:
    """What the answers to a batch promise its client."""
    found: Acknowledged = {}
    first = number * REQUESTS_A_BATCH
    for answer in answers:
        match answer:
            case OrderReplies():
                for at, row in enumerate(answer.results):
                    found[first + at] = (int(row["command"]), int(row["order"]), int(row["code"]))
            case Reply():
                found[first + REQUESTS_A_BATCH - 1] = (answer.command, 0, 0)
            case Refusal():
                raise AssertionError(f"batch {number}: {answer}")
    return found


def ack_line(number: int, answers: Sequence[Answer]) -> bytes:
    return json.dumps({"batch": number, "acknowledged": acknowledged(number, answers)}).encode() + b"\n"


def read_ack(line: bytes) -> tuple[int, Acknowledged]:
    """(batch, what was acknowledged) of a whole line."""
    found = json.loads(line)
    return int(found["batch"]), {int(key): tuple(value) for key, value in found["acknowledged"].items()}


def open_house(data: Path, url: str | None = None, **options: Any) -> House:
    return House(places(data, url), clock=lambda: START_NS, limits=LIMITS, **options)


def prepare(data: Path, url: str | None = None) -> None:
    """Make the log and the market in it."""
    house = open_house(data, url, entropy=counted_entropy())
    if not house.state.catalogue.parties:
        house.process(list(setting_up(traders=TRADERS, series=SERIES)))
    house.close()


def main() -> int:
    """Open the house, say so, and process batches, each acknowledged by one line after `process` returned."""
    arguments = argparse.ArgumentParser(description=main.__doc__)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("--url")
    arguments.add_argument("--seed", type=int, required=True)
    arguments.add_argument("--first", type=int, default=0)
    arguments.add_argument("--batches", type=int, default=1_000_000)
    arguments.add_argument("--acks", type=Path, help="file to acknowledge to, else stdout")
    arguments.add_argument("--synchronous", help="of the connection that writes (SQLite)")
    arguments.add_argument("--checkpoint-pages", type=int)
    parsed = arguments.parse_args()
    acks = os.open(parsed.acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if parsed.acks else 1
    os.write(acks, b"recovering\n")
    house = open_house(parsed.data, parsed.url)
    if parsed.synchronous:
        writing_connection(house.recorder).execute(f"PRAGMA synchronous = {parsed.synchronous}")
    if parsed.checkpoint_pages:
        writing_connection(house.recorder).execute(f"PRAGMA wal_autocheckpoint = {parsed.checkpoint_pages}")
    os.write(acks, b"ready\n")
    for number in range(parsed.first, parsed.first + parsed.batches):
        os.write(acks, ack_line(number, house.process(batch(parsed.seed, number))))
    # Without closing: a clean end would move everything out of the write-ahead log.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())

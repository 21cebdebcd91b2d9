"""Copies of a book over real sockets: twenty clients that lose messages and sockets, over ten thousand updates each.

One append of a few orders after the other; after each tenth of them every copy must equal the server's book level by
level, and every message's checksum is compared by every client. In between clients drop messages, cut their sockets,
and go on from where they were.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.api.book_watch import watch_books
from tests.api.live_house import served
from tests.campaigns.harness import Report, parser, run

NAME = "ws-book"
ROUNDS = 10


def main() -> int:
    arguments = parser(NAME, __doc__)
    arguments.add_argument("--appends", type=int, default=10_000, help="appends to the log (default 10000)")
    arguments.add_argument("--orders", type=int, default=3, help="order commands of an append (default 3)")
    arguments.add_argument("--clients", type=int, default=20, help="clients (default 20)")
    return run(NAME, arguments.parse_args(), work)


def work(report: Report, arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as house:
        try:
            watch = asyncio.run(
                watch_books(
                    house,
                    clients=arguments.clients,
                    appends=arguments.appends,
                    rows=arguments.orders,
                    faults=0.02,
                    seed=arguments.seed,
                    rounds=ROUNDS,
                )
            )
        except (AssertionError, TimeoutError) as error:
            report.fail(
                f"a copy differs from the server's book: {error!r}",
                replay=f"--seed {arguments.seed} --appends {arguments.appends} --orders {arguments.orders}",
            )
            return
        report.passed = watch.compared
        report.details |= {
            "changes_of_the_book": watch.changes,
            "level_updates_per_client": watch.levels // arguments.clients,
            "messages_per_client": watch.updates // arguments.clients,
            "dropped": watch.drops,
            "gaps": watch.gaps,
            "reconnects": watch.reconnects,
            "resumes": watch.resumes,
            "snapshots": watch.snapshots,
        }


if __name__ == "__main__":
    sys.exit(main())

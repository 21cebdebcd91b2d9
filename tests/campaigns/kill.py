"""kill -9 of a real writer under load, at random moments and also while it recovers, and restart.

The client is this campaign: it reads acknowledgements from a pipe, kills, restarts, asks again what it asked last with
the same request ids, and must get the replies it got before. At the end every acknowledged command is in the log once
and the log verifies. On PostgreSQL, too, whose server goes on while its client dies.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ledger.recorder import LogRecorder
from ledger.recovery import recover
from ledger.store import Store
from ledger.verifier import verify
from tests.campaigns.crash_images import check_promises, requests_in_log
from tests.campaigns.harness import Report, parser, run
from tests.campaigns.load import LIMITS, Acknowledged, prepare, read_ack, requests_in
from tests.postgres import database_names, fresh_database, named_server, throwaway_server
from tests.simulation.market import request_id

NAME = "kill"
LIFE_S_MAX = 0.4
RECOVERY_S_MAX = 1.0
"""Longest time that a writer lives after it is ready, or after it began to recover."""
AGAIN = 3
"""Batches that are asked again after a restart, beside the one whose reply was lost."""


def main() -> int:
    arguments = parser(NAME, __doc__)
    arguments.add_argument("--cycles", type=int, default=50, help="kills per database (default 50)")
    arguments.add_argument("--database", choices=("sqlite", "postgres", "both"), default="both")
    return run(NAME, arguments.parse_args(), work)


def work(report: Report, arguments: argparse.Namespace) -> None:
    for database in ("sqlite", "postgres") if arguments.database == "both" else (arguments.database,):
        with log_of(database) as (data, url):
            report.details[database] = kill_and_reconcile(report, database, data, url, arguments)


@contextmanager
def log_of(database: str) -> Iterator[tuple[Path, str | None]]:
    """A folder, and the URL of an empty log: None for the file in the folder."""
    with tempfile.TemporaryDirectory() as data:
        if database == "sqlite":
            yield Path(data), None
            return
        named = os.environ.get("TALLYSTICK_TEST_POSTGRES_URL")
        server = nullcontext(named_server(named)) if named else throwaway_server(durable=True)
        with server as server_url, fresh_database(server_url, next(database_names("kill"))) as url:
            yield Path(data), url


@dataclass(slots=True)
class Client:
    """What the client of the writer knows."""

    acknowledged: Acknowledged = field(default_factory=dict)
    batches: int = 0
    """Batches that were acknowledged whole; the next one may be in the log or not."""
    repeated: int = 0

    def hear(self, line: bytes) -> None:
        """Take an acknowledgement; one that was heard before must say the same."""
        number, found = read_ack(line)
        for request, answer in found.items():
            known = self.acknowledged.setdefault(request, answer)
            assert known == answer, f"request {request}: acknowledged as {known} before, now as {answer}"
        self.repeated += number < self.batches
        self.batches = max(self.batches, number + 1)


def kill_and_reconcile(
    report: Report, database: str, data: Path, url: str | None, arguments: argparse.Namespace
) -> dict[str, int]:
    """All cycles on one log; a cycle passes when nothing that was acknowledged is lost, doubled or answered anew."""
    prepare(data, url)
    draw = np.random.default_rng(arguments.seed)
    client = Client()
    in_recovery = 0
    replay = f"--cycles {arguments.cycles} --database {database} --seed {arguments.seed}"
    for cycle in range(arguments.cycles):
        while_recovering = cycle % 5 == 4
        in_recovery += while_recovering
        life_s = float(draw.random()) * (RECOVERY_S_MAX if while_recovering else LIFE_S_MAX)
        try:
            run_and_kill(client, data, url, arguments.seed, life_s=life_s, while_recovering=while_recovering)
            reconcile(client, data, url, arguments.seed, thorough=cycle in {0, arguments.cycles - 1})
        except AssertionError as error:
            report.fail(f"{database}, cycle {cycle}: {error}", replay=replay)
            break
        report.passed += 1
        report.progress(f"{database}: {cycle + 1} kills, {len(client.acknowledged)} commands acknowledged")
    if not client.acknowledged:
        report.fail(f"{database}: no writer lived long enough to acknowledge anything", replay=replay)
    return {
        "cycles": arguments.cycles,
        "killed_in_recovery": in_recovery,
        "commands_acknowledged": len(client.acknowledged),
        "batches_asked_again": client.repeated,
    }


def run_and_kill(
    client: Client, data: Path, url: str | None, seed: int, *, life_s: float, while_recovering: bool
) -> None:
    """One life of a writer; what it acknowledged before it died counts."""
    first = max(0, client.batches - AGAIN)
    command = [sys.executable, "-m", "tests.campaigns.load", str(data), "--seed", str(seed), "--first", str(first)]
    if url:
        command += ["--url", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"recovering\n", "the writer did not start"
        if not while_recovering:
            assert writer.stdout.readline() == b"ready\n", "the writer did not recover"
        alive_until = time.monotonic() + life_s
        # The pipe holds 64 KiB, which a life does not fill, so the writer never waits for its client.
        while time.monotonic() < alive_until and writer.poll() is None:
            time.sleep(min(0.005, max(0.0, alive_until - time.monotonic())))
        assert writer.poll() is None, f"the writer ended by itself with {writer.returncode}"
        writer.kill()
        for line in writer.stdout.read().split(b"\n")[:-1]:
            if line.startswith(b"{"):
                client.hear(line)


def reconcile(client: Client, data: Path, url: str | None, seed: int, *, thorough: bool) -> None:
    """Compare the log with what was acknowledged."""
    with LogRecorder(url or f"sqlite:///{data}/log.sqlite") as recorder:
        store = Store(recorder)
        replay = recover(store, None, LIMITS)
        present = requests_in_log(store)
        missing = check_promises(replay, present, client.acknowledged)
        assert not missing, f"{missing} acknowledged commands are lost"
        asked = [request for number in range(client.batches + 1) for request in requests_in(seed, number)]
        unexplained = present.keys() - {request_id(request) for request in asked}
        assert not unexplained, f"{len(unexplained)} requests in the log that nobody sent"
        in_flight = [present[request_id(request)] for request in requests_in(seed, client.batches)]
        assert sum(in_flight) in {0, len(in_flight)}, f"batch {client.batches} is in the log in part: {in_flight}"
        if thorough:
            verify(store, LIMITS)


if __name__ == "__main__":
    sys.exit(main())

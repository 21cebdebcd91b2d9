"""What a disk may hold after a crash, and that the house recovers from all of it.

A real writer runs under load with a shim that records every write, sync, truncation and removal of its log's files,
and its acknowledgements among them. An image is what a power cut may leave: everything up to the last sync of a file,
and of what came after it nothing, everything, some of it, or some of it torn at 512-byte sectors. Each image is
recovered the real way; every acknowledged command must be in it once, and no batch in part.

With `synchronous=NORMAL` the writer acknowledges before it syncs. The same images of such a run must show lost
commands, or this campaign could not see any, and fails.
"""

from __future__ import annotations

import argparse
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np

from domain.events import TOPIC_OF, DepositRecorded
from ledger.blocks import TOPIC, decode_block
from ledger.recorder import LogRecorder
from ledger.recovery import recover
from ledger.replay import Replay
from ledger.store import Store
from ledger.verifier import verify
from matching.layout import Kind, Section
from tests.campaigns.harness import Report, Skipped, parser, run
from tests.campaigns.load import (
    LIMITS,
    Acknowledged,
    acknowledged,
    batch,
    open_house,
    prepare,
    read_ack,
    requests_in,
)
from tests.simulation.market import START_NS, request_id

NAME = "crash-images"
SHIM = Path(__file__).with_name("record_writes.c")
DEPOSIT = TOPIC_OF[DepositRecorded]
SECTOR = 512
IMAGES_A_RECORDING = 500
BATCHES = 40
CHECKPOINT_PAGES = 16
"""Small, so that a short run moves its write-ahead log into the database many times."""
VERIFY_EVERY = 50
"""Of so many images one is verified in full and written to again."""


def main() -> int:
    arguments = parser(NAME, __doc__)
    arguments.add_argument("--count", type=int, default=2_000, help="images of the durable writer (default 2000)")
    arguments.add_argument("--image", type=int, help="make only the image of this number")
    return run(NAME, arguments.parse_args(), work)


def work(report: Report, arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(dir=_quick_folder()) as name:
        folder = Path(name)
        shim = build_shim(folder)
        if arguments.image is not None:
            recording = record(shim, folder / "full", arguments.seed, synchronous="FULL")
            check_images(report, recording, (arguments.image,), folder / "image", Found())
            return
        durable, hasty = Found(), Found(loss_is_expected=True)
        for at, first in enumerate(range(0, arguments.count, IMAGES_A_RECORDING)):
            seed = arguments.seed + at
            images = range(min(IMAGES_A_RECORDING, arguments.count - first))
            recording = record(shim, folder / f"full-{seed}", seed, synchronous="FULL")
            check_images(report, recording, images, folder / "image", durable)
            report.details["full"] = durable.figures()
        recording = record(shim, folder / "normal", arguments.seed, synchronous="NORMAL")
        check_images(report, recording, range(max(20, arguments.count // 20)), folder / "image", hasty)
        report.details["normal"] = hasty.figures()
        if hasty.images_with_loss:
            report.passed += 1
        else:
            report.fail(
                "synchronous=NORMAL lost nothing: these images prove nothing", replay=f"--count {arguments.count}"
            )


def _quick_folder() -> str | None:
    """In memory where that is possible: images are small and many."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - a folder of our own is made in it


def build_shim(folder: Path) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise Skipped("no C compiler found: it is needed for the shim that records the writes")
    shim = folder / "record_writes.so"
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", shim, SHIM, "-ldl", "-pthread"], check=True)
    return shim


# -- the recording -----------------------------------------------------------------------------------------------------


class What(IntEnum):
    WRITE = 1
    SYNC = 2
    TRUNCATE = 3
    UNLINK = 4


class File(IntEnum):
    DATABASE = 0
    WAL = 1
    ACKS = 2


class Step(NamedTuple):
    """One recorded call, as in record_writes.c."""

    what: What
    file: File
    offset: int
    data: bytes


ROW = struct.Struct("<iiqq")


@dataclass(frozen=True, slots=True)
class Recording:
    """A run of the writer: its files before, and what it did to them."""

    seed: int
    synchronous: str
    keys: Path
    before: bytes
    """The database before the first step; there was no write-ahead log."""
    steps: tuple[Step, ...]


def record(shim: Path, data: Path, seed: int, *, synchronous: str) -> Recording:
    """Let a writer process its batches under the shim."""
    prepare(data)
    database, recording = data / "log.sqlite", data / "recording"
    before = database.read_bytes()
    command = [sys.executable, "-m", "tests.campaigns.load", data, "--seed", seed, "--batches", BATCHES]
    command += ["--synchronous", synchronous, "--checkpoint-pages", CHECKPOINT_PAGES, "--acks", f"{database}.acks"]
    environment = {
        "LD_PRELOAD": str(shim),
        "TALLYSTICK_RECORDED": os.path.realpath(database),
        "TALLYSTICK_RECORDING": str(recording),
    }
    subprocess.run([str(word) for word in command], check=True, env=os.environ | environment)
    return Recording(seed, synchronous, data / "keys.sqlite", before, tuple(_steps(recording.read_bytes())))


def _steps(recorded: bytes) -> Iterator[Step]:
    at = 0
    while at < len(recorded):
        what, file, offset, length = ROW.unpack_from(recorded, at)
        at += ROW.size
        yield Step(What(what), File(file), offset, recorded[at : at + length])
        at += length


# -- images ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Disk:
    """One file: what surely survives, and the steps since its last sync."""

    durable: bytearray | None
    pending: list[Step] = field(default_factory=list)

    def take(self, step: Step) -> None:
        if step.what is What.SYNC:
            for waiting in self.pending:
                self.durable = applied(self.durable, waiting)
            self.pending.clear()
        else:
            self.pending.append(step)

    def survivor(self, mode: str, draw: np.random.Generator) -> bytearray | None:
        """What is on the disk after a crash now."""
        content = None if self.durable is None else bytearray(self.durable)
        for step in self.pending:
            if mode == "dropped" or (mode in {"some", "torn"} and draw.random() < 0.5):
                continue
            if mode == "torn" and step.what is What.WRITE:
                for sector in range(0, len(step.data), SECTOR):
                    if draw.random() < 0.6:
                        piece = Step(What.WRITE, step.file, step.offset + sector, step.data[sector : sector + SECTOR])
                        content = applied(content, piece)
            else:
                content = applied(content, step)
        return content


def applied(content: bytearray | None, step: Step) -> bytearray | None:
    if step.what is What.UNLINK:
        return None
    content = bytearray() if content is None else content
    end = step.offset + (len(step.data) if step.what is What.WRITE else 0)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    if step.what is What.TRUNCATE:
        del content[end:]
    else:
        content[step.offset : end] = step.data
    return content


MODES = ("dropped", "kept", "some", "torn")


class Image(NamedTuple):
    """What a crash after `after` steps may leave, and what was acknowledged by then."""

    number: int
    mode: str
    after: int
    database: bytearray
    wal: bytearray | None
    acks: bytes


def images_of(recording: Recording, numbers: range | tuple[int, ...]) -> Iterator[Image]:
    """The images of these numbers, in the order of their crashes. Each follows from the seed and its number alone."""
    steps = recording.steps
    crashes: dict[int, list[int]] = {}
    for number in numbers:
        after = 1 + int(np.random.default_rng([recording.seed, number]).integers(len(steps)))
        crashes.setdefault(after, []).append(number)
    disks = {File.DATABASE: Disk(bytearray(recording.before)), File.WAL: Disk(None)}
    acks = bytearray()
    for after, step in enumerate(steps, 1):
        if step.file is File.ACKS:
            acks += step.data
        else:
            disks[step.file].take(step)
        for number in crashes.get(after, ()):
            draw = np.random.default_rng([recording.seed, number, after])
            mode = MODES[number % len(MODES)]
            database = disks[File.DATABASE].survivor(mode, draw)
            assert database is not None
            yield Image(number, mode, after, database, disks[File.WAL].survivor(mode, draw), bytes(acks))


# -- checks ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Found:
    """What images showed; expected losses are counted but are no failure."""

    loss_is_expected: bool = False
    images: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    lost: int = 0
    images_with_loss: int = 0
    verified: int = 0
    seconds: float = 0.0

    def figures(self) -> dict[str, object]:
        count = sum(self.images.values())
        return {
            "images": dict(self.images),
            "commands_acknowledged": self.acknowledged,
            "commands_lost": self.lost,
            "images_with_loss": self.images_with_loss,
            "verified_and_written_to": self.verified,
            "images_per_s": round(count / self.seconds) if self.seconds else 0,
        }


def check_images(
    report: Report, recording: Recording, numbers: range | tuple[int, ...], folder: Path, found: Found
) -> None:
    """Recover every image of a recording, in `folder`."""
    started = report.seconds()
    for image in images_of(recording, numbers):
        write_image(image, recording, folder)
        promised = promises(image.acks)
        found.images[image.mode] += 1
        found.acknowledged += len(promised)
        thorough = image.number % VERIFY_EVERY == 0 and not found.loss_is_expected
        where = f"image {image.number} of recording {recording.seed} ({image.mode}, after step {image.after})"
        replay = f"--seed {recording.seed} --image {image.number}"
        try:
            lost = check_image(folder, recording.seed, image.acks, promised, thorough=thorough)
        except Exception as error:  # noqa: BLE001 - whatever the house did not recover from is the finding
            report.fail(f"{where}: {type(error).__name__}: {error}", replay=replay)
            continue
        found.verified += thorough
        found.lost += lost
        found.images_with_loss += lost > 0
        if lost and not found.loss_is_expected:
            report.fail(f"{where}: {lost} acknowledged commands lost", replay=replay)
        elif not found.loss_is_expected:
            report.passed += 1
        report.progress(f"{sum(found.images.values())} images with synchronous={recording.synchronous}")
    found.seconds += report.seconds() - started


def write_image(image: Image, recording: Recording, folder: Path) -> None:
    """Lay the image down where a log is; the keys have a file of their own, which was synced before the run."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "log.sqlite").write_bytes(image.database)
    if image.wal is not None:
        (folder / "log.sqlite-wal").write_bytes(image.wal)
    shutil.copy(recording.keys, folder)


def promises(acks: bytes) -> Acknowledged:
    """What had been acknowledged by whole lines."""
    found: Acknowledged = {}
    for line in acks.split(b"\n")[:-1]:
        if line.startswith(b"{"):
            found |= read_ack(line)[1]
    return found


def check_image(folder: Path, seed: int, acks: bytes, promised: Acknowledged, *, thorough: bool) -> int:
    """How many acknowledged commands are missing; raises where anything is doubled, different or half applied."""
    with LogRecorder(f"sqlite:///{folder}/log.sqlite") as recorder:
        store = Store(recorder)
        replay = recover(store, None, LIMITS)
        present = requests_in_log(store)
        missing = check_promises(replay, present, promised)
        check_whole_batches(present, seed)
        if thorough:
            verify(store, LIMITS)
    if thorough and not missing:
        check_writing(folder, seed, acks.count(b'{"batch"'))
    return missing


def requests_in_log(store: Store) -> Counter[bytes]:
    """How often each request id is in the log; every deposit has its fact."""
    found: Counter[bytes] = Counter()
    deposits = movements = 0
    for entry in store.read():
        if entry.topic == TOPIC:
            block = decode_block(entry.state)
            found.update(block.rows(Section.REQUESTS)["request_id"].tolist())
            movements += int((block.rows(Section.COMMANDS)["kind"] == Kind.JOURNAL).sum())
        else:
            deposits += entry.topic == DEPOSIT
    assert deposits == movements, f"{movements} movements for {deposits} deposits"
    return found


def check_promises(replay: Replay, present: Counter[bytes], promised: Acknowledged) -> int:
    assert replay.requests is not None
    missing = 0
    for number, (command, order, code) in promised.items():
        wanted = request_id(number)
        known = replay.requests.known(wanted, START_NS)
        assert present[wanted] == (known is not None), f"request {number} is in the log {present[wanted]} times"
        if known is None:
            missing += 1
            continue
        result = known["result"]
        held = (int(result["command"]), int(result["order"]), int(result["code"]))
        assert held == (command, order, code), (
            f"request {number}: acknowledged {(command, order, code)}, in the log {held}"
        )
    return missing


def check_whole_batches(present: Counter[bytes], seed: int) -> None:
    """A batch is one append: all its requests are in the log, or none."""
    for number in range(BATCHES):
        wanted = requests_in(seed, number)
        there = sum(present[request_id(request)] for request in wanted)
        assert there in (0, len(wanted)), f"batch {number}: {there} of {len(wanted)} requests are in the log"


def check_writing(folder: Path, seed: int, batches: int) -> None:
    """The house opens on the image, repeats its last replies and goes on."""
    house = open_house(folder)
    try:
        for number in (batches - 1, batches, batches + 1):
            if number < 0:
                continue
            first = acknowledged(number, house.process(batch(seed, number)))
            again = acknowledged(number, house.process(batch(seed, number)))
            assert first == again, number
    finally:
        house.close()


if __name__ == "__main__":
    sys.exit(main())

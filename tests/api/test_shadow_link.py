"""The shadow process: it hears, it reports, it leaves with its writer, and its failure stops the house."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from api.bootstrap import House, ShadowFailed, places
from api.shadow import ShadowLink
from ledger.sequencer import SequencerStopped, Tick

PATIENCE = 60.0


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_day_ends_with_a_root_that_both_processes_found(tmp_path: Path) -> None:
    where = places(tmp_path)
    with House(where) as house, ShadowLink(where) as house.shadow:
        for _ in range(3):
            house.end_of_day(house.state.at_ns)
        topics = [entry.topic for entry in house.store.read()]
    assert topics.count("StateRootRecorded.1") == 3


def test_a_shadow_that_dies_stops_the_house(tmp_path: Path) -> None:
    where = places(tmp_path)
    with House(where) as house, ShadowLink(where, on_failure=house.sequencer.stop) as link:
        house.shadow = link
        house.end_of_day(house.state.at_ns)
        os.kill(link.pid, signal.SIGKILL)
        with pytest.raises(ShadowFailed):
            link.root(10**9)
        with pytest.raises(SequencerStopped):
            house.process([Tick()])


def test_a_shadow_leaves_when_its_writer_is_killed(tmp_path: Path) -> None:
    child = textwrap.dedent(
        f"""
        import time
        from pathlib import Path
        from api.bootstrap import House, places
        from api.shadow import ShadowLink
        where = places(Path({str(tmp_path)!r}))
        house = House(where)
        link = ShadowLink(where)
        house.shadow = link
        house.end_of_day(house.state.at_ns)
        print(link.pid, flush=True)
        time.sleep({PATIENCE})
        """
    )
    with subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        shadow = int(writer.stdout.readline())
        assert is_alive(shadow)
        writer.kill()
        writer.wait()
    wait_until(lambda: not is_alive(shadow), "the shadow outlived its writer")

"""Followed exactly once, whatever stops the follower and wherever (invariant I9)."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Table, func, select

from ledger.recorder import LogRecorder
from projections.database import Generations, ReadDatabase, generations_at
from projections.market import Market, trades
from projections.models import read_models
from projections.projection import Batch, ReadModel
from projections.rebuild import hashes_of
from projections.runner import (
    Follower,
    Following,
    GenerationOutdated,
    current_or_new,
    flow_at,
    new_generation,
)
from tests.simulation.market import Desk, quick_log
from tests.simulation.story import Story, room


def a_log(seed: int, commands: int = 120) -> Desk:
    desk = Desk(out_rows=room(seed) if seed % 2 else None)
    Story(seed=seed, desk=desk).tell(commands)
    return desk


@contextmanager
def built(desk: Desk, generations: Generations) -> Iterator[ReadDatabase]:
    """A generation that was built in one go."""
    with new_generation(generations, read_models()) as database:
        Follower(desk.recorder, database, read_models()).catch_up()
        yield database


class Killed(Exception):
    """The process has gone."""


class Bomb:
    """A read model that has no tables and goes off at a call of fold or write."""

    name = "bomb"
    version = 1
    tables: Sequence[Table] = ()

    def __init__(self, calls: int) -> None:
        self.calls_left = calls

    def load(self, connection: Connection) -> None:
        """It knows nothing."""

    def fold(self, batch: Batch) -> None:  # noqa: ARG002
        self._tick()

    def write(self, connection: Connection) -> None:  # noqa: ARG002
        self._tick()

    def _tick(self) -> None:
        self.calls_left -= 1
        if self.calls_left == 0:
            raise Killed


def models_with(bomb: Bomb, place: int) -> list[ReadModel]:
    models = read_models()
    return [*models[:place], bomb, *models[place:]]


def follow_with_kills(desk: Desk, database: ReadDatabase, seed: int) -> int:
    """Follow to the end of the log with a follower after the other; returns how many were killed."""
    draw = random.Random(seed)
    kills = 0
    while database.position() < desk.recorder.max_position():
        models = models_with(Bomb(1 + draw.randrange(6)), draw.randrange(len(read_models()) + 1))
        follower = Follower(desk.recorder, database, models, keep_flow_every=draw.choice((1, 50, 10**6)))
        try:
            while follower.position < desk.recorder.max_position():
                follower.catch_up(follower.position + 1 + draw.randrange(25), entries=1 + draw.randrange(12))
        except Killed:
            kills += 1
    return kills


def test_killed_between_any_two_steps_it_goes_on_and_ends_as_one_that_never_stopped(generations: Generations) -> None:
    desk = a_log(3, 250)
    with built(desk, generations) as once, new_generation(generations, models_with(Bomb(0), 0)) as database:
        assert follow_with_kills(desk, database, 1) >= 10
        assert hashes_of(database, read_models()) == hashes_of(once, read_models())


@hypothesis_settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**31))
def test_any_history_followed_with_kills_is_the_one_built_in_one_go(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    desk = a_log(seed)
    generations = generations_at(tmp_path_factory.mktemp("generations"))
    with built(desk, generations) as once, new_generation(generations, models_with(Bomb(0), 0)) as database:
        follow_with_kills(desk, database, seed)
        assert hashes_of(database, read_models()) == hashes_of(once, read_models())


def test_a_follower_stopped_after_every_entry_ends_alike(generations: Generations) -> None:
    desk = a_log(5, 40)
    with built(desk, generations) as once, new_generation(generations, read_models()) as database:
        for position in range(1, desk.recorder.max_position() + 1):
            follower = Follower(desk.recorder, database, read_models(), keep_flow_every=30)
            follower.catch_up(position)
            assert follower.position == database.position() == position
        assert hashes_of(database, read_models()) == hashes_of(once, read_models())


def test_killed_with_a_signal_in_a_process_of_its_own_it_goes_on(tmp_path: Path) -> None:
    """The real thing, on a file: SIGKILL while it commits batch after batch."""
    recorder = quick_log(tmp_path / "log.sqlite")
    desk = Desk(recorder)
    Story(seed=8, desk=desk).tell(400)
    generations = generations_at(tmp_path / "projections")
    new_generation(generations, read_models(), make_current=True).close()
    script = (
        "import sys; from pathlib import Path\n"
        "from ledger.recorder import LogRecorder\n"
        "from projections.database import generations_at\n"
        "from projections.models import read_models\n"
        "from projections.runner import Follower\n"
        "log = LogRecorder(f'sqlite:///{sys.argv[1]}/log.sqlite')\n"
        "database = generations_at(Path(sys.argv[1]) / 'projections').open()\n"
        "follower = Follower(log, database, read_models(), keep_flow_every=40)\n"
        "while follower.position < log.max_position():\n"
        "    follower.catch_up(follower.position + 3)\n"
        "    print(follower.position, flush=True)\n"
    )
    for lines in (3, 12):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        assert process.stdout is not None
        for _ in range(lines):
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    with generations.open() as database, built(desk, generations) as once:
        assert 0 < database.position() < recorder.max_position()
        Follower(recorder, database, read_models()).catch_up()
        assert hashes_of(database, read_models()) == hashes_of(once, read_models())
    recorder.close()


def test_the_flow_fold_of_a_generation_goes_on_with_the_whole_life_of_open_orders(generations: Generations) -> None:
    desk = a_log(2, 300)
    with new_generation(generations, read_models()) as database:
        Follower(desk.recorder, database, read_models(), keep_flow_every=100).catch_up(
            desk.recorder.max_position() - 5, entries=20
        )
        position, flow = flow_at(desk.recorder, database)
        Follower(desk.recorder, database, read_models()).catch_up()
        end, whole = flow_at(desk.recorder, database)
    assert (position, end) == (desk.recorder.max_position() - 5, desk.recorder.max_position())
    with new_generation(generations, []) as database:
        Follower(desk.recorder, database, []).catch_up(position)
        again = flow_at(desk.recorder, database)[1]
    assert again.open_orders().tolist() == flow.open_orders().tolist()
    assert len(whole.open_orders())


def test_a_generation_of_other_read_models_is_refused_and_a_new_one_takes_its_place(generations: Generations) -> None:
    desk = a_log(4, 30)
    with current_or_new(generations, [Market()]) as first:
        Follower(desk.recorder, first, [Market()]).catch_up()
        with pytest.raises(GenerationOutdated):
            Follower(desk.recorder, first, read_models())
    with current_or_new(generations, [Market()]) as same:
        assert (same.generation, same.position()) == (1, desk.recorder.max_position())
    with current_or_new(generations, read_models()) as second:
        assert (second.generation, second.position()) == (2, 0)
    assert generations.current() == 2


# -- as the log grows --------------------------------------------------------------------------------------------------


@contextmanager
def in_a_thread(run: Callable[[], None], stop: Callable[[], None]) -> Iterator[None]:
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join(30)
    assert not thread.is_alive()
    assert not failures, failures


def test_a_follower_keeps_up_with_a_log_that_grows(tmp_path: Path, generations: Generations) -> None:
    recorder = quick_log(tmp_path / "log.sqlite")
    desk = Desk(recorder)
    story = Story(seed=6, desk=desk)
    with LogRecorder(f"sqlite:///{tmp_path}/log.sqlite") as log, new_generation(generations, read_models()) as database:
        follower = Follower(log, database, read_models())
        with in_a_thread(follower.run, follower.stop):
            for _ in range(5):
                story.tell(30)
                database.tracking.wait("log", desk.store.position, timeout=30)
        with built(desk, generations) as once:
            assert hashes_of(database, read_models()) == hashes_of(once, read_models())
    recorder.close()


def test_following_goes_on_with_a_generation_that_is_swapped_in(tmp_path: Path, generations: Generations) -> None:
    recorder = quick_log(tmp_path / "log.sqlite")
    desk = Desk(recorder)
    story = Story(seed=7, desk=desk)
    story.tell(30)
    following = Following(recorder, generations, read_models)
    with in_a_thread(following.run, following.stop):
        story.tell(30)
        wait_until(lambda: following.position == desk.store.position)
        with new_generation(generations, read_models()) as second:
            generations.make_current(second.generation)
            # Nothing new is in the log, and yet it is caught up with.
            second.tracking.wait("log", desk.store.position, timeout=30)
            story.tell(30)
            second.tracking.wait("log", desk.store.position, timeout=30)
            with second.engine.connect() as connection:
                assert connection.scalar(select(func.count()).select_from(trades))
    recorder.close()


def wait_until(true: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(600):
        if true():
            return
        pause.wait(0.05)
    raise AssertionError("it did not become true")

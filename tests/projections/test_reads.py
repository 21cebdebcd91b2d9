"""Readers ask the current generation from an event loop, wait for their own writes, and notice a swap."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import OperationalError

from ledger.sequencer import Ask, Reply
from projections import reads as reads_module
from projections.assets import Assets, all_parties
from projections.compliance import Compliance, entries
from projections.database import Generations, ReadDatabase, generations_at
from projections.projection import ReadModel
from projections.reads import ProjectionLagging, QuestionTooSlow, Reads, ReadsUnavailable, _Asked
from projections.runner import Follower, new_generation
from tests.simulation.market import FIRST_TRADER, OFFICER, START_NS, Desk, a_deposit


def models() -> list[ReadModel]:
    return [Assets(), Compliance()]


class Place:
    """A house with generations of its read models."""

    def __init__(self, place: Generations) -> None:
        self.desk = Desk()
        self.desk.set_up(traders=2)
        self.generations = place

    def generation(self, until: int | None = None) -> ReadDatabase:
        """A new one, made current after it followed so far."""
        database = new_generation(self.generations, models())
        Follower(self.desk.recorder, database, models()).catch_up(until)
        self.generations.make_current(database.generation)
        return database

    def goes_on(self) -> None:
        """One more thing happens."""
        answer = self.desk.process(Ask(a_deposit(FIRST_TRADER, 100, "one-more"), OFFICER, at_ns=START_NS))[0]
        assert isinstance(answer, Reply), answer

    @property
    def end(self) -> int:
        return self.desk.recorder.max_position()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(generations_at(tmp_path / "projections"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look so often that no test waits."""
    monkeypatch.setattr(reads_module, "LOOK_SECONDS", 0.005)
    monkeypatch.setattr(reads_module, "GENERATION_EVERY", 1)


def test_a_question_is_answered_with_the_position_that_it_is_of(place: Place) -> None:
    async def ask(reads: Reads) -> None:
        answered = await reads.answer(all_parties, limit=2)
        assert [row.party for row in answered.found] == [1, 2] and answered.position == place.end
        assert await reads.ask(lambda connection: len(entries(connection, limit=10_000))) == place.end
        assert reads.generation == 1
        await reads.wait(place.end)
        assert reads.position() == place.end and reads.lag(place.end + 3) == 3 and reads.lag(1) == 0

    with place.generation(), Reads(place.generations) as reads:
        asyncio.run(ask(reads))


@pytest.mark.usefixtures("quick")
def test_a_reader_waits_for_its_write_and_is_told_at_once(place: Place) -> None:
    async def ask(reads: Reads, database: ReadDatabase) -> None:
        behind = place.end
        place.goes_on()
        waiting = [asyncio.create_task(reads.wait(place.end)) for _ in range(20)]
        await asyncio.sleep(0.02)
        assert not any(task.done() for task in waiting) and reads.position() == behind
        follower = Follower(place.desk.recorder, database, models())
        await asyncio.to_thread(follower.catch_up)
        await asyncio.wait_for(asyncio.gather(*waiting), 1)
        assert reads.position() == place.end > behind

    with place.generation() as database, Reads(place.generations) as reads:
        asyncio.run(ask(reads, database))


@pytest.mark.usefixtures("quick")
def test_a_reader_that_waited_too_long_learns_how_far_the_read_models_are(place: Place) -> None:
    async def ask(reads: Reads) -> None:
        with pytest.raises(ProjectionLagging, match=f"they show position {place.end}") as caught:
            await reads.wait(place.end + 1, seconds=0.05)
        assert (caught.value.wanted, caught.value.reached) == (place.end + 1, place.end)
        await asyncio.sleep(0.05)
        assert not reads._waiting

    with place.generation(), Reads(place.generations) as reads:
        asyncio.run(ask(reads))


@pytest.mark.usefixtures("quick")
def test_before_there_are_read_models_every_question_is_refused(place: Place) -> None:
    async def ask(reads: Reads) -> None:
        assert reads.position() == 0 and reads.generation is None
        with pytest.raises(ReadsUnavailable):
            await reads.ask(all_parties)
        with await asyncio.to_thread(place.generation):
            await reads.wait(place.end)
            assert await reads.ask(all_parties)

    with Reads(place.generations) as reads:
        asyncio.run(ask(reads))


@pytest.mark.usefixtures("quick")
def test_a_generation_that_became_current_answers_from_then_on(place: Place) -> None:
    async def ask(reads: Reads) -> None:
        assert (await reads.answer(all_parties)).position == place.end - 4
        begun, go_on = threading.Event(), threading.Event()

        def slow(connection: Connection) -> int:
            begun.set()
            go_on.wait(5)
            return len(entries(connection, limit=10_000))

        # A question that is under way ends with the generation it began with.
        under_way = asyncio.create_task(reads.ask(slow))
        await asyncio.to_thread(begun.wait, 5)
        with await asyncio.to_thread(place.generation):
            await reads.wait(place.end)
            assert reads.generation == 2 and (await reads.answer(all_parties)).position == place.end
            go_on.set()
            assert await under_way == place.end - 4

    with place.generation(place.end - 4), Reads(place.generations) as reads:
        asyncio.run(ask(reads))


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def test_an_endless_question_is_given_up_and_the_threads_go_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads_module, "QUESTION_SECONDS_MAX", 0.05)

    async def ask(reads: Reads) -> None:
        for _ in range(3):
            with pytest.raises(QuestionTooSlow):
                await reads.ask(lambda connection: connection.execute(text(ENDLESS)).all())
        monkeypatch.setattr(reads_module, "QUESTION_SECONDS_MAX", 5)
        assert await reads.ask(all_parties)

    with place.generation(), Reads(place.generations, threads=1) as reads:
        asyncio.run(ask(reads))


def test_a_reader_that_went_away_does_not_keep_its_thread(place: Place) -> None:
    async def ask(reads: Reads) -> None:
        gone = asyncio.create_task(reads.ask(lambda connection: connection.execute(text(ENDLESS)).all()))
        await asyncio.sleep(0.05)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert await asyncio.wait_for(reads.ask(all_parties), 5)

    with place.generation(), Reads(place.generations, threads=1) as reads:
        asyncio.run(ask(reads))


def test_a_question_given_up_between_two_statements_ends_at_the_next_one(tmp_path: Path) -> None:
    long = ENDLESS.replace("FROM n)", "FROM n WHERE i < 20000000)")

    def question(connection: Connection) -> None:
        asked.give_up()
        connection.execute(text(long)).all()

    asked = _Asked(question)
    with generations_at(tmp_path).create([]) as database, database.engine.connect() as connection:
        with pytest.raises(OperationalError, match="interrupted"), asked.on(connection):
            question(connection)
        connection.rollback()
        assert connection.scalar(text("SELECT 1")) == 1


def test_what_a_question_reads_is_of_one_moment_and_nothing_can_be_written(place: Place) -> None:
    async def ask(reads: Reads, database: ReadDatabase) -> None:
        def twice(connection: Connection) -> tuple[int, int]:
            first = len(entries(connection, limit=10_000))
            Follower(place.desk.recorder, database, models()).catch_up()
            return first, len(entries(connection, limit=10_000))

        behind = place.end
        place.goes_on()
        assert await reads.ask(twice) == (behind, behind)
        assert (await reads.answer(all_parties)).position == place.end
        with pytest.raises(ReadsUnavailable):
            await reads.ask(lambda connection: connection.execute(text("DELETE FROM parties")))

    with place.generation() as database, Reads(place.generations) as reads:
        asyncio.run(ask(reads, database))


def test_an_error_of_a_question_reaches_whoever_asked(place: Place) -> None:
    async def ask(reads: Reads) -> None:
        with pytest.raises(ZeroDivisionError):
            await reads.ask(lambda _connection: 1 // 0)

    with place.generation(), Reads(place.generations) as reads:
        asyncio.run(ask(reads))


def test_postgresql_is_read_in_the_same_way(postgres_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(generations_at(make_url(postgres_database)))
    endless = ENDLESS.replace("SELECT 1 UNION", "SELECT 1::bigint UNION")

    async def ask(reads: Reads, database: ReadDatabase) -> None:
        def twice(connection: Connection) -> tuple[int, int]:
            first = len(entries(connection, limit=10_000))
            Follower(place.desk.recorder, database, models()).catch_up()
            return first, len(entries(connection, limit=10_000))

        behind = place.end
        place.goes_on()
        assert await reads.ask(twice) == (behind, behind)
        await reads.wait(place.end)
        monkeypatch.setattr(reads_module, "QUESTION_SECONDS_MAX", 0.2)
        with pytest.raises(QuestionTooSlow):
            await reads.ask(lambda connection: connection.execute(text(endless)).all())

    with place.generation() as database, Reads(place.generations, threads=2) as reads:
        asyncio.run(ask(reads, database))

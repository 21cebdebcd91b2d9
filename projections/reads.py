"""Asking the read models from an event loop: threads with connections to the current generation, and its position.

Each question runs in one read transaction, so whatever it reads is of one moment. One more thread watches how far the
generation has come and whether another one has become current; it looks often while somebody waits for a position.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Concatenate, Final, Generic, NamedTuple, ParamSpec, Self, TypeVar

from sqlalchemy import Connection, select
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from projections.database import GenerationMissing, Generations, ReadDatabase
from projections.schema import TRACKING
from projections.tracking import LOG

P = ParamSpec("P")
T = TypeVar("T")

THREADS: Final = 4
LAG_SECONDS_MAX: Final = 2.0
"""How long a read waits for its position before it says that the read models are behind."""
QUESTION_SECONDS_MAX: Final = 10.0
LOOK_SECONDS: Final = 0.1
LOOK_SECONDS_AWAITED: Final = 0.003
LOOK_STEPS: Final = 50_000
"""Steps of SQLite's machine, some milliseconds, from one look at whether a question was given up to the next."""
GENERATION_EVERY: Final = 5
"""So many looks at the position to one at which generation is current."""


class ReadsUnavailable(RuntimeError):
    """There are no read models yet, or their database does not answer."""

    code: Final = "not_ready"


class ProjectionLagging(RuntimeError):
    """The read models did not reach the position in time."""

    code: Final = "projection_lagging"

    def __init__(self, wanted: int, reached: int) -> None:
        super().__init__(f"after: position {wanted} is not in the read models yet, they show position {reached}")
        self.wanted = wanted
        self.reached = reached


class QuestionTooSlow(RuntimeError):
    """A question took longer than it may and was given up."""

    code: Final = "question_too_slow"


class Answered(NamedTuple, Generic[T]):
    """What a question found, and the position of the log that it is of."""

    position: int
    found: T


class Reads:
    """The read models of one house, for readers. Coroutines belong to one event loop; the rest is for any thread."""

    def __init__(self, generations: Generations, *, threads: int = THREADS) -> None:
        """Starts watching at once; nothing needs to be there yet."""
        self._generations = generations
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="reads")
        self._database: ReadDatabase | None = None
        self._position = 0
        self._waiting: list[tuple[int, int, Future[int]]] = []
        """A heap: (position, tie-break, future)."""
        self._ties = itertools.count()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._watch_generation()
        self._look()
        self._watcher = threading.Thread(target=self._watch, name="reads-watch", daemon=True)
        self._watcher.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._closed = True
        self._wake.set()
        self._watcher.join()
        self._threads.shutdown(cancel_futures=True)
        if self._database is not None:
            self._database.close()

    @property
    def generation(self) -> int | None:
        """The generation that questions are asked of; None while there is none."""
        return None if self._database is None else self._database.generation

    def position(self) -> int:
        """The last position of the log that the read models were seen to show; 0 while there are none."""
        return self._position

    def lag(self, log_position: int) -> int:
        """How many entries of a log that ends there are not in the read models yet."""
        return max(0, log_position - self._position)

    async def wait(self, position: int, seconds: float = LAG_SECONDS_MAX) -> None:
        """Return as soon as the read models show the position. Raises ProjectionLagging."""
        if self._position >= position:
            return
        reached: Future[int] = Future()
        with self._lock:
            heapq.heappush(self._waiting, (position, next(self._ties), reached))
        self._wake.set()
        try:
            await asyncio.wait_for(asyncio.wrap_future(reached), seconds)
        except TimeoutError:
            raise ProjectionLagging(position, self._position) from None

    async def ask(self, question: Callable[Concatenate[Connection, P], T], *args: P.args, **named: P.kwargs) -> T:
        """The answer to `question(connection, …)`. Raises ReadsUnavailable, QuestionTooSlow and what it raises."""
        return (await self.answer(question, *args, **named)).found

    async def answer(
        self, question: Callable[Concatenate[Connection, P], T], *args: P.args, **named: P.kwargs
    ) -> Answered[T]:
        """As `ask`, with the position that the answer is of."""
        asked = _Asked(lambda connection: question(connection, *args, **named))
        running = asyncio.get_running_loop().run_in_executor(self._threads, self._run, asked)
        try:
            return await asyncio.wait_for(asyncio.shield(running), QUESTION_SECONDS_MAX)
        except TimeoutError:
            raise QuestionTooSlow(f"a question took more than {QUESTION_SECONDS_MAX:g} s") from None
        finally:
            if not running.done():
                # Also where whoever asked has gone: nobody takes the answer any more.
                running.add_done_callback(_forget)
                asked.give_up()

    def _run(self, asked: _Asked) -> Answered[Any]:
        with _outages():
            database = self._database
            if database is None:
                raise ReadsUnavailable("there are no read models yet")
            with _reading(database) as connection, asked.on(connection):
                position = connection.scalar(select(TRACKING.c.position).where(TRACKING.c.name == LOG))
                return Answered(position or 0, asked.question(connection))

    def _watch(self) -> None:
        looks = 0
        while not self._closed:
            looks += 1
            if looks % GENERATION_EVERY == 0 or self._database is None:
                self._watch_generation()
            self._look()
            with self._lock:
                awaited = bool(self._waiting)
            self._wake.wait(LOOK_SECONDS_AWAITED if awaited else LOOK_SECONDS)
            self._wake.clear()

    def _watch_generation(self) -> None:
        """Change over to the generation that is current now; questions under way end with the one they began with."""
        with contextlib.suppress(GenerationMissing, SQLAlchemyError, OSError):
            if self._generations.current() == self.generation:
                return
            before, self._database = self._database, self._generations.open(read_only=True)
            if before is not None:
                before.close()

    def _look(self) -> None:
        """Take notice of the position and tell those who waited for it."""
        database = self._database
        if database is None:
            return
        try:
            self._position = database.position()
        except SQLAlchemyError:
            return  # Whoever asks is told; the next look may find it again.
        with self._lock:
            self._waiting = [one for one in self._waiting if not one[2].cancelled()]
            heapq.heapify(self._waiting)
            while self._waiting and self._waiting[0][0] <= self._position:
                _, _, reached = heapq.heappop(self._waiting)
                if reached.set_running_or_notify_cancel():
                    reached.set_result(self._position)


class _Asked:
    """A question on its way, which may be given up from another thread."""

    def __init__(self, question: Callable[[Connection], Any]) -> None:
        self.question = question
        self._lock = threading.Lock()
        self._driver: Any = None
        self._given_up = False

    @contextlib.contextmanager
    def on(self, connection: Connection) -> Iterator[None]:
        """While it runs on this connection."""
        driver: Any = connection.connection.driver_connection
        is_sqlite = connection.dialect.name == "sqlite"
        with self._lock:
            if self._given_up:
                raise QuestionTooSlow("given up before it began")
            if is_sqlite:
                # SQLite asks again and again: an interrupt between two statements would be lost.
                driver.set_progress_handler(lambda: self._given_up, LOOK_STEPS)
            else:
                self._driver = driver
        try:
            yield
        finally:
            with self._lock:
                self._driver = None
            if is_sqlite:
                driver.set_progress_handler(None, 0)

    def give_up(self) -> None:
        """Stop the statement that runs, if one does, and begin no other."""
        with self._lock:
            self._given_up = True
            if self._driver is not None:
                self._driver.cancel()


@contextlib.contextmanager
def _reading(database: ReadDatabase) -> Iterator[Connection]:
    """A connection whose reads are all of one moment."""
    engine = database.engine
    if engine.dialect.name == "postgresql":
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    with engine.connect() as connection:
        yield connection


@contextlib.contextmanager
def _outages() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise ReadsUnavailable("the read models do not answer") from error


def _forget(running: asyncio.Future[Any]) -> None:
    """Take the outcome that nobody waits for."""
    if not running.cancelled():
        running.exception()

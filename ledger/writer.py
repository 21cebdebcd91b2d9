"""The writer: takes all that waits as one batch, so the batch is as large as the backlog was.

Anybody may submit; only the writer's thread touches the state. An answer is given when the append that holds it is
durable. While one batch is on its way to the disk in a thread of its own, the next one is decided: at most one is
under way and one is decided. Where nothing waits there is nothing to decide meanwhile, and the writer's thread commits
by itself.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeAlias

from ledger.sequencer import Answer, DecidedBatch, Item, Orders, Sequencer, SequencerStopped, Tick

BATCH_ROWS = 65_536
"""Order rows after which a batch is closed although more is waiting."""
IDLE_SECONDS = 0.5
"""Longest sleep while nothing waits; what becomes due is noticed no later than this."""

_CLOSE = object()
Waiting: TypeAlias = Sequence[tuple[Item, Future[Answer]]]


class Writer:
    """A sequencer behind a queue."""

    def __init__(self, sequencer: Sequencer, clock: Callable[[], int]) -> None:
        self._sequencer = sequencer
        self._clock = clock
        self._queue: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._committer = Committer()
        self._thread = threading.Thread(target=self._work, name="tallystick-writer", daemon=True)
        self._failure: BaseException | None = None
        self._open = True
        self._door = threading.Lock()
        """Held while an item is put, and while the thread ends: nothing comes in behind the last look at the queue."""

    def start(self) -> None:
        self._sequencer.store.wait_for_commits = self._committer.wait
        self._committer.start()
        self._thread.start()

    def submit(self, item: Item) -> Future[Answer]:
        """Let the item wait for its turn; the future gets its answer, or the failure that stopped the writer."""
        future: Future[Answer] = Future()
        with self._door:
            if self._open:
                self._queue.put((item, future))
            else:
                future.set_exception(self._stopped())
        return future

    def close(self) -> None:
        """Answer what waits and end the thread."""
        self._queue.put(_CLOSE)
        self._thread.join()

    @property
    def failure(self) -> BaseException | None:
        """What stopped the writer, if anything did."""
        return self._failure

    def _stopped(self) -> SequencerStopped:
        return SequencerStopped(f"the writer stopped: {self._failure or 'it was closed'}")

    def _work(self) -> None:
        closing = False
        waiting: Waiting = ()
        try:
            while not closing:
                waiting, closing = self._take()
                if waiting or self._is_due():
                    waiting = self._decide(waiting)
            self._committer.wait()
        except BaseException as failure:  # noqa: BLE001  (whatever it is, nothing may be accepted after it)
            self._failure = failure
        # What is under way ends first, well or not, and gives its answers.
        self._committer.close()
        if self._failure is not None:
            fail(waiting, self._failure)
        self._refuse_the_rest()

    def _decide(self, waiting: Waiting) -> Waiting:
        """Decide what waits and see to it that it becomes durable and is answered."""
        for decided in self._sequencer.decide([item for item, _ in waiting] or [Tick()]):
            answered, waiting = waiting[: len(decided.answers)], waiting[len(decided.answers) :]
            if decided.is_streaming or (self._queue.empty() and not waiting):
                self._committer.wait()
                commit(decided, answered)
            else:
                self._committer.take(decided, answered)
        return waiting

    def _take(self) -> tuple[Waiting, bool]:
        """All that waits, up to BATCH_ROWS order rows, and whether the thread shall end."""
        batch: list[tuple[Item, Future[Answer]]] = []
        rows = 0
        try:
            entry = self._queue.get(timeout=IDLE_SECONDS)
            while True:
                if entry is _CLOSE:
                    return batch, True
                assert isinstance(entry, tuple)
                item, future = entry
                # From here on the future cannot be canceled; one that was is not asked for any more.
                if future.set_running_or_notify_cancel():
                    batch.append((item, future))
                    rows += len(item.commands) if isinstance(item, Orders) else 1
                if rows >= BATCH_ROWS:
                    break
                entry = self._queue.get_nowait()
        except queue.Empty:
            pass
        return batch, False

    def _is_due(self) -> bool:
        due_ns = self._sequencer.next_due_ns()
        return due_ns is not None and due_ns <= self._clock()

    def _refuse_the_rest(self) -> None:
        """Let nothing in any more, and fail what came in while the thread was ending."""
        with self._door:
            self._open = False
            while True:
                try:
                    entry = self._queue.get_nowait()
                except queue.Empty:
                    return
                if isinstance(entry, tuple) and entry[1].set_running_or_notify_cancel():
                    entry[1].set_exception(self._stopped())


class Committer:
    """A thread that makes one decided batch at a time durable, and then gives its answers."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[DecidedBatch, Waiting] | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(1)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="tallystick-committer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def take(self, decided: DecidedBatch, waiting: Waiting) -> None:
        """Commit the batch after the one before it, which is waited for. Raises what that one raised."""
        self._idle.acquire()
        self._raise(waiting)
        self._queue.put((decided, waiting))

    def wait(self) -> None:
        """Return when nothing is under way. Raises what the last commit raised."""
        with self._idle:
            self._raise(())

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _raise(self, waiting: Waiting) -> None:
        if self._failure is not None:
            fail(waiting, self._failure)
            self._idle.release()
            raise self._failure

    def _work(self) -> None:
        while (taken := self._queue.get()) is not None:
            try:
                commit(*taken)
            except BaseException as failure:  # noqa: BLE001  (the writer raises it again where it waits)
                self._failure = failure
            finally:
                self._idle.release()


def commit(decided: DecidedBatch, waiting: Waiting) -> None:
    """Make a batch durable and give its answers; where that fails, what waits for them fails with it, and it raises."""
    try:
        decided.commit()
    except BaseException as failure:
        fail(waiting, failure)
        raise
    for (_, future), answer in zip(waiting, decided.answers, strict=bool(waiting)):
        future.set_result(answer)
    decided.announce()


def fail(waiting: Waiting, failure: BaseException) -> None:
    """Fail all that waits."""
    for _, future in waiting:
        if not future.done():
            future.set_exception(failure)

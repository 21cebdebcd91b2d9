"""The writer thread: takes all that waits as one batch, so the batch is as large as the backlog was.

Anybody may submit; only this thread touches the state. An answer is given when the append that holds it is durable.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future

from ledger.sequencer import Answer, Item, Orders, Sequencer, SequencerStopped, Tick

BATCH_ROWS = 65_536
"""Order rows after which a batch is closed although more is waiting."""
IDLE_SECONDS = 0.5
"""Longest sleep while nothing waits; what becomes due is noticed no later than this."""

_CLOSE = object()


class Writer:
    """A sequencer behind a queue."""

    def __init__(self, sequencer: Sequencer, clock: Callable[[], int]) -> None:
        self._sequencer = sequencer
        self._clock = clock
        self._queue: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="tallystick-writer", daemon=True)
        self._failure: BaseException | None = None
        self._open = True
        self._door = threading.Lock()
        """Held while an item is put, and while the thread ends: nothing comes in behind the last look at the queue."""

    def start(self) -> None:
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
        while not closing:
            batch, closing = self._take()
            if not batch and not self._is_due():
                continue
            try:
                answers = self._sequencer.process([item for item, _ in batch] or [Tick()])
            except BaseException as failure:  # noqa: BLE001  (whatever it is, nothing may be accepted after it)
                self._failure = failure
                for _, future in batch:
                    future.set_exception(failure)
                break
            for (_, future), answer in zip(batch, answers, strict=bool(batch)):
                future.set_result(answer)
        self._refuse_the_rest()

    def _take(self) -> tuple[list[tuple[Item, Future[Answer]]], bool]:
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

"""The hub: the one thread that follows the log for everybody who watches live.

It folds what it has gathered, and publishes, when it has read all that is committed and the doors have passed on what
they were given before. So nothing waits while the house is quiet, and under load messages grow instead of multiplying:
at most one publication is under way. While nobody watches there are few of them. What it has not read yet waits in the
log, so its memory is bounded too.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Final, NamedTuple, Protocol

from eventsourcing.persistence import Notification

from api.live.channels import Key, Message
from api.live.market import Market, View
from api.live.parties import Parties
from domain.events import Envelope, Fact
from ledger.blocks import TOPIC, Block, decode_block
from ledger.mapper import from_entry
from ledger.outages import LogOutage
from projections.flow import FlowFold

GATHERED_BYTES_MAX: Final = 16 << 20
"""Bytes of entries after which a publication is made although more is committed."""
RETRY_SECONDS: Final = 0.5
"""Between two attempts to read a log that cannot be read."""
UNWATCHED_SECONDS: Final = 0.02
"""Between two publications while no channel is open and nobody is in a hurry."""


class Following(Iterator[Notification], Protocol):
    """A subscription to a log."""

    def stop(self) -> None: ...


class Log(Protocol):
    """What the hub needs of a log's recorder."""

    def max_position(self) -> int: ...

    def subscribe(self, gt: int | None = None) -> AbstractContextManager[Following]: ...


class Opened(NamedTuple):
    """A channel's messages begin, after these texts; asked for again, the texts are where it stands."""

    key: Key
    seq: int
    snapshot: list[str]
    """Of a private channel; a public one's is made of its view."""


class Publication(NamedTuple):
    """What the doors get at once."""

    position: int
    at_ns: int
    """House time of the last entry."""
    seen_ns: int
    """Clock when the first entry in it was read, 0 if there is none."""
    views: dict[int, View]
    messages: list[Message]
    opened: list[Opened]


class Hub:
    """Follows the log from where the fold stands."""

    def __init__(
        self,
        log: Log,
        fold: FlowFold,
        market: Market,
        parties: Parties,
        *,
        position: int,
        at_ns: int,
        clock: Callable[[], int],
        deliver: Callable[[Publication], None],
        on_failure: Callable[[], None] | None = None,
    ) -> None:
        """`deliver` hands a publication to the doors; they call `delivered` when they have passed it on.

        `on_failure` is called in the hub's thread should it end by itself.
        """
        self.position = position
        self.failure: BaseException | None = None
        """Why the thread ended, if it was not told to."""
        self._log = log
        self._fold = fold
        self._market = market
        self._parties = parties
        self._at_ns = at_ns
        self._clock = clock
        self._deliver = deliver
        self._on_failure = on_failure
        self._seen_ns = 0
        self._gathered_bytes = 0
        self._blocks: list[tuple[int, Block]] = []
        self._facts: list[tuple[int, Envelope, Fact]] = []
        """What was gathered, by position."""
        self._wanted = threading.Event()
        """Set where somebody waits for the next publication."""
        self._free = threading.Event()
        self._free.set()
        self._stopping = threading.Event()
        self._requests: deque[tuple[Key, bool]] = deque()
        self._following: Following | None = None
        self._thread = threading.Thread(target=self._work, name="tallystick-live", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what it has not published is lost, and in the log."""
        self._stopping.set()
        self._free.set()
        self._wake()
        if self._thread.ident is not None:
            self._thread.join()

    def open(self, key: Key) -> None:
        """Ask for the messages of a channel, or once more for where it stands; `Opened` answers. Any thread."""
        self._requests.append((key, True))
        self._wake()

    def close(self, key: Key) -> None:
        """Make no more messages of a channel. Any thread."""
        self._requests.append((key, False))

    def delivered(self) -> None:
        """The doors have passed on the last publication. Any thread."""
        self._free.set()

    def hurry(self) -> None:
        """Publish what there is without a pause. Any thread."""
        self._wanted.set()

    def _wake(self) -> None:
        self._wanted.set()
        following = self._following
        if following is not None:
            following.stop()

    def _work(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    self._follow()
                except LogOutage:
                    self._stopping.wait(RETRY_SECONDS)
        except BaseException as failure:  # noqa: BLE001  (whoever serves looks at it and closes the doors)
            self.failure = failure
            if self._on_failure is not None:
                self._on_failure()

    def _follow(self) -> None:
        """Until somebody stops the subscription, because it asks for something or ends the thread."""
        end = self.position
        with self._log.subscribe(gt=self.position) as following:
            # Whoever asks from here on stops this subscription; whoever asked before is answered now.
            self._following = following
            if self._requests or self._gathered_bytes:
                self._publish()
            if self._stopping.is_set():
                return
            for told in following:
                self._take_in(told)
                if told.id >= end:
                    # While the doors are busy, more may have come to go out with it.
                    self._free.wait()
                    end = self._log.max_position()
                if told.id >= end or self._gathered_bytes > GATHERED_BYTES_MAX:
                    self._publish()
                    if not self._market.is_watched and not self._parties.is_watched:
                        self._wanted.wait(UNWATCHED_SECONDS)

    def _take_in(self, told: Notification) -> None:
        if not self._seen_ns:
            self._seen_ns = self._clock()
        self._gathered_bytes += len(told.state)
        if told.topic == TOPIC:
            block = decode_block(told.state)
            self._blocks.append((told.id, block))
            self._at_ns = max(self._at_ns, int(block.header["last_at_ns"]))
        else:
            stream = str(told.originator_id)
            envelope, fact = from_entry(stream, told.originator_version, told.topic, told.state)
            self._facts.append((told.id, envelope, fact))
            self._at_ns = max(self._at_ns, envelope.at_ns)
        self.position = told.id

    def _fold_gathered(self) -> None:
        folded = self._fold.apply(self._blocks, self._facts)
        for (position, _), rows in zip(self._blocks, folded.by_block(), strict=True):
            self._market.gather(position, rows)
            self._parties.gather(position, rows)
        self._blocks, self._facts = [], []
        self._gathered_bytes = 0

    def _publish(self) -> None:
        """Hand over what was gathered, then what was asked for: it stands at the same position."""
        self._free.wait()
        if self._stopping.is_set():
            return
        self._wanted.clear()
        self._fold_gathered()
        views, messages = self._market.publish(self.position, self._at_ns)
        messages += self._parties.publish(self.position, self._at_ns)
        opened = self._answer_requests()
        seen_ns, self._seen_ns = self._seen_ns, 0
        self._free.clear()
        self._deliver(Publication(self.position, self._at_ns, seen_ns, views, messages, opened))

    def _answer_requests(self) -> list[Opened]:
        opened: dict[Key, Opened] = {}
        while self._requests:
            key, wanted = self._requests.popleft()
            if not wanted:
                (self._parties if key.private else self._market).close(key)
                opened.pop(key, None)
            elif key.private:
                seq = self._parties.open(key, self.position)
                opened[key] = Opened(key, seq, self._parties.snapshot(key, self._fold, self._at_ns))
            else:
                opened[key] = Opened(key, self._market.open(key, self.position), [])
        return list(opened.values())

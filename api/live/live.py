"""Live: what the doors see of the market as it moves, and who is told.

Everything here but `start` and `stop` belongs to the event loop: what the hub publishes arrives there as one call, is
remembered, and is passed on, so a reader finds depth, rings and subscribers at the same position without any lock.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from api.live.backfill import recent_trades
from api.live.channels import Channel, Key, Ring
from api.live.depth import DEPTH, EMPTY, Depth
from api.live.hub import Hub, Opened, Publication
from api.live.market import Market, View
from api.live.messages import book_body, candles_body, snapshot, ticker_body, trade_bodies
from api.live.parties import Parties
from api.live.texts import Texts
from api.series_facts import SeriesFacts
from api.wire import rfc3339
from projections.flow import FlowFold

if TYPE_CHECKING:
    from api.bootstrap import House

LINGER_SECONDS: Final = 60
"""How long a channel without a reader goes on, so that one who comes back finds what it missed."""
LATENCIES: Final = 4_096
BEGINNING_SECONDS: Final = 5.0
"""How long somebody waits for a hub that may have ended."""


class Subscriber(Protocol):
    """Somebody who is told of channels."""

    def tell(self, key: Key, text: str) -> None:
        """The next message of a channel."""

    def restart(self, key: Key, snapshot: list[str]) -> None:
        """Where a channel stands; whatever was told of it before is void."""


class Latency(NamedTuple):
    """How long one publication took."""

    at_ns: int
    """Clock when it had been passed on to every socket that could take it."""
    since_read_ns: int
    """Since the hub read its first entry, right after the append."""
    since_command_ns: int
    """Since its last command was taken up by the writer: deciding and the durable append included."""


class _Open:
    """An open channel."""

    def __init__(self) -> None:
        self.ring: Ring | None = None
        """None until the hub has answered."""
        self.readers: set[Subscriber] = set()
        self.waiting: list[Subscriber] = []
        """Those of the readers that have been told nothing yet."""
        self.begun = asyncio.Event()
        """Set while nobody waits."""
        self.idle_seconds = 0
        self.snapshot: tuple[int, list[str]] = (-1, [])
        """The last one that was made, and the `seq` it was made at."""


class Live:
    """The live side of one house."""

    def __init__(
        self,
        house: House,
        *,
        clock: Callable[[], int],
        fold: FlowFold | None = None,
        position: int | None = None,
        on_failure: Callable[[], None] | None = None,
    ) -> None:
        """Take the house as it is between two commands: its writer has not started yet.

        With a `fold` it starts from there instead, at the fold's `position`, and catches up: a fold that followed the
        log knows what orders that were open before this start had already traded, which the writer does not remember.
        """
        state = house.state
        self.position = house.store.position if position is None else position
        """Log position up to which everything was published."""
        self.at_ns = state.at_ns
        self.views: dict[int, View] = {}
        """By series; each entry is replaced as a whole."""
        self.latencies: deque[Latency] = deque(maxlen=LATENCIES)
        self._clock = clock
        self._facts = SeriesFacts(house)
        self._texts: dict[int, Texts] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open: dict[Key, _Open] = {}
        if fold is None:
            fold = FlowFold.of_ledger(state.tables, state.catalogue)
        market = Market(self.texts)
        trades = recent_trades(
            house.recorder,
            lambda series: self.texts(series).series.tick_minor,
            at_ns=self.at_ns,
            until_position=self.position,
        )
        self.views.update(market.load(fold.levels(), trades, self.position))
        self._hub = Hub(
            house.recorder,
            fold,
            market,
            Parties(self.texts, state.catalogue.currencies),
            position=self.position,
            at_ns=self.at_ns,
            clock=clock,
            deliver=self._from_hub,
            on_failure=on_failure,
        )

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to follow; publications arrive in `loop`."""
        self._loop = loop
        self._hub.start()

    def stop(self) -> None:
        """End the hub's thread; it never waits for the event loop."""
        self._hub.stop()

    def hurry(self) -> None:
        """Publish what is committed as soon as can be: somebody waits for it. Any thread."""
        self._hub.hurry()

    @property
    def failure(self) -> BaseException | None:
        """Why the hub ended by itself, if it did."""
        return self._hub.failure

    @property
    def open_channels(self) -> int:
        """Channels whose messages are being made."""
        return len(self._open)

    # -- looking -------------------------------------------------------------------------------------------------------

    def texts(self, series: int) -> Texts:
        """How numbers of a listed series are written."""
        texts = self._texts.get(series)
        if texts is None:
            fact = self._facts.of(series)
            assert fact is not None, series
            texts = self._texts.setdefault(series, Texts(fact))
        return texts

    def view(self, series: int) -> View:
        """Depth, ticker, candles and last trades of a listed series."""
        return self.views.get(series) or View(self.texts(series))

    def book(self, series: int, depth: int = DEPTH) -> Depth:
        """The best levels of each side, as of `position` of the result."""
        view = self.views.get(series)
        found = EMPTY if view is None else view.depth
        return Depth(self.position, found.bids[:depth], found.asks[:depth], found.checksum)

    # -- subscribing ---------------------------------------------------------------------------------------------------

    def subscribe(self, key: Key, subscriber: Subscriber, from_seq: int | None = None) -> bool:
        """Tell a subscriber of a channel from now on: first where it stands, or, if that is possible, what came after
        `from_seq`, which is the answer.
        """
        channel = self._open.get(key)
        if channel is None:
            channel = self._open[key] = _Open()
        channel.readers.add(subscriber)
        channel.idle_seconds = 0
        if channel.ring is not None and from_seq is not None:
            missed = channel.ring.since(from_seq)
            if missed is not None:
                for text in missed:
                    subscriber.tell(key, text)
                return True
        if channel.ring is None or key.private:
            channel.waiting.append(subscriber)
            channel.begun.clear()
            self._hub.open(key)
        else:
            subscriber.restart(key, self.snapshot(key))
        return False

    async def begun(self, key: Key) -> None:
        """Return when every reader of a channel was told where it stands."""
        channel = self._open.get(key)
        if channel is not None and channel.waiting:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEGINNING_SECONDS):
                    await channel.begun.wait()

    def unsubscribe(self, key: Key, subscriber: Subscriber) -> None:
        channel = self._open.get(key)
        if channel is not None:
            channel.readers.discard(subscriber)
            if subscriber in channel.waiting:
                channel.waiting.remove(subscriber)

    def snapshot(self, key: Key) -> list[str]:
        """Where an open public channel stands."""
        channel = self._open[key]
        assert channel.ring is not None and not key.private, key
        seq = channel.ring.seq
        if channel.snapshot[0] != seq:
            channel.snapshot = (seq, [self._snapshot(key, seq)])
        return channel.snapshot[1]

    def _snapshot(self, key: Key, seq: int) -> str:
        view = self.view(key.number)
        texts = view.texts
        body: dict[str, object]
        match key.channel:
            case Channel.BOOK:
                body = book_body(texts, view.depth.bids, view.depth.asks, view.depth.checksum)
            case Channel.TRADES:
                body = {"trades": trade_bodies(texts, reversed(view.trades))}
            case Channel.TICKER:
                body = ticker_body(texts, view.depth, view.ticker)
            case _:
                candle = view.candles.get(key.minutes)
                body = candles_body(texts, key.minutes, [] if candle is None else [candle])
        return snapshot(key, texts.series.id, seq, rfc3339(self.at_ns), body)

    def each_second(self) -> None:
        """Close channels that nobody reads any more."""
        for key, channel in list(self._open.items()):
            if channel.readers or channel.ring is None:
                channel.idle_seconds = 0
                continue
            channel.idle_seconds += 1
            if channel.idle_seconds > LINGER_SECONDS:
                del self._open[key]
                self._hub.close(key)

    # -- publishing ----------------------------------------------------------------------------------------------------

    def _from_hub(self, publication: Publication) -> None:
        """In the hub's thread."""
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(self._receive, publication)
        except RuntimeError:
            # The loop was closed: nobody is left to be told.
            self._hub.delivered()

    def _receive(self, publication: Publication) -> None:
        assert self._loop is not None
        self.views.update(publication.views)
        self.position = publication.position
        self.at_ns = publication.at_ns
        for message in publication.messages:
            channel = self._open.get(message.key)
            if channel is None or channel.ring is None:
                continue
            channel.ring.append(message)
            for reader in channel.readers:
                if reader not in channel.waiting:
                    reader.tell(message.key, message.text)
        for opened in publication.opened:
            self._begin(opened)
        # The sockets' tasks were woken before this call is queued, so they have written when it runs.
        self._loop.call_soon(self._sent, publication)

    def _begin(self, opened: Opened) -> None:
        channel = self._open.get(opened.key)
        if channel is None:
            self._hub.close(opened.key)
            return
        if channel.ring is None:
            channel.ring = Ring(opened.seq)
        texts = opened.snapshot if opened.key.private else self.snapshot(opened.key)
        waiting, channel.waiting = channel.waiting, []
        channel.begun.set()
        for subscriber in waiting:
            subscriber.restart(opened.key, texts)

    def _sent(self, publication: Publication) -> None:
        self._hub.delivered()
        if publication.seen_ns:
            now_ns = self._clock()
            self.latencies.append(Latency(now_ns, now_ns - publication.seen_ns, now_ns - publication.at_ns))

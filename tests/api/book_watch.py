"""Clients that keep a copy of a book over real sockets while orders come and go, and lose messages and sockets."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from api.live.depth import Depth
from api.live.texts import Texts
from ledger.sequencer import OrderReplies, Orders
from matching.layout import COMMAND, FLAG_PRIMARY, Kind, Side
from tests.api.live_house import LiveHouse
from tests.api.small_house import BUYER, COLLECTOR, STUDIO
from tests.api.stream_client import ClientBook, Gap

SERIES = 1
PATIENCE_SECONDS = 30.0


class Flow:
    """Random orders of three parties, most of which rest and are canceled later."""

    def __init__(self, seed: int) -> None:
        self.changes = 0
        """Commands that the log accepted: each has changed the book."""
        self._random = random.Random(seed)
        self._open: list[tuple[int, int]] = []
        """(order, party)"""

    def rows(self, count: int) -> Any:
        """[count] of COMMAND."""
        rows = np.zeros(count, COMMAND)
        for row in rows:
            if len(self._open) > 40 and self._random.random() < 0.5:
                order, party = self._open.pop(self._random.randrange(len(self._open)))
                row["kind"], row["target"] = Kind.CANCEL, order
            else:
                party = self._random.choice((BUYER, COLLECTOR, STUDIO, STUDIO))
                sells = party == STUDIO
                row["kind"], row["series"] = Kind.NEW, SERIES
                row["side"] = Side.SELL if sells else Side.BUY
                row["flags"] = FLAG_PRIMARY if sells else 0
                row["lots"] = self._random.randint(1, 3)
                # Now and then a price at which something trades.
                near = 100 if self._random.random() < 0.99 else 98 if sells else 102
                row["price"] = near + self._random.randint(1, 25) * (1 if sells else -1)
            row["account"] = row["actor"] = party
        return rows

    def learn(self, rows: Any, replies: Any) -> None:
        assert isinstance(replies, OrderReplies), replies
        self.changes += int((replies.results["code"] == 0).sum())
        for row, result in zip(rows, replies.results, strict=True):
            if row["kind"] == Kind.NEW and result["code"] == 0 and result["lots"]:
                self._open.append((int(result["order"]), int(row["account"])))


@dataclass
class Watch:
    """What came out."""

    changes: int = 0
    """Order commands that changed the book."""
    updates: int = 0
    """Messages that were applied, over all clients."""
    levels: int = 0
    """Levels in them."""
    drops: int = 0
    gaps: int = 0
    reconnects: int = 0
    resumes: int = 0
    snapshots: int = 0
    compared: int = 0
    """Copies that were compared with the server's book, level by level."""
    books: list[ClientBook] = field(default_factory=list)


class Client:
    """One client; `faults` is how likely it loses a message, and ten times as rarely its socket."""

    def __init__(self, house: LiveHouse, watch: Watch, seed: int, faults: float) -> None:
        self.book = ClientBook()
        self.calm = False
        """Whether it loses nothing any more."""
        self._house = house
        self._watch = watch
        self._random = random.Random(seed)
        self._faults = faults
        self._asked = False
        """Whether it waits for the answer to a subscription."""

    async def run(self) -> None:
        while True:
            async with connect(self._house.url, ping_interval=None, max_size=None) as socket:
                await self._subscribe(socket)
                try:
                    while True:
                        await self._read(socket)
                except ConnectionClosed:
                    self._watch.reconnects += 1

    async def _subscribe(self, socket: ClientConnection) -> None:
        self._asked = True
        asked: dict[str, Any] = {"op": "subscribe", "channel": "book", "series": ["ONE/EUR"]}
        if self.book.seq is not None:
            asked = {**asked, "op": "resume", "from_seq": self.book.seq}
            self._watch.resumes += 1
        await socket.send(json.dumps(asked))

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async with asyncio.timeout(0.5):
                message = json.loads(await socket.recv())
        except TimeoutError:
            return
        if message.get("channel") != "book":
            assert message.get("ok", True), message
            if message.get("channel") == "heartbeat" and self.calm:
                # Nothing comes after a message that was lost at the very end, so it would never be missed.
                await self._subscribe(socket)
            return
        chance = 1.0 if self.calm else self._random.random()
        if chance < self._faults / 10:
            socket.transport.abort()
        elif chance < self._faults:
            self._watch.drops += 1
            return
        try:
            self.book.take(message)
        except Gap:
            # What was under way before the answer does not fit either.
            if not self._asked:
                self._watch.gaps += 1
                await self._subscribe(socket)
        else:
            self._asked = False
            self._watch.updates += message["type"] == "update"
            self._watch.snapshots += message["type"] == "snapshot"
            self._watch.levels += len(message["bids"]) + len(message["asks"])


async def watch_books(
    house: LiveHouse, *, clients: int, appends: int, rows: int, faults: float, seed: int, rounds: int = 3
) -> Watch:
    """Place `appends` times `rows` orders while `clients` watch, and compare all copies after each of the rounds."""
    watch = Watch()
    flow = Flow(seed)
    watching = [Client(house, watch, seed * 1_000 + at, faults) for at in range(clients)]
    tasks = [asyncio.create_task(client.run()) for client in watching]
    try:
        for _ in range(rounds):
            for client in watching:
                client.calm = False
            for _ in range(appends // rounds):
                asked = flow.rows(rows)
                flow.learn(asked, await asyncio.wrap_future(house.writer.submit(Orders(asked))))
            await _compare(house, watching, tasks, watch)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    watch.changes = flow.changes
    watch.books = [client.book for client in watching]
    return watch


async def _compare(house: LiveHouse, clients: list[Client], tasks: list[asyncio.Task[None]], watch: Watch) -> None:
    end = house.doors.house.store.position
    for client in clients:
        client.calm = True
    async with asyncio.timeout(PATIENCE_SECONDS):
        while house.doors.live.position < end or any(_differs(house, client) for client in clients):
            for task in tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(0.02)
    watch.compared += len(clients)


def _differs(house: LiveHouse, client: Client) -> bool:
    view = house.doors.live.views[SERIES]
    return client.book.sides() != texts_of(view.texts, view.depth)


def texts_of(texts: Texts, depth: Depth) -> tuple[list[tuple[str, str, int]], list[tuple[str, str, int]]]:
    """A book as its readers know it."""
    bids, asks = (
        [(texts.price(ticks), texts.quantity(lots), orders) for ticks, lots, orders in side]
        for side in (depth.bids, depth.asks)
    )
    return bids, asks

"""What every door shares: the writer behind an event loop, the hub, the read models, who asks, the clock.

All doors live in one event loop. A question to the writer is one future; the single orders of one turn of the loop are
one item for it, so that many connections cost it no more than one. Nothing here blocks.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from api.problems import Problem, problem
from api.series_facts import SeriesFacts
from domain.catalogue import Catalogue
from domain.commands import Command
from domain.rejections import Refusal
from ledger.sequencer import Ask, OrderReplies, Orders, Reply, SequencerStopped
from ledger.writer import Writer
from matching.layout import CLIENT_ID, COMMAND, REQUEST

if TYPE_CHECKING:
    from api.auth.store import AuthStore
    from api.bootstrap import House
    from api.live import Live
    from api.settings import Settings
    from projections.reads import Reads

RETRY_AFTER_MS: Final = 5_000
"""What a client is told to wait while the writer is away."""


class OrderReply(NamedTuple):
    """Answer to one order command; the first six are its RESULT row."""

    command: int
    order: int
    lots: int
    hold_minor: int
    code: int
    fills: int
    position: int
    """0 where the request was refused before the log."""
    replayed: bool
    """Whether it is the remembered answer to a request that came before."""


class Replies(NamedTuple):
    """Answers to many order commands."""

    results: list[tuple[int, ...]]
    """Their RESULT rows."""
    positions: list[int]
    replayed: bool
    """Whether the first is the remembered answer to a request that came before."""


class _Waiting(NamedTuple):
    row: bytes
    request: bytes
    client_id: bytes
    future: asyncio.Future[OrderReply]


class Doors:
    """The context of a running house's doors; `app.state.doors`."""

    def __init__(
        self,
        house: House,
        writer: Writer,
        *,
        live: Live,
        reads: Reads,
        auth: AuthStore,
        settings: Settings,
        clock: Callable[[], int],
    ) -> None:
        """`writer` is started and closed by whoever builds the doors."""
        self.house = house
        self.writer = writer
        self.live = live
        self.reads = reads
        self.auth = auth
        self.settings = settings
        self.clock = clock
        self.series = SeriesFacts(house)
        self.client_orders: OrderedDict[tuple[int, str], int] = OrderedDict()
        """Numbers of orders by party and client order id, the newest last; the read model knows the older ones."""
        self._waiting: list[_Waiting] = []
        self._last_command = house.state.next_command - 1
        """Greatest number of a command that was answered here: what is answered with a smaller one is a repeat."""

    @property
    def catalogue(self) -> Catalogue:
        """The writer's own tables, which change under the reader: look up single rows, never iterate."""
        return self.house.state.catalogue

    async def ask(self, command: Command, actor: int, request_id: bytes | None = None) -> Reply | Refusal:
        """Let the writer decide a rare command; answers when it is durable. Raises Problem `writer_stopped`."""
        try:
            answer = await asyncio.wrap_future(self.writer.submit(Ask(command, actor, request_id)))
        except SequencerStopped as error:
            raise writer_stopped() from error
        except Exception as error:
            if self.writer.failure is not None:
                raise writer_stopped() from error
            raise
        assert not isinstance(answer, OrderReplies)
        if isinstance(answer, Reply):
            self._last_command = max(self._last_command, answer.command)
        return answer

    async def place(self, rows: Any, requests: Any = None, client_ids: Any = None) -> Replies:
        """Order commands ([n] of COMMAND, not none), with their REQUEST and CLIENT_ID rows or None, as one item.

        None is executed where one of the request ids came before with another body. Raises Problem `writer_stopped`.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Replies] = loop.create_future()

        def answered(answer: Future[Any]) -> None:
            loop.call_soon_threadsafe(self._deliver, answer, done)

        self.writer.submit(Orders(rows, requests, client_ids, together=True)).add_done_callback(answered)
        return await done

    async def place_one(self, row: bytes, request: bytes = b"", client_id: bytes = b"") -> OrderReply:
        """One order command: the bytes of its COMMAND row, and of its REQUEST and CLIENT_ID row where it has them.

        It goes to the writer together with all others of this turn of the loop. Raises Problem `writer_stopped`.
        """
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._flush, loop)
        future: asyncio.Future[OrderReply] = loop.create_future()
        self._waiting.append(_Waiting(row, request, client_id, future))
        return await future

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give what waits to the writer: an item for each combination of rows beside the commands."""
        waiting, self._waiting = self._waiting, []
        groups: dict[tuple[bool, bool], list[_Waiting]] = {}
        for one in waiting:
            groups.setdefault((bool(one.request), bool(one.client_id)), []).append(one)
        for (requested, named), group in groups.items():
            item = Orders(
                np.frombuffer(b"".join([one.row for one in group]), COMMAND),
                np.frombuffer(b"".join([one.request for one in group]), REQUEST) if requested else None,
                np.frombuffer(b"".join([one.client_id for one in group]), CLIENT_ID) if named else None,
            )
            self._submit(loop, group, item)

    def _submit(self, loop: asyncio.AbstractEventLoop, group: Sequence[_Waiting], item: Orders) -> None:
        def answered(answer: Future[Any]) -> None:
            loop.call_soon_threadsafe(self._deliver_each, answer, group)

        self.writer.submit(item).add_done_callback(answered)

    def _deliver(self, answer: Future[Any], done: asyncio.Future[Replies]) -> None:
        failure = answer.exception()
        if done.done():
            return
        if failure is not None:
            done.set_exception(writer_stopped())
        else:
            results, positions = answer.result()
            commands = results["command"]
            last, self._last_command = self._last_command, max(self._last_command, int(commands.max()))
            done.set_result(Replies(results.tolist(), positions.tolist(), 0 < commands[0] <= last))

    def _deliver_each(self, answer: Future[Any], group: Sequence[_Waiting]) -> None:
        failure = answer.exception()
        if failure is not None:
            for one in group:
                if not one.future.done():
                    one.future.set_exception(writer_stopped())
            return
        for one, reply in zip(group, self._replies(answer.result()), strict=True):
            if not one.future.done():
                one.future.set_result(reply)

    def _replies(self, answer: OrderReplies) -> list[OrderReply]:
        """The rows as plain numbers. Answers come in the order of their commands, so one seen before is a repeat."""
        last = self._last_command
        replies = []
        for row, position in zip(answer.results.tolist(), answer.positions.tolist(), strict=True):
            command = row[0]
            replies.append(OrderReply._make((*row, position, 0 < command <= last)))
            last = max(last, command)
        self._last_command = last
        return replies


def writer_stopped() -> Problem:
    """Nothing is accepted: an append failed, or the house closes."""
    return problem("writer_stopped", "Ask again later, with the same Idempotency-Key.", retry_after_ms=RETRY_AFTER_MS)

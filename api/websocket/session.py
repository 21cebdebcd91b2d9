"""One client's conversation, without any socket: what it asks goes in as messages, what it is told comes out of the
outbox.

Everything but orders is answered at once. An order is handed back as work to be awaited, because it is answered when
it is durable; many may be under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, assert_never

import orjson
import structlog

from api import order_entry
from api.auth.authentication import authenticate_message, charge
from api.auth.principal import Principal
from api.authorization import authorize
from api.doors import Doors
from api.live import PRIVATE, Channel, Key
from api.live.tape import INTERVALS
from api.middleware import request_id_of_scope
from api.order_replies import Outcome
from api.problems import Problem, problem, problem_body, problem_of
from api.routes.orders import numbered
from api.schemas.base import good
from api.series_facts import SeriesFact
from api.websocket.outbox import Outbox
from api.websocket.replay import REPLAYED, replay
from api.websocket.requests import (
    MESSAGE_BYTES_MAX,
    SUBSCRIPTIONS_MAX,
    Auth,
    Cancel,
    CancelAll,
    CancelOnDisconnect,
    Ping,
    Place,
    Request,
    Resume,
    Subscribe,
    Unreadable,
    Unsubscribe,
    read,
)
from api.wire import PARTY, public_id, rfc3339
from domain.rejections import Reason, refuse

OWN_ORDERS_MAX: Final = 10_000
"""Orders of a socket that are remembered to be canceled with it; past that its end cancels all of the party."""

_ACTIONS: Final = {
    Channel.ORDERS: "orders.read",
    Channel.FILLS: "fills.read",
    Channel.BALANCES: "balances.read",
}
Work = Coroutine[Any, Any, None]


class Session:
    """The state of one conversation."""

    def __init__(
        self,
        doors: Doors,
        scope: Any,
        principal: Principal,
        *,
        wake: Callable[[], object],
        admit: Callable[[Principal], None],
    ) -> None:
        """`admit` raises Problem where a principal may not have one more socket."""
        self.principal = principal
        self.outbox = Outbox(doors.live.snapshot, wake)
        self.closing: tuple[int, str] | None = None
        """Close code and reason, once the conversation is to end."""
        self._doors = doors
        self._scope = scope
        self._admit = admit
        self._subscriptions: set[Key] = set()
        self._messages = 0
        self._cancels_on_disconnect = False
        self._own_orders: set[int] = set()

    # -- asking --------------------------------------------------------------------------------------------------------

    def receive(self, message: str | bytes) -> Work | None:
        """Take in one message; what is handed back is to be awaited, and answers by itself."""
        self._messages += 1
        request = read(message)
        if isinstance(request, Unreadable):
            # A flood of nonsense is stopped like any other.
            self._refuse(request.op, request.req_id, self._charged(request.problem))
            if len(message) > MESSAGE_BYTES_MAX:
                self.closing = (1009, "body_too_large")
            return None
        try:
            return self._answer(request)
        except Problem as found:
            self._refuse(request.op, request.req_id, found)
            return None

    def _answer(self, request: Request) -> Work | None:
        match request:
            case Place():
                self._charge()
                self._allow("orders.place")
                return self._await(request, self._place(request))
            case Cancel():
                self._allow("orders.cancel")
                return self._await(request, self._cancel(request))
            case CancelAll():
                self._allow("orders.cancel")
                series = None if request.series is None else good(self._doors.series.named(request.series))
                key = request.idempotency_key
                return self._await(request, order_entry.cancel_all(self._doors, self.principal, series, key))
            case Auth():
                self._charge()
                self._accept(request, self._auth(request))
            case Subscribe() | Resume():
                self._charge()
                return self._subscribe(request)
            case Unsubscribe():
                self._accept(request, self._unsubscribe(request))
            case Ping():
                self._charge()
                self._accept(request, {"ts": rfc3339(self._doors.clock())})
            case CancelOnDisconnect():
                self._allow("orders.cancel")
                self._cancels_on_disconnect = request.enabled
                self._accept(request, {"enabled": request.enabled})
            case _:
                assert_never(request)
        return None

    def _charge(self) -> None:
        charge(self._doors, self._scope, self.principal, 1)

    def _charged(self, found: Problem) -> Problem:
        """The problem, or that of a limit which it met."""
        try:
            self._charge()
        except Problem as limit:
            return limit
        return found

    def _allow(self, action: str) -> None:
        """With the roles of this moment. Raises Problem."""
        principal = self.principal
        if principal.how != "anonymous":
            roles = self._doors.catalogue.parties[principal.party].roles
            self.principal = principal = principal._replace(roles=roles)
        authorize(principal, action, principal.party)

    def _auth(self, request: Auth) -> dict[str, Any]:
        if self.principal.how != "anonymous":
            raise problem("forbidden", "The socket is signed in already; open another one for another key.")
        principal = authenticate_message(self._doors, self._scope, request.model_dump())
        self._admit(principal)
        self.principal = principal
        return {"party": public_id(PARTY, principal.party), "scopes": sorted(principal.scopes)}

    # -- channels ------------------------------------------------------------------------------------------------------

    def _subscribe(self, request: Subscribe | Resume) -> Work | None:
        keys = self._keys(request)
        if request.channel in PRIVATE:
            self._allow(_ACTIONS[request.channel])
        if len(self._subscriptions | set(keys)) > SUBSCRIPTIONS_MAX:
            raise problem("too_many_subscriptions", f"A socket has at most {SUBSCRIPTIONS_MAX} subscriptions.")
        # Past this point the request is accepted, and its answer stands before the first message.
        self._subscriptions.update(keys)
        self._accept(request, {"subscriptions": len(self._subscriptions)})
        anew = [key for key in keys if not self._doors.live.subscribe(key, self.outbox, request.from_seq)]
        if request.from_seq is None or request.channel not in REPLAYED or not anew:
            return None
        return self._replay(anew, request.from_seq)

    async def _replay(self, keys: Sequence[Key], from_seq: int) -> None:
        for key in keys:
            await self._doors.live.begun(key)
            for text in await replay(self._doors, key, from_seq):
                if key in self._subscriptions:
                    self.outbox.tell(key, text)

    def _unsubscribe(self, request: Unsubscribe) -> dict[str, Any]:
        for key in self._keys(request):
            if key in self._subscriptions:
                self._subscriptions.discard(key)
                self._doors.live.unsubscribe(key, self.outbox)
                self.outbox.forget(key)
        return {"subscriptions": len(self._subscriptions)}

    def _keys(self, request: Subscribe | Resume | Unsubscribe) -> list[Key]:
        """The channels of a request, each once. Raises Problem."""
        channel = request.channel
        if (request.interval is None) == (channel is Channel.CANDLES):
            reason = Reason.MISSING_FIELD if request.interval is None else Reason.UNKNOWN_FIELD
            raise problem_of(refuse(reason, "interval", "must be given for candles, and only for them", None))
        if channel in PRIVATE:
            if request.series is not None:
                rule = f"must be absent: {channel.value} are those of all series"
                raise problem_of(refuse(Reason.UNKNOWN_FIELD, "series", rule, None))
            if self.principal.how == "anonymous":
                authorize(self.principal, _ACTIONS[channel])
            return [Key(channel, self.principal.party)]
        if request.series is None:
            raise problem_of(refuse(Reason.MISSING_FIELD, "series", f"must be given for {channel.value}", None))
        named: list[SeriesFact] = [
            good(self._doors.series.named(text, f"series[{at}]")) for at, text in enumerate(request.series)
        ]
        minutes = INTERVALS[request.interval] if request.interval else 0
        return list(dict.fromkeys(Key(channel, series.number, minutes) for series in named))

    # -- orders --------------------------------------------------------------------------------------------------------

    async def _place(self, request: Place) -> Outcome:
        outcome = await order_entry.place_one(self._doors, self.principal, request.order, request.idempotency_key)
        if outcome.resting and len(self._own_orders) <= OWN_ORDERS_MAX:
            self._own_orders.add(outcome.resting)
        return outcome

    async def _cancel(self, request: Cancel) -> Outcome:
        order = await numbered(self._doors, self.principal, request.id)
        outcome = await order_entry.cancel_one(self._doors, self.principal, order, request.idempotency_key)
        if outcome.refused is None:
            self._own_orders.discard(order)
        return outcome

    async def _await(self, request: Request, work: Coroutine[Any, Any, Outcome]) -> None:
        try:
            outcome = await work
        except Problem as found:
            self._refuse(request.op, request.req_id, found)
            return
        if outcome.refused is not None:
            self._refuse(request.op, request.req_id, outcome.refused, outcome.body)
            return
        self._accept(request, {"replayed": outcome.replayed, "result": outcome.body})

    # -- answering -----------------------------------------------------------------------------------------------------

    def _accept(self, request: Request, body: Mapping[str, Any]) -> None:
        head: dict[str, Any] = {"op": request.op, "ok": True}
        if request.req_id is not None:
            head["req_id"] = request.req_id
        self.outbox.answer(orjson.dumps({**head, **body}).decode())

    def _refuse(
        self, op: str | None, req_id: str | int | None, found: Problem, where: Mapping[str, Any] | None = None
    ) -> None:
        head: dict[str, Any] = {"op": op, "ok": False}
        if req_id is not None:
            head["req_id"] = req_id
        body = problem_body(found, f"{request_id_of_scope(self._scope)}-{self._messages}")
        head["problem"] = {**body, **(where or {})}
        # A lone surrogate in a text of the client's must not break the answer about it.
        self.outbox.answer(orjson.dumps(_printable(head)).decode())

    # -- the course of things ------------------------------------------------------------------------------------------

    def each_second(self, heartbeat: str) -> None:
        """Tell that the house is alive, and end a conversation that has lost its ground."""
        if self.closing is not None:
            return
        if self.outbox.failed:
            self.closing = (4008, "slow_consumer")
        elif self.principal.how != "anonymous" and not self._doors.auth.is_active(self.principal):
            self.closing = (4001, "unauthenticated")
        else:
            self.outbox.answer(heartbeat)

    async def end(self) -> None:
        """The socket is gone: nothing is told any more, and orders go with it if that was asked for."""
        for key in self._subscriptions:
            self._doors.live.unsubscribe(key, self.outbox)
        self._subscriptions.clear()
        self.outbox.clear()
        if self._cancels_on_disconnect and self._own_orders:
            try:
                await self._cancel_own_orders()
            except Problem as found:
                party = public_id(PARTY, self.principal.party)
                structlog.get_logger().warning("cancel_on_disconnect_failed", party=party, code=found.code)

    async def _cancel_own_orders(self) -> None:
        if len(self._own_orders) > OWN_ORDERS_MAX:
            await order_entry.cancel_all(self._doors, self.principal)
        else:
            # Those that have ended by themselves are refused, which does no harm.
            cancels = [order_entry.cancel_one(self._doors, self.principal, order) for order in self._own_orders]
            await asyncio.gather(*cancels)


def heartbeat(counter: int, position: int, at_ns: int) -> str:
    """The message that every socket gets each second."""
    body = {"channel": "heartbeat", "counter": counter, "position": position, "ts": rfc3339(at_ns)}
    return orjson.dumps(body).decode()


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {key: _printable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(inner) for inner in value]
    return value

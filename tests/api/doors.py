"""A whole house behind its doors, in one process: writer, hub, read models, auth, and clients that sign.

    with running_doors(tmp_path) as house:
        answer = house.client("alice").post("/v1/orders", json={...})

Requests go through the ASGI application in an event loop of its own thread; answers are httpx's. The follower runs in a
thread here, where `serve` gives it a process.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
from argon2 import PasswordHasher
from fastapi import FastAPI

from api.app import create_app
from api.auth.keys import KeyRequest
from api.auth.passwords import Passwords
from api.auth.principal import SCOPES
from api.auth.signatures import HmacSigner, signed_headers
from api.auth.store import AuthStore
from api.bootstrap import House, generations, log_for_reading, places
from api.doors import Doors
from api.live import Live
from api.settings import Settings
from domain.commands import (
    AdoptFeeSchedule,
    AdoptTerms,
    ListSeries,
    PublishModelVersion,
    RecordDeposit,
    RegisterCurrency,
    RegisterModel,
    RegisterModelVersion,
    RegisterParty,
    SetTaxRate,
    SignAgreement,
)
from domain.rejections import Refusal
from domain.values import HOUSE, DigestBasis, PartyKind, Purpose, Role, TermKind, UnitKind
from ledger.sequencer import Ask
from ledger.tables import Limits
from projections.models import read_models
from projections.reads import Reads
from projections.runner import Following

T = TypeVar("T")

LIMITS = Limits(orders=1 << 14, levels=1 << 13, accounts=1 << 12)
SETTINGS = Settings(key_requests_per_second=1_000_000, address_requests_per_second=1_000_000, log_level="error")
QUICK = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
WAIT_SECONDS = 120.0
"""The first follower on a machine waits for its kernels to be compiled."""
DIGEST = bytes(range(32))

PARTIES: dict[str, Role] = {
    "office": Role.FINANCE,
    "operator": Role.OPERATOR,
    "risk": Role.RISK,
    "auditor": Role.AUDITOR,
    "studio": Role.DEVELOPER | Role.TRADER,
    "provider": Role.PROVIDER,
    "agent": Role.AGENT,
    "alice": Role.TRADER,
    "bob": Role.TRADER,
    "rival": Role.DEVELOPER,
}
"""Who takes part, numbered from 1 in this order."""
NUMBER_OF = {name: number for number, name in enumerate(PARTIES, 1)}
SERIES = "ser_1"
SYMBOL = "ONE-COMM/EUR"
"""Tick 0.05 EUR, lot 0.5 seats, 10 % platform, fees 0.1 % maker and 0.2 % taker, 5 % tax in Germany."""
DEPOSITED = "10000.00"


@dataclass
class Client:
    """Requests of one party, signed with its key; without a name nobody's."""

    house: RunningDoors
    name: str | None = None
    signer: HmacSigner | None = None

    def request(
        self,
        method: str,
        url: str,
        *,
        json: Any = None,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        body = content if content is not None else b"" if json is None else dumps(json)
        sent = {"Content-Type": "application/json"} if body else {}
        request = self._signed(method, url, body, sent | (headers or {}))
        return self.house.run(self.house.http.send(request))

    def prepared(self, method: str, url: str, json: Any) -> Callable[[dict[str, str]], httpx.Request]:
        """A request that is signed anew each time it is made with more headers."""
        body = dumps(json)
        return lambda headers: self._signed(method, url, body, {"Content-Type": "application/json"} | headers)

    def _signed(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> httpx.Request:
        request = self.house.http.build_request(method, url, content=body, headers=headers)
        if self.signer is not None:
            target = request.url.raw_path.decode("ascii")
            for name, value in signed_headers(self.signer, method, target, body).items():
                request.headers.setdefault(name, value)
        return request

    def get(self, url: str, **more: Any) -> httpx.Response:
        return self.request("GET", url, **more)

    def post(self, url: str, **more: Any) -> httpx.Response:
        return self.request("POST", url, **more)

    def patch(self, url: str, **more: Any) -> httpx.Response:
        return self.request("PATCH", url, **more)

    def delete(self, url: str, **more: Any) -> httpx.Response:
        return self.request("DELETE", url, **more)

    def buy(self, quantity: str, price: str, **more: Any) -> httpx.Response:
        return self.place("buy", quantity, price, **more)

    def sell(self, quantity: str, price: str, **more: Any) -> httpx.Response:
        return self.place("sell", quantity, price, **more)

    def place(
        self, side: str, quantity: str, price: str, *, headers: dict[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        body = {"series": SERIES, "side": side, "quantity": quantity, "price": price, **more}
        return self.post("/v1/orders", json=body, headers=headers)


def dumps(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


@dataclass
class RunningDoors:
    """Doors that answer."""

    doors: Doors
    app: FastAPI
    http: httpx.AsyncClient
    loop: asyncio.AbstractEventLoop
    clients: dict[str | None, Client] = field(default_factory=dict)

    def client(self, name: str | None = None) -> Client:
        """The party of that name, with a key of all scopes; None: nobody."""
        found = self.clients.get(name)
        if found is None:
            signer = None if name is None else self.signer(name)
            found = self.clients[name] = Client(self, name, signer)
        return found

    def signer(self, name: str, scopes: frozenset[str] = SCOPES) -> HmacSigner:
        """A new key of the party."""
        made = self.doors.auth.add_key(NUMBER_OF[name], KeyRequest("hmac", "test", scopes, None, None))
        assert made.secret is not None
        return HmacSigner(made.key.id, made.secret)

    def with_scopes(self, name: str, *scopes: str) -> Client:
        return Client(self, name, self.signer(name, frozenset(scopes)))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """In the event loop of the doors."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(WAIT_SECONDS)

    def settle(self) -> None:
        """Wait until the read models and the hub show all that is in the log."""
        position = self.doors.house.store.position
        self.run(self.doors.reads.wait(position, WAIT_SECONDS))
        until = time.monotonic() + WAIT_SECONDS
        while self.doors.live.position < position:
            assert time.monotonic() < until, "the hub does not follow"
            time.sleep(0.002)


@contextmanager
def running_doors(
    folder: Path, *, settings: Settings = SETTINGS, listed: bool = True, origin: str = "http://localhost"
) -> Iterator[RunningDoors]:
    """The doors of a new house with PARTIES, and if `listed` a series and money."""
    where = places(folder)
    with ExitStack() as stack:
        house = stack.enter_context(House(where, limits=LIMITS))
        found(house, listed=listed)
        auth = stack.enter_context(AuthStore.open(folder, where.log_url, settings, passwords=QUICK))
        auth.start()
        recorder = stack.enter_context(log_for_reading(where))
        following = Following(recorder, generations(where), read_models, house.keys.unseal)
        follower = threading.Thread(target=following.run, name="test-follower", daemon=True)
        follower.start()
        stack.callback(follower.join)
        stack.callback(following.stop)
        reads = stack.enter_context(Reads(generations(where)))
        live = Live(house, clock=time.time_ns)
        writer = house.writer()
        writer.start()
        stack.callback(writer.close)
        doors = Doors(house, writer, live=live, reads=reads, auth=auth, settings=settings, clock=time.time_ns)
        app = create_app(doors)
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="test-doors", daemon=True)
        thread.start()

        def end() -> None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

        stack.callback(end)
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=origin, follow_redirects=False)
        running = RunningDoors(doors, app, http, loop)
        lifespan = app.router.lifespan_context(app)
        running.run(lifespan.__aenter__())
        stack.callback(lambda: running.run(lifespan.__aexit__(None, None, None)))
        stack.callback(lambda: running.run(http.aclose()))
        running.settle()
        yield running


def found(house: House, *, listed: bool = True) -> None:
    """Parties, and if `listed` a model, its agreement and series, fees, tax and money."""

    def ask(command: Any, name: str | None = None) -> None:
        answer = house.process([Ask(command, HOUSE if name is None else NUMBER_OF[name])])[0]
        assert not isinstance(answer, Refusal), answer

    for name, roles in PARTIES.items():
        ask(RegisterParty(kind=PartyKind.COMPANY, legal_name=name.title(), country="DE", roles=roles))
    ask(RegisterCurrency(code="EUR", exponent=2))
    if not listed:
        return
    today = time.strftime("%Y-%m-%d", time.gmtime())
    studio = NUMBER_OF["studio"]
    ask(AdoptFeeSchedule(maker_ppm=1_000, taker_ppm=2_000))
    ask(SetTaxRate(country="DE", tax_ppm=50_000))
    ask(RegisterModel(developer=studio, key="studio/one", title="One", source="a test"), "studio")
    ask(RegisterModelVersion(model=1, semver="1.0.0", digest=DIGEST, digest_basis=DigestBasis.ARTIFACT), "studio")
    ask(PublishModelVersion(model_version=1), "studio")
    ask(
        AdoptTerms(
            developer=studio,
            purpose=Purpose.ANY,
            territory=("worldwide",),
            term=TermKind.PERPETUAL,
            unit=UnitKind.SEAT,
            transferable=True,
            derivatives_allowed=False,
            resale_royalty_ppm=50_000,
            text_digest=DIGEST,
            license="MIT",
        ),
        "studio",
    )
    ask(
        SignAgreement(
            model=1,
            platform_ppb=100_000_000,
            agents=((NUMBER_OF["agent"], 333_333_333),),
            data_ppb=0,
            upstream_ppb=0,
        )
    )
    ask(
        ListSeries(
            symbol=SYMBOL,
            model_version=1,
            terms=1,
            currency=1,
            tick_minor=5,
            lot_size="0.5",
            unit_name="seat",
            supply_cap_lots=100_000,
            max_order_lots=10_000,
            max_notional_minor=10**9,
        ),
        "studio",
    )
    for name in ("alice", "bob", "studio"):
        ask(
            RecordDeposit(
                party=NUMBER_OF[name], currency=1, amount_minor=1_000_000, reference=f"r-{name}", effective_day=today
            ),
            "office",
        )

"""Doors with nobody behind them but parties: what the tests of who may ask stand on."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from argon2 import PasswordHasher
from sqlalchemy import URL, make_url
from starlette.types import Scope

from api.auth.keys import KeyKind, KeyRequest, NewKey, checked_key_request
from api.auth.passwords import Passwords
from api.auth.principal import SCOPES
from api.auth.signatures import HmacSigner, Signer, signed_headers
from api.auth.store import AuthStore
from api.settings import Settings
from domain.catalogue import Catalogue, Party
from domain.values import PartyKind, Role

START_NS = 1_789_300_800_000_000_000
"""2026-09-13T12:00:00Z."""
TRADER, OTHER_TRADER, OPERATOR, AUDITOR = 1, 2, 3, 4
QUICK = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
"""argon2id at its least cost, so that tests are fast."""


def log_url_of(folder: Path) -> URL:
    return URL.create("sqlite", database=str(folder / "log.sqlite"))


@dataclass
class World:
    """An auth store whose clock stands still, and a catalogue with four parties."""

    folder: Path
    log_url: URL
    settings: Settings = field(default_factory=Settings)
    now_ns: int = START_NS
    catalogue: Catalogue = field(default_factory=Catalogue)

    def __post_init__(self) -> None:
        roles = {
            TRADER: Role.TRADER,
            OTHER_TRADER: Role.TRADER,
            OPERATOR: Role.OPERATOR,
            AUDITOR: Role.AUDITOR,
        }
        for party, role in roles.items():
            self.catalogue.parties[party] = Party(kind=PartyKind.COMPANY, country="DE", roles=role)
        self.auth = self.open()

    def open(self) -> AuthStore:
        return AuthStore.open(
            self.folder,
            self.log_url,
            self.settings,
            clock=lambda: self.now_ns,
            monotonic=lambda: self.now_ns,
            passwords=QUICK,
        )

    def restart(self, *, killed: bool = False) -> None:
        """A new process opens the store and the doors; a killed one has written nothing before."""
        if killed:
            self.auth._closing.set()
            if self.auth._thread is not None:
                self.auth._thread.join()
            self.auth._engine.dispose()
        else:
            self.auth.close()
        self.auth = self.open()
        self.auth.start()

    @property
    def now_ms(self) -> int:
        return self.now_ns // 1_000_000

    def wait(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1_000_000_000)

    @property
    def doors(self) -> Any:
        """What authentication needs of `Doors`."""
        return SimpleNamespace(
            auth=self.auth, settings=self.settings, clock=lambda: self.now_ns, catalogue=self.catalogue
        )

    def key(self, party: int = TRADER, scopes: Iterable[str] = SCOPES, **asked: Any) -> NewKey:
        return self.auth.add_key(party, a_key_request(scopes=scopes, at_ns=self.now_ns, **asked))

    def signer(self, party: int = TRADER, scopes: Iterable[str] = SCOPES) -> HmacSigner:
        made = self.key(party, scopes)
        assert made.secret is not None
        return HmacSigner(made.key.id, made.secret)

    def signed(
        self, signer: Signer, method: str = "GET", target: str = "/v1/orders", body: bytes = b"", **chosen: Any
    ) -> Scope:
        """The scope of a request signed now."""
        chosen.setdefault("timestamp_ms", self.now_ms)
        return a_scope(method, target, signed_headers(signer, method, target, body, **chosen))


def a_key_request(
    *, kind: KeyKind = "hmac", scopes: Iterable[str] = SCOPES, at_ns: int = 0, **asked: Any
) -> KeyRequest:
    made = checked_key_request(kind=kind, scopes=scopes, granted=SCOPES, at_ns=at_ns, **asked)
    assert isinstance(made, KeyRequest), made
    return made


def a_scope(
    method: str = "GET",
    target: str = "/v1/orders",
    headers: dict[str, str] | None = None,
    *,
    kind: str = "http",
    host: str | None = "192.0.2.1",
) -> Scope:
    """A request as the server hands it to an application."""
    path, _, query = target.partition("?")
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in (headers or {}).items()]
    scope: Scope = {
        "type": kind,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(b"host", b"127.0.0.1:8420"), *raw],
        "client": None if host is None else (host, 50_000),
    }
    if kind != "websocket":
        scope["method"] = method
    return scope


def postgres_world(folder: Path, url: str) -> World:
    return World(folder, make_url(url))


def real_now_ms() -> int:
    return time.time_ns() // 1_000_000

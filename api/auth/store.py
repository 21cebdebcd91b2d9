"""Users, sessions and API keys: durable in a database of their own, and all of them in memory.

Requests read memory only. Every change is committed first and seen in memory after. A thread, or whoever calls
`maintain`, writes what was used when, takes over what another process changed (within a second), and drops what ended.
No party can be signed in as the house.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, Self

import structlog
from sqlalchemy import URL, Connection, Engine, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from api.auth.database import (
    ACCEPTED_UNTIL_MS,
    API_KEYS,
    CHANGES,
    KEY_CHECK,
    SESSIONS,
    SIGN_IN_FAILURES,
    USERS,
    meta,
    next_number,
    open_auth_engine,
    set_meta,
)
from api.auth.keys import KEYS_PER_PARTY_MAX, ApiKey, KeyRequest, NewKey, new_secret, verifier
from api.auth.limits import Limits
from api.auth.passwords import Passwords, strong
from api.auth.principal import Principal
from api.auth.sealing import KEY_FILE, AuthKeyUnusable, Sealer, open_sealer
from api.auth.sessions import (
    IDLE_NS,
    SESSIONS_PER_USER_MAX,
    TOKEN_BYTES,
    Session,
    SignedIn,
    hash_of,
    token_text,
)
from api.auth.signatures import Signatures
from api.auth.users import User, checked_login, folded
from api.cursors import Cursors
from api.problems import problem
from api.settings import Settings
from domain.values import DAY_NS, HOUSE

MAINTENANCE_SECONDS: Final = 1.0
PURGE_NS: Final = 60_000_000_000
FREE_FAILURES: Final = 5
"""Wrong passwords before each next one has to wait: 1 s, 2 s, 4 s … up to LOCKED_NS_MAX."""
LOCKED_NS_MAX: Final = 900_000_000_000
UNCLEAN: Final = -1
_MS: Final = 1_000_000
_SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Blocked:
    """Passwords of this login are not tried before a time."""

    until_ns: int


class AuthStore:
    """All that the doors know about who may ask."""

    def __init__(
        self,
        engine: Engine,
        sealer: Sealer,
        settings: Settings,
        *,
        clock: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], int] = time.monotonic_ns,
        entropy: Callable[[int], bytes] = os.urandom,
        passwords: Passwords | None = None,
    ) -> None:
        """Raises AuthKeyUnusable where the store was made with another key file."""
        self._engine = engine
        self._sealer = sealer
        self._clock = clock
        self._entropy = entropy
        self._given_passwords = passwords
        self._longest_session_ns = settings.session_hours * 3600 * _SECOND_NS
        self._window_ms = settings.signature_window_ms
        self._lock = threading.RLock()
        """Held by whoever changes the store; reading needs no lock."""
        self._users: dict[int, User] = {}
        self._keys: dict[bytes, ApiKey] = {}
        self._keys_by_number: dict[int, ApiKey] = {}
        self._sessions: dict[bytes, Session] = {}
        self._used_keys: set[int] = set()
        self._used_sessions: set[bytes] = set()
        self._changes = -1
        self._purged_ns = 0
        self._opened_ms = self._now_ms()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._serving = False
        self.limits = Limits(settings.key_requests_per_second, settings.address_requests_per_second, clock=monotonic)
        self.signatures = Signatures(self._now_ms, window_ms=self._window_ms, floor_ms=0)
        with engine.begin() as connection:
            found = meta(connection, KEY_CHECK)
            if found is None:
                set_meta(connection, KEY_CHECK, sealer.check)
            elif found != sealer.check:
                raise AuthKeyUnusable(f"{KEY_FILE} is not the file that this auth store was made with")
        self._reload()

    @classmethod
    def open(cls, data: Path, log_url: URL, settings: Settings, **outside: Any) -> Self:
        """The store that belongs to a data folder and its log, made if there is none.

        `outside`: clock, monotonic, entropy and passwords, as of `AuthStore`. Raises AuthKeyUnusable and
        AuthSchemaUnknown.
        """
        sealer = open_sealer(data, outside.get("entropy", os.urandom))
        return cls(open_auth_engine(data, log_url), sealer, settings, **outside)

    # -- serving -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Let doors in: signatures from before the store was opened are refused, and it maintains itself from now on.

        Only one process may have doors open; whoever holds the log knows that no other has.
        """
        start_ms = self._opened_ms
        with self._lock, self._engine.begin() as connection:
            accepted = meta(connection, ACCEPTED_UNTIL_MS)
            set_meta(connection, ACCEPTED_UNTIL_MS, UNCLEAN)
        # A client's clock may be ahead by the window. Where an earlier process did not say up to where it accepted
        # timestamps, it may have been so far.
        latest_ms = start_ms + self._window_ms
        floor_ms = start_ms if accepted is None else latest_ms if accepted == UNCLEAN else min(accepted, latest_ms)
        self.signatures = Signatures(self._now_ms, window_ms=self._window_ms, floor_ms=max(floor_ms, start_ms))
        self._serving = True
        self._thread = threading.Thread(target=self._maintain_on, name="tallystick-auth", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what is not yet written, and end."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            self.maintain()
            if self._serving:
                with self._engine.begin() as connection:
                    set_meta(connection, ACCEPTED_UNTIL_MS, self.signatures.accepted_until_ms)
            self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _maintain_on(self) -> None:
        while not self._closing.wait(MAINTENANCE_SECONDS):
            try:
                self.maintain()
            except Exception:  # noqa: BLE001  (what is in memory serves on; the next turn tries again)
                structlog.get_logger().exception("auth_maintenance_failed")

    def maintain(self) -> None:
        """Write what was used, take over what another process changed, drop what has ended."""
        now_ns = self._clock()
        with self._lock:
            self._write_uses()
            if now_ns - self._purged_ns >= PURGE_NS:
                self._purge(now_ns)
                self._purged_ns = now_ns
            with self._engine.connect() as connection:
                changes = meta(connection, CHANGES)
            if changes != self._changes:
                self._reload()

    # -- secrets for one purpose each ----------------------------------------------------------------------------------

    def secret(self, purpose: str) -> bytes:
        """32 bytes that outlive a restart."""
        found = self._secrets.get(purpose)
        if found is None:
            found = self._secrets[purpose] = self._sealer.secret(purpose)
        return found

    @cached_property
    def _secrets(self) -> dict[str, bytes]:
        return {}

    @cached_property
    def cursors(self) -> Cursors:
        return Cursors(self.secret("cursors"))

    @cached_property
    def _passwords(self) -> Passwords:
        # Made when first needed: hashing the password of nobody takes a tenth of a second.
        return self._given_passwords or Passwords()

    # -- users ---------------------------------------------------------------------------------------------------------

    def add_user(self, login: str, password: str, party: int) -> User:
        """Raises Problem `malformed_text`, `password_too_weak` or `login_taken`. Slow."""
        assert party > HOUSE, party
        login = checked_login(login)
        password_hash = self._passwords.hash(strong(password))
        try:
            with self._changing() as connection:
                user = User(next_number(connection, USERS), login, password_hash, party, self._clock(), None)
                connection.execute(insert(USERS).values(_user_row(user)))
        except IntegrityError:
            raise problem("login_taken", f"Another user has the login {login}.") from None
        self._users[user.number] = user
        return user

    def users(self, party: int | None = None) -> list[User]:
        """All users, or those of a party, by number."""
        return [user for user in _copied(self._users) if party is None or user.party == party]

    def user(self, number: int) -> User | None:
        return self._users.get(number)

    def set_password(self, number: int, password: str) -> None:
        """Every session of the user ends. Raises Problem `password_too_weak`. Slow."""
        password_hash = self._passwords.hash(strong(password))
        self._change_user(number, password_hash=password_hash)

    def disable_user(self, number: int) -> None:
        """The user cannot sign in any more, and its sessions end."""
        self._change_user(number, disabled_ns=self._clock())

    def _change_user(self, number: int, **values: Any) -> None:
        with self._changing() as connection:
            connection.execute(update(USERS).where(USERS.c.number == number).values(values))
            connection.execute(delete(SESSIONS).where(SESSIONS.c.user == number))
        self._reload()

    # -- sessions ------------------------------------------------------------------------------------------------------

    def sign_in(self, login: str, password: str) -> SignedIn:
        """A new session. Raises Problem `sign_in_failed` or `sign_in_locked`. Slow: see `sessions.sign_in`."""
        login = folded(login)
        login_hash = blake2b(login.encode("utf-8", "replace"), digest_size=16, key=self.secret("logins")).digest()
        # Counted as wrong before it is tried, so that many at once are not more tries than one after the other.
        blocked = self._count_failure(login_hash)
        if blocked is not None:
            wait_ms = -(-(blocked.until_ns - self._clock()) // _MS)
            raise problem("sign_in_locked", retry_after_ms=max(wait_ms, 1))
        user = next((user for user in _copied(self._users) if user.login == login), None)
        known = user if user is not None and user.disabled_ns is None else None
        if not self._passwords.verify(None if known is None else known.password_hash, password) or known is None:
            raise problem("sign_in_failed")
        rehashed = self._passwords.hash(password) if self._passwords.is_outdated(known.password_hash) else None
        with self._changing() as connection:
            connection.execute(delete(SIGN_IN_FAILURES).where(SIGN_IN_FAILURES.c.login_hash == login_hash))
            if rehashed is not None:
                connection.execute(update(USERS).where(USERS.c.number == known.number).values(password_hash=rehashed))
        if rehashed is not None:
            known.password_hash = rehashed
        return self.start_session(known)

    def start_session(self, user: User) -> SignedIn:
        """A new session without a password: for who has just proved to be the user."""
        token = token_text(self._entropy(TOKEN_BYTES))
        now_ns = self._clock()
        session = Session(hash_of(token), user.number, user.party, now_ns, now_ns)
        with self._lock:
            others = sorted(
                (one for one in _copied(self._sessions) if one.user == user.number), key=lambda one: one.created_ns
            )
            ended = others[: max(len(others) - SESSIONS_PER_USER_MAX + 1, 0)]
            with self._changing() as connection:
                for one in ended:
                    connection.execute(delete(SESSIONS).where(SESSIONS.c.token_hash == one.token_hash))
                connection.execute(insert(SESSIONS).values(_session_row(session)))
            for one in ended:
                self._sessions.pop(one.token_hash, None)
            self._sessions[session.token_hash] = session
        return SignedIn(session, token)

    def session(self, token: str) -> Session | None:
        """The active session of a token, noted as used."""
        return self._used(hash_of(token))

    def _used(self, token_hash: bytes) -> Session | None:
        session = self._sessions.get(token_hash)
        now_ns = self._clock()
        if session is None or not session.is_active(now_ns, self._longest_session_ns):
            return None
        session.last_seen_ns = max(session.last_seen_ns, now_ns)
        self._used_sessions.add(session.token_hash)
        return session

    def rotate_session(self, session: Session) -> SignedIn:
        """The same session under a new token; the old one is of no use any more. Its age stays."""
        token = token_text(self._entropy(TOKEN_BYTES))
        rotated = Session(hash_of(token), session.user, session.party, session.created_ns, self._clock())
        with self._changing() as connection:
            connection.execute(delete(SESSIONS).where(SESSIONS.c.token_hash == session.token_hash))
            connection.execute(insert(SESSIONS).values(_session_row(rotated)))
        self._sessions.pop(session.token_hash, None)
        self._sessions[rotated.token_hash] = rotated
        return SignedIn(rotated, token)

    def end_session(self, session: Session) -> None:
        with self._changing() as connection:
            connection.execute(delete(SESSIONS).where(SESSIONS.c.token_hash == session.token_hash))
        self._sessions.pop(session.token_hash, None)

    def _count_failure(self, login_hash: bytes) -> _Blocked | None:
        """One more failure, unless the login is blocked: then until when."""
        now_ns = self._clock()
        table = SIGN_IN_FAILURES
        with self._lock, self._engine.begin() as connection:
            row = connection.execute(select(table).where(table.c.login_hash == login_hash).with_for_update()).first()
            if row is not None and row.blocked_until_ns > now_ns:
                return _Blocked(row.blocked_until_ns)
            failures = 1 if row is None else row.failures + 1
            values = {"failures": failures, "blocked_until_ns": now_ns + _pause_ns(failures)}
            if row is None:
                connection.execute(insert(table).values(login_hash=login_hash, **values))
            else:
                connection.execute(update(table).where(table.c.login_hash == login_hash).values(values))
        return None

    # -- keys ----------------------------------------------------------------------------------------------------------

    def add_key(self, party: int, request: KeyRequest) -> NewKey:
        """A new key of the party. Raises Problem `too_many_keys`."""
        assert party > HOUSE, party
        secret = new_secret(self._entropy) if request.kind == "hmac" else None
        material = request.public_key if secret is None else secret.encode("ascii")
        assert material is not None
        with self._lock:
            if sum(key.revoked_ns is None for key in self.keys(party)) >= KEYS_PER_PARTY_MAX:
                raise problem("too_many_keys", f"A party has at most {KEYS_PER_PARTY_MAX} keys.")
            with self._changing() as connection:
                number = next_number(connection, API_KEYS)
                key = ApiKey(
                    number,
                    party,
                    request.kind,
                    request.label,
                    request.scopes,
                    self._clock(),
                    request.expires_ns,
                    None,
                    None,
                    verifier(request.kind, material),
                )
                sealed = material if secret is None else self._sealer.seal(material, _place(number, party))
                connection.execute(insert(API_KEYS).values(_key_row(key, sealed)))
            self._keep(key)
        return NewKey(key, secret)

    def key(self, key_id: bytes) -> ApiKey | None:
        """The key of an id as it stands in X-Api-Key, active or not."""
        return self._keys.get(key_id)

    def key_number(self, number: int) -> ApiKey | None:
        return self._keys_by_number.get(number)

    def keys(self, party: int | None = None) -> list[ApiKey]:
        """All keys, or those of a party, by number; revoked ones too."""
        return [key for key in _copied(self._keys_by_number) if party is None or key.party == party]

    def revoke_key(self, number: int) -> None:
        """From the moment this returns nothing that the key signed is accepted. Twice changes nothing."""
        key = self._keys_by_number[number]
        if key.revoked_ns is not None:
            return
        now_ns = self._clock()
        with self._changing() as connection:
            unrevoked = (API_KEYS.c.number == number) & API_KEYS.c.revoked_ns.is_(None)
            connection.execute(update(API_KEYS).where(unrevoked).values(revoked_ns=now_ns))
        key.revoked_ns = now_ns

    def note_use(self, key: ApiKey, at_ns: int) -> None:
        key.last_used_ns = at_ns
        self._used_keys.add(key.number)

    def is_active(self, principal: Principal) -> bool:
        """Whether the key or session of an open socket may still be used, which keeps the session alive; cheap."""
        if principal.key is not None:
            key = self._keys_by_number.get(principal.key)
            return key is not None and key.is_active(self._clock())
        if principal.session is not None:
            return self._used(principal.session.token_hash) is not None
        return True

    # -- copies --------------------------------------------------------------------------------------------------------

    def dump(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(table, row) of every user and every key, all of one moment; secrets stay sealed."""
        with self._lock:
            self._write_uses()
            with self._engine.begin() as connection:
                rows = [
                    (table.name, dict(row._mapping))  # noqa: SLF001  (SQLAlchemy's own name for a row as a dict)
                    for table in (USERS, API_KEYS)
                    for row in connection.execute(select(table).order_by(table.c.number))
                ]
        yield from rows

    def load(self, rows: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """What `dump` gave, into an empty store under the same key file."""
        tables = {table.name: table for table in (USERS, API_KEYS)}
        with self._changing() as connection:
            for name, row in rows:
                connection.execute(insert(tables[name]).values(dict(row)))
        self._reload()

    # -- what changes --------------------------------------------------------------------------------------------------

    def _now_ms(self) -> int:
        return self._clock() // _MS

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        """A transaction that other processes will notice; memory is changed after it."""
        with self._lock:
            with self._engine.begin() as connection:
                yield connection
                changes = (meta(connection, CHANGES) or 0) + 1
                set_meta(connection, CHANGES, changes)
            # Otherwise another process changed something in between, and the next maintenance reads it.
            if changes == self._changes + 1:
                self._changes = changes

    def _reload(self) -> None:
        """Everything out of the database; a key or session that is known keeps its own object."""
        with self._lock:
            self._write_uses()
            with self._engine.begin() as connection:
                changes = meta(connection, CHANGES)
                user_rows = connection.execute(select(USERS).order_by(USERS.c.number)).all()
                key_rows = connection.execute(select(API_KEYS).order_by(API_KEYS.c.number)).all()
                session_rows = connection.execute(select(SESSIONS)).all()
            users = {row.number: User(*row) for row in user_rows}
            sessions = {}
            for row in session_rows:
                user = users.get(row.user)
                if user is not None:
                    token_hash = bytes(row.token_hash)
                    sessions[token_hash] = Session(token_hash, row.user, user.party, row.created_ns, row.last_seen_ns)
            for row in key_rows:
                known = self._keys_by_number.get(row.number)
                if known is None:
                    self._keep(self._key_of(row))
                else:
                    known.revoked_ns = row.revoked_ns
            self._users, self._sessions = users, sessions
            self._changes = changes or 0

    def _key_of(self, row: Any) -> ApiKey:
        material = bytes(row.material)
        if row.kind == "hmac":
            material = self._sealer.unseal(material, _place(row.number, row.party))
        return ApiKey(
            row.number,
            row.party,
            row.kind,
            row.label,
            frozenset(row.scopes.split()),
            row.created_ns,
            row.expires_ns,
            row.revoked_ns,
            row.last_used_ns,
            verifier(row.kind, material),
        )

    def _keep(self, key: ApiKey) -> None:
        self._keys[key.id.encode("ascii")] = key
        self._keys_by_number[key.number] = key

    def _write_uses(self) -> None:
        keys, self._used_keys = self._used_keys, set()
        sessions, self._used_sessions = self._used_sessions, set()
        key_rows = [
            {"n": number, "at": key.last_used_ns} for number in keys if (key := self._keys_by_number.get(number))
        ]
        session_rows = [
            {"h": token_hash, "at": session.last_seen_ns}
            for token_hash in sessions
            if (session := self._sessions.get(token_hash))
        ]
        if not key_rows and not session_rows:
            return
        with self._engine.begin() as connection:
            if key_rows:
                statement = update(API_KEYS).where(API_KEYS.c.number == bindparam("n"))
                connection.execute(statement.values(last_used_ns=bindparam("at")), key_rows)
            if session_rows:
                statement = update(SESSIONS).where(SESSIONS.c.token_hash == bindparam("h"))
                connection.execute(statement.values(last_seen_ns=bindparam("at")), session_rows)

    def _purge(self, now_ns: int) -> None:
        """Sessions that ended, and failures of a day ago."""
        ended = [one for one in _copied(self._sessions) if not one.is_active(now_ns, self._longest_session_ns)]
        with self._engine.begin() as connection:
            connection.execute(
                delete(SESSIONS).where(
                    (SESSIONS.c.last_seen_ns <= now_ns - IDLE_NS)
                    | (SESSIONS.c.created_ns <= now_ns - self._longest_session_ns)
                )
            )
            connection.execute(delete(SIGN_IN_FAILURES).where(SIGN_IN_FAILURES.c.blocked_until_ns <= now_ns - DAY_NS))
        for one in ended:
            self._sessions.pop(one.token_hash, None)


def _pause_ns(failures: int) -> int:
    """How long to wait after so many failures."""
    over = failures - FREE_FAILURES
    return 0 if over < 0 else min(_SECOND_NS << min(over, 20), LOCKED_NS_MAX)


def _copied(table: Mapping[Any, Any]) -> list[Any]:
    """Values of a dict that another thread may be changing."""
    return list(table.values())


def _place(number: int, party: int) -> str:
    """What the seal of a secret is bound to: a row that was moved to another party does not open."""
    return f"api_key.{number}.{party}"


def _user_row(user: User) -> dict[str, Any]:
    return {
        "number": user.number,
        "login": user.login,
        "password_hash": user.password_hash,
        "party": user.party,
        "created_ns": user.created_ns,
        "disabled_ns": user.disabled_ns,
    }


def _session_row(session: Session) -> dict[str, Any]:
    return {
        "token_hash": session.token_hash,
        "user": session.user,
        "created_ns": session.created_ns,
        "last_seen_ns": session.last_seen_ns,
    }


def _key_row(key: ApiKey, material: bytes) -> dict[str, Any]:
    return {
        "number": key.number,
        "party": key.party,
        "kind": key.kind,
        "material": material,
        "label": key.label,
        "scopes": " ".join(sorted(key.scopes)),
        "created_ns": key.created_ns,
        "expires_ns": key.expires_ns,
        "revoked_ns": key.revoked_ns,
        "last_used_ns": key.last_used_ns,
    }

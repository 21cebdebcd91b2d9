"""How much may be asked: the generic cell rate algorithm (GCRA), one number for each who asks.

A limit of `quota` within a window lets that much through at once and then refills evenly, so it has no edges to wait
for. Who asks is forgotten when the quota is whole again; how many are remembered is bounded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from ipaddress import IPv6Address, ip_address
from typing import Final, NamedTuple

from api.problems import Problem, problem

REMEMBERED_MAX: Final = 65_536
ORDERS_PER_COST: Final = 100
_SECOND_NS: Final = 1_000_000_000
_SIGN_INS: Final = 10
_SIGN_IN_WINDOW_SECONDS: Final = 60


class Rate(NamedTuple):
    """What is left of a limit, for the headers of an answer."""

    limiter: Limiter
    remaining: int
    reset_seconds: int
    """After so long the quota is whole again."""


class Limiter:
    """One limit for many who ask."""

    def __init__(
        self,
        name: str,
        quota: int,
        window_seconds: int = 1,
        *,
        clock: Callable[[], int] = time.monotonic_ns,
        remembered_max: int = REMEMBERED_MAX,
    ) -> None:
        """`clock`: nanoseconds that never go back."""
        self.name = name
        self.quota = quota
        self.policy: Final = f'"{name}";q={quota};w={window_seconds}'.encode()
        self.name_text: Final = f'"{name}"'.encode()
        self.quota_text: Final = str(quota).encode()
        self._clock = clock
        self._window_ns = window_seconds * _SECOND_NS
        self._step_ns = self._window_ns // quota
        self._remembered_max = remembered_max
        self._full_at: dict[Hashable, int] = {}
        """When the quota of each is whole again (the "theoretical arrival time")."""

    def spend(self, who: Hashable, cost: int = 1) -> Rate:
        """Take `cost` off the quota; at 0 it always succeeds. Raises Problem `rate_limited`."""
        now = self._clock()
        full_at = max(self._full_at.get(who, 0), now)
        # What costs more than the whole quota waits for all of it.
        after = full_at + min(cost, self.quota) * self._step_ns
        if cost and after - now > self._window_ns:
            raise self._too_much(who, after - now - self._window_ns)
        if cost:
            if len(self._full_at) >= self._remembered_max and who not in self._full_at:
                self._forget(now)
            self._full_at[who] = after
        return self._rate(after - now)

    def refuse_if_spent(self, who: Hashable) -> None:
        """Raise Problem `rate_limited` where nothing is left, and take nothing."""
        full_at = self._full_at.get(who)
        if full_at is not None:
            wait = full_at + self._step_ns - self._clock() - self._window_ns
            if wait > 0:
                raise self._too_much(who, wait)

    def __len__(self) -> int:
        return len(self._full_at)

    def _rate(self, spent_ns: int) -> Rate:
        return Rate(self, max((self._window_ns - spent_ns) // self._step_ns, 0), -(-spent_ns // _SECOND_NS))

    def _too_much(self, who: Hashable, wait_ns: int) -> Problem:
        rate = self._rate(max(self._full_at.get(who, 0) - self._clock(), 0))
        return problem(
            "rate_limited",
            f"At most {self.quota} within {self._window_ns // _SECOND_NS} s.",
            retry_after_ms=max(-(-wait_ns // 1_000_000), 1),
            headers=dict(rate_headers(rate)),
        )

    def _forget(self, now: int) -> None:
        """Who has its whole quota back is forgotten; if that is not enough, who came first."""
        self._full_at = {who: full_at for who, full_at in self._full_at.items() if full_at > now}
        if len(self._full_at) >= self._remembered_max:
            for who in list(self._full_at)[: self._remembered_max // 16 or 1]:
                del self._full_at[who]


class Limits:
    """The limits of the doors: for an API key or a user, for an address, and for passwords tried from an address."""

    def __init__(self, per_principal: int, per_address: int, *, clock: Callable[[], int] = time.monotonic_ns) -> None:
        """Costs a second."""
        self.principals = Limiter("principal", per_principal, clock=clock)
        self.addresses = Limiter("address", per_address, clock=clock)
        self.sign_ins = Limiter("sign_in", _SIGN_INS, _SIGN_IN_WINDOW_SECONDS, clock=clock)


def cost_of_batch(orders: int) -> int:
    """What a batch of so many orders costs."""
    return -(-orders // ORDERS_PER_COST)


def rate_headers(rate: Rate) -> list[tuple[str, str]]:
    """The headers that tell a client what is left."""
    return [(name.decode(), value.decode()) for name, value in raw_rate_headers(rate)]


def raw_rate_headers(rate: Rate) -> list[tuple[bytes, bytes]]:
    """The same as bytes, names in lower case: the fields of the IETF draft, and the names of habit."""
    limiter, remaining, reset = rate
    return [
        (b"ratelimit-policy", limiter.policy),
        (b"ratelimit", b"%b;r=%d;t=%d" % (limiter.name_text, remaining, reset)),
        (b"x-ratelimit-limit", limiter.quota_text),
        (b"x-ratelimit-remaining", b"%d" % remaining),
        (b"x-ratelimit-reset", b"%d" % reset),
    ]


def address_of(host: str | None) -> str:
    """What counts as one address: an IPv4 address, the /64 network of an IPv6 one, or "local" for none."""
    if host is None:
        return "local"
    if ":" not in host:
        return host
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped is not None else f"{address.exploded[:19]}::/64"
    return host

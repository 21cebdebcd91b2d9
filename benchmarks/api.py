"""What the doors make of the house: orders one by one and in batches, reads of the book, and what subscribers get.

The house is a real one: `tallystick serve` with writer and doors in one process, shadow and projections in another.
Clients are processes of their own, on this machine. *single order* sends signed orders over many connections and waits
for each until it is durable; against it stands a bare FastAPI route that validates the same body and stores nothing,
with the same server settings. *batch orders* sends as many as a request may have. *book read* asks for a book that
rests, against a bare route whose body is ready. *websocket fanout* counts the levels that all subscribers of a book
were told while batches came as fast as they were answered; its latencies are those of a steady flow, from the end of
the durable append until a subscriber has the message. Signing is not measured, and no limit of requests is met.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from api.auth.keys import KeyRequest
from api.auth.store import AuthStore
from api.bootstrap import House, places
from api.settings import Settings
from api.wire import SERIES, SIDES, TIMES_IN_FORCE, format_price, public_id
from benchmarks.harness import Result, at_least_one, emit, machine, parser, percentile, say, workspace
from benchmarks.load import Asked, Load, Watched, Worker, ask, watch
from benchmarks.market import OFFSET, build, flow_commands, submit
from benchmarks.served import Served, bare_served, served
from matching.layout import COMMAND
from matching.simulator import RESTING_TARGET

BENCH: Final = "api"
FLOW: Final = "fill1"
"""Rests and takes and cancels nothing, since orders that are placed have no numbers yet."""
SERIES_NUMBER: Final = 1
PARTIES: Final = 32
"""Each with a key of its own."""
ROUNDS: Final = 3
CONNECTIONS: Final = 32
ORDERS: Final = 4_000
"""Single orders a round."""
BATCH_CONNECTIONS: Final = 4
BATCHES: Final = 60
"""A round."""
BATCH_ORDERS: Final = 1_000
WARM_REQUESTS: Final = 500
"""Of each kind, before the first round."""
READS: Final = 5_000
"""Reads of the book a round."""
SUBSCRIBERS: Final = 100
FANOUT_BATCHES: Final = 50
STEADY_REQUESTS: Final = 300
"""A round of a steady flow."""
STEADY_ORDERS: Final = 20
"""Of each of its requests."""
STEADY_SECONDS: Final = 0.01
BATCH_SEGMENT: Final = 50
NS: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is asked."""

    rounds: int = ROUNDS
    orders: int = ORDERS
    batches: int = BATCHES
    reads: int = READS
    subscribers: int = SUBSCRIBERS
    fanout_batches: int = FANOUT_BATCHES
    steady_requests: int = STEADY_REQUESTS
    batch_orders: int = BATCH_ORDERS
    resting: int = RESTING_TARGET
    """Orders in the book at the start."""

    @property
    def commands(self) -> int:
        """Orders of a whole run."""
        in_batches = (self.batches + self.fanout_batches) * self.batch_orders
        return (
            self.resting
            + 1
            + WARM_REQUESTS
            + self.rounds * (self.orders + in_batches + self.steady_requests * STEADY_ORDERS)
        )


class Orders:
    """The flow as bodies; each party says its part of it."""

    def __init__(self, commands: Any, keys: Sequence[tuple[str, str]]) -> None:
        self._keys = keys
        self._orders = map(_body, commands.tolist())
        self._number = 0

    def next(self, count: int, orders: int | None = None) -> tuple[list[bytes], list[tuple[str, str]]]:
        """Bodies, of single orders or of so many, and the key of each."""
        bodies = list(islice(self._bodies(orders), count))
        assert len(bodies) == count, "the flow is too short"
        keys = [self._keys[(self._number + at) % len(self._keys)] for at in range(count)]
        self._number += count
        return bodies, keys

    def _bodies(self, orders: int | None) -> Iterator[bytes]:
        if orders is None:
            yield from map(orjson.dumps, self._orders)
        else:
            while batch := list(islice(self._orders, orders)):
                yield orjson.dumps({"orders": batch})


_FIELDS: Final = COMMAND.names or ()
_PRICE, _LOTS, _SIDE, _TIF = (_FIELDS.index(name) for name in ("price", "lots", "side", "tif"))


def _body(command: tuple[int, ...]) -> dict[str, str]:
    """An order as a client writes it: the series of `market.py` have ticks of a cent and whole lots."""
    return {
        "series": public_id(SERIES, SERIES_NUMBER),
        "side": SIDES[command[_SIDE]],
        "price": format_price(command[_PRICE], 1, 2),
        "quantity": str(command[_LOTS]),
        "time_in_force": TIMES_IN_FORCE[command[_TIF]],
    }


def house_of(data: Path, sizes: Sizes) -> Orders:
    """Build a house whose book is full, with a key for each party; returns what is to be placed."""
    commands = flow_commands(FLOW, sizes.commands)
    # Whoever asks, asks for itself: the few who do must be among those that `build` gives units to sell.
    commands["account"] = commands["actor"] = OFFSET + 1 + np.arange(len(commands)) % PARTIES
    where = places(data)
    with House(where) as house:
        ready = build(house.sequencer, commands, PARTIES)
        submit(house.sequencer, ready[: sizes.resting])
    keys = []
    with AuthStore.open(data, where.log_url, Settings()) as auth:
        for party in range(OFFSET + 1, OFFSET + 1 + PARTIES):
            made = auth.add_key(party, KeyRequest("hmac", BENCH, frozenset(("read", "trade")), None, None))
            assert made.secret is not None
            keys.append((made.key.id, made.secret))
    return Orders(commands[sizes.resting :], keys)


@dataclass(slots=True)
class Rounds:
    """What the rounds of one case found."""

    rates: list[float] = field(default_factory=list)
    latencies_ns: list[Any] = field(default_factory=list)

    def add(self, asked: Asked) -> None:
        self.rates.append(len(asked.latencies_ns) / asked.seconds)
        self.latencies_ns.append(asked.latencies_ns)

    @property
    def medians_ms(self) -> list[float]:
        return [float(np.median(found)) / NS_PER_MS for found in self.latencies_ns]

    @property
    def p99_ms(self) -> float:
        """Over all rounds."""
        return percentile(np.concatenate(self.latencies_ns).tolist(), 99) / NS_PER_MS


class Bed:
    """Everything that runs while the bench measures."""

    def __init__(self, stack: ExitStack, sizes: Sizes) -> None:
        self._sizes = sizes
        data = stack.enter_context(workspace()) / "house"
        say(BENCH, "building a house")
        self._orders = house_of(data, sizes)
        self._client, self._watcher = (stack.enter_context(Worker()) for _ in range(2))
        say(BENCH, "opening its doors")
        self._house: Served = stack.enter_context(served(data))
        self._series = public_id(SERIES, SERIES_NUMBER)
        self._book = f"/v1/series/{self._series}/book"
        accepted = self._place(1).body
        self._bare_port: int = stack.enter_context(bare_served(accepted, self._house.get(self._book)))
        for work in (self._place, self._place_bare, self._read, self._read_bare):
            work(WARM_REQUESTS)
        self._house.settle()

    # -- orders and reads ----------------------------------------------------------------------------------------------

    def measure(self) -> list[Result]:
        """Every case but the sockets."""
        sizes = self._sizes
        placed, bare, read, bare_read, batched = (Rounds() for _ in range(5))
        for number in range(sizes.rounds):
            say(BENCH, f"round {number + 1} of {sizes.rounds}")
            pairs = [
                ((placed, self._place, sizes.orders), (bare, self._place_bare, sizes.orders)),
                ((read, self._read, sizes.reads), (bare_read, self._read_bare, sizes.reads)),
            ]
            for pair in pairs:
                for rounds, work, count in pair if number % 2 == 0 else reversed(pair):
                    rounds.add(work(count))
                    self._house.settle()
            batched.add(self._place_batches(sizes.batches))
            self._house.settle()
        return [
            *_compared("single order", "commands/s", placed, bare),
            Result.of("batch orders", "orders/s", [rate * sizes.batch_orders for rate in batched.rates]),
            *_latencies("batch orders", batched),
            *_compared("book read", "reads/s", read, bare_read),
        ]

    def _ask(self, port: int, count: int, target: str, *, method: str = "GET", **more: Any) -> Asked:
        more = {"connections": CONNECTIONS, "status": 200, "bodies": [b""] * count, **more}
        found: Asked = self._client.run(ask, Load(port=port, method=method, target=target, **more))
        return found

    def _place(self, count: int) -> Asked:
        bodies, keys = self._orders.next(count)
        return self._ask(self._house.port, count, "/v1/orders", method="POST", bodies=bodies, keys=keys, status=201)

    def _place_bare(self, count: int) -> Asked:
        bodies = [orjson.dumps(_EXAMPLE)] * count
        return self._ask(self._bare_port, count, "/v1/orders", method="POST", bodies=bodies, status=201)

    def _read(self, count: int) -> Asked:
        return self._ask(self._house.port, count, self._book)

    def _read_bare(self, count: int) -> Asked:
        return self._ask(self._bare_port, count, self._book)

    def _place_batches(self, count: int, orders: int | None = None, **more: Any) -> Asked:
        bodies, keys = self._orders.next(count, orders or self._sizes.batch_orders)
        more = {"connections": BATCH_CONNECTIONS, "ending": b'"refused":0', "segment": BATCH_SEGMENT, **more}
        return self._ask(self._house.port, count, "/v1/orders/batch", method="POST", bodies=bodies, keys=keys, **more)

    # -- sockets -------------------------------------------------------------------------------------------------------

    def measure_fanout(self) -> list[Result]:
        """What all subscribers were told; ends the house, which says then when its appends were durable."""
        sizes = self._sizes
        say(BENCH, f"websocket fanout: {sizes.rounds} rounds for {sizes.subscribers} subscribers")
        full, steady = [], []
        for _ in range(sizes.rounds):
            full.append(self._watched(self._place_batches, sizes.fanout_batches))
            steady.append(
                self._watched(
                    self._place_batches,
                    sizes.steady_requests,
                    STEADY_ORDERS,
                    connections=1,
                    segment=sizes.steady_requests,
                    pace_seconds=STEADY_SECONDS,
                )
            )
        restarts = sum(one.snapshots - 1 for found in full + steady for one in found)
        if restarts:
            say(BENCH, f"websocket fanout: {restarts} times a subscriber was too slow and began anew")
        appends = self._house.stop()
        latencies = [_since_append(found, appends) for found in steady]
        return [
            Result.of("websocket fanout", "deltas/s", [_deltas(found) for found in full]),
            Result.of("websocket fanout messages", "messages/s", [_messages(found) for found in full]),
            Result.of("websocket fanout steady", "deltas/s", [_deltas(found) for found in steady]),
            *_latencies("websocket fanout", Rounds(latencies_ns=latencies)),
        ]

    def _watched(self, work: Any, *args: Any, **more: Any) -> list[Watched]:
        """What subscribers are told while something is done."""
        self._watcher.run(watch, self._house.port, self._series, self._sizes.subscribers)
        work(*args, **more)
        self._house.settle()
        self._watcher.connection.send("enough")
        found: list[Watched] = self._watcher.wait()
        return found


_EXAMPLE: Final = {"series": "ser_1", "side": "buy", "price": "20.48", "quantity": "7", "time_in_force": "GTC"}


def _compared(case: str, unit: str, ours: Rounds, bare: Rounds) -> list[Result]:
    """Rates and latencies, and those of the bare route."""
    return [
        Result.of(case, unit, ours.rates, against="bare route", peer=bare.rates),
        *_latencies(case, ours, bare),
        Result.of(f"{case} bare route", unit, bare.rates),
        *_latencies(f"{case} bare route", bare),
    ]


def _latencies(case: str, rounds: Rounds, peer: Rounds | None = None) -> list[Result]:
    """The median in each round, the p99 over all of them."""
    medians, p99 = rounds.medians_ms, [rounds.p99_ms]
    if peer is None:
        return [Result.of(f"{case} latency median", "ms", medians), Result.of(f"{case} latency p99", "ms", p99)]
    return [
        Result.of(f"{case} latency median", "ms", medians, against="bare route", peer=peer.medians_ms),
        Result.of(f"{case} latency p99", "ms", p99, against="bare route", peer=[peer.p99_ms]),
    ]


def _seconds(found: Sequence[Watched]) -> float:
    """From the first message of all subscribers to the last."""
    return float(max(one.at_ns[-1] for one in found) - min(one.at_ns[0] for one in found)) / NS


def _deltas(found: Sequence[Watched]) -> float:
    return float(sum(int(one.deltas.sum()) for one in found)) / _seconds(found)


def _messages(found: Sequence[Watched]) -> float:
    return sum(len(one.seqs) for one in found) / _seconds(found)


def _since_append(found: Sequence[Watched], appends: Any) -> Any:
    """Nanoseconds from each durable append until each subscriber had the message that tells of it.

    Only of appends after a subscriber's first message, since that one may tell of any number before.
    """
    latencies = []
    for one in found:
        first, last = np.searchsorted(appends[:, 0], (one.seqs[0], one.seqs[-1]), side="right")
        positions, durable_ns = appends[first:last].T
        latencies.append(one.at_ns[np.searchsorted(one.seqs, positions)] - durable_ns)
    return np.concatenate(latencies)


def measure(sizes: Sizes) -> list[Result]:
    with ExitStack() as stack:
        bed = Bed(stack, sizes)
        return [*bed.measure(), *bed.measure_fanout()]


def main(arguments: Sequence[str] | None = None, sizes: Sizes | None = None) -> int:
    options = parser(BENCH, __doc__)
    options.add_argument("--rounds", type=at_least_one, default=ROUNDS, help="rounds (default %(default)s)")
    chosen: Any = options.parse_args(arguments)
    results = measure(sizes or Sizes(rounds=chosen.rounds))
    emit(BENCH, machine(), results, as_json=chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Repeated requests: the same request id with the same body gets the same reply, with another body it is refused.

What is remembered of a request is its id, the hash of its body, and the result and position it was answered with. It is
kept by weeks of house time, this one and the one before, each dropped whole, so for seven to fourteen days. Nothing
here influences what a command does, so it is no part of the state root.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from domain.events import Envelope
from ledger.client_ids import ClientIds
from ledger.generations import Generation
from matching.book import GOLDEN
from matching.layout import NONE, REQUEST, RESULT, kernel

WEEK_NS = 7 * 86_400 * 1_000_000_000

REMEMBERED = np.dtype(
    [
        ("id_low", "<i8"),
        ("id_high", "<i8"),
        ("hash_low", "<i8"),
        ("hash_high", "<i8"),
        ("position", "<i8"),  # 0 until the result is known
        ("result", RESULT),
    ]
)

FIRST_SEEN, REUSED, WITHOUT_ID, TURNED_AWAY = -1, -2, -3, -4
"""What `admit` says of a request that was not seen before, of an id that came with another body, and of an id of zeros,
which stands for none; and the verdict on one that was refused before it came to the log.
"""


@kernel
def request_home(low: int, high: int, mask: int) -> int:
    """Preferred place of a request id; ids that merely count up lie as far apart as random ones."""
    mixed = (low ^ (high * GOLDEN)) * np.int64(2685821657736338717)
    return ((mixed ^ (mixed >> 32)) * GOLDEN >> 24) & mask  # type: ignore[return-value]


@kernel
def find_request(rows: Any, index: Any, low: int, high: int) -> int:
    """Row of the request id, or NONE."""
    mask = len(index) - 1
    place = request_home(low, high, mask)
    while index[place] != NONE:
        row = rows[index[place]]
        if row["id_low"] == low and row["id_high"] == high:
            return int(index[place])
        place = (place + 1) & mask
    return NONE


@kernel
def enter(index: Any, low: int, high: int, number: int) -> None:
    mask = len(index) - 1
    place = request_home(low, high, mask)
    while index[place] != NONE:
        place = (place + 1) & mask
    index[place] = number


@kernel
def admit_all(
    old_rows: Any, old_index: Any, rows: Any, index: Any, count: int, asked: Any, verdicts: Any, places: Any
) -> int:
    """Look up each of `asked` ([n, 4] i8: id and hash) and enter the new ones; returns how many are remembered now.

    `verdicts[i]` becomes FIRST_SEEN, REUSED, WITHOUT_ID, or the generation (0 young, 1 old) in which row `places[i]`
    answers it.
    """
    for at in range(len(asked)):
        low, high, hash_low, hash_high = asked[at, 0], asked[at, 1], asked[at, 2], asked[at, 3]
        places[at] = NONE
        if low == 0 and high == 0:
            verdicts[at] = WITHOUT_ID
            continue
        found = find_request(rows, index, low, high)
        generation = 0
        row = rows[max(found, 0)]
        if found == NONE:
            found = find_request(old_rows, old_index, low, high)
            generation = 1
            row = old_rows[max(found, 0)]
        if found == NONE:
            verdicts[at] = FIRST_SEEN
            places[at] = count
            new = rows[count]
            new["id_low"] = low
            new["id_high"] = high
            new["hash_low"] = hash_low
            new["hash_high"] = hash_high
            enter(index, low, high, count)
            count += 1
        elif row["hash_low"] == hash_low and row["hash_high"] == hash_high:
            verdicts[at] = generation
            places[at] = found
        else:
            verdicts[at] = REUSED
            places[at] = found
    return count


@kernel
def reindex_requests(rows: Any, index: Any, count: int) -> None:
    for number in range(count):
        enter(index, rows[number]["id_low"], rows[number]["id_high"], number)


def _generation() -> Generation:
    """Requests first seen in one week."""
    return Generation(lambda count: np.zeros(count, REMEMBERED), reindex_requests)


class Admission:
    """The verdict on a batch of requests, and where their results will be remembered."""

    def __init__(self, generations: tuple[Generation, Generation], verdicts: Any, places: Any) -> None:
        self._generations = generations
        self._places = places
        self.verdicts = verdicts
        self.turned_away = 0
        """Code of those that were turned away."""

    @property
    def executed(self) -> Any:
        """Which of the requests are to be executed."""
        return (self.verdicts == FIRST_SEEN) | (self.verdicts == WITHOUT_ID)

    def turn_away(self, which: Any, code: int) -> None:
        """Refuse the requests `which` ([n] bool, of those to be executed) with a code; repeats get the same."""
        places = self._places[which]
        self._generations[0].rows["result"]["code"][places[places != NONE]] = code
        self.verdicts[which] = TURNED_AWAY
        self.turned_away = code

    def remember(self, results: Any, positions: Any) -> None:
        """Keep the results (RESULT) and positions of what was executed, in its order."""
        rows = self._generations[0].rows
        places = self._places[self.executed]
        known = places != NONE
        rows["result"][places[known]] = results[known]
        rows["position"][places[known]] = positions[known]

    def answer(self, at: int) -> Any:
        """The remembered row (REMEMBERED) of a repeated request."""
        return self._generations[int(self.verdicts[at])].rows[self._places[at]]


class Requests:
    """Memory of the requests of the last seven to fourteen days, and of the client order ids that are taken."""

    def __init__(self) -> None:
        self._young = _generation()
        self._old = _generation()
        self._week = 0
        self.client_ids = ClientIds()

    def admit(self, requests: Any, at_ns: int) -> Admission:
        """Judge `requests` (REQUEST), in order, of the week of `at_ns`; the new ones are known from now on."""
        self._age(at_ns)
        young = self._young
        young.reserve(len(requests))
        asked = np.empty((len(requests), 4), np.int64)
        asked[:, :2] = np.ascontiguousarray(requests["request_id"]).view(np.int64).reshape(-1, 2)
        asked[:, 2:] = np.ascontiguousarray(requests["body_hash"]).view(np.int64).reshape(-1, 2)
        verdicts = np.empty(len(requests), np.int64)
        places = np.empty(len(requests), np.int64)
        young.count = admit_all(
            self._old.rows, self._old.index, young.rows, young.index, young.count, asked, verdicts, places
        )
        return Admission((young, self._old), verdicts, places)

    def known(self, request_id: bytes, at_ns: int) -> Any | None:
        """The remembered row (REMEMBERED) of a request id, or None."""
        self._age(at_ns)
        low, high = np.frombuffer(request_id, np.int64)
        for generation in (self._young, self._old):
            found = find_request(generation.rows, generation.index, low, high)
            if found != NONE:
                return generation.rows[found]
        return None

    def learn_fact(self, envelope: Envelope, position: int) -> None:
        """Remember the request of a rare command from a fact that answered it; only its first fact counts."""
        assert envelope.request_id is not None
        assert envelope.body_hash is not None
        if self.known(envelope.request_id, envelope.at_ns) is None:
            self.add(envelope.request_id, envelope.body_hash, envelope.command, 0, position, envelope.at_ns)

    def add(self, request_id: bytes, body_hash: bytes, command: int, code: int, position: int, at_ns: int) -> None:
        """Remember how a rare command was answered."""
        requests = np.zeros(1, REQUEST)
        requests["request_id"] = np.void(request_id)
        requests["body_hash"] = np.void(body_hash)
        result = np.zeros(1, RESULT)
        result["command"] = command
        result["code"] = code
        self.admit(requests, at_ns).remember(result, np.array([position]))

    def arrays(self) -> Iterator[tuple[str, Any]]:
        """What is remembered, for a snapshot: the rows of both generations and the week of the younger."""
        yield "young", self._young.rows[: self._young.count]
        yield "old", self._old.rows[: self._old.count]
        yield "week", np.array([self._week], np.int64)
        yield from self.client_ids.arrays()

    def restore(self, arrays: dict[str, Any]) -> None:
        """Remember what `arrays` says. An empty one leaves this memory empty."""
        for name, generation in (("young", self._young), ("old", self._old)):
            generation.fill(arrays.get(name, np.zeros(0, REMEMBERED)))
        self._week = int(arrays["week"][0]) if "week" in arrays else 0
        self.client_ids.restore(arrays)

    def _age(self, at_ns: int) -> None:
        week = at_ns // WEEK_NS
        if week > self._week:
            self._old = self._young if week == self._week + 1 else _generation()
            self._young = _generation()
            self._week = week


def by_week(at_ns: Any) -> Iterator[slice]:
    """The parts of never decreasing times ([n] i8) that lie in one week each."""
    first = 0
    while first < len(at_ns):
        end = int(np.searchsorted(at_ns, (int(at_ns[first]) // WEEK_NS + 1) * WEEK_NS))
        yield slice(first, end)
        first = end


def body_hash_of(row: Any) -> bytes:
    """Body hash (16 bytes) of a remembered row."""
    return int(row["hash_low"]).to_bytes(8, "little", signed=True) + int(row["hash_high"]).to_bytes(
        8, "little", signed=True
    )

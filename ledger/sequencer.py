"""The one writer: it alone decides, in one order, and answers only what is durable.

A batch is cut into runs. Consecutive order commands are one kernel call and one flow block; a rare command ends the run
and is decided by the domain. Everything a batch leads to is one append. What happens because time has passed is a
system command that goes in before the first command at or past its due time, so where a batch was cut changes nothing.

After an append failed the sequencer is stopped: its state may be ahead of the log, and the only way on is to recover.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from domain.canonical import encode
from domain.catalogue import Due
from domain.commands import Command, RecordStateRoot, RefundSale
from domain.decisions import decide, decide_due, may_ask
from domain.events import Envelope, Fact
from domain.outcomes import Decided
from domain.rejections import Reason, Refusal, refuse
from domain.values import HOUSE
from ledger.blocks import TOPIC, encode_block
from ledger.effects import account_number
from ledger.execution import Stop
from ledger.intake import take_in
from ledger.keys import KeyStore
from ledger.mapper import from_entry, stream_of, to_entry
from ledger.movements import NO_LEGS, accounts_of, can_open, system_rows, within_capacity
from ledger.refunds import check_trade
from ledger.requests import REUSED, TURNED_AWAY, Admission, Requests, body_hash_of, by_week
from ledger.state import State
from ledger.store import SHARD, Append, Store
from matching.layout import (
    CLIENT_ID,
    COMMAND,
    FLAG_SYSTEM,
    NONE,
    REQUEST,
    RESULT,
    Code,
    Kind,
    Section,
    copied,
)

REQUEST_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class Orders:
    """Order commands of a door, as rows."""

    commands: Any
    """[n] of COMMAND. `command` is ignored; `at_ns` too, unless `stamped`."""
    requests: Any = None
    """[n] of REQUEST, one per command (`command` is ignored), or None."""
    client_ids: Any = None
    """[n] of CLIENT_ID, one per command (`command` is ignored), or None; an empty id is none."""
    stamped: bool = False
    """Whether `at_ns` is given (never decreasing) instead of being the time at which the batch is taken."""
    together: bool = False
    """Whether none is executed where one of the request ids came before with another body; only if not `stamped`."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A rare command: the domain decides."""

    command: Command
    actor: int
    request_id: bytes | None = None
    """16 bytes."""
    at_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed and something may be due."""

    at_ns: int | None = None
    root_wanted: bool = False
    """Whether the shadow shall take a state root after it."""


Item: TypeAlias = Orders | Ask | Tick


class OrderReplies(NamedTuple):
    """Answers to `Orders`, row by row. Slices of arrays: nothing here is an object per command."""

    results: Any
    """[n] of RESULT; `code` is 0 or the number of a `Reason`."""
    positions: Any
    """[n] i8: position of the log entry that holds the result, 0 where the request was refused before the log."""


class Reply(NamedTuple):
    """Answer to a rare command that was accepted."""

    command: int
    position: int
    """Of the block that holds its result if value moved, else of its first fact."""
    facts: tuple[Fact, ...]
    repeated: bool = False


Answer: TypeAlias = OrderReplies | Reply | Refusal


class SequencerStopped(RuntimeError):
    """An append failed before: nothing is accepted until the state is recovered from the log."""

    code = "writer_stopped"


class Sequencer:
    """Decides batches against one state and appends them to one store."""

    def __init__(
        self, store: Store, state: State, requests: Requests, keys: KeyStore, clock: Callable[[], int]
    ) -> None:
        self.store = store
        self.state = state
        self.requests = requests
        self.keys = keys
        self.clock = clock
        self._failed = False
        """Whether deciding or an append ended badly: then the state may be ahead of the log."""
        self._told_to_stop = False

    def process(self, items: Sequence[Item]) -> list[Answer]:
        """Decide `items` in order, append durably what they led to, and answer each.

        Raises SequencerStopped, or the outage that stops the sequencer.
        """
        answers: list[Answer] = []
        for decided in self.decide(items):
            decided.commit()
            decided.announce()
            answers += decided.answers
        return answers

    def decide(self, items: Sequence[Item]) -> Iterator[DecidedBatch]:
        """Decide `items` in order: batches, each to be committed before its answers are given, and in this order.

        A batch may still be on its way to the disk while the next is decided. Raises as `process` does.
        """
        for part in appends(items):
            if self._told_to_stop:
                raise SequencerStopped("the writer was told to stop; find out why before it is started again")
            if self._failed:
                raise SequencerStopped("the writer stopped after a failed append; recover it from the log")
            append = Append(self.store)
            try:
                batch = _Batch(self, append)
                for item in part:
                    batch.add(item)
                batch.finish()
            except BaseException:
                self._failed = True
                append.abandon()
                raise
            yield DecidedBatch(self, append, batch.answers())

    def fail(self) -> None:
        """Decide nothing more: an append failed, so the state may be ahead of the log. Any thread may call this."""
        self._failed = True

    def stop(self) -> None:
        """Accept nothing after what is under way: the shadow disagrees, or whoever runs the house has lost faith in it.
        Any thread may call this.
        """
        self._told_to_stop = True

    def next_due_ns(self) -> int | None:
        """When something happens next because time passes."""
        due = self.state.catalogue.next_due()
        return due.due_ns if due else None


class DecidedBatch:
    """What was decided and waits to be durable."""

    def __init__(self, sequencer: Sequencer, append: Append, answers: list[Answer]) -> None:
        self._sequencer = sequencer
        self._append = append
        self.answers = answers
        """One per item, in order; they are to be given only after `commit`."""

    @property
    def is_streaming(self) -> bool:
        """Whether it must be committed by the thread that decided it."""
        return self._append.is_streaming

    def commit(self) -> None:
        """Make it durable. Raises the outage that stops the sequencer."""
        try:
            self._append.commit()
        except BaseException:
            self._sequencer.fail()
            raise

    def announce(self) -> None:
        """Wake those who follow the log; after the answers, which do not wait for it."""
        self._append.announce()


def appends(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Cut a batch before each command whose decision reads the log, so that what came before it can be read there."""
    first = 0
    for at, item in enumerate(items):
        if at > first and isinstance(item, Ask) and isinstance(item.command, RefundSale):
            yield items[first:at]
            first = at
    if items:
        yield items[first:]


class _Admitted(NamedTuple):
    """Requests of one week, and the places in the batch of the rows that were new."""

    admission: Admission
    first: int
    end: int


class _Batch:
    """One batch on its way into one append.

    Its order rows have places 0, 1, 2 … over all runs. The rows of `_run` wait for the run to end; when it does, their
    results join `_done`. An answer is put together at the end from the places of its item's rows:

        places     0 1 2 3 4 5 | 6 7 8 | 9 10 …
                   _done: a run, a run   _run (waiting)
    """

    def __init__(self, sequencer: Sequencer, append: Append) -> None:
        self._sequencer = sequencer
        self._state = sequencer.state
        self._store = sequencer.store
        self._requests = sequencer.requests
        self._keys = sequencer.keys
        self._append = append
        self._run: list[tuple[Any, Any, Any]] = []
        """Rows that wait for the end of the run, with their requests and client ids."""
        self._run_rows = 0
        self._done: list[tuple[Any, Any]] = []
        """(results, positions) of each run that ended, in order."""
        self._rows_before = 0
        self._pending: list[Callable[[], Answer]] = []
        self._admitted: list[_Admitted] = []
        self._named: list[tuple[Any, Any]] = []
        """Places of client order ids in their memory, and those of their rows in the batch."""
        self._replies: dict[int, Reply] = {}

    # -- taking items --------------------------------------------------------------------------------------------------

    def add(self, item: Item) -> None:
        if isinstance(item, Orders):
            self._add_orders(item)
        elif isinstance(item, Ask):
            self._add_ask(item)
        else:
            at_ns = self._stamp(item.at_ns)
            row = np.zeros(1, COMMAND)
            row["kind"] = Kind.TICK
            row["flags"] = FLAG_SYSTEM
            row["target"] = item.root_wanted
            row["at_ns"] = at_ns
            self._pending.append(self._answer_rows(*self._enqueue(row)))

    def _stamp(self, at_ns: int | None) -> int:
        """House time: what was given or the clock, but never before the last command."""
        return max(self._last_at_ns(), self._sequencer.clock() if at_ns is None else at_ns)

    def _last_at_ns(self) -> int:
        return int(self._run[-1][0]["at_ns"][-1]) if self._run else self._state.at_ns

    def _add_orders(self, orders: Orders) -> None:
        rows = copied(orders.commands)
        take_in(rows, NONE if orders.stamped else self._sequencer.clock(), self._last_at_ns())
        if orders.requests is None and orders.client_ids is None:
            self._pending.append(self._answer_rows(*self._enqueue(rows)))
            return
        requests = np.zeros(len(rows), REQUEST) if orders.requests is None else orders.requests
        admitted: list[_Admitted] = []
        for part in by_week(rows["at_ns"]):
            admission = self._requests.admit(requests[part], int(rows["at_ns"][part.start]))
            if orders.together and (admission.verdicts == REUSED).any():
                admission.turn_away(admission.executed, int(Reason.REQUEST_ID_REUSED))
            client_ids = None if orders.client_ids is None else orders.client_ids[part]
            first = self._rows_before + self._run_rows
            self._enqueue_admitted(rows[part], requests[part], client_ids, admission)
            admitted.append(_Admitted(admission, first, self._rows_before + self._run_rows))
        self._admitted += admitted
        self._pending.append(self._answer_requests(admitted))

    def _enqueue_admitted(self, rows: Any, requests: Any, client_ids: Any, admission: Admission) -> None:
        """Enqueue the rows to be executed, but for new orders whose client order ids are taken."""
        new = admission.executed
        if client_ids is None:
            self._enqueue(rows[new], requests[new])
            return
        named = new & (client_ids["client_order_id"] != b"") & (rows["kind"] == Kind.NEW)
        client_ids = client_ids.copy()
        client_ids[~named] = np.zeros((), CLIENT_ID)
        at = np.flatnonzero(named)
        first = 0
        if len(at) and self._requests.client_ids.is_due(int(rows["at_ns"][at[0]])):
            # Which ids are let go depends on which orders are open, so what came before is executed first.
            first = int(at[0])
            before = new[:first]
            self._enqueue(rows[:first][before], requests[:first][before])
            self._end_run()
            self._remember_results()
            self._requests.client_ids.turn(int(rows["at_ns"][first]), self._state.tables.book)
        places = self._requests.client_ids.take(client_ids[at], rows["account"][at])
        taken = at[places == NONE]
        if len(taken):
            which = np.zeros(len(rows), bool)
            which[taken] = True
            admission.turn_away(which, int(Code.CLIENT_ORDER_ID_TAKEN))
            new = admission.executed
        start = self._rows_before + self._run_rows
        behind = new[first:]
        self._enqueue(rows[first:][behind], requests[first:][behind], client_ids[first:][behind])
        free = at[places != NONE]
        # The place of a row among those of the batch: so many that are executed come before it.
        order_of = start + np.cumsum(behind)[free - first] - 1
        self._named.append((places[places != NONE], order_of))

    def _enqueue(self, rows: Any, requests: Any = None, client_ids: Any = None) -> tuple[int, int]:
        """Let rows wait for the end of the run, and what is due before them happen; returns their places."""
        first = self._rows_before + self._run_rows
        while len(rows):
            due = self._state.catalogue.next_due()
            cut = len(rows) if due is None else int(np.searchsorted(rows["at_ns"], due.due_ns))
            if cut:
                self._run.append((rows[:cut], _first(requests, cut), _first(client_ids, cut)))
                self._run_rows += cut
                rows = rows[cut:]
                requests = None if requests is None else requests[cut:]
                client_ids = None if client_ids is None else client_ids[cut:]
            if len(rows):
                assert due is not None
                self._end_run()
                self._apply_due(due)
        return first, self._rows_before + self._run_rows

    # -- time ----------------------------------------------------------------------------------------------------------

    def _apply_due(self, due: Due) -> None:
        """Run the system command of `due`, which must come next."""
        at_ns = max(due.due_ns, self._state.at_ns)
        decided = within_capacity(self._state, decide_due(self._state.catalogue, due, at_ns=at_ns))
        outcome = self._carry_out(decided, actor=HOUSE, at_ns=at_ns, request_id=None, body_hash=None)
        assert isinstance(outcome, Reply), (due, outcome)
        assert self._state.catalogue.next_due() != due, due

    def _apply_all_due(self, at_ns: int) -> None:
        while (due := self._state.catalogue.next_due()) is not None and due.due_ns <= at_ns:
            self._end_run()
            self._apply_due(due)

    # -- rare commands -------------------------------------------------------------------------------------------------

    def _add_ask(self, ask: Ask) -> None:
        at_ns = self._stamp(ask.at_ns)
        self._end_run()
        self._apply_all_due(at_ns)
        answer = self._answer_ask(ask, at_ns)
        self._pending.append(lambda: answer)

    def _answer_ask(self, ask: Ask, at_ns: int) -> Answer:
        malformed = self._malformed(ask)
        if malformed is not None:
            return malformed
        body_hash = None
        if ask.request_id is not None:
            body_hash = self._keys.fingerprint(body_of(ask.command, ask.actor))
            self._remember_results()
            known = self._requests.known(ask.request_id, at_ns)
            if known is not None:
                if body_hash_of(known) != body_hash:
                    return request_id_reused(ask.request_id, int(known["result"]["command"]))
                if known["result"]["code"] != Code.OK:
                    return refusal_of_code(int(known["result"]["code"]))
                return self._repeat(int(known["result"]["command"]), int(known["position"]))
        if isinstance(ask.command, RefundSale):
            self._store.wait_for_commits()
            refusal = check_trade(self._store, ask.command)
            if refusal is not None:
                return refusal
        decided = decide(self._state.catalogue, ask.command, actor=ask.actor, at_ns=at_ns)
        if isinstance(decided, Refusal):
            return decided
        return self._carry_out(decided, actor=ask.actor, at_ns=at_ns, request_id=ask.request_id, body_hash=body_hash)

    def _malformed(self, ask: Ask) -> Refusal | None:
        """What is wrong with the shape of a question, or with who asks it, before anything is looked up."""
        if ask.request_id is not None and len(ask.request_id) != REQUEST_ID_BYTES:
            return refuse(
                Reason.MALFORMED_REQUEST_ID, "request_id", f"has {REQUEST_ID_BYTES} bytes", ask.request_id.hex()
            )
        refusal = may_ask(self._state.catalogue, ask.command, ask.actor)
        if refusal is not None or not isinstance(ask.command, RecordStateRoot):
            return refusal
        ended = self._state.next_command - 1
        if ask.command.at_command <= ended:
            return None
        rule = f"names a command that has ended, at most {ended}"
        return refuse(Reason.VALUE_OUT_OF_RANGE, "at_command", rule, ask.command.at_command)

    def _carry_out(
        self, decided: Decided, *, actor: int, at_ns: int, request_id: bytes | None, body_hash: bytes | None
    ) -> Answer:
        """Open accounts, move value, and only if that succeeds append the facts."""
        state = self._state
        wanted = (*decided.opens, *accounts_of(decided.movement))
        missing = dict.fromkeys(ref for ref in wanted if account_number(state.tables, ref) == NONE)
        if not can_open(state, len(missing)):
            return refusal_of_code(int(Code.CAPACITY_EXHAUSTED))
        rows, legs = system_rows(state, missing, decided.movement, actor=actor, at_ns=at_ns)
        moves = decided.movement is not None
        number = state.next_command + len(missing)
        position = 0
        code = int(Code.OK)
        if len(rows):
            beside: dict[Section, Any] = {}
            if moves and request_id is not None and body_hash is not None:
                beside[Section.REQUESTS] = _request_row(number, request_id, body_hash)
            results, positions = self._execute(rows, legs, beside)
            if moves:
                position = int(positions[-1])
                code = int(results[-1]["code"])
        if code == Code.OK:
            envelope = Envelope(command=number, at_ns=at_ns, actor=actor, request_id=request_id, body_hash=body_hash)
            first = self._append_facts(envelope, decided.facts)
            position = position or first
        if request_id is not None and body_hash is not None:
            self._requests.add(request_id, body_hash, number, code, position, at_ns)
        if code != Code.OK:
            return refusal_of_code(code)
        reply = Reply(number, position, decided.facts)
        self._replies[number] = reply
        return reply

    def _repeat(self, number: int, position: int) -> Reply:
        """The reply to a rare command that was accepted before, in this batch or in the log."""
        reply = self._replies.get(number)
        if reply is None:
            self._store.wait_for_commits()
            return Reply(number, position, facts_of(self._store, number, position, self._keys), repeated=True)
        return Reply(number, position, reply.facts, repeated=True)

    def _append_facts(self, envelope: Envelope, facts: Sequence[Fact]) -> int:
        """Write facts and let them take effect; returns the position of the first, 0 if there is none."""
        first = 0
        for fact in facts:
            stream = stream_of(fact)
            version = self._store.versions.get(stream, 0) + 1
            topic, state = to_entry(stream, version, envelope, fact, self._keys.seal)
            position = self._append.fact(stream, version, topic, state)
            first = first or position
            self._state.apply(envelope, fact)
        return first

    # -- flow ----------------------------------------------------------------------------------------------------------

    def _end_run(self) -> None:
        """Execute the rows that wait, as one run."""
        if not self._run:
            return
        if len(self._run) == 1:
            rows, requests, client_ids = self._run[0]
        else:
            rows = np.concatenate([rows for rows, _, _ in self._run])
            requests = self._beside(1, REQUEST)
            client_ids = self._beside(2, CLIENT_ID)
        self._run = []
        self._run_rows = 0
        first = self._state.next_command
        beside: dict[Section, Any] = {}
        if requests is not None:
            asked = np.ascontiguousarray(requests["request_id"]).view(np.int64).reshape(-1, 2).any(axis=1)
            beside[Section.REQUESTS] = _numbered(requests, asked, first)
        if client_ids is not None:
            beside[Section.CLIENT_IDS] = _numbered(client_ids, client_ids["client_order_id"] != b"", first)
        self._done.append(self._execute(rows, NO_LEGS, beside))
        self._rows_before += len(rows)

    def _beside(self, at: int, layout: Any) -> Any:
        """What stands beside the rows of the whole run, None if nothing does; rows without one get zeros."""
        if all(part[at] is None for part in self._run):
            return None
        return np.concatenate([np.zeros(len(part[0]), layout) if part[at] is None else part[at] for part in self._run])

    def _execute(self, rows: Any, legs: Any, beside: dict[Section, Any]) -> tuple[Any, Any]:
        """Number the rows, run them, write the blocks; returns (results, positions), a row each.

        `beside`: rows of other input sections, numbered, ascending.
        """
        state = self._state
        count = len(rows)
        first = state.next_command
        rows["command"] = np.arange(first, first + count)
        answered: list[tuple[Any, Any]] = []
        at = leg_at = active = 0
        while True:
            before, leg_before = at, leg_at
            at, leg_at, stop = state.execute(rows, legs, at, leg_at)
            sections = state.outcome()
            written = sections.get(Section.RESULTS, _NO_RESULTS)
            sections[Section.COMMANDS] = rows[before:at]
            sections[Section.LEGS] = legs[leg_before:leg_at]
            for section, inputs in beside.items():
                here = np.searchsorted(inputs["command"], (first + before, first + at))
                sections[section] = inputs[here[0] : here[1]]
            position = self._append.block(
                encode_block(
                    sections,
                    shard=SHARD,
                    epoch=self._store.epoch,
                    first_at_ns=int(rows[before]["at_ns"]) if at > before else state.at_ns,
                    last_at_ns=state.at_ns,
                    first_command=first + before,
                    active_command=active,
                    continues=stop == Stop.CONTINUE,
                )
            )
            answered.append((copied(written), np.full(len(written), position)))
            if stop == Stop.DONE:
                results, positions = _joined(answered)
                assert len(results) == count, (len(results), count)
                return results, positions
            active = state.active_command

    def finish(self) -> None:
        """End the last run and close the append with a block, an empty one if nothing flowed after the last fact."""
        self._end_run()
        if self._append.needs_block:
            state = self._state
            self._append.block(
                encode_block(
                    {},
                    shard=SHARD,
                    epoch=self._store.epoch,
                    first_at_ns=state.at_ns,
                    last_at_ns=state.at_ns,
                    first_command=state.next_command,
                    active_command=0,
                    continues=False,
                )
            )

    # -- answering -----------------------------------------------------------------------------------------------------

    def answers(self) -> list[Answer]:
        """The answer to each item, in order. Call after `finish`."""
        self._remember_results()
        return [answer() for answer in self._pending]

    def _remember_results(self) -> None:
        """Collect the results of all runs so far, and let the requests know theirs."""
        self._done = [_joined(self._done)]
        self._results, self._positions = self._done[0]
        for admission, first, end in self._admitted:
            admission.remember(self._results[first:end], self._positions[first:end])
        self._admitted = []
        for places, rows in self._named:
            self._requests.client_ids.remember(places, self._results["order"][rows])
        self._named = []

    def _answer_rows(self, first: int, end: int) -> Callable[[], Answer]:
        return lambda: OrderReplies(self._results[first:end], self._positions[first:end])

    def _answer_requests(self, admitted: Sequence[_Admitted]) -> Callable[[], Answer]:
        def answer() -> Answer:
            parts = [self._replies_of(*part) for part in admitted]
            return OrderReplies(
                np.concatenate([np.empty(0, RESULT), *(part.results for part in parts)]),
                np.concatenate([np.empty(0, np.int64), *(part.positions for part in parts)]),
            )

        return answer

    def _replies_of(self, admission: Admission, first: int, end: int) -> OrderReplies:
        """Replies to requests of which the new ones were executed as rows first:end of the batch."""
        verdicts = admission.verdicts
        results = np.zeros(len(verdicts), RESULT)
        positions = np.zeros(len(verdicts), np.int64)
        new = admission.executed
        results[new] = self._results[first:end]
        positions[new] = self._positions[first:end]
        results["code"][verdicts == REUSED] = Reason.REQUEST_ID_REUSED
        results["code"][verdicts == TURNED_AWAY] = admission.turned_away
        for at in np.flatnonzero(verdicts >= 0):
            remembered = admission.answer(int(at))
            results[at] = remembered["result"]
            positions[at] = remembered["position"]
        return OrderReplies(results, positions)


def body_of(command: Command, actor: int) -> bytes:
    """What a rare command asks, as bytes. It may hold personal text, so the log keeps only a keyed hash of it."""
    return b"%b\0%d\0%b" % (type(command).__name__.encode(), actor, encode(command))


def request_id_reused(request_id: bytes, command: int) -> Refusal:
    return Refusal(
        Reason.REQUEST_ID_REUSED,
        field="request_id",
        rule=f"belongs to command {command}, which had another body",
        value=request_id.hex(),
    )


def refusal_of_code(code: int) -> Refusal:
    """A kernel's result as a refusal."""
    reason = Reason(code)
    return Refusal(reason, field="command", rule=reason.meaning, value=reason.code)


def facts_of(store: Store, command: int, position: int, keys: KeyStore) -> tuple[Fact, ...]:
    """The facts of a rare command, read from the log from the position of its reply on."""
    facts: list[Fact] = []
    for entry in store.read(position):
        if entry.topic == TOPIC:
            if entry.position > position:
                break
            continue
        envelope, fact = from_entry(entry.stream, entry.version, entry.topic, entry.state, keys.unseal)
        if envelope.command != command:
            break
        facts.append(fact)
    return tuple(facts)


_NO_RESULTS = np.empty(0, RESULT)
_NO_POSITIONS = np.empty(0, np.int64)


def _joined(parts: Sequence[tuple[Any, Any]]) -> tuple[Any, Any]:
    """(results, positions) of parts one after the other."""
    if len(parts) == 1:
        return parts[0]
    return (
        np.concatenate([_NO_RESULTS, *(results for results, _ in parts)]),
        np.concatenate([_NO_POSITIONS, *(positions for _, positions in parts)]),
    )


def _first(rows: Any, count: int) -> Any:
    return None if rows is None else rows[:count]


def _numbered(rows: Any, which: Any, first: int) -> Any:
    """The rows of `which` ([n] bool), each with the number of its command; row 0 belongs to command `first`."""
    numbered = rows[which]
    numbered["command"] = first + np.flatnonzero(which)
    return numbered


def _request_row(command: int, request_id: bytes, body_hash: bytes) -> Any:
    row = np.zeros(1, REQUEST)
    row["command"] = command
    row["request_id"] = np.void(request_id)
    row["body_hash"] = np.void(body_hash)
    return row

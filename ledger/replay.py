"""Doing history again: facts take effect, blocks are executed, and what comes out must be what the log says.

Recovery, the shadow and the verifier are this one fold; they differ in what they start from and what they do at the end
of an entry.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from domain.events import StateRootRecorded
from ledger.blocks import TOPIC, Block, BlockUnreadable, chain, decode_block
from ledger.comparison import OUTCOMES, Survey, expected_words, same_so_far, survey, words_of
from ledger.disagreement import Disagreement
from ledger.execution import Stop
from ledger.mapper import from_entry
from ledger.movements import moves_value
from ledger.redecision import Redecision
from ledger.requests import Requests, by_week
from ledger.state import State
from ledger.store import SHARD, SHARD_STREAM, Appended, Store
from matching.layout import LAYOUTS, NONE, Section

SLICE = 2048
"""Commands whose outcomes are compared before the next are executed: they are still in the processor's cache then."""


class Replay:
    """A fold over entries of the log from a known state on."""

    def __init__(
        self,
        state: State,
        requests: Requests | None = None,
        *,
        position: int = 0,
        running_hash: bytes = bytes(32),
        blocks: int = 0,
        versions: dict[str, int] | None = None,
    ) -> None:
        self.state = state
        self._redecision: Redecision | None = None
        self._settled = True
        self.requests = requests
        self.position = position
        self.running_hash = running_hash
        self.blocks = blocks
        self.epoch = 0
        self.versions = {} if versions is None else versions
        self.commands = 0
        """Command rows executed."""
        self.roots_wanted: set[int] = set()
        """Commands after which the state root shall be kept, for a later fact to be compared with."""
        self.roots: dict[int, bytes] = {}
        self._unanswered: list[tuple[Any, Any]] = []
        self._words: tuple[Any, ...] | None = None
        """The outcome sections of the state, as integers."""
        self._named: list[tuple[Any, Any]] = []
        """Commands whose results are still to come, and the places of their client order ids."""

    def redecide(self, store: Store | None = None) -> None:
        """From here on ask the rules again for every fact, too; recovery has no need of that.

        `store`: where the trades of refunds are looked up. Start between two commands.
        """
        self._redecision = Redecision(self.state, store)

    @property
    def is_between_commands(self) -> bool:
        """Whether the last command has ended with all its facts: the moments for roots and snapshots."""
        return self._settled and not self.state.active_command

    def feed(self, entry: Appended) -> None:
        """Take the next entry. Raises Disagreement, or BlockUnreadable and its like for bytes that cannot be read."""
        if entry.position != self.position + 1:
            raise Disagreement(entry.position, "gap in the log", expected=self.position + 1, found=entry.position)
        if entry.topic == TOPIC:
            self._feed_block(entry)
        else:
            self._feed_fact(entry)
        self.position = entry.position
        self.running_hash = chain(self.running_hash, *entry)
        command = self.state.next_command - 1
        if command in self.roots_wanted and self.is_between_commands:
            self.roots[command] = self.state.root()

    def end(self) -> None:
        """The log ends here. Raises Disagreement where it must not."""
        if self.state.active_command:
            raise Disagreement(
                self.position,
                f"the log ends within command {self.state.active_command}",
                expected="its end",
                found="nothing",
            )
        if self._redecision is not None:
            self._redecision.end(self.position)

    def _feed_fact(self, entry: Appended) -> None:
        expected = self.versions.get(entry.stream, 0) + 1
        if entry.version != expected:
            raise Disagreement(
                entry.position, f"version in stream {entry.stream}", expected=expected, found=entry.version
            )
        envelope, fact = from_entry(entry.stream, entry.version, entry.topic, entry.state, position=entry.position)
        if self.state.active_command:
            raise Disagreement(
                entry.position,
                "fact before the active command has ended",
                expected=f"a block that continues command {self.state.active_command}",
                found=entry.topic,
            )
        if isinstance(fact, StateRootRecorded) and fact.at_command in self.roots_wanted:
            root = self.roots.get(fact.at_command)
            if root != fact.root:
                raise Disagreement(
                    entry.position,
                    f"state root after command {fact.at_command}",
                    field="root",
                    expected=root.hex() if root else "none: the command had not ended",
                    found=fact.root.hex(),
                )
        if self._redecision is not None:
            self._redecision.fact(entry.position, envelope, fact)
        self.versions[entry.stream] = entry.version
        self._settled = True
        try:
            self.state.apply(envelope, fact)
        except (AssertionError, LookupError) as error:
            # A fact that was decided on this state always fits; one that does not was decided on another.
            raise Disagreement(
                entry.position, "the fact contradicts what came before", expected="one that fits", found=fact
            ) from error
        if self.requests is not None and envelope.request_id is not None:
            self.requests.learn_fact(envelope, entry.position)

    def _feed_block(self, entry: Appended) -> None:
        try:
            block = decode_block(entry.state)
        except BlockUnreadable as error:
            raise Disagreement(entry.position, str(error)) from error
        due = self.state.catalogue.next_due()
        commands = block.rows(Section.COMMANDS)
        found = survey(commands, self.state.next_command, self.state.at_ns, NONE if due is None else due.due_ns)
        self._check_header(entry, block, found)
        if self._redecision is not None:
            self._redecision.block(entry.position, block, found)
        legs = block.rows(Section.LEGS)
        state = self.state
        if self.requests is not None:
            self._take_client_ids(entry, block)
        if len(commands) or state.active_command:
            self._execute(entry, block, commands, legs)
        elif any(section in block.sections for section in OUTCOMES):
            raise Disagreement(entry.position, "block without commands has outcomes", expected=0, found=1)
        if len(commands):
            refused = not state.active_command and bool(block.rows(Section.RESULTS)["code"][-1:].any())
            self._settled = refused or not moves_value(commands[-1:])[0]
        self.commands += len(commands)
        self.blocks = entry.version
        self.epoch = int(block.header["epoch"])
        if self.requests is not None:
            self._learn_requests(entry, block)
            self._learn_orders(block)

    def _execute(self, entry: Appended, block: Block, commands: Any, legs: Any) -> None:
        """Execute the commands of a block and compare every outcome."""
        state = self.state
        continues = int(block.header["continues"])
        # Only where a command goes on over blocks does it matter how much of the block was used before it.
        step = SLICE if not continues and not state.active_command else max(len(commands), 1)
        if self._words is None:
            self._words = words_of(state.out)
        expected = expected_words(block)
        done = np.zeros(len(OUTCOMES), np.int64)
        at = leg_at = 0
        stop = Stop.DONE
        while True:
            at, leg_at, stop = state.execute(commands[: at + step], legs, at, leg_at)
            if not same_so_far(self._words, state.out.used, expected, done):
                self._tell_difference(entry, block, done)
            if stop != Stop.DONE or at == len(commands):
                break
        self._check(entry, "commands executed", len(commands), at, Section.COMMANDS)
        self._check(entry, "legs taken", len(legs), leg_at, Section.LEGS)
        self._check(entry, "continues", continues, int(stop == Stop.CONTINUE))
        for section, rows in zip(OUTCOMES, done, strict=True):
            self._check(entry, "number of rows", len(block.rows(section)), int(rows), section)

    def _tell_difference(self, entry: Appended, block: Block, done: Any) -> None:
        """Raise Disagreement at the first row and field that differ, of which `done` ([6] rows) were equal."""
        outcome = self.state.outcome()
        for section, first in zip(OUTCOMES, done, strict=True):
            written = outcome.get(section, block.rows(section)[:0])
            compare(entry.position, section, written, block.rows(section)[first : first + len(written)], int(first))
        raise AssertionError("what differs was found")

    def _check_header(self, entry: Appended, block: Block, found: Survey) -> None:
        header = block.header
        state = self.state
        self._check(entry, "stream of a block", SHARD_STREAM, entry.stream)
        self._check(entry, "shard", SHARD, int(header["shard"]))
        if int(header["epoch"]) < max(self.epoch, 1):
            raise Disagreement(
                entry.position, "epoch", expected=f"at least {max(self.epoch, 1)}", found=int(header["epoch"])
            )
        self._check(entry, "number of the block", self.blocks + 1, entry.version)
        self._check(entry, "block", self.blocks + 1, int(header["block"]))
        self._check(entry, "running_hash", self.running_hash.hex(), bytes(header["running_hash"]).hex())
        self._check(entry, "active_command", state.active_command, int(header["active_command"]))
        self._check(entry, "first_command", state.next_command, int(header["first_command"]))
        commands = block.rows(Section.COMMANDS)
        if len(commands):
            row = found.out_of_order
            if row < len(commands):
                raise Disagreement(
                    entry.position,
                    "command numbers are dense and time never runs backwards",
                    section=Section.COMMANDS.name,
                    row=row,
                    expected=f"command {state.next_command + row}",
                    found=f"command {commands[row]['command']} at {commands[row]['at_ns']}",
                )
            self._check(entry, "first_at_ns", int(commands[0]["at_ns"]), int(header["first_at_ns"]))
            self._check(entry, "last_at_ns", int(commands[-1]["at_ns"]), int(header["last_at_ns"]))
        else:
            self._check(entry, "first_at_ns", state.at_ns, int(header["first_at_ns"]))
            self._check(entry, "last_at_ns", state.at_ns, int(header["last_at_ns"]))

    @staticmethod
    def _check(entry: Appended, what: str, expected: object, found: object, section: Section | None = None) -> None:
        if expected != found:
            raise Disagreement(
                entry.position, what, section=section.name if section else None, expected=expected, found=found
            )

    def _take_client_ids(self, entry: Appended, block: Block) -> None:
        """Take the client order ids of a block before it is executed, as the sequencer does."""
        assert self.requests is not None
        ids = block.rows(Section.CLIENT_IDS)
        if not len(ids):
            return
        commands = block.rows(Section.COMMANDS)
        at = _rows_of(commands, ids, entry, Section.CLIENT_IDS)
        memory = self.requests.client_ids
        first_at_ns = int(commands["at_ns"][at[0]])
        if memory.is_due(first_at_ns):
            memory.turn(first_at_ns, self.state.tables.book)
        places = memory.take(ids, commands["account"][at])
        # An order that was turned away is not in the log but may have turned the generations, so that an id was free
        # for the writer and is not yet free here.
        free = places != NONE
        self._named.append((ids["command"][free], places[free]))

    def _learn_orders(self, block: Block) -> None:
        """Note which orders the commands with client order ids became, as far as their results are there."""
        assert self.requests is not None
        results = block.rows(Section.RESULTS)
        if not self._named or not len(results):
            return
        commands = np.concatenate([commands for commands, _ in self._named])
        places = np.concatenate([places for _, places in self._named])
        answered = int(np.searchsorted(commands, results["command"][-1], "right"))
        at = np.searchsorted(results["command"], commands[:answered])
        self.requests.client_ids.remember(places[:answered], results["order"][at])
        self._named = [(commands[answered:], places[answered:])] if answered < len(commands) else []

    def _learn_requests(self, entry: Appended, block: Block) -> None:
        """Remember requests with the results that answered them, which may come in a later block of a long command."""
        assert self.requests is not None
        asked = block.rows(Section.REQUESTS)
        if len(asked):
            commands = block.rows(Section.COMMANDS)
            at = _rows_of(commands, asked, entry, Section.REQUESTS)
            self._unanswered.append((asked, commands["at_ns"][at]))
        if not self._unanswered:
            return
        asked = np.concatenate([rows for rows, _ in self._unanswered])
        times = np.concatenate([at_ns for _, at_ns in self._unanswered])
        results = block.rows(Section.RESULTS)
        answered = int(np.searchsorted(asked["command"], results["command"][-1], "right")) if len(results) else 0
        for part in by_week(times[:answered]):
            done = asked[:answered][part]
            at = np.searchsorted(results["command"], done["command"])
            admission = self.requests.admit(done, int(times[part.start]))
            admission.remember(results[at][admission.executed], np.full(len(done), entry.position)[admission.executed])
        self._unanswered = [(asked[answered:], times[answered:])] if answered < len(asked) else []


def _rows_of(commands: Any, inputs: Any, entry: Appended, section: Section) -> Any:
    """Rows of `commands` that the rows of another input section of the same block belong to. Raises Disagreement."""
    at = np.searchsorted(commands["command"], inputs["command"])
    if np.any(at >= len(commands)) or np.any(commands["command"][at] != inputs["command"]):
        raise Disagreement(entry.position, "a row names a command of another block", section=section.name)
    return at


def compare(position: int, section: Section, expected: Any, found: Any, first: int = 0) -> None:
    """Raise Disagreement at the first row and field that differ; `first`: rows of the section before these."""
    if np.array_equal(expected, found):
        return
    rows = min(len(expected), len(found))
    if rows:
        different = np.flatnonzero(expected[:rows] != found[:rows])
        if len(different):
            row = int(different[0])
            names = LAYOUTS[section].names or ()
            field = next(name for name in names if expected[row][name] != found[row][name])
            raise Disagreement(
                position,
                "row differs",
                section=section.name,
                row=first + row,
                field=field,
                expected=expected[row][field],
                found=found[row][field],
            )
    raise Disagreement(
        position, "number of rows", section=section.name, expected=first + len(expected), found=first + len(found)
    )

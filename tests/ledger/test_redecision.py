"""A log that was forged so that every hash and every block fits is still caught: the rules give other facts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from domain.events import (
    AgreementTookEffect,
    DepositRecorded,
    Envelope,
    Fact,
    PartyRegistered,
    SeriesListed,
    WaterfallCompiled,
)
from domain.questions import COMMAND_OF
from domain.values import HOUSE
from ledger.blocks import TOPIC, decode_block, encode_block
from ledger.disagreement import Disagreement
from ledger.mapper import from_entry, to_entry
from ledger.movements import NO_LEGS
from ledger.recorder import LogRecorder
from ledger.sequencer import Ask, Reply
from ledger.store import Append, Appended, Store
from ledger.verifier import verify
from matching.layout import Kind, Section, Side
from tests.simulation.market import (
    DEVELOPER,
    FIRST_TRADER,
    LIMITS,
    OFFICER,
    START_NS,
    Desk,
    a_deposit,
    a_series,
    an_agreement,
    new_orders,
)

Forge = Callable[[Envelope, Fact], tuple[Envelope, Fact] | None]


def forged(desk: Desk, forge: Forge, *, drop_block: Callable[[Appended], bool] = lambda _entry: False) -> Store:
    """A copy of the desk's log in which facts are what `forge` makes of them (None: left out), chained anew."""
    store = Store(LogRecorder("sqlite://"))
    versions: dict[str, int] = {}
    append = Append(store)
    for entry in desk.store.read():
        if entry.topic == TOPIC:
            if not drop_block(entry):
                append.block(resealed(entry.state))
            continue
        changed = forge(*from_entry(entry.stream, entry.version, entry.topic, entry.state))
        if changed is not None:
            versions[entry.stream] = versions.get(entry.stream, 0) + 1
            topic, state = to_entry(entry.stream, versions[entry.stream], *changed, desk.keys.seal)
            append.fact(entry.stream, versions[entry.stream], topic, state)
    append.commit()
    return store


def resealed(state: bytes) -> bytearray:
    header, sections = decode_block(state)
    return encode_block(
        sections,
        shard=int(header["shard"]),
        epoch=int(header["epoch"]),
        first_at_ns=int(header["first_at_ns"]),
        last_at_ns=int(header["last_at_ns"]),
        first_command=int(header["first_command"]),
        active_command=int(header["active_command"]),
        continues=bool(header["continues"]),
    )


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.set_up()
    desk.orders(new_orders(1, party=DEVELOPER, side=Side.SELL, price=100, lots=50, flags=2))
    desk.orders(new_orders(1, party=FIRST_TRADER, side=Side.BUY, price=100, lots=20))
    return desk


def test_an_untouched_copy_verifies(desk: Desk) -> None:
    assert verify(forged(desk, lambda envelope, fact: (envelope, fact)), LIMITS).facts > 20


def test_every_fact_that_answers_a_command_has_its_question() -> None:
    for fact, command in COMMAND_OF.items():
        names = {field.name for field in dataclasses.fields(fact)}  # type: ignore[arg-type]
        assert {field.name for field in dataclasses.fields(command)} <= names  # type: ignore[arg-type]


def swapped_weights(envelope: Envelope, fact: Fact) -> tuple[Envelope, Fact]:
    if isinstance(fact, WaterfallCompiled):
        (first, more), (second, less), *rest = fact.rows
        return envelope, dataclasses.replace(fact, rows=((first, more - 1), (second, less + 1), *rest))
    return envelope, fact


def richer_terms(envelope: Envelope, fact: Fact) -> tuple[Envelope, Fact]:
    if isinstance(fact, SeriesListed):
        return envelope, dataclasses.replace(fact, royalty_ppm=fact.royalty_ppm + 1)
    return envelope, fact


def another_actor(envelope: Envelope, fact: Fact) -> tuple[Envelope, Fact]:
    if isinstance(fact, DepositRecorded):
        return dataclasses.replace(envelope, actor=FIRST_TRADER), fact
    return envelope, fact


def larger_deposit(envelope: Envelope, fact: Fact) -> tuple[Envelope, Fact]:
    if isinstance(fact, DepositRecorded):
        return envelope, dataclasses.replace(fact, amount_minor=fact.amount_minor + 1)
    return envelope, fact


@pytest.mark.parametrize(
    ("forge", "what"),
    [
        (swapped_weights, "the rules give another fact"),
        (richer_terms, "the rules give another fact"),
        (another_actor, "the rules refuse it"),
        (larger_deposit, "value moved otherwise than the rules say"),
    ],
)
def test_a_forged_fact_is_named_with_what_the_rules_give(desk: Desk, forge: Forge, what: str) -> None:
    store = forged(desk, forge)
    with pytest.raises(Disagreement, match=what) as caught:
        verify(store, LIMITS)
    assert caught.value.position > 0


def test_value_that_moved_without_a_fact_is_found(desk: Desk) -> None:
    answer = desk.process(Ask(a_deposit(FIRST_TRADER, 7, "one-more"), OFFICER, at_ns=START_NS))[0]
    assert isinstance(answer, Reply)

    def without_it(envelope: Envelope, fact: Fact) -> tuple[Envelope, Fact] | None:
        return None if envelope.command == answer.command else (envelope, fact)

    with pytest.raises(Disagreement, match="without a fact"):
        verify(forged(desk, without_it), LIMITS)


def test_a_missing_second_fact_is_found(desk: Desk) -> None:
    def without_waterfalls(envelope: Envelope, fact: Fact) -> tuple[Envelope, Fact] | None:
        return None if isinstance(fact, WaterfallCompiled) else (envelope, fact)

    with pytest.raises(Disagreement, match="is missing"):
        verify(forged(desk, without_waterfalls), LIMITS)


def test_what_was_due_and_did_not_happen_is_found(desk: Desk) -> None:
    desk.process(Ask(an_agreement(platform_ppb=1, effective_at_ns=START_NS + 5), HOUSE, at_ns=START_NS))
    desk.orders(new_orders(1, party=FIRST_TRADER, side=Side.BUY, price=90, at_ns=START_NS + 9))

    def never_in_effect(envelope: Envelope, fact: Fact) -> tuple[Envelope, Fact] | None:
        late = envelope.at_ns == START_NS + 5 and isinstance(fact, AgreementTookEffect | WaterfallCompiled)
        return None if late else (envelope, fact)

    with pytest.raises(Disagreement):
        verify(forged(desk, never_in_effect), LIMITS)


def test_what_happened_before_it_was_due_is_found(desk: Desk) -> None:
    desk.process(Ask(a_series(9, ends_ns=START_NS + 10), DEVELOPER, at_ns=START_NS))
    desk.orders(new_orders(1, party=FIRST_TRADER, side=Side.BUY, price=90, at_ns=START_NS + 20))

    def too_early(envelope: Envelope, fact: Fact) -> tuple[Envelope, Fact]:
        if type(fact).__name__ == "SeriesEnded":
            return dataclasses.replace(envelope, at_ns=START_NS + 9), fact
        return envelope, fact

    with pytest.raises(Disagreement):
        verify(forged(desk, too_early), LIMITS)


def test_personal_text_is_not_needed_to_decide_again(desk: Desk) -> None:
    """The keys are not at hand when a log is verified, and may be gone."""
    sealed = [from_entry(*entry[1:])[1] for entry in desk.store.read() if entry.topic.startswith("PartyRegistered")]
    assert sealed
    assert all(isinstance(fact, PartyRegistered) and not isinstance(fact.legal_name, str) for fact in sealed)
    assert verify(desk.store, LIMITS).position == desk.store.position


def test_a_system_cancel_that_nothing_made_due_is_found(desk: Desk) -> None:
    """Somebody appends a cancellation of the whole series in the name of the house, outcomes and all."""
    forged_rows = new_orders(1, party=0, side=Side.BUY, price=0)
    forged_rows["kind"], forged_rows["flags"], forged_rows["lots"] = Kind.MASS_CANCEL, 4, 0
    forged_rows["command"] = desk.state.next_command
    at, leg_at, _ = desk.state.execute(forged_rows, NO_LEGS, 0, 0)
    assert (at, leg_at) == (1, 0)
    sections = dict(desk.state.outcome())
    sections[Section.COMMANDS] = forged_rows
    append = Append(desk.store)
    append.block(
        encode_block(
            sections,
            shard=0,
            epoch=desk.store.epoch,
            first_at_ns=START_NS,
            last_at_ns=START_NS,
            first_command=int(forged_rows["command"][0]),
            active_command=0,
            continues=False,
        )
    )
    append.commit()
    with pytest.raises(Disagreement, match="without a fact"):
        verify(desk.store, LIMITS)

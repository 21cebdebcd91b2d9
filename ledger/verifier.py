"""Verifying a log: from the first entry on, do everything again and compare everything.

Checked are: positions without gaps, versions of every stream, every canonical fact, that the rules give each fact and
each movement of value again, the running hash in every block, every section of every block byte for byte, every
recorded state root, and at the end that each asset sums to zero, that
no account is below zero that must not be, and that held amounts are what the open orders explain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from domain.events import TOPIC_OF, StateRootRecorded
from ledger.blocks import TOPIC
from ledger.disagreement import Disagreement
from ledger.mapper import from_entry
from ledger.replay import Replay
from ledger.state import State
from ledger.store import Store
from ledger.tables import LIMITS, NEGATIVE_KINDS, Limits
from matching.layout import Side


@dataclass(frozen=True, slots=True)
class Verified:
    """What a log was found to hold."""

    position: int
    commands: int
    blocks: int
    facts: int
    roots: int
    """State roots that were recorded and recomputed."""
    state_hash: bytes
    running_hash: bytes


def verify(store: Store, limits: Limits = LIMITS, on_entry: Callable[[int], None] | None = None) -> Verified:
    """Replay the whole log. Raises Disagreement at the first entry that is not what it must be.

    `limits` are those of a log that does not state its own. `on_entry(position)` is called after each entry.
    """
    replay = Replay(State(limits))
    replay.redecide(store)
    topic = TOPIC_OF[StateRootRecorded]
    roots = 0
    for entry in store.recorder.entries_of_topic(topic):
        _, fact = from_entry(*entry[1:], position=entry.position)
        assert isinstance(fact, StateRootRecorded)
        replay.roots_wanted.add(fact.at_command)
    facts = 0
    for found in store.read():
        replay.feed(found)
        facts += found.topic != TOPIC
        roots += found.topic == topic
        if on_entry is not None:
            on_entry(found.position)
    replay.end()
    check_balances(replay.position, replay.state)
    return Verified(
        position=replay.position,
        commands=replay.commands,
        blocks=replay.blocks,
        facts=facts,
        roots=roots,
        state_hash=replay.state.root(),
        running_hash=replay.running_hash,
    )


def check_balances(position: int, state: State) -> None:
    """The invariants of the books (I1, I2, I5 and the suspense of the splits). Raises Disagreement."""
    arrays = dict(state.arrays())
    accounts = arrays["accounts"]
    balances = accounts["available"] + accounts["held"]
    for asset in np.unique(accounts["asset"]):
        total = int(balances[accounts["asset"] == asset].sum())
        if total != 0:
            raise Disagreement(position, f"sum of asset {asset}", expected=0, found=total)
    guarded = ~np.isin(accounts["kind"], [int(kind) for kind in NEGATIVE_KINDS])
    below = np.flatnonzero((guarded & (accounts["available"] < 0)) | (accounts["held"] < 0))
    if len(below):
        raise Disagreement(position, f"account {below[0]} is below zero", expected=">= 0", found=accounts[below[0]])
    _check_holds(position, arrays, accounts)
    _check_supply(position, arrays, balances)


def _check_holds(position: int, arrays: dict[str, Any], accounts: Any) -> None:
    open_slots = np.flatnonzero(arrays["orders"]["number"] > 0)
    orders = arrays["orders"][open_slots]
    explained = np.zeros(len(accounts), np.int64)
    buys = orders["side"] == Side.BUY
    np.add.at(explained, orders["cash"][buys], orders["hold"][buys])
    sells = ~buys & (orders["primary"] == 0)
    np.add.at(explained, orders["units"][sells], orders["lots"][sells])
    different = np.flatnonzero(explained != accounts["held"])
    if len(different):
        account = int(different[0])
        raise Disagreement(
            position,
            f"held on account {account}",
            expected=int(explained[account]),
            found=int(accounts["held"][account]),
        )


def _check_supply(position: int, arrays: dict[str, Any], balances: Any) -> None:
    for number, series in enumerate(arrays["series"][1:], 1):
        issued = -int(balances[series["issuance"]])
        if issued != series["issued"] or issued + int(series["reserved"]) > series["supply_cap"]:
            raise Disagreement(
                position, f"units issued of series {number}", expected=int(series["issued"]), found=issued
            )
        carried = int(arrays["carries"]["remainder"][arrays["carries"]["series"] == number].sum())
        suspense = int(balances[series["suspense"]])
        if suspense * 1_000_000_000 != carried:
            raise Disagreement(position, f"suspense of series {number}", expected=f"{carried} / 10^9", found=suspense)

"""What a decision yields besides a refusal: facts, accounts to open first, and at most one movement of value.

The ledger opens the accounts, runs the movement through its kernel, and appends the facts only if the kernel's result
is 0. Only the ledger moves value; a movement merely says which.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from domain.events import Fact
from domain.values import AccountRef, PostingCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """Moves an amount of one asset: a debit lowers the balance of its account, a credit raises it."""

    debit: AccountRef
    credit: AccountRef
    amount_minor: int
    """Minor units, or lots where the asset is a series."""
    code: PostingCode


@dataclass(frozen=True, slots=True)
class Journal:
    """Legs that are applied all or none."""

    legs: tuple[Leg, ...]


@dataclass(frozen=True, slots=True)
class CancelAll:
    """Every open order of a series ends."""

    series: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NegativeSale:
    """Units come back and money goes back, through the waterfall version frozen in the sale."""

    series: int
    buyer: int
    lots: int
    price_ticks: int
    waterfall_version: int


Movement: TypeAlias = Journal | CancelAll | NegativeSale


@dataclass(frozen=True, slots=True)
class Decided:
    facts: tuple[Fact, ...]
    opens: tuple[AccountRef, ...] = ()
    movement: Movement | None = None

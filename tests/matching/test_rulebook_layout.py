"""The rulebook's codes go on where those in use end, and its row types are its record layouts."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
import pytest

from matching import layout, rulebook_layout
from matching.reference_rows import (
    Command,
    Ended,
    Fill,
    PhaseChange,
    Prevented,
    Repricing,
    Skip,
    Terms,
    Trigger,
    Uncross,
)
from matching.reference_settings import Settings

IN_USE: list[type[IntEnum]] = [layout.Kind, layout.TimeInForce, layout.Phase, layout.Code, layout.Ending]


@pytest.mark.parametrize("codes", IN_USE, ids=lambda codes: codes.__name__)
def test_every_code_in_use_keeps_its_name_and_number(codes: type[IntEnum]) -> None:
    new = getattr(rulebook_layout, codes.__name__).__members__
    assert {name: new[name] for name in codes.__members__} == codes.__members__


@pytest.mark.parametrize("codes", IN_USE, ids=lambda codes: codes.__name__)
def test_no_number_is_used_twice(codes: type[IntEnum]) -> None:
    new = getattr(rulebook_layout, codes.__name__)
    second_names = set(new.__members__) - {member.name for member in new}
    assert second_names == ({"CONTINUOUS"} if codes is layout.Phase else set())


def test_flags_in_use_keep_their_bits() -> None:
    names = ("FLAG_MARKET", "FLAG_PRIMARY", "FLAG_SYSTEM")
    assert [getattr(rulebook_layout, name) for name in names] == [getattr(layout, name) for name in names]


@pytest.mark.parametrize(
    ("rows", "record"),
    [
        (Terms, rulebook_layout.ORDER_TERMS),
        (Trigger, rulebook_layout.TRIGGER),
        (Repricing, rulebook_layout.REPRICING),
        (Prevented, rulebook_layout.PREVENTED),
        (Skip, rulebook_layout.SKIP),
        (PhaseChange, rulebook_layout.PHASE),
        (Uncross, rulebook_layout.UNCROSS),
        (Fill, layout.FILL),
        (Ended, layout.ENDING),
    ],
    ids=lambda item: getattr(item, "__name__", ""),
)
def test_row_types_have_the_columns_of_their_records(rows: Any, record: np.dtype[np.void]) -> None:
    columns = [name for name in record.names or () if name != "unused"]
    fields = list(rows._fields)
    assert columns == (["command", *fields] if rows is Terms else fields)


def test_a_command_has_the_columns_of_its_record_but_who_sent_it() -> None:
    assert set(Command._fields) - {"terms"} == set(layout.COMMAND.names or ()) - {"actor"}


def test_records_are_signed_and_without_gaps() -> None:
    records = [item for item in vars(rulebook_layout).values() if isinstance(item, np.dtype)]
    assert len(records) == 7
    for record in records:
        formats = [record[name] for name in record.names or ()]
        assert all(field.kind == "i" for field in formats)
        assert record.itemsize == sum(field.itemsize for field in formats)
        assert record.itemsize % 8 == 0
    assert rulebook_layout.ORDER_TERMS.itemsize == 72


@pytest.mark.parametrize(
    "wrong",
    [
        {"price_max": 0},
        {"price_max": (1 << 40) + 1},
        {"lots_max": 0},
        {"lots_max": (1 << 40) + 1},
        {"trade_ppm": 1_000_001},
        {"auction_pressure_cap_bps": 10_001},
        {"self_trade": rulebook_layout.SelfTrade.SERIES},
    ],
    ids=str,
)
def test_settings_that_could_overflow_are_our_mistake(wrong: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        Settings(**wrong)

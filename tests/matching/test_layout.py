"""Records are what the log promises, and compiled kernels never outlive their sources."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from domain.rejections import Reason
from domain.values import EndReason
from matching.layout import (
    COMMAND,
    ENDING,
    FILL,
    LAYOUTS,
    LEG,
    POSTING,
    PRIVATE,
    REQUEST,
    RESULT,
    Code,
    Ending,
    Section,
)

WIDTHS = {
    Section.COMMANDS: 56,
    Section.REQUESTS: 40,
    Section.CLIENT_IDS: 48,
    Section.LEGS: 32,
    Section.RESULTS: 40,
    Section.FILLS: 40,
    Section.ENDINGS: 32,
    Section.POSTINGS: 32,
    Section.GRANTS: 40,
    Section.ACCOUNTS: 24,
}


def test_rows_have_the_widths_that_were_promised() -> None:
    assert {section: layout.itemsize for section, layout in LAYOUTS.items()} == WIDTHS


@pytest.mark.parametrize("section", LAYOUTS)
def test_every_row_starts_with_its_command_and_holds_signed_little_endian_integers_or_raw_bytes(
    section: Section,
) -> None:
    layout = LAYOUTS[section]
    assert layout.names is not None
    assert layout.names[0] == "command"
    assert layout.itemsize % 8 == 0
    for name in layout.names:
        assert layout[name].kind in "iSV", name
        assert layout[name].byteorder in "<|=", name


def test_private_columns_exist() -> None:
    for section, columns in PRIVATE.items():
        assert set(columns) <= set(LAYOUTS[section].names or ())


def test_kernel_codes_are_the_reasons_of_the_domain() -> None:
    assert {code.name: int(code) for code in Code if code} == {
        reason.name: int(reason) for reason in Reason if reason < 100
    }
    reasons = {reason.name: int(reason) for reason in EndReason}
    assert {ending.name: int(ending) for ending in Ending}.items() <= reasons.items()


def test_layouts_that_share_columns_spell_them_alike() -> None:
    for left, right in ((COMMAND, RESULT), (FILL, RESULT), (POSTING, LEG), (ENDING, FILL), (REQUEST, COMMAND)):
        for name in set(left.names or ()) & set(right.names or ()):
            if name in {"command", "lots", "price", "amount", "debit", "credit", "code"}:
                assert left[name] == right[name], name


CALLER = """
from matching.layout import kernel
from matching.callee import rule

@kernel
def call(amount):
    return rule(amount)

print(call(1))
"""
CALLEE = """
from matching.layout import kernel

@kernel
def rule(amount):
    return amount + {added}
"""


def test_an_edited_callee_is_never_run_in_its_old_form_out_of_the_cache(tmp_path: Path) -> None:
    package = tmp_path / "matching"
    package.mkdir()
    source = Path(__file__).parents[2] / "matching"
    for name in ("__init__.py", "layout.py"):
        (package / name).write_bytes((source / name).read_bytes())
    (package / "caller.py").write_text(CALLER)
    environment = os.environ | {"TALLYSTICK_KERNEL_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}

    def run() -> str:
        return subprocess.run(
            [sys.executable, "-m", "matching.caller"],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    (package / "callee.py").write_text(CALLEE.format(added=1))
    assert run() == "2"
    assert len(list((tmp_path / "cache" / "kernels").iterdir())) == 1
    (package / "callee.py").write_text(CALLEE.format(added=10))
    assert run() == "11"

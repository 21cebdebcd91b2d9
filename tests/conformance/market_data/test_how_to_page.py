"""The page that replays a recorded day does what it says, line by line."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "how-to" / "replay-a-recorded-day.md"
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_page_prints_what_it_says_it_prints(recorded: Callable[[str], Path], tmp_path: Path) -> None:
    names: dict[str, Any] = {"DATA": recorded("lobster"), "OUT": tmp_path}
    printed = io.StringIO()
    shown = 0
    for language, text in BLOCK.findall(PAGE.read_text()):
        if language == "python":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(text, str(PAGE), "exec"), names)  # noqa: S102  (the page is ours)
        else:
            assert printed.getvalue() == text
            shown += 1
    assert shown >= 8
    for chart in ("spread.svg", "depth.svg"):
        assert (tmp_path / chart).read_text().count("<polyline") >= 1

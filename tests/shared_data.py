"""Files that tests read in place and that may be absent."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest


def there(path: Path, what: str, is_there: Callable[[Path], bool] = Path.exists) -> Path:
    """The path if it is there; else the test is skipped with the reason, or fails if TALLYSTICK_REQUIRE_DATA is 1."""
    if not is_there(path):
        reason = f"no {what} at {path}: set TALLYSTICK_TEST_DATA"
        if os.environ.get("TALLYSTICK_REQUIRE_DATA") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return path

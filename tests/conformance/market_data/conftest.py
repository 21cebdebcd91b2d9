"""Where the recorded days lie."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def recorded(test_data: Path) -> Callable[[str], Path]:
    """A recorded file by its name below the shared data; a missing one skips the test, or fails it where required."""

    def find(name: str) -> Path:
        file = test_data / name
        if not file.exists():
            reason = f"no recorded day at {file}: set TALLYSTICK_TEST_DATA"
            if os.environ.get("TALLYSTICK_REQUIRE_DATA") == "1":
                pytest.fail(reason)
            pytest.skip(reason)
        return file

    return find

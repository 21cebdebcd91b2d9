"""Where the recorded days lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.shared_data import there


@pytest.fixture(scope="session")
def recorded(test_data: Path) -> Callable[[str], Path]:
    """A recorded file by its name below the shared data; a missing one skips the test, or fails it where required."""

    return lambda name: there(test_data / name, "recorded day")

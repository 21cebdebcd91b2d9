"""Laws 3 and 7: below `api/` nothing reads the clock, chance or the environment, and ruff is what says so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

BANNED = [
    "import time; time.time()",
    "from time import time_ns",
    "import time; time.monotonic()",
    "import time; time.perf_counter_ns()",
    "from datetime import datetime; datetime.now(tz=None)",
    "import datetime; datetime.datetime.utcnow()",
    "from datetime import date; date.today()",
    "import random",
    "from random import randint",
    "import secrets",
    "import numpy as np; np.random.default_rng(1)",
    "import os; os.urandom(16)",
    "import uuid; uuid.uuid4()",
    "import os; os.environ['HOME']",
    "from os import getenv",
]
ALLOWED = "import datetime, time, uuid\nuuid.UUID(int=1)\ndatetime.datetime.fromtimestamp(0, datetime.UTC)\n"


def flagged_lines(source: str, file: str) -> set[int]:
    """The lines that ruff would ban if this were that file."""
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--select=TID251", "--output-format=concise"]
    done = subprocess.run(
        [*command, "--stdin-filename", file, "-"], input=source, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode in {0, 1}, done.stderr
    return {int(line) for line in re.findall(r"\.py:(\d+):\d+: TID251", done.stdout)}


@pytest.mark.parametrize("package", ["domain", "ledger", "matching", "projections"])
def test_every_way_to_ask_the_world_is_banned_below_the_doors(package: str) -> None:
    flagged = flagged_lines("\n".join(BANNED), f"{package}/values.py")
    assert [source for line, source in enumerate(BANNED, start=1) if line not in flagged] == []


@pytest.mark.parametrize(
    "file", ["api/bootstrap.py", "benchmarks/append.py", "tests/builders.py", "matching/layout.py"]
)
def test_doors_measurements_tests_and_the_kernel_cache_may_ask(file: str) -> None:
    assert flagged_lines("\n".join(BANNED), file) == set()


def test_converting_a_time_that_was_passed_in_is_not_banned() -> None:
    assert flagged_lines(ALLOWED, "domain/values.py") == set()

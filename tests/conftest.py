"""What every test may ask for: a real PostgreSQL, a fresh database, the shared data files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from tests.postgres import database_names, fresh_database, named_server, throwaway_server
from tests.shared_data import there

ROOT = Path(__file__).resolve().parent.parent

# "ci" looks at the same examples every time; "explore" looks for new ones, many more of them.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("explore", deadline=None, max_examples=2_000, print_blob=True)
settings.load_profile(os.environ.get("TALLYSTICK_HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(autouse=True)
def _logs_of_its_own() -> Iterator[None]:
    """No test writes its logs where an earlier one, which set them up, has closed the file."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server: the one TALLYSTICK_TEST_POSTGRES_URL names, else a throwaway of this worker.

    It never skips: a server that cannot be reached or started is an error.
    """
    named = os.environ.get("TALLYSTICK_TEST_POSTGRES_URL")
    if named:
        yield named_server(named)
    else:
        with throwaway_server(durable=False) as url:
            yield url


@pytest.fixture(scope="session")
def _database_names(worker_id: str) -> Iterator[str]:
    return database_names(worker_id)


@pytest.fixture
def postgres_database(postgres_url: str, _database_names: Iterator[str]) -> Iterator[str]:
    """The `postgresql+psycopg2://` URL of an empty database of this test alone."""
    with fresh_database(postgres_url, next(_database_names)) as url:
        yield url


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of shared data files: TALLYSTICK_TEST_DATA, else `../shared/data` beside the checkout.

    Where it is missing the test is skipped with the reason, or fails if TALLYSTICK_REQUIRE_DATA is 1.
    """
    folder = Path(os.environ.get("TALLYSTICK_TEST_DATA", ROOT.parent / "shared" / "data"))
    return there(folder, "shared data files", Path.is_dir)

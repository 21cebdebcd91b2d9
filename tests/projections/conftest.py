"""An empty place for read models, on each database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from projections.database import Generations, generations_at


@pytest.fixture(params=["sqlite", "postgres"])
def generations(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Generations]:
    """No generation yet: in a folder, or in a PostgreSQL database."""
    if request.param == "sqlite":
        place: Generations = generations_at(tmp_path / "projections")
    else:
        place = generations_at(make_url(request.getfixturevalue("postgres_database")))
    yield place
    place.close()

"""Every test of the rulebook runs against every engine that must follow it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.engine import ENGINES
from tests.matching.rulebook.venue import Venue

MakeVenue = Callable[..., Venue]


@pytest.fixture(params=list(ENGINES.values()), ids=list(ENGINES))
def a_venue(request: pytest.FixtureRequest) -> MakeVenue:
    """Makes a venue whose series 1 has these settings, phase and prices."""

    def make(*, rate_max: int = 0, rate_window_ns: int = 1_000, **start: Any) -> Venue:
        return Venue(request.param(rate_max=rate_max, rate_window_ns=rate_window_ns)).list_series(**start)

    return make


@pytest.fixture
def venue(a_venue: MakeVenue) -> Venue:
    """A venue with the default settings, in continuous trading."""
    return a_venue()

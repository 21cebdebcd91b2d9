"""The read models that make a generation."""

from __future__ import annotations

from projections.assets import Assets
from projections.compliance import Compliance
from projections.market import Market
from projections.projection import ReadModel
from projections.revenue import Revenue
from projections.traders import Traders


def read_models() -> list[ReadModel]:
    """Fresh read models, knowing nothing yet."""
    return [Assets(), Compliance(), Market(), Revenue(), Traders()]

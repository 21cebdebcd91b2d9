"""Names of parties as pages show them."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from api.web.words import Words
from api.wire import PARTY, public_id
from domain.values import HOUSE
from projections.assets import party_names


def names_of(connection: Connection, numbers: Iterable[int], t: Words) -> dict[int, str]:
    """The legal name of each party; its id where the name was erased, and a word for the house."""
    asked = set(numbers)
    names = party_names(connection, sorted(asked - {HOUSE}))
    found = {number: names.get(number) or f"{public_id(PARTY, number)} {t('audit.erased')}" for number in asked}
    if HOUSE in asked:
        found[HOUSE] = t("audit.house")
    return found

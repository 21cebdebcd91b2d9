"""The rulebook names every reason for which an order ends, and no code that does not exist."""

from __future__ import annotations

import re

from matching.rulebook_layout import Code, Ending
from tests.conformance.test_rulebook import RULEBOOK, criteria_in

QUOTED = re.compile(r"`([a-z_]+)`")


def test_every_reason_of_an_ending_is_in_the_table() -> None:
    _, _, rest = RULEBOOK.read_text().partition("### Reasons of endings")
    table, _, _ = rest.partition("###")
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in QUOTED.findall(row)]
    assert sorted(named) == sorted(ending.name.lower() for ending in Ending)


def test_criteria_quote_codes_and_reasons_that_exist() -> None:
    known = {item.name.lower() for item in (*Code, *Ending)}
    quoted = {name for _, sentence in criteria_in(RULEBOOK.read_text()) for name in QUOTED.findall(sentence)}
    assert quoted <= known
    assert len(quoted) > 40

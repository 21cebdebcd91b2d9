"""A cursor leads on with the filters it was made for, and nobody can make one."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.cursors import CURSOR_CHARACTERS_MAX, Cursors
from api.problems import Problem

SECRET = bytes(range(32))
CURSORS = Cursors(SECRET)
FILTERS = {"series": "ser_1", "status": "open"}


def refused(text: str, filters: dict[str, object] | None = None, cursors: Cursors = CURSORS) -> bool:
    try:
        cursors.read(text, dict.fromkeys(FILTERS) if filters is None else filters)
    except Problem as refusal:
        return refusal.code == "cursor_invalid" and refusal.status == 400
    return False


@given(
    st.integers(0, 2**53) | st.lists(st.integers(0, 2**53) | st.text("aß字\0", max_size=5), max_size=4),
    st.dictionaries(st.sampled_from(["series", "status", "party"]), st.none() | st.booleans() | st.text("abc/ü")),
)
def test_what_was_signed_is_read(after: object, filters: dict[str, object]) -> None:
    text = CURSORS.sign(after, filters)
    assert CURSORS.read(text, dict.fromkeys(filters)) == (after, filters)
    assert Cursors(SECRET).read(text, filters) == (after, filters)


def test_the_filters_come_along_and_may_be_repeated_but_not_changed() -> None:
    text = CURSORS.sign(42, FILTERS)
    assert CURSORS.read(text, {"series": None, "status": "open"}) == (42, FILTERS)
    assert refused(text, {"series": "ser_2", "status": "open"})


@given(st.integers(0, 200), st.characters(codec="ascii"))
def test_a_cursor_that_was_changed_anywhere_is_refused(place: int, character: str) -> None:
    text = CURSORS.sign(42, FILTERS)
    place %= len(text)
    changed = text[:place] + character + text[place + 1 :]
    # The last character of base64 holds bits that no byte has: another one may stand for the same signature.
    assert changed == text or refused(changed) or place in (len(text) - 1, text.rindex(".") - 1)


@given(st.text(max_size=100))
def test_any_text_is_refused_as_a_cursor(text: str) -> None:
    assert refused(text)


def test_a_cursor_leads_on_in_its_own_list_alone() -> None:
    text = CURSORS.sign(42, FILTERS, of="/v1/orders")
    unnamed = dict.fromkeys(FILTERS)
    assert CURSORS.read(text, unnamed, of="/v1/orders") == (42, FILTERS)
    for other in ("/v1/fills", ""):
        with pytest.raises(Problem):
            CURSORS.read(text, unnamed, of=other)
    for names in (["series"], ["series", "status", "party"], []):
        with pytest.raises(Problem):
            CURSORS.read(text, dict.fromkeys(names), of="/v1/orders")


def test_a_cursor_of_another_secret_or_of_no_secret_is_refused() -> None:
    assert refused(Cursors(bytes(32)).sign(42, FILTERS))
    assert refused(urlsafe_b64encode(b'[42,{"series":"ser_1"}]').decode())
    assert refused("a" * (CURSOR_CHARACTERS_MAX + 1))


@pytest.mark.parametrize("rows", [0, 10_000])
def test_a_long_key_is_still_a_cursor_of_bounded_length(rows: int) -> None:
    assert len(CURSORS.sign([rows, 2**53, "x" * 64], FILTERS)) < 300

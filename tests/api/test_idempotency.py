"""A repeated request is known by its party and key, and by its body."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.idempotency import body_hash, request_id_of
from api.problems import Problem

KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=255)


@given(st.integers(1, 2**31), KEYS, st.integers(1, 2**31), KEYS)
def test_another_party_or_another_key_is_another_request(party: int, key: str, other: int, other_key: str) -> None:
    same = (party, key) == (other, other_key)
    assert (request_id_of(party, key) == request_id_of(other, other_key)) is same
    assert len(request_id_of(party, key)) == 16


def test_the_id_of_a_known_request_never_changes() -> None:
    assert request_id_of(7, "order 1").hex() == "dcf9b6cac7416354bd9ea85a412dd0db"
    assert body_hash(b"{}", bytes(32)).hex() == "b80f37db1ea126d961b4e3d8b52ba4cd"


@pytest.mark.parametrize("key", ["", " ", "a ", " a", "x" * 256, "a\n", "a\tb", "é", "\udcff"])
def test_a_key_that_breaks_its_rule_is_refused(key: str) -> None:
    with pytest.raises(Problem) as caught:
        request_id_of(7, key)
    assert caught.value.code == "idempotency_key_invalid"


def test_a_body_has_one_hash_that_needs_the_secret() -> None:
    assert body_hash(b"{}", bytes(32)) == body_hash(b"{}", bytes(32))
    assert body_hash(b"{}", bytes(32)) != body_hash(b"{ }", bytes(32))
    assert body_hash(b"{}", bytes(32)) != body_hash(b"{}", bytes(range(32)))

"""One value, one encoding: canonical bytes are written, read back, and nothing else is read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import events
from domain.canonical import CanonicalError, decode, encode, fingerprint, restore, snapshot
from domain.catalogue import Catalogue
from domain.commands import RegisterParty
from domain.events import TOPICS, Envelope, Fact, PartyRegistered, RoleGranted, Sealed
from domain.values import PartyKind, Role
from tests.domain.house import a_market
from tests.domain.samples import any_value


class Color(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Sample:
    number: int = 0
    flag: bool = False
    text: str = ""
    blob: bytes = b""
    color: Color = Color.RED
    roles: Role = Role.RISK
    pairs: tuple[tuple[int, str], ...] = ()
    absent: int | None = None


BYTES = (
    b'{"number":-5,"flag":true,"text":"\xc3\xa9\\"\\\\/\\b\\f\\n\\r\\t\\u001f\x7f","blob":"00ff",'
    b'"color":"red","roles":3,"pairs":[[1,"a"],[2,""]]}'
)
VALUE = Sample(
    number=-5,
    flag=True,
    text='é"\\/\b\f\n\r\t\x1f\x7f',
    blob=b"\x00\xff",
    roles=Role.TRADER | Role.DEVELOPER,
    pairs=((1, "a"), (2, "")),
)


def test_golden_bytes() -> None:
    assert encode(VALUE) == BYTES
    assert decode(Sample, BYTES) == VALUE


@settings(max_examples=400)
@given(st.one_of([any_value(cls) for cls in (*TOPICS.values(), Envelope, Sample)]))
def test_every_fact_survives_encoding_and_decoding(value: Any) -> None:
    data = encode(value)
    assert decode(type(value), data) == value
    assert data.isascii() or data.decode()
    # It is JSON that other readers agree on.
    assert json.dumps(json.loads(data), ensure_ascii=False, separators=(",", ":")).encode() == data


@settings(max_examples=300)
@given(st.data())
def test_no_changed_byte_is_read_as_the_same_value(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(BYTES) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != BYTES[at]))
    altered = BYTES[:at] + bytes([other]) + BYTES[at + 1 :]
    try:
        value = decode(Sample, altered)
    except CanonicalError:
        return
    assert value != VALUE and encode(value) == altered


@pytest.mark.parametrize(
    "change",
    [
        (b'{"number"', b'{ "number"'),
        (b"-5", b"-5.0"),
        (b"-5", b"-05"),
        (b"-5", b"-5e0"),
        (b"-5", b"true"),
        (b"-5", b"9223372036854775808"),
        (b"-5", b"null"),
        (b"-5", b"NaN"),
        (b"-5", b"1" * 5000),
        (b'"number":-5,', b""),
        (b'"number":-5,', b'"number":-5,"number":-5,'),
        (b'"number":-5,"flag":true,', b'"flag":true,"number":-5,'),
        (b'"flag":true', b'"flag":1'),
        (b"\xc3\xa9", b"\\u00e9"),
        (b"\xc3\xa9", b"\xe9"),
        (b"\xc3\xa9", b"\\ud800"),
        (b"/", b"\\/"),
        (b"\\u001f", b"\\u001F"),
        (b"\\t", b"\\u0009"),
        (b"00ff", b"00FF"),
        (b"00ff", b"00f"),
        (b"00ff", b"00 ff"),
        (b'"red"', b'"blue"'),
        (b'"roles":3', b'"roles":256'),
        (b'[2,""]', b"[2]"),
        (b'[2,""]]}', b'[2,""]],"absent":null}'),
        (b'[2,""]]}', b'[2,""]],"more":1}'),
        (b'[2,""]]}', b'[2,""]]} '),
        (b'[2,""]]}', b'[2,""]]'),
        (b'[2,""]]}', b'[2,""]]}\n'),
        (b'[[1,"a"],[2,""]]', b"[" * 100_000),
        (b"{", b"\xef\xbb\xbf{"),
    ],
    ids=lambda change: repr(change[1][:20]),
)
def test_whatever_is_not_canonical_is_refused(change: tuple[bytes, bytes]) -> None:
    old, new = change
    assert old in BYTES
    with pytest.raises(CanonicalError):
        decode(Sample, BYTES.replace(old, new, 1))


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"1", b'"x"', b"\xff", b'{"number":0}'])
def test_what_is_no_such_object_is_refused(data: bytes) -> None:
    with pytest.raises(CanonicalError):
        decode(Sample, data)


@pytest.mark.parametrize(
    "wrong",
    [
        {"number": True},
        {"number": 1.0},
        {"number": 2**63},
        {"number": None},
        {"flag": 1},
        {"text": "\ud800"},
        {"text": b""},
        {"blob": bytearray()},
        {"color": "red"},
        {"roles": 1},
        {"pairs": [(1, "a")]},
        {"pairs": ((1,),)},
        {"absent": "1"},
    ],
    ids=repr,
)
def test_a_value_of_the_wrong_type_has_no_canonical_form(wrong: dict[str, Any]) -> None:
    with pytest.raises(CanonicalError, match=r"Sample"):
        encode(Sample(**wrong))


def test_clear_text_of_a_sealed_field_is_never_encoded() -> None:
    fact = PartyRegistered(party=1, kind=PartyKind.COMPANY, legal_name="Acme", country="DE", roles=Role(0))
    with pytest.raises(CanonicalError, match=r"PartyRegistered\.legal_name: must be sealed"):
        encode(fact)
    sealed = PartyRegistered(
        party=1, kind=PartyKind.COMPANY, legal_name=Sealed(b"\x01\x02"), country="DE", roles=Role(0)
    )
    assert b'"legal_name":"0102"' in encode(sealed)


def test_a_subclass_or_another_class_is_not_taken_for_the_class() -> None:
    data = encode(RoleGranted(party=1, role=Role.RISK))
    with pytest.raises(CanonicalError, match="unknown field"):
        decode(Envelope, data)


def test_commands_encode_for_their_body_hash() -> None:
    command = RegisterParty(kind=PartyKind.COMPANY, legal_name="Acme", country="DE", roles=Role.TRADER)
    assert encode(command) == b'{"kind":"company","legal_name":"Acme","country":"DE","roles":1}'


def test_a_catalogue_is_restored_from_its_snapshot_with_its_indexes_and_dues() -> None:
    house, developer, _ = a_market()
    house.series(house.model_version(1, "2.0.0"), "SECOND/USD", ends_ns=house.at_ns + 50)
    restored = restore(snapshot(house.catalogue))
    assert restored == house.catalogue
    assert fingerprint(restored) == fingerprint(house.catalogue)
    assert restored.series_by_symbol == {"MODEL/USD": 1, "SECOND/USD": 2}
    assert restored.next_due() == house.catalogue.next_due() is not None
    assert developer in restored.parties


def test_tables_of_the_catalogue_are_sorted_whatever_their_order() -> None:
    assert encode(Catalogue(tax_rates={"FR": 2, "DE": 1})) == encode(Catalogue(tax_rates={"DE": 1, "FR": 2}))
    data = encode(Catalogue(tax_rates={"FR": 2, "DE": 1}, refunded_lots={(2, 1): 5, (2, 0): 4}))
    assert b'"tax_rates":{"DE":1,"FR":2}' in data
    assert b'"refunded_lots":[[[2,0],4],[[2,1],5]]' in data


def test_every_topic_names_a_fact_with_a_version() -> None:
    for topic, cls in TOPICS.items():
        name, _, version = topic.partition(".")
        assert name == cls.__name__ and int(version) >= 1 and issubclass(cls, Fact)
    facts = {
        item for item in vars(events).values() if isinstance(item, type) and issubclass(item, Fact) and item is not Fact
    }
    assert set(TOPICS.values()) == facts

"""Facts to the entries of the log and back.

An entry's bytes are `{"envelope":{…},"fact":{…}}` in the canonical form of `domain.canonical`. Sealed fields are
encrypted for their subject before they are encoded, bound to stream, version and field, and stay sealed on reading
where no key is at hand. Older topics are lifted by `domain.upcasts`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, Final, TypeAlias

from domain import events
from domain.canonical import CanonicalError, codec_of, encode, parse
from domain.events import ACTOR, TOPIC_OF, TOPICS, Envelope, Fact, Sealed
from domain.upcasts import UPCASTS, upcast
from ledger.keys import SealBroken

Seal: TypeAlias = Callable[[int, bytes, bytes], bytes]
"""(subject, plaintext, what it is bound to) to the sealed blob."""
Unseal: TypeAlias = Callable[[int, bytes, bytes], bytes | None]
"""(subject, sealed blob, what it is bound to) to the plaintext, or None where the key is gone."""


def _sealed_fields(cls: Any) -> tuple[tuple[str, str], ...]:
    return tuple((field.name, field.metadata["sealed_for"]) for field in fields(cls) if "sealed_for" in field.metadata)


SEALED_FIELDS: Final = {cls: _sealed_fields(cls) for cls in TOPIC_OF}
"""(field, field that names its subject or `ACTOR`) of each sealed field of a fact."""


class LogEntryUnreadable(Exception):
    """An entry of the log that is not what this house writes: altered, truncated, or of an unknown topic."""

    code: Final = "log_entry_unreadable"

    def __init__(self, stream: str, version: int, topic: str, detail: str, position: int | None = None) -> None:
        place = f"entry {stream}@{version}" if position is None else f"position {position}, entry {stream}@{version}"
        super().__init__(f"{self.code}: {place}, topic {topic}: {detail}")
        self.stream = stream
        self.version = version
        self.topic = topic
        self.detail = detail
        self.position = position


def to_entry(stream: str, version: int, envelope: Envelope, fact: Fact, seal: Seal) -> tuple[str, bytes]:
    """Topic and bytes of a fact that becomes `version` of `stream`; versions count from 1."""
    assert stream == stream_of(fact), (stream, fact)
    sealed = {}
    for name, subject_field in SEALED_FIELDS[type(fact)]:
        text = getattr(fact, name)
        if isinstance(text, str):
            subject = _subject(fact, envelope, subject_field)
            sealed[name] = Sealed(seal(subject, text.encode(), _place(stream, version, name)))
    written = _replaced(fact, sealed)
    return TOPIC_OF[type(fact)], _encoded(envelope, written)


def from_entry(
    stream: str, version: int, topic: str, state: bytes, unseal: Unseal | None = None, *, position: int | None = None
) -> tuple[Envelope, Fact]:
    """The fact of an entry and where it came from; raises `LogEntryUnreadable`. `position` is only for the message."""
    try:
        envelope, fact = _read(topic, state)
        if stream != stream_of(fact):
            raise CanonicalError(f"the fact belongs to stream {stream_of(fact)}")
        if unseal is not None:
            fact = _unsealed(stream, version, envelope, fact, unseal)
    except (ValueError, SealBroken) as error:
        raise LogEntryUnreadable(stream, version, topic, str(error), position) from error
    return envelope, fact


def stream_of(fact: Fact) -> str:
    """The stream of a fact: a fixed name, or a prefix and the number that one of its fields holds."""
    prefix, number_field = _STREAMS[type(fact)]
    return f"{prefix}-{getattr(fact, number_field)}" if number_field else prefix


def _read(topic: str, state: bytes) -> tuple[Envelope, Fact]:
    body = parse(state)
    if type(body) is not dict or list(body) != ["envelope", "fact"] or type(body["fact"]) is not dict:
        raise CanonicalError("must be an envelope and a fact")
    current, fact_object = upcast(topic, body["fact"])
    if current not in TOPICS:
        raise CanonicalError("unknown topic")
    envelope: Envelope = codec_of(Envelope).read(body["envelope"])
    fact: Fact = codec_of(TOPICS[current]).read(fact_object)
    # An old topic has no class to encode it again, but its JSON has only one canonical form too.
    canonical = _dumped(body) if topic in UPCASTS else _encoded(envelope, fact)
    if canonical != state:
        raise CanonicalError("not in canonical form")
    return envelope, fact


def _encoded(envelope: Envelope, fact: Fact) -> bytes:
    return b'{"envelope":%b,"fact":%b}' % (encode(envelope), encode(fact))


def _dumped(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _unsealed(stream: str, version: int, envelope: Envelope, fact: Fact, unseal: Unseal) -> Fact:
    opened: dict[str, object] = {}
    for name, subject_field in SEALED_FIELDS[type(fact)]:
        sealed = getattr(fact, name)
        if isinstance(sealed, Sealed):
            subject = _subject(fact, envelope, subject_field)
            plaintext = unseal(subject, sealed.ciphertext, _place(stream, version, name))
            if plaintext is not None:
                opened[name] = plaintext.decode()
    return _replaced(fact, opened)


def _replaced(fact: Fact, values: dict[str, Any]) -> Fact:
    changed: Any = fact
    return replace(changed, **values) if values else fact


def _subject(fact: Fact, envelope: Envelope, subject_field: str) -> int:
    return envelope.actor if subject_field == ACTOR else int(getattr(fact, subject_field))


def _place(stream: str, version: int, field: str) -> bytes:
    return f"{stream}\n{version}\n{field}".encode()


_STREAMS: Final[dict[type[Fact], tuple[str, str]]] = {
    events.PartyRegistered: ("party", "party"),
    events.RoleGranted: ("party", "party"),
    events.RoleRevoked: ("party", "party"),
    events.OwnershipDeclared: ("party", "owned"),
    events.PartyFrozen: ("party", "party"),
    events.PartyUnfrozen: ("party", "party"),
    events.DatasetRegistered: ("dataset", "dataset"),
    events.DatasetVersionRegistered: ("dataset", "dataset"),
    events.DatasetVersionPublished: ("dataset", "dataset"),
    events.DatasetVersionWithdrawn: ("dataset", "dataset"),
    events.ModelRegistered: ("model", "model"),
    events.TrainingRunRecorded: ("model", "model"),
    events.ModelVersionRegistered: ("model", "model"),
    events.ModelVersionPublished: ("model", "model"),
    events.ModelVersionWithdrawn: ("model", "model"),
    events.TermsAdopted: ("terms", "terms"),
    events.CurrencyRegistered: ("currency", "currency"),
    events.SeriesListed: ("series", "series"),
    events.SeriesHalted: ("series", "series"),
    events.SeriesResumed: ("series", "series"),
    events.SeriesEnded: ("series", "series"),
    events.ListPriceRecorded: ("series", "series"),
    events.WaterfallCompiled: ("series", "series"),
    events.WaterfallCompilationFailed: ("series", "series"),
    events.FeeScheduleAdopted: ("fees", ""),
    events.TaxRateSet: ("taxes", ""),
    events.DepositRecorded: ("payments", "party"),
    events.WithdrawalRecorded: ("payments", "party"),
    events.SaleRefunded: ("payments", "buyer"),
    events.AgreementSigned: ("agreement", "agreement"),
    events.AgreementTookEffect: ("agreement", "agreement"),
    events.HouseOpened: ("governance", ""),
    events.StateRootRecorded: ("governance", ""),
}

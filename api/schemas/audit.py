"""The history of the house as auditors see it."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from api.schemas.base import (
    AgreementId,
    Counter,
    DatasetId,
    Digest,
    ModelId,
    Out,
    PartyId,
    SeriesId,
    TermsId,
    Time,
)
from api.schemas.records import FactBody


class Event(Out):
    """One entry of the log: what happened, who asked for it, what it concerns."""

    position: Counter
    kind: str = Field(description="Name of the fact, or `FlowBlock`.")
    stream: str
    command: Counter
    at: Time
    actor: PartyId
    cause: Counter | None = Field(description="The command that made this one due.")
    request_id: str | None
    party: PartyId | None
    dataset: DatasetId | None
    model: ModelId | None
    series: SeriesId | None
    terms: TermsId | None
    agreement: AgreementId | None
    text: str | None = Field(description="What a person wrote or is called, where its key is at hand.")
    detail: dict[str, Any] = Field(description="The fact's fields as the log holds them, or the counts of the block.")


class EventKind(Out):
    kind: str
    entries: Counter


class EventKinds(Out):
    kinds: list[EventKind]


class LogEntry(Out):
    """An entry of the log as it is stored."""

    position: Counter
    stream: str
    version: Counter
    topic: str
    size: Counter = Field(description="Bytes.")
    sha256: Digest
    command: Counter | None
    at: Time | None
    actor: PartyId | None
    fact: FactBody | None = Field(description="Of a fact, with sealed text where its key is at hand.")
    sections: dict[str, Counter] | None = Field(description="Rows of each section of a flow block.")
    body: str | None = Field(description="The canonical bytes of a fact, as text.")


class TrialBalanceLine(Out):
    asset: str
    code: str
    kind: str
    accounts: Counter
    available: str
    held: str


class TrialBalance(Out):
    """Sums of all accounts; each asset sums to zero."""

    lines: list[TrialBalanceLine]
    balanced: bool

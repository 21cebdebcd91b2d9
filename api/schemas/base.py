"""What all bodies share: strict models, ids, decimals, times, and pages of a list."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from api import wire
from api.problems import problem_of
from domain.rejections import Reason, Refusal, refuse
from domain.values import Role

T = TypeVar("T")


# -- models ------------------------------------------------------------------------------------------------------------


class In(BaseModel):
    """A body that comes in: unknown fields and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Out(BaseModel):
    """A body that goes out."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Page(Out, Generic[T]):
    """A part of a list. `next_cursor` leads on, with the same filters; it is absent at the end."""

    data: list[T]
    next_cursor: str | None = None
    has_more: bool


_BASE32: Final = "(0|[1-9a-hjkmnp-tv-z][0-9a-hjkmnp-tv-z]{0,12})"
DECIMAL_PATTERN: Final = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"
TIME_PATTERN: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z$"
DAY_PATTERN: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"


def shaped(pattern: str, characters: int, description: str, example: str) -> Any:
    """A text whose rule is published here and checked where the text is read, which knows the better message."""
    return Field(
        json_schema_extra={"pattern": pattern, "maxLength": characters}, description=description, examples=[example]
    )


def _id(prefix: str, what: str) -> Any:
    return shaped(f"^{prefix}_{_BASE32}$", 17, f"Id of a {what}.", f"{prefix}_1")


PartyId = Annotated[str, _id(wire.PARTY, "party")]
DatasetId = Annotated[str, _id(wire.DATASET, "data set")]
DatasetVersionId = Annotated[str, _id(wire.DATASET_VERSION, "data set version")]
ModelId = Annotated[str, _id(wire.MODEL, "model")]
ModelVersionId = Annotated[str, _id(wire.MODEL_VERSION, "model version")]
TrainingRunId = Annotated[str, _id(wire.TRAINING_RUN, "training run")]
TermsId = Annotated[str, _id(wire.TERMS, "set of terms")]
CurrencyId = Annotated[str, _id(wire.CURRENCY, "currency")]
SeriesId = Annotated[str, _id(wire.SERIES, "series")]
OrderId = Annotated[str, _id(wire.ORDER, "order")]
GrantId = Annotated[str, _id(wire.GRANT, "grant")]
AgreementId = Annotated[str, _id(wire.AGREEMENT, "agreement")]
KeyId = Annotated[str, _id(wire.KEY, "API key")]
UserId = Annotated[str, _id(wire.USER, "user")]
TradeId = Annotated[str, shaped(f"^{wire.TRADE}_{_BASE32}-{_BASE32}$", 31, "Id of a trade.", "trd_3k-0")]
SeriesName = Annotated[str, shaped("^[0-9A-Za-z_./-]+$", 80, "Id or symbol of a series.", "ser_1")]
CurrencyName = Annotated[str, shaped("^[0-9A-Za-z_]+$", 17, "Id or code of a currency.", "USD")]

Decimal = Annotated[str, shaped(DECIMAL_PATTERN, 40, "Plain decimal text.", "12.40")]
"""Exact text: a number in JSON would pass through a float at somebody's place."""
Time = Annotated[str, shaped(TIME_PATTERN, 30, "RFC 3339 in UTC.", "2026-11-25T08:30:00.000000000Z")]
Day = Annotated[str, shaped(DAY_PATTERN, 10, "A calendar day.", "2026-11-25")]
Digest = Annotated[str, shaped("^[0-9a-f]{64}$", 64, "SHA-256 in lower-case hex.", "00" * 32)]
Counter = Annotated[int, Field(ge=0, lt=2**53)]
Ppb = Annotated[int, Field(ge=0, le=1_000_000_000, description="Parts per billion of the whole.")]
Ppm = Annotated[int, Field(ge=0, le=1_000_000, description="Parts per million.")]
Line = Annotated[str, Field(json_schema_extra={"minLength": 1, "maxLength": 200})]
Note = Annotated[str, Field(json_schema_extra={"minLength": 1, "maxLength": 2_000})]
Source = Annotated[
    str, Field(json_schema_extra={"minLength": 1, "maxLength": 4_000}, description="Where it can be read up.")
]
Key = Annotated[
    str, shaped(r"^[a-z0-9][a-z0-9._+-]*(/[a-z0-9][a-z0-9._+-]*)*$", 120, "External identity.", "studio/one")
]

RoleName = Annotated[
    str,
    Field(
        json_schema_extra={"enum": [str(role.name).lower() for role in Role]},
        pattern=f"^({'|'.join(str(role.name).lower() for role in Role)})$",
    ),
]


LAX: Final = Field(strict=False)
"""Beside an enumeration of texts: read from its text in an otherwise strict model."""


# -- reading values ----------------------------------------------------------------------------------------------------


def good(value: T | Refusal) -> T:
    """The value, or the problem of its refusal."""
    if isinstance(value, Refusal):
        raise problem_of(value)
    return value


def digest_of(text: str, field: str) -> bytes:
    """The 32 bytes of a digest."""
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise problem_of(refuse(Reason.MALFORMED_DIGEST, field, "must be 64 characters of lower-case hex", text))
    return bytes.fromhex(text)


def number(prefix: str, text: str, field: str) -> int:
    """The dense number of an id in a body."""
    return good(wire.number_of(prefix, text, field))


def numbers(prefix: str, texts: Iterable[str], field: str) -> tuple[int, ...]:
    return tuple(number(prefix, text, f"{field}[{index}]") for index, text in enumerate(texts))


def roles_of(names: Iterable[str]) -> Role:
    """The roles of names that the schema has checked."""
    roles = Role(0)
    for name in names:
        roles |= Role[name.upper()]
    return roles


def role_names(roles: Role) -> list[str]:
    return [str(role.name).lower() for role in Role if role in roles]

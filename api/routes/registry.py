"""What the routes of all areas share: routers, actions, ids in addresses."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path

from api import wire
from api.authorization import principal_for
from api.json_bodies import JsonRoute
from api.problems import problem, problem_of
from api.schemas.records import Recorded
from domain.fields import COUNTRIES
from domain.rejections import Reason, Refusal, refuse

RECORDED: Final[dict[str, Any]] = {"status_code": 201, "response_model": Recorded}
"""Of routes that let the house record something."""


def router_of(tag: str) -> APIRouter:
    return APIRouter(prefix="/v1", tags=[tag], route_class=JsonRoute)


def action(name: str) -> Any:
    """The dependency that says which action a route is."""
    return Depends(principal_for(name))


def _id(prefix: str, what: str) -> Any:
    return Path(description=f"Id of the {what}.", examples=[f"{prefix}_1"])


PartyPath = Annotated[str, _id(wire.PARTY, "party")]
DatasetPath = Annotated[str, _id(wire.DATASET, "data set")]
DatasetVersionPath = Annotated[str, _id(wire.DATASET_VERSION, "data set version")]
ModelPath = Annotated[str, _id(wire.MODEL, "model")]
ModelVersionPath = Annotated[str, _id(wire.MODEL_VERSION, "model version")]
TrainingRunPath = Annotated[str, _id(wire.TRAINING_RUN, "training run")]
TermsPath = Annotated[str, _id(wire.TERMS, "terms")]
SeriesPath = Annotated[str, _id(wire.SERIES, "series")]
OrderPath = Annotated[
    str, Path(description="Id of the order, or `client:` and its client order id.", examples=["ord_1", "client:my-7"])
]
AgreementPath = Annotated[str, _id(wire.AGREEMENT, "agreement")]
UserPath = Annotated[str, _id(wire.USER, "user")]
KeyPath = Annotated[str, _id(wire.KEY, "API key")]


def found(prefix: str, text: str) -> int:
    """The number of an id in an address; what is no id there is not found."""
    number = wire.number_of(prefix, text, "id")
    if isinstance(number, Refusal):
        raise problem("not_found", number.message)
    return number


def filter_number(prefix: str, text: str | None, name: str) -> int | None:
    """The number of an id in a query. Raises Problem `wrong_type`."""
    return None if text is None else wire_number(prefix, text, name)


def wire_number(prefix: str, text: str, name: str) -> int:
    number = wire.number_of(prefix, text, name)
    if isinstance(number, Refusal):
        raise problem(number.code, number.message)
    return number


def filter_country(code: str | None) -> str | None:
    """A country code in a query. Raises Problem `malformed_country`."""
    if code is not None and code not in COUNTRIES:
        raise problem_of(refuse(Reason.MALFORMED_COUNTRY, "country", "must be an ISO 3166-1 alpha-2 code", code))
    return code


def found_row(row: Any) -> Any:
    """The row of a question, which is there. Raises Problem `not_found`."""
    if row is None:
        raise problem("not_found")
    return row

"""Facts as JSON: each field of a fact under the name and in the form that requests have it, with ids for numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from enum import Enum
from typing import Any, Final

from api import wire
from api.schemas.base import role_names
from api.series_facts import SeriesFact, SeriesFacts
from api.wire import public_id, rfc3339, trade_id
from domain import events as e
from domain.events import Fact, Sealed
from domain.rejections import Reason
from domain.values import Role, format_money, format_quantity

ID_OF_FIELD: Final[dict[str, str]] = {
    "party": wire.PARTY,
    "owner": wire.PARTY,
    "owned": wire.PARTY,
    "provider": wire.PARTY,
    "developer": wire.PARTY,
    "issuer": wire.PARTY,
    "buyer": wire.PARTY,
    "dataset": wire.DATASET,
    "dataset_version": wire.DATASET_VERSION,
    "parents": wire.DATASET_VERSION,
    "dataset_versions": wire.DATASET_VERSION,
    "model": wire.MODEL,
    "model_version": wire.MODEL_VERSION,
    "training_run": wire.TRAINING_RUN,
    "terms": wire.TERMS,
    "currency": wire.CURRENCY,
    "series": wire.SERIES,
    "agreement": wire.AGREEMENT,
}
"""What kind of number a field of a fact holds, alone or in a tuple."""

WIRE_FIELDS: Final[dict[str, str]] = {
    "amount_minor": "amount",
    "price_ticks": "price",
    "lots": "quantity",
    "tick_minor": "tick_size",
    "supply_cap_lots": "supply_cap",
    "max_order_lots": "max_order_quantity",
    "max_notional_minor": "max_order_notional",
    "ends_ns": "ends_at",
    "term_ends_ns": "term_ends_at",
    "effective_at_ns": "effective_at",
    "trade_command": "trade",
    "trade_fill": "trade",
    "trade_lots": "trade",
}
"""Names of fields at the doors where they differ from those of the house."""


def fact_body(fact: Fact, facts: SeriesFacts) -> dict[str, Any]:
    """{"kind": "SeriesHalted", "data": {…}}. Sealed text whose key is gone is null."""
    special = _SPECIAL.get(type(fact))
    data = {} if special is None else special(fact, facts)
    known: Any = fact
    for field in fields(known):
        name = WIRE_FIELDS.get(field.name, field.name)
        if name not in data and field.name not in _REPLACED:
            data[name] = _value(field.name, getattr(fact, field.name))
    return {"kind": type(fact).__name__, "data": data}


def _value(name: str, value: Any) -> Any:
    """A field whose form its name and type say."""
    prefix = ID_OF_FIELD.get(name)
    if prefix is not None and value is not None:
        return [public_id(prefix, one) for one in value] if isinstance(value, tuple) else public_id(prefix, value)
    if name.endswith("_ns") and value is not None:
        return rfc3339(value)
    return _plain(value)


def _plain(value: Any) -> Any:
    match value:
        case Role():
            return role_names(value)
        case Reason():
            return value.code
        case Enum():
            return value.value
        case bytes():
            return value.hex()
        case tuple():
            return [_plain(one) for one in value]
        case Sealed():
            return None
        case _:
            return value


_REPLACED: Final = frozenset({"trade_command", "trade_fill", "trade_lots"})


def _role(fact: Any, _facts: SeriesFacts) -> dict[str, Any]:
    return {"party": public_id(wire.PARTY, fact.party), "role": role_names(fact.role)[0]}


def _payment(fact: Any, facts: SeriesFacts) -> dict[str, Any]:
    return {"amount": facts.currency(fact.currency).money(fact.amount_minor)}


def _list_price(fact: Any, facts: SeriesFacts) -> dict[str, Any]:
    return {"price": _series(facts, fact.series).price(fact.price_ticks)}


def _series_listed(fact: Any, facts: SeriesFacts) -> dict[str, Any]:
    exponent = facts.currency(fact.currency).exponent
    return {
        "tick_size": format_money(fact.tick_minor, exponent),
        "supply_cap": format_quantity(fact.supply_cap_lots, fact.lot_size),
        "max_order_quantity": format_quantity(fact.max_order_lots, fact.lot_size),
        "max_order_notional": format_money(fact.max_notional_minor, exponent),
    }


def _refund(fact: Any, facts: SeriesFacts) -> dict[str, Any]:
    series = _series(facts, fact.series)
    return {
        "trade": trade_id(fact.trade_command, fact.trade_fill),
        "quantity": series.quantity(fact.lots),
        "price": series.price(fact.price_ticks),
        "amount": series.money(fact.amount_minor),
    }


def _model_version(fact: Any, _facts: SeriesFacts) -> dict[str, Any]:
    return {
        "datasets": [
            {
                "dataset_version": public_id(wire.DATASET_VERSION, version),
                "weight_ppb": weight,
                "role": role.value,
            }
            for version, weight, role in fact.datasets
        ],
        "bases": [
            {
                "model_version": public_id(wire.MODEL_VERSION, version),
                "weight_ppb": weight,
                "relation": relation.value,
            }
            for version, weight, relation in fact.bases
        ],
    }


def _agreement(fact: Any, _facts: SeriesFacts) -> dict[str, Any]:
    return {"agents": [{"party": public_id(wire.PARTY, party), "share_ppb": share} for party, share in fact.agents]}


def _waterfall(fact: Any, _facts: SeriesFacts) -> dict[str, Any]:
    return {
        "rows": [{"party": public_id(wire.PARTY, party), "weight_ppb": weight} for party, weight in fact.rows],
        "derivation": [
            {"party": public_id(wire.PARTY, party), "way": way, "share": share} for party, way, share in fact.derivation
        ],
    }


def _series(facts: SeriesFacts, number: int) -> SeriesFact:
    found = facts.of(number)
    assert found is not None, number
    return found


_SPECIAL: Final[dict[type[Fact], Callable[[Any, SeriesFacts], dict[str, Any]]]] = {
    e.RoleGranted: _role,
    e.RoleRevoked: _role,
    e.DepositRecorded: _payment,
    e.WithdrawalRecorded: _payment,
    e.ListPriceRecorded: _list_price,
    e.SeriesListed: _series_listed,
    e.SaleRefunded: _refund,
    e.ModelVersionRegistered: _model_version,
    e.AgreementSigned: _agreement,
    e.WaterfallCompiled: _waterfall,
}
"""Fields whose form depends on more than their name."""

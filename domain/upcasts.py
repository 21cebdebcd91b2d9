"""What became of older facts: each is lifted to the next version by one pure function on its decoded JSON object.

A fact that changes gets the next version in its topic; what was written under an old one stays readable through here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

Json: TypeAlias = dict[str, Any]


def upcast(topic: str, fact: Json) -> tuple[str, Json]:
    """The fact under its newest topic; a topic that is not an old one is returned as it is.

    Raises `ValueError` for an object that its topic never had.
    """
    while topic in UPCASTS:
        topic, lift = UPCASTS[topic]
        fact = lift(fact)
    return topic, fact


def _dataset_registered_1(fact: Json) -> Json:
    """Whether a data set holds personal data was not asked in version 1."""
    if "personal_data" in fact:
        raise ValueError("unknown field 'personal_data'")
    return {**fact, "personal_data": "unknown"}


UPCASTS: Final[dict[str, tuple[str, Callable[[Json], Json]]]] = {
    "DatasetRegistered.1": ("DatasetRegistered.2", _dataset_registered_1),
}

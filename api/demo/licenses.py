"""Identity and class of a license: an SPDX identifier, a ScanCode reference, or a `LicenseRef-` name of our own.

Identities and classes come from the index inside the `license-expression` package. What neither SPDX nor ScanCode names
is in `licenses.csv`. `NOASSERTION` is SPDX's word for a license that is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from license_expression import ExpressionError, Licensing, build_spdx_licensing, get_license_index

NOT_KNOWN: Final = "NOASSERTION"
NOT_KNOWN_CLASS: Final = "Unstated License"

STRICTNESS: Final = (
    "Public Domain",
    "Permissive",
    "Copyleft Limited",
    "Copyleft",
    "Patent License",
    "CLA",
    "Proprietary Free",
    "Source-available",
    "Free Restricted",
    "Commercial",
    NOT_KNOWN_CLASS,
)
"""The classes of ScanCode from free to use to nothing known: licenses that apply together have the last of theirs."""


class UnknownLicense(ValueError):
    """The text is not a license expression, or names a license that neither the package nor our table knows."""


@cache
def _licensing() -> Licensing:
    return build_spdx_licensing(get_license_index())


@cache
def _known_classes() -> Mapping[str, str]:
    """Class of each identity: the current identifier and its former ones."""
    classes: dict[str, str] = {}
    for row in get_license_index():
        if not row["is_exception"]:
            for identity in (row["spdx_license_key"], *row["other_spdx_license_keys"]):
                if identity:
                    classes.setdefault(identity, row["category"])
    return classes


def identities(expression: str, own: Mapping[str, str]) -> tuple[str, ...]:
    """The licenses an expression names, in its order; raises `UnknownLicense`. `own`: our names and their classes."""
    if expression == NOT_KNOWN:
        return (NOT_KNOWN,)
    try:
        parsed = _licensing().parse(expression)
    except ExpressionError as error:
        raise UnknownLicense(f"{expression!r} is not a license expression: {error}") from error
    if parsed is None:
        raise UnknownLicense("a license expression is not empty")
    names = tuple(str(name) for name in _licensing().license_keys(parsed))
    for name in names:
        if name not in own and name not in _known_classes():
            raise UnknownLicense(f"{name!r} is neither an SPDX identifier nor a ScanCode reference nor in licenses.csv")
    return names


def license_class(expression: str, own: Mapping[str, str]) -> str:
    """The ScanCode class; of several licenses the strictest, as they apply together."""
    if expression == NOT_KNOWN:
        return NOT_KNOWN_CLASS
    classes = _known_classes()
    found = (own[name] if name in own else classes[name] for name in identities(expression, own))
    return max(found, key=STRICTNESS.index)

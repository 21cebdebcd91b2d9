"""Canonical bytes of dataclasses: one value has exactly one encoding, so that it can be hashed and compared.

A subset of JSON without white space, encoded as UTF-8. By type:

- dataclass: object, its ASCII field names in the order of the class; a field that is None is absent; a field marked
  `derived` is no part of it;
- int: 64 bits with a sign; bool: `true` or `false`, never an int; there is no float;
- str: only `"`, `\\` and control characters below U+0020 are escaped, in the shortest form (`\\b \\f \\n \\r \\t`, else
  `\\u00xx` in lower case); unpaired surrogates are refused;
- bytes, and sealed text: lower-case hexadecimal; clear text of a field that must be sealed is refused;
- enumeration: its value, a number or a text;
- tuple: array; dict with text keys: object sorted by code point; dict with other keys: array of [key, value], sorted.

Decoding is strict: whatever does not encode back to the same bytes is refused. Encoders and decoders are compiled once
per class.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from json.encoder import encode_basestring
from types import NoneType, UnionType
from typing import Annotated, Any, Final, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from domain.catalogue import Catalogue
from domain.events import Sealed
from domain.values import INT64_MAX

T = TypeVar("T")


class CanonicalError(ValueError):
    """A value without a canonical form, or bytes that are not the canonical form of anything; names the place."""


def encode(value: object) -> bytes:
    """The canonical bytes of a dataclass."""
    cls = type(value)
    try:
        return codec_of(cls).write(value).encode()
    except UnicodeEncodeError as error:
        raise CanonicalError(f"{cls.__name__}: unpaired surrogate in text") from error


def decode(cls: type[T], data: bytes) -> T:
    """The value whose canonical bytes these are; raises `CanonicalError` for any other bytes."""
    value: T = codec_of(cls).read(parse(data))
    if encode(value) != data:
        raise CanonicalError(f"{cls.__name__}: not in canonical form")
    return value


def parse(data: bytes) -> Any:
    """The JSON value of the bytes, without floats; white space and repeated names are not refused yet."""
    try:
        return _JSON.decode(data.decode())
    except (ValueError, RecursionError) as error:
        raise CanonicalError(f"not readable as JSON: {error}") from error


def fingerprint(catalogue: Catalogue) -> bytes:
    """SHA-256 of the canonical bytes of the domain state."""
    return hashlib.sha256(encode(catalogue)).digest()


def snapshot(catalogue: Catalogue) -> bytes:
    return encode(catalogue)


def restore(data: bytes) -> Catalogue:
    return decode(Catalogue, data)


# -- codecs, compiled once per type ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Codec:
    """Writes a value as canonical text and reads it from parsed JSON; both raise `CanonicalError`."""

    write: Callable[[Any], str]
    read: Callable[[Any], Any]


_COMPILED: Final[dict[type, Codec]] = {}


def codec_of(cls: type) -> Codec:
    """The codec of a dataclass."""
    if cls not in _COMPILED:
        _COMPILED[cls] = _compile(cls)
    return _COMPILED[cls]


def _compile(cls: type) -> Codec:
    assert is_dataclass(cls), cls
    hints = get_type_hints(cls, include_extras=True)
    members = [field for field in fields(cls) if not field.metadata.get("derived")]
    assert all(field.name.isascii() for field in members), cls
    parts = [(field.name, f'"{field.name}":', *_optional(hints[field.name])) for field in members]
    known = frozenset(field.name for field in members)
    required = frozenset(name for name, _, _, optional in parts if not optional)

    def write(value: Any) -> str:
        if type(value) is not cls:
            raise CanonicalError(f"{cls.__name__}: got {type(value).__name__}")
        written = []
        for name, head, codec, optional in parts:
            item = getattr(value, name)
            if item is None and optional:
                continue
            try:
                written.append(head + codec.write(item))
            except CanonicalError as error:
                raise CanonicalError(f"{cls.__name__}.{name}: {error}") from error
        return "{" + ",".join(written) + "}"

    def read(value: Any) -> Any:
        if type(value) is not dict:
            raise CanonicalError(f"{cls.__name__}: must be an object")
        if not known.issuperset(value):
            raise CanonicalError(f"{cls.__name__}: unknown field {min(set(value) - known)!r}")
        if not required.issubset(value):
            raise CanonicalError(f"{cls.__name__}: missing field {min(required - set(value))!r}")
        arguments = {}
        for name, _, codec, _ in parts:
            if name in value:
                try:
                    arguments[name] = codec.read(value[name])
                except CanonicalError as error:
                    raise CanonicalError(f"{cls.__name__}.{name}: {error}") from error
            else:
                arguments[name] = None
        return cls(**arguments)

    return Codec(write, read)


def _optional(hint: Any) -> tuple[Codec, bool]:
    """The codec of a field's type without None, and whether None was allowed."""
    bare = _bare(hint)
    if get_origin(bare) in (Union, UnionType) and NoneType in get_args(bare):
        present = [item for item in get_args(bare) if item is not NoneType]
        return (_SEALED if set(present) == {str, Sealed} else _codec(present[0])), True
    return _codec(bare), False


def _bare(hint: Any) -> Any:
    return _bare(get_args(hint)[0]) if get_origin(hint) is Annotated else hint


def _codec(hint: Any) -> Codec:
    hint = _bare(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        assert set(arguments) == {str, Sealed}, hint
        return _SEALED
    if origin is tuple:
        return _sequence(_codec(arguments[0])) if arguments[-1] is Ellipsis else _record([*map(_codec, arguments)])
    if origin is dict:
        key, value = arguments
        return _object(_codec(value)) if key is str else _pairs(_codec(key), _codec(value))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enumeration(hint)
    return _PLAIN[hint] if hint in _PLAIN else codec_of(hint)


def _exactly(cls: type[T], value: Any) -> T:
    if type(value) is not cls:
        raise CanonicalError(f"must be {cls.__name__}, got {type(value).__name__}")
    return value


def _integer(value: Any) -> int:
    if not -INT64_MAX - 1 <= _exactly(int, value) <= INT64_MAX:
        raise CanonicalError("must fit in 64 bits")
    return int(value)


def _bytes(value: Any) -> bytes:
    try:
        return bytes.fromhex(_exactly(str, value))
    except ValueError as error:
        raise CanonicalError("must be hexadecimal") from error


def _write_sealed(value: Any) -> str:
    if type(value) is not Sealed:
        raise CanonicalError("must be sealed before it is encoded")
    return f'"{_exactly(bytes, value.ciphertext).hex()}"'


_SEALED: Final = Codec(_write_sealed, lambda value: Sealed(_bytes(value)))

_PLAIN: Final[dict[type, Codec]] = {
    int: Codec(lambda value: str(_integer(value)), _integer),
    bool: Codec(lambda value: "true" if _exactly(bool, value) else "false", lambda value: _exactly(bool, value)),
    str: Codec(lambda value: encode_basestring(_exactly(str, value)), lambda value: _exactly(str, value)),
    bytes: Codec(lambda value: f'"{_exactly(bytes, value).hex()}"', _bytes),
}


def _enumeration(cls: type[Enum]) -> Codec:
    numeric = issubclass(cls, int)
    kind: type = int if numeric else str

    def write(value: Any) -> str:
        _exactly(cls, value)
        return str(int(value.value)) if numeric else encode_basestring(value.value)

    def read(value: Any) -> Enum:
        try:
            return cls(_exactly(kind, value))
        except ValueError as error:
            if isinstance(error, CanonicalError):
                raise
            raise CanonicalError(f"must be a value of {cls.__name__}, got {value!r}") from error

    return Codec(write, read)


def _sequence(item: Codec) -> Codec:
    return Codec(
        lambda value: "[" + ",".join(map(item.write, _exactly(tuple, value))) + "]",
        lambda value: tuple(map(item.read, _exactly(list, value))),
    )


def _record(items: list[Codec]) -> Codec:
    def each(value: Any) -> Any:
        if len(value) != len(items):
            raise CanonicalError(f"must have {len(items)} items, got {len(value)}")
        return zip(items, value, strict=True)

    return Codec(
        lambda value: "[" + ",".join(codec.write(item) for codec, item in each(_exactly(tuple, value))) + "]",
        lambda value: tuple(codec.read(item) for codec, item in each(_exactly(list, value))),
    )


def _object(item: Codec) -> Codec:
    text = _PLAIN[str]
    return Codec(
        lambda value: (
            "{" + ",".join(f"{text.write(key)}:{item.write(value[key])}" for key in sorted(_exactly(dict, value))) + "}"
        ),
        lambda value: {key: item.read(row) for key, row in _exactly(dict, value).items()},
    )


def _pairs(key: Codec, item: Codec) -> Codec:
    pair = _sequence(_record([key, item]))
    return Codec(
        lambda value: pair.write(tuple((number, value[number]) for number in sorted(_exactly(dict, value)))),
        lambda value: dict(pair.read(value)),
    )


def _no_float(text: str) -> NoReturn:
    raise CanonicalError(f"{text} is not an integer of 64 bits")


_JSON: Final = json.JSONDecoder(parse_float=_no_float, parse_constant=_no_float)

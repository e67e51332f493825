"""Values as JSON and back, by their types: for the status file, `status -json` and the control interface.

Its promise: what `plain` makes of a value, `value_of` makes equal again, and whatever else it is given ends in
WireError and never in a value of another type. Fields that are not known are passed over, and those that are missing
have their default, so that two versions understand each other. It leaves to the caller who may see what: `dumps`
takes secrets out of the text.

A position and a path are text, a time RFC 3339, bytes hex digits, a number that is not finite null. One of several
classes has the name of its class as "is".
"""

import json
import math
from array import array
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from replication.position import Position
from replication.scrub import scrub

T = TypeVar("T")
Plain = Any
"""What JSON has: None, bool, int, float, str, list, and dict with keys that are str."""
DEPTH_MAX = 50
"""Of what is read: deeper than any value of ours, and within what Python's own reader can take."""


class WireError(ValueError):
    """What came is not such a value; the message says where."""


def plain(value: object) -> Plain:
    """A value as what JSON has."""
    kind: Any = type(value)
    return _encoder(kind)(value)


def dumps(value: object, indent: int | None = None) -> str:
    """A value as JSON text, without secrets."""
    return scrub(json.dumps(plain(value), indent=indent, allow_nan=False))


def value_of(kind: type[T], data: Plain) -> T:
    """The value of class `kind` that `data` stands for. Raises WireError."""
    known: Any = kind
    found = _decoder(known)(data, kind.__name__)
    assert isinstance(found, kind)
    return found


def values_of(kind: type[T], data: Plain) -> tuple[T, ...]:
    """The same for a list. Raises WireError."""
    if not isinstance(data, list):
        raise WireError(f"{kind.__name__}: a list is needed")
    return tuple(value_of(kind, item) for item in data)


def loads(text: str | bytes) -> Plain:
    """What a JSON text says. Raises WireError, also for what is nested too deep."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise WireError(f"this is not JSON: {error}") from None


def _no_constant(name: str) -> Plain:
    raise WireError(f"{name} is no number of JSON")


_Encode = Callable[[Any], Plain]
_Decode = Callable[[Plain, str], Any]


def _same(value: Any) -> Plain:
    return value


def _number(value: Any) -> Plain:
    return value if math.isfinite(value) else None


_ENCODERS: Mapping[Any, _Encode] = {
    NoneType: _same,
    bool: _same,
    int: _same,
    str: _same,
    float: _number,
    Position: str,
    datetime: datetime.isoformat,
    bytes: bytes.hex,
    array: array.tolist,
}


@cache
def _encoder(hint: Any) -> _Encode:
    kind: Any = get_origin(hint) or hint
    if kind in _ENCODERS:
        return _ENCODERS[kind]
    if isinstance(kind, type) and issubclass(kind, Path):
        return str
    if kind in (Union, UnionType):
        return _encode_one_of(get_args(hint))
    if _is_object(kind):
        parts = [(item.name, _encoder(hint)) for item, hint in _fields(kind)]
        return lambda value: {name: encode(getattr(value, name)) for name, encode in parts}
    if kind in (tuple, list, frozenset):
        arguments = get_args(hint)
        if kind is tuple and arguments and arguments[-1] is not ...:
            parts_of = [_encoder(item) for item in arguments]
            return lambda value: [encode(item) for encode, item in zip(parts_of, value, strict=True)]
        encode = _encoder(arguments[0]) if arguments else plain
        return lambda value: [encode(item) for item in value]
    if isinstance(kind, type) and issubclass(kind, Mapping):
        encode_value = _encoder(get_args(hint)[1]) if get_args(hint) else plain
        return lambda value: {str(name): encode_value(item) for name, item in value.items()}
    if kind is Literal:
        return _same
    if kind in (Any, object):
        return plain
    raise TypeError(f"{hint} has no form in JSON")


def _encode_one_of(kinds: tuple[Any, ...]) -> _Encode:
    classes = [kind for kind in kinds if _is_object(kind)]

    def encode(value: Any) -> Plain:
        made = plain(value)
        return {"is": type(value).__name__, **made} if len(classes) > 1 and type(value) in classes else made

    return encode


def _is_object(kind: Any) -> bool:
    return is_dataclass(kind) and kind is not Position


@cache
def _fields(kind: Any) -> list[tuple[Any, Any]]:
    # The one class of ours that Python 3.11 cannot write with what it holds.
    hints = get_type_hints(kind, localns={"array": {int: array}})
    return [(item, hints[item.name]) for item in fields(kind)]


def _exactly(*kinds: type) -> _Decode:
    def decode(data: Plain, where: str) -> Any:
        if type(data) not in kinds:
            raise WireError(f"{where}: {' or '.join(kind.__name__ for kind in kinds)} is needed")
        return data

    return decode


def _float(data: Plain, where: str) -> float:
    if data is None:
        return math.inf
    try:
        return float(_exactly(int, float)(data, where))
    except OverflowError:
        raise WireError(f"{where}: the number is too large") from None


def _read(read: Callable[[str], Any]) -> _Decode:
    def decode(data: Plain, where: str) -> Any:
        try:
            return read(_exactly(str)(data, where))
        except ValueError as error:
            raise error if isinstance(error, WireError) else WireError(f"{where}: {error}") from None

    return decode


def _position(data: Plain, where: str) -> Position:
    if isinstance(data, dict):
        # As status files had it before.
        parts = [data.get(name) for name in ("generation", "index", "offset")]
        if [type(part) for part in parts] == [str, int, int]:
            return Position(*parts)  # type: ignore[arg-type]
    found = _read(Position.parse)(data, where)
    assert isinstance(found, Position)
    return found


def _array(data: Plain, where: str) -> "array[int]":
    try:
        return array("q", data)
    except (TypeError, OverflowError):
        raise WireError(f"{where}: a list of whole numbers is needed") from None


_DECODERS: Mapping[Any, _Decode] = {
    NoneType: _exactly(NoneType),
    bool: _exactly(bool),
    int: _exactly(int),
    str: _exactly(str),
    float: _float,
    Position: _position,
    datetime: _read(datetime.fromisoformat),
    bytes: _read(bytes.fromhex),
    array: _array,
    Any: lambda data, where: data,
    object: lambda data, where: data,
}


@cache
def _decoder(hint: Any) -> _Decode:
    kind: Any = get_origin(hint) or hint
    arguments = get_args(hint)
    if kind in _DECODERS:
        return _DECODERS[kind]
    if isinstance(kind, type) and issubclass(kind, Path):
        return _read(kind)
    if kind in (Union, UnionType):
        return _decode_one_of(arguments)
    if kind is Literal:
        return _decode_literal(arguments)
    if is_dataclass(kind):
        return _decode_dataclass(kind)
    if kind in (tuple, list, frozenset):
        return _decode_items(kind, arguments)
    if isinstance(kind, type) and issubclass(kind, Mapping):
        return _decode_mapping(_decoder(arguments[1]))
    raise TypeError(f"{hint} has no form in JSON")


def _decode_literal(words: tuple[Any, ...]) -> _Decode:
    def decode(data: Plain, where: str) -> Any:
        if data not in words:
            raise WireError(f"{where}: one of {', '.join(map(str, words))} is needed")
        return data

    return decode


def _decode_one_of(kinds: tuple[Any, ...]) -> _Decode:
    classes = {kind.__name__: _decoder(kind) for kind in kinds if _is_object(kind)}
    others = [_decoder(kind) for kind in kinds if kind is not NoneType]

    def decode(data: Plain, where: str) -> Any:
        if data is None and NoneType in kinds:
            return None
        if len(classes) > 1:
            name = data.get("is") if isinstance(data, dict) else None
            if not isinstance(name, str) or name not in classes:
                raise WireError(f'{where}: "is" must be one of {", ".join(classes)}')
            return classes[name](data, where)
        error = WireError(f"{where}: it is of no kind that may stand there")
        for one in others:
            try:
                return one(data, where)
            except WireError as found:
                error = found
        raise error

    return decode


def _decode_dataclass(kind: Any) -> _Decode:
    parts = [(item.name, _needed(item), _decoder(hint)) for item, hint in _fields(kind)]

    def decode(data: Plain, where: str) -> Any:
        if not isinstance(data, dict):
            raise WireError(f"{where}: an object is needed")
        values = {}
        for name, needed, one in parts:
            if name in data:
                values[name] = one(data[name], f"{where}.{name}")
            elif needed:
                raise WireError(f"{where}: {name} is missing")
        return kind(**values)

    return decode


def _needed(item: Any) -> bool:
    return item.default is MISSING and item.default_factory is MISSING


def _decode_items(kind: Any, arguments: tuple[Any, ...]) -> _Decode:
    several = kind is tuple and arguments[-1] is not ...
    each = [_decoder(item) for item in arguments if item is not ...]

    def decode(data: Plain, where: str) -> Any:
        if not isinstance(data, list) or (several and len(data) != len(each)):
            raise WireError(f"{where}: a list is needed" + (f", of {len(each)}" if several else ""))
        decoders = each if several else each * len(data)
        return kind(one(item, f"{where}[{n}]") for n, (one, item) in enumerate(zip(decoders, data, strict=True)))

    return decode


def _decode_mapping(one: _Decode) -> _Decode:
    def decode(data: Plain, where: str) -> Any:
        if not isinstance(data, dict):
            raise WireError(f"{where}: an object is needed")
        return {name: one(item, f"{where}.{name}") for name, item in data.items()}

    return decode

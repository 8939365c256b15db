"""Frozen dataclasses as JSON values, and back with every value checked.

Standard library only. What comes from the other end of a wire is data from outside: nothing is trusted to have
the type that its annotation promises, and a value that has not is an error that names its place.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Callable, Mapping

_Message = typing.TypeVar("_Message")


class MessageError(ValueError):
    """A message does not have the form that its class prescribes."""


def encode(message: object) -> dict[str, object]:
    """Return a dataclass as JSON values; fields that have their default are left out."""
    data: dict[str, object] = {}
    for item in dataclasses.fields(message):  # type: ignore[arg-type]  # the messages are all dataclasses
        value = getattr(message, item.name)
        default = item.default_factory() if item.default_factory is not dataclasses.MISSING else item.default
        if value != default:
            data[item.name] = _plain(value)
    return data


def _plain(value: object) -> object:
    if isinstance(value, enum.Enum):
        return value.name
    if dataclasses.is_dataclass(value):
        return encode(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


def decode(cls: type[_Message], data: object) -> _Message:
    """Build a message of type `cls`; raise `MessageError` where a value does not fit its annotation."""
    if not isinstance(data, dict):
        raise MessageError(f"{cls.__name__}: an object was expected, found {data!r:.80}")
    readers = _readers(cls)
    unknown = data.keys() - readers.keys()
    if unknown:
        raise MessageError(f"{cls.__name__}: unknown field {min(map(str, unknown))!r}")
    try:
        return cls(**{name: readers[name](value, f"{cls.__name__}.{name}") for name, value in data.items()})
    except TypeError as error:
        raise MessageError(f"{cls.__name__}: {error}") from error


_Reader = Callable[[object, str], object]
_known_readers: dict[type, dict[str, _Reader]] = {}


def _readers(cls: type) -> dict[str, _Reader]:
    """Return a reader per field of `cls`; made once, as a result of 10,000 values is read often."""
    if cls not in _known_readers:
        _known_readers[cls] = {name: _reader(hint) for name, hint in typing.get_type_hints(cls).items()}
    return _known_readers[cls]


def _reader(annotation: typing.Any) -> _Reader:
    """Return the function that checks a JSON value against `annotation`."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is types.UnionType:
        (inner,) = (option for option in arguments if option is not types.NoneType)
        return _optional(_reader(inner))
    if origin is tuple:
        return _sequence(_reader(arguments[0]))
    if origin is Mapping:
        return _mapping(_reader(arguments[1]))
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        return lambda value, _place: decode(annotation, value)
    if issubclass(annotation, enum.Enum):
        return _member(annotation)
    return _number if annotation is float else _exactly(annotation)


def _mismatch(wanted: str, value: object, place: str) -> MessageError:
    return MessageError(f"{place}: {wanted} was expected, found {value!r:.80}")


def _optional(inner: _Reader) -> _Reader:
    return lambda value, place: None if value is None else inner(value, place)


def _sequence(inner: _Reader) -> _Reader:
    def read(value: object, place: str) -> object:
        if not isinstance(value, list):
            raise _mismatch("a list", value, place)
        return tuple(inner(item, place) for item in value)

    return read


def _mapping(inner: _Reader) -> _Reader:
    def read(value: object, place: str) -> object:
        if not isinstance(value, dict):
            raise _mismatch("an object", value, place)
        return {str(key): inner(item, f"{place}[{key!r}]") for key, item in value.items()}

    return read


def _member(kind: type[enum.Enum]) -> _Reader:
    def read(value: object, place: str) -> object:
        if not isinstance(value, str) or value not in kind.__members__:
            raise _mismatch(f"one of {', '.join(kind.__members__)}", value, place)
        return kind[value]

    return read


def _number(value: object, place: str) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _mismatch("a number", value, place)
    return float(value)


def _exactly(kind: type) -> _Reader:
    def read(value: object, place: str) -> object:
        if type(value) is not kind:
            raise _mismatch(kind.__name__, value, place)
        return value

    return read

"""Records as JSON and back: dataclasses of times, enums, mappings, tuples and sets, read by their own type hints. Pure."""

import json
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

__all__ = ["dumped", "loaded"]

R = TypeVar("R")


def dumped(record: object) -> str:
    """A record as one line of JSON."""
    return json.dumps(_plain(record), separators=(",", ":"))


def loaded(kind: type[R], text: str) -> R:
    """The record back. A field that the text lacks has its default; one that the record does not know is left out.

    Raises:
        ValueError, KeyError, TypeError: it is none.
    """
    return _made(kind, json.loads(text))  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, frozenset):
        return sorted(_plain(each) for each in value)
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _made(kind: Any, value: Any) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        inner = [each for each in arguments if each is not types.NoneType]
        return None if value is None else _made(inner[0], value)
    if origin is tuple:
        return tuple(_made(arguments[0], each) for each in value)
    if origin is frozenset:
        return frozenset(_made(arguments[0], each) for each in value)
    if origin is Mapping or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return {key: _made(arguments[1], each) for key, each in value.items()}
    if isinstance(kind, type):
        if is_dataclass(kind):
            known = _hints(kind)
            return kind(**{name: _made(known[name], each) for name, each in value.items() if name in known})
        if issubclass(kind, Enum):
            return kind(value)
        if issubclass(kind, datetime):
            return datetime.fromisoformat(value)
    return value

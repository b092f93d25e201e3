"""Keys as they travel in messages: the JSON values in the order of the primary key.

A chunk's keys are converted column by column: a loop in Python over a million keys would notice
every step.
"""

from __future__ import annotations

import datetime as dt
import decimal
import json
import uuid
from functools import lru_cache
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from djq.definition.attributes import Attribute, CoreType, NativeType
from djq.definition.native import time_text, time_us

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from djq.definition.acceptance import Value
    from djq.definition.heading import Heading

Key: TypeAlias = dict[str, Any]
JsonValue: TypeAlias = str | int | float | bool | None

_TO_JSON: dict[type, Callable[[Any], JsonValue]] = {
    dt.datetime: dt.datetime.isoformat,
    dt.date: dt.date.isoformat,
    dt.timedelta: lambda value: time_text(time_us(value)),
    decimal.Decimal: str,
    uuid.UUID: str,
    bytes: bytes.hex,
}
#: JSON's text of values by their class; these are met most often.
_TO_TEXT: dict[type, Callable[[Any], str]] = {int: str, str: encode_basestring}
#: Types whose values JSON holds as text.
_AS_TEXT = frozenset({"date", "datetime", "decimal", "time", "timestamp", "uuid"})
_AS_HEX = frozenset({"bytes", "binary", "varbinary"})


def to_wire(heading: Heading, key: Mapping[str, Value]) -> list[JsonValue]:
    """Return the key's values in the order of the primary key, as JSON holds them."""
    return [_to_json(key[name]) for name in heading.primary_key]


def from_wire(heading: Heading, values: Sequence[JsonValue]) -> Key:
    """Return the key that `to_wire` was given; the types come from the heading."""
    found = dict(zip(heading.primary_key, values, strict=True))
    for name, read in _readers(heading):
        found[name] = read(found[name])
    return cast("Key", found)


def key_id(heading: Heading, key: Mapping[str, Value]) -> str:
    """Return the key as one short text, equal for equal keys: its wire form as compact JSON."""
    return f"[{','.join([_text(key[name]) for name in heading.primary_key])}]"


def from_key_id(heading: Heading, text: str) -> Key:
    """Return the key of `key_id`."""
    return from_wire(heading, json.loads(text))


def key_ids(columns: Sequence[Sequence[Value]]) -> list[str]:
    """Return the ids of keys given as columns in the order of the primary key."""
    if len(columns) == 1:
        return [f"[{text}]" for text in _texts(columns[0])]
    return [f"[{','.join(texts)}]" for texts in zip(*map(_texts, columns), strict=True)]


def wire_ids(rows: Sequence[Sequence[JsonValue]]) -> list[str]:
    """Return the ids of keys in their wire form."""
    if not rows or not rows[0]:
        return ["[]"] * len(rows)
    return key_ids(list(zip(*rows, strict=True)))


def from_key_ids(heading: Heading, ids: Sequence[str]) -> list[Key]:
    """Return the keys of ids, in their order."""
    rows: list[list[JsonValue]] = json.loads(f"[{','.join(ids)}]")
    names = heading.primary_key
    readers = _readers(heading)
    found: list[Key] = [dict(zip(names, row, strict=True)) for row in rows]
    for name, read in readers:
        for key in found:
            key[name] = read(key[name])
    return found


def _texts(column: Sequence[Value]) -> list[str]:
    """Return the values of a column as JSON texts."""
    kinds = set(map(type, column))
    if len(kinds) == 1:
        (kind,) = kinds
        if (to_text := _TO_TEXT.get(kind)) is not None:
            return list(map(to_text, column))
        if (convert := _TO_JSON.get(kind)) is not None:
            return [json.dumps(convert(value), ensure_ascii=False) for value in column]
    return list(map(_text, column))


def _text(value: Value) -> str:
    """Return a value as JSON's text."""
    to_text = _TO_TEXT.get(value.__class__)
    return json.dumps(_to_json(value), ensure_ascii=False) if to_text is None else to_text(value)


def _to_json(value: Value) -> JsonValue:
    convert = _TO_JSON.get(value.__class__)
    plain: JsonValue = value if convert is None else convert(value)
    return plain


@lru_cache(maxsize=1024)
def _readers(heading: Heading) -> tuple[tuple[str, Callable[[Value], Value]], ...]:
    """Return what reads the values that JSON does not hold as they are, by attribute."""
    found = ((name, _reader(heading[name])) for name in heading.primary_key)
    return tuple((name, read) for name, read in found if read is not None)


def _reader(attribute: Attribute) -> Callable[[Value], Value] | None:
    type_ = attribute.type
    if not isinstance(type_, CoreType | NativeType):
        return None
    if type_.name in _AS_HEX:
        return _from_hex
    return type_.accept if type_.name in _AS_TEXT else None


def _from_hex(value: Value) -> bytes:
    return bytes.fromhex(str(value))

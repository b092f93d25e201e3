"""Keys as they travel: plain JSON values in the order of the primary key."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import uuid
from typing import TYPE_CHECKING, Any, TypeAlias

from djq.definition.attributes import Attribute, CoreType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from djq.definition.acceptance import Value
    from djq.definition.heading import Heading

Key: TypeAlias = dict[str, Any]
JsonValue: TypeAlias = str | int | float | bool | None

_TO_JSON: dict[type, Callable[[Any], JsonValue]] = {
    dt.datetime: dt.datetime.isoformat,
    dt.date: dt.date.isoformat,
    decimal.Decimal: str,
    uuid.UUID: str,
    bytes: bytes.hex,
}


def to_wire(heading: Heading, key: Mapping[str, Value]) -> list[JsonValue]:
    """Return the key's values in the order of the primary key, as JSON holds them."""
    return [_to_json(key[name]) for name in heading.primary_key]


def from_wire(heading: Heading, values: Sequence[JsonValue]) -> Key:
    """Return the key that `to_wire` was given; the types come from the heading."""
    names = heading.primary_key
    return {n: _from_json(heading[n], v) for n, v in zip(names, values, strict=True)}


def key_id(heading: Heading, key: Mapping[str, Value]) -> str:
    """Return the key as one short text, equal for equal keys: its wire form as compact JSON."""
    return json.dumps(to_wire(heading, key), separators=(",", ":"), ensure_ascii=False)


def from_key_id(heading: Heading, text: str) -> Key:
    """Return the key of `key_id`."""
    return from_wire(heading, json.loads(text))


def _to_json(value: Value) -> JsonValue:
    convert = _TO_JSON.get(value.__class__)
    plain: JsonValue = value if convert is None else convert(value)
    return plain


def _from_json(attribute: Attribute, value: JsonValue) -> Value:
    if not isinstance(attribute.type, CoreType):
        return value
    if attribute.type.name == "bytes":
        return bytes.fromhex(str(value))
    return attribute.type.accept(value)

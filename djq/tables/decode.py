"""Database rows → the user's values."""

from __future__ import annotations

import decimal
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from djq.codecs import blob
from djq.codecs.registry import get
from djq.definition.acceptance import Value
from djq.definition.attributes import Attribute, CodecType, NativeType
from djq.storage.content import Reference
from djq.tables.encode import ENCODED
from djq.tables.shapes import squeezed

if TYPE_CHECKING:
    from djq.definition.heading import Heading
    from djq.tables.connection import Connection
    from djq.tables.shapes import Column, Row

Decode = Callable[[Value], Value]


def decode_rows(
    rows: Sequence[Sequence[Any]],
    heading: Heading,
    connection: Connection,
    *,
    squeeze: bool = False,
) -> list[Row]:
    """Return rows, in heading order, as dicts."""
    decode = decoder(heading, connection, squeeze=squeeze)
    if decode is None:
        names = heading.names
        # Not strict: a loop of 100,000 rows would notice.
        return [dict(zip(names, row)) for row in rows]  # noqa: B905
    return [decode(row) for row in rows]


def decode_columns(
    columns: Sequence[Column], heading: Heading, connection: Connection, *, squeeze: bool = False
) -> list[Column]:
    """Return whole columns, in heading order, as the user's values."""
    found = list(columns)
    for i, decode in _decoders(heading, connection, squeeze=squeeze):
        found[i] = [None if v is None else decode(v) for v in found[i]]
    return found


def decoder(
    heading: Heading, connection: Connection, *, squeeze: bool = False
) -> Callable[[Sequence[Any]], Row] | None:
    """Return the function that turns a row into a dict; None where a `zip` does that."""
    decoders = _decoders(heading, connection, squeeze=squeeze)
    if not decoders:
        return None
    names = heading.names

    def decode_row(row: Sequence[Any]) -> Row:
        values = list(row)
        for i, decode in decoders:
            if values[i] is not None:
                values[i] = decode(values[i])
        return dict(zip(names, values, strict=True))

    return decode_row


def _decoders(
    heading: Heading, connection: Connection, *, squeeze: bool
) -> list[tuple[int, Decode]]:
    return [(i, _decode_of(a, connection, squeeze=squeeze)) for i, a in _undecoded(heading)]


@lru_cache(maxsize=4096)
def _undecoded(heading: Heading) -> tuple[tuple[int, Attribute], ...]:
    """Return the attributes whose values are not yet the user's, with their places."""
    return tuple((i, a) for i, a in enumerate(heading) if _is_undecoded(a))


def _is_undecoded(attribute: Attribute) -> bool:
    type_ = attribute.type
    if isinstance(type_, NativeType):
        return type_.is_blob
    return type_ is None or isinstance(type_, CodecType)


def _decode_of(attribute: Attribute, connection: Connection, *, squeeze: bool) -> Decode:
    if attribute.type is None:
        return _plain_number
    decode: Decode = _any_value
    if isinstance(attribute.type, CodecType):
        decode = get(attribute.type.codec).decode
        if attribute.type.store is not None:
            decode = _loaded(decode, connection)
    return (lambda value: squeezed(decode(value))) if squeeze else decode


def _loaded(decode: Decode, connection: Connection) -> Decode:
    """Return what decodes the object that a reference in a row names."""

    def load(value: Value) -> Value:
        reference = Reference.from_json(value)
        return decode(connection.store(reference.store).get(reference))

    return load


def _any_value(data: Value) -> Value:
    """Return what the `longblob` family holds: an encoded value, or bytes."""
    data = bytes(data)
    return blob.decode(data) if data.startswith(ENCODED) else data


def _plain_number(value: Value) -> Value:
    """Return the Decimal in which MySQL computes with whole numbers as an int, or a float."""
    if not isinstance(value, decimal.Decimal):
        return value
    return int(value) if value == value.to_integral_value() else float(value)

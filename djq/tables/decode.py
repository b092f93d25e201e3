"""Database rows → the user's values."""

from __future__ import annotations

import decimal
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from djq.codecs import blob
from djq.codecs.compression import MAGIC
from djq.codecs.registry import get
from djq.definition.acceptance import Value
from djq.definition.attributes import Attribute, CodecType, NativeType
from djq.errors import CodecError
from djq.storage.content import Reference
from djq.tables.encode import ENCODED

if TYPE_CHECKING:
    from djq.definition.heading import Heading
    from djq.tables.connection import Connection

Decode = Callable[[Value], Value]


def decoder(heading: Heading, connection: Connection) -> Callable[[Sequence[Any]], dict[str, Any]]:
    """Return the function that turns a row, in heading order, into a dict."""
    names = heading.names
    decoders = [
        (i, decode)
        for i, attribute in enumerate(heading)
        if (decode := _decode_of(attribute, connection)) is not None
    ]
    if not decoders:
        return lambda row: dict(zip(names, row, strict=True))

    def decode_row(row: Sequence[Any]) -> dict[str, Any]:
        values = list(row)
        for i, decode in decoders:
            if values[i] is not None:
                values[i] = decode(values[i])
        return dict(zip(names, values, strict=True))

    return decode_row


def _decode_of(attribute: Attribute, connection: Connection) -> Decode | None:
    if attribute.type is None:
        return _plain_number
    if isinstance(attribute.type, NativeType) and attribute.type.is_blob:
        return _any_value
    if not isinstance(attribute.type, CodecType):
        return None
    codec = get(attribute.type.codec)
    if attribute.type.store is None:
        return codec.decode

    def load(value: Value) -> Value:
        reference = Reference.from_json(value)
        return codec.decode(connection.store(reference.store).get(reference))

    return load


def _any_value(data: Value) -> Value:
    """Return what the `longblob` family holds: an encoded value, or bytes."""
    data = bytes(data)
    if data.startswith(MAGIC):
        return blob.decode(data)
    if data.startswith(ENCODED):
        message = (
            f"the value is in DataJoint's format {data[:3].decode()}, which djq cannot read yet; "
            "read it with DataJoint, and insert it again"
        )
        raise CodecError(message)
    return data


def _plain_number(value: Value) -> Value:
    """Return the Decimal in which MySQL computes with whole numbers as an int, or a float."""
    if not isinstance(value, decimal.Decimal):
        return value
    return int(value) if value == value.to_integral_value() else float(value)

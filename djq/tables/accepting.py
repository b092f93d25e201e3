"""One value of the user's → the database's: its type, range and whether it is there."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Callable
from typing import TYPE_CHECKING

from djq.codecs import blob, mym
from djq.codecs.compression import MAGIC
from djq.definition.acceptance import Value
from djq.definition.attributes import Attribute, CodecType, CoreType, NativeType
from djq.errors import CodecError

if TYPE_CHECKING:
    from djq.tables.connection import Connection

#: Types of numpy and pandas, by name, that have a value for "missing".
MAY_MISS = frozenset({"float16", "float32", "longdouble", "datetime64", "NaTType"})
#: How encoded blobs begin: djq's own, and DataJoint's.
ENCODED = (MAGIC, *mym.MAGICS)
#: What the acceptance of a user's value may raise.
WRONG = (ValueError, CodecError, TypeError, OverflowError)

Encode = Callable[[Value], Value]


def utc_now() -> dt.datetime:
    """Return the time as databases keep it: naive UTC."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


def encode_of(attribute: Attribute, connection: Connection) -> Encode:
    """Return what makes the database's value of a user's one, or raises one of `WRONG`.

    Values of codecs are only looked at: null is refused or let through.
    """
    type_ = attribute.type
    is_absent: Callable[[Value], bool]
    if isinstance(type_, CoreType):
        convert, is_absent = connection.database.dialect.accept(type_), _is_missing
        convert = _plain_time(convert) if type_.name == "datetime" else convert
    elif isinstance(type_, NativeType):
        if type_.is_blob:
            convert, is_absent = _any_encode(type_), _is_none
        else:
            convert, is_absent = _plain_time(connection.database.dialect.accept(type_)), _is_missing
    elif isinstance(type_, CodecType):
        convert, is_absent = _as_it_is, _is_none
    else:
        message = f'"{attribute.name}" is computed, and cannot be stored'
        raise AssertionError(message)  # noqa: TRY004 - nobody inserts into an expression
    if attribute.nullable or attribute.is_auto:
        return lambda value: None if is_absent(value) else convert(value)

    def encode(value: Value) -> Value:
        if is_absent(value):
            if attribute.has_default:
                return convert(attribute.default_value(utc_now()))
            message = (
                "it is null, and the attribute is not nullable"
                if value is None
                else "it is NaN, which no column holds; make the attribute nullable, or use <blob>"
            )
            raise ValueError(message)
        return convert(value)

    return encode


def _is_none(value: Value) -> bool:
    return value is None


def _is_missing(value: Value) -> bool:
    """Tell whether a value is null: None, or a number or date that is missing (NaN, NaT)."""
    if value is None:
        return True
    kind = type(value).__name__
    if kind == "NAType":  # of pandas: it does not compare
        return True
    may_miss = isinstance(value, float | decimal.Decimal) or kind in MAY_MISS
    return may_miss and bool(value != value)  # noqa: PLR0124 - only NaN differs from itself


def _plain_time(convert: Encode) -> Encode:
    """Return what also makes a plain datetime of one of pandas, which drivers do not know."""

    def convert_plainly(value: Value) -> Value:
        found = convert(value)
        if isinstance(found, dt.datetime) and type(found) is not dt.datetime:
            day = (found.year, found.month, found.day)
            time = (found.hour, found.minute, found.second, found.microsecond)
            return dt.datetime(*day, *time)  # noqa: DTZ001 - naive UTC
        return found

    return convert_plainly


def _any_encode(type_: NativeType) -> Encode:
    """Return the encoding of the `longblob` family: bytes as they are, other values as a blob."""

    def encode(value: Value) -> Value:
        if isinstance(value, bytes | bytearray | memoryview):
            data = bytes(value)  # pyright: ignore[reportUnknownArgumentType] # any buffer
            # Encoded, they come back as these bytes, and not as what they would decode to.
            return type_.accept(blob.encode(data) if data.startswith(ENCODED) else data)
        return type_.accept(blob.encode(value))

    return encode


def _as_it_is(value: Value) -> Value:
    return value

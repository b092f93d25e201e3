"""The MessagePack extension types for plain Python values; docs/blob-format.md lists them all."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import IntEnum
from typing import Any, Final, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from djq.codecs.hashes import to_set
from djq.codecs.messagepack import UnpackError, Value, pack_list

#: What malformed input makes the readers and parsers raise.
MALFORMED: Final = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RecursionError,
    MemoryError,
    struct.error,
    UnpackError,
)

_COMPLEX: Final = struct.Struct("<dd")
_MICROSECOND: Final = timedelta(microseconds=1)


class Extension(IntEnum):
    """The application-specific types of format version 1; no number is ever used again."""

    ARRAY = 1
    ATTACHED_ARRAY = 2
    SCALAR = 3
    TUPLE = 4
    SET = 5
    FROZENSET = 6
    COMPLEX = 7
    INTEGER = 8
    DATETIME = 9
    DATE = 10
    TIME = 11
    TIMEDELTA = 12
    DECIMAL = 13
    UUID = 14
    OBJECT_ARRAY = 15
    TEXTS = 16
    STRUCTURED_ARRAY = 17
    MASKED_ARRAY = 18


def reason(error: Exception) -> str:
    """Return why input could not be read, for a message; Python's lack of memory has no text."""
    return "not enough memory" if isinstance(error, MemoryError) else str(error)


#: Packs or unpacks what an extension contains.
Pack = Callable[[object], bytes]
Unpack = Callable[[bytes], Value]


def plain(value: object) -> object:
    """Return the plain value of an instance of a subclass: ordered dict, named tuple, int enum.

    Raises
    ------
    TypeError
        It is no subclass of a type that can be stored.
    """
    for base in (dict, list, tuple, int, float, bytes, set, frozenset):
        if isinstance(value, base):
            return cast("Any", base)(value)
    if isinstance(value, str):
        # str(value) of an enum member is its name.
        return str.__str__(value)
    message = (
        "convert it to NumPy arrays, numbers, texts, dates, lists, tuples, sets and dicts of those"
    )
    raise TypeError(message)


def _write_set(value: frozenset[object], pack: Pack) -> bytes:
    # Sorted, so that equal sets become equal bytes, whatever the order of hashes in this process.
    return pack_list(sorted(map(pack, value)))


def _write_integer(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)


def _zone(zone: tzinfo | None, offset: timedelta | None) -> str | int | None:
    """Return a zone's IANA name, or its offset [µs], or None for a naive time."""
    if isinstance(zone, ZoneInfo) and zone.key:
        return zone.key
    if zone is not None and offset is None:
        message = f"time zone {zone!r} has no fixed offset"
        raise TypeError(message)
    return None if offset is None else offset // _MICROSECOND


def _parse_zone(zone: object) -> tzinfo | None:
    if isinstance(zone, str):
        return ZoneInfo(zone)
    return None if zone is None else timezone(cast("int", zone) * _MICROSECOND)


def _moment(value: datetime | time) -> list[object]:
    return [
        value.replace(tzinfo=None).isoformat(),
        value.fold,
        _zone(value.tzinfo, value.utcoffset()),
    ]


def _read_datetime(data: bytes, unpack: Unpack) -> datetime:
    text, fold, zone = unpack(data)
    return datetime.fromisoformat(text).replace(fold=fold, tzinfo=_parse_zone(zone))


def _read_time(data: bytes, unpack: Unpack) -> time:
    text, fold, zone = unpack(data)
    return time.fromisoformat(text).replace(fold=fold, tzinfo=_parse_zone(zone))


def _read_timedelta(data: bytes, unpack: Unpack) -> timedelta:
    days, seconds, microseconds = unpack(data)
    return timedelta(days=days, seconds=seconds, microseconds=microseconds)


#: Exact type → its extension and payload; a subclass may carry more than its base, as
#: pandas.Timestamp does with its nanoseconds.
WRITERS: Final[dict[type, Callable[[Any, Pack], tuple[Extension, bytes]]]] = {
    tuple: lambda value, pack: (Extension.TUPLE, pack(list(value))),
    set: lambda value, pack: (Extension.SET, _write_set(value, pack)),
    frozenset: lambda value, pack: (Extension.FROZENSET, _write_set(value, pack)),
    complex: lambda value, _: (Extension.COMPLEX, _COMPLEX.pack(value.real, value.imag)),
    int: lambda value, _: (Extension.INTEGER, _write_integer(value)),
    datetime: lambda value, pack: (Extension.DATETIME, pack(_moment(value))),
    date: lambda value, _: (Extension.DATE, value.isoformat().encode()),
    time: lambda value, pack: (Extension.TIME, pack(_moment(value))),
    timedelta: lambda value, pack: (
        Extension.TIMEDELTA,
        pack([value.days, value.seconds, value.microseconds]),
    ),
    Decimal: lambda value, _: (Extension.DECIMAL, str(value).encode()),
    UUID: lambda value, _: (Extension.UUID, value.bytes),
}

READERS: Final[dict[int, Callable[[bytes, Unpack], Any]]] = {
    Extension.TUPLE: lambda data, unpack: tuple(unpack(data)),
    Extension.SET: lambda data, unpack: to_set(unpack(data)),
    Extension.FROZENSET: lambda data, unpack: frozenset(to_set(unpack(data))),
    Extension.COMPLEX: lambda data, _: complex(*_COMPLEX.unpack(data)),
    Extension.INTEGER: lambda data, _: int.from_bytes(data, "little", signed=True),
    Extension.DATETIME: _read_datetime,
    Extension.DATE: lambda data, _: date.fromisoformat(data.decode()),
    Extension.TIME: _read_time,
    Extension.TIMEDELTA: _read_timedelta,
    Extension.DECIMAL: lambda data, _: Decimal(data.decode()),
    Extension.UUID: lambda data, _: UUID(bytes=data),
}

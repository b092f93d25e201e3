"""DataJoint's and mYm's blobs → values, as in docs/blob-format.md.

Written from the public sources of mYm, which MATLAB uses, and from bytes that DataJoint's public
functions made of known values (tests/unit/codecs/datajoint.json).
"""

from __future__ import annotations

import struct
import zlib
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from djq.codecs import hashes, mym_arrays
from djq.codecs.extensions import MALFORMED, reason
from djq.codecs.mym_cursor import Cursor
from djq.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from djq.codecs.messagepack import Value

COMPRESSED: Final = b"ZL123\0"
#: How such blobs begin: what MATLAB writes, what only DataJoint for Python does, and either packed.
MAGICS: Final = (b"mYm\0", b"dj0\0", COMPRESSED)

#: zlib cannot shrink by more; a claim beyond it is a lie.
_MAX_RATIO: Final = 1032
#: How many values there may be in a blob of some size, since each costs far more than its bytes.
_N_FREE_VALUES: Final = 1 << 20
_N_VALUES_PER_BYTE: Final = 8

_COMPLEX: Final = struct.Struct("<dd")
_MOMENT: Final = struct.Struct("<iq")
_FLOAT: Final = struct.Struct("<d")
#: Stands for a missing date in a time, and for a missing time in a date.
_MISSING: Final = -1


def is_one(data: bytes | memoryview) -> bool:
    """Return whether bytes begin as one of these blobs does."""
    return bytes(data[: len(COMPRESSED)]).startswith(MAGICS)


def decode(data: bytes | memoryview) -> Value:
    """Decode a blob that DataJoint or mYm wrote.

    Returns
    -------
    Any
        What DataJoint returns for it: MATLAB's structs are record arrays whose fields are objects,
        and its cells are arrays of objects. Other arrays are writable and in C order.

    Raises
    ------
    CodecError
        The bytes are cut off or malformed, or hold what has no value here, as sparse matrices.
    """
    data = memoryview(data).cast("B")
    budget = _N_FREE_VALUES + _N_VALUES_PER_BYTE * len(data)
    try:
        if bytes(data[: len(COMPRESSED)]) == COMPRESSED:
            data = _inflate(data[len(COMPRESSED) :])
        if bytes(data[:4]) not in MAGICS:
            message = f"bytes that begin with {bytes(data[:4])!r} are no blob of DataJoint's"
            raise CodecError(message)
        return Cursor(data[4:], _READERS, budget).read_whole()
    except MALFORMED as error:
        message = f"this blob of DataJoint's cannot be read: {reason(error)}"
        raise CodecError(message) from error


def _inflate(data: memoryview) -> memoryview:
    """Return what was compressed: as many bytes as its prefix claims, and no byte more."""
    n_claimed = int.from_bytes(data[:8], "little")
    if n_claimed > _MAX_RATIO * len(data):
        message = f"it claims to be {n_claimed} bytes, compressed to {len(data)}"
        raise ValueError(message)
    parser = zlib.decompressobj()
    try:
        # A limit of 0 would be none.
        raw = parser.decompress(data[8:], n_claimed + 1)
    except zlib.error as error:
        raise ValueError(*error.args) from error
    if len(raw) != n_claimed or not parser.eof or parser.unused_data:
        message = f"{len(raw)} bytes were compressed, not {n_claimed}, or they are cut off"
        raise ValueError(message)
    return memoryview(raw)


def _read_text(cursor: Cursor) -> str:
    return str(cursor.take(cursor.read_size()), "utf-8")


def _read_integer(cursor: Cursor) -> int:
    n_bytes = int.from_bytes(cursor.take(2), "little")
    return int.from_bytes(cursor.take(n_bytes), "little", signed=True)


def _read_moment(cursor: Cursor) -> datetime | date | time:
    """Read decimal digits: year, month, day; hour, minute, second, microsecond."""
    days, moment = _MOMENT.unpack(cursor.take(_MOMENT.size))
    rest, microsecond = divmod(moment, 1_000_000)
    clock = None if moment == _MISSING else time(*_digits(rest), microsecond)
    if days == _MISSING and clock is not None:
        return clock
    day = date(*_digits(days))
    return day if clock is None else datetime.combine(day, clock)


def _digits(number: int) -> tuple[int, int, int]:
    """Split 20201231 or 235959."""
    return number // 10_000, number // 100 % 100, number % 100


def _read_items(cursor: Cursor) -> list[Value]:
    return cursor.read_items(cursor.read_size())


def _read_dict(cursor: Cursor) -> dict[Value, Value]:
    items = cursor.read_items(2 * cursor.read_size())
    return hashes.to_dict(list(zip(items[::2], items[1::2], strict=True)))


_READERS: Final[Mapping[int, Callable[[Cursor], Any]]] = {
    **mym_arrays.READERS,
    0x01: lambda cursor: tuple(_read_items(cursor)),
    0x02: _read_items,
    0x03: lambda cursor: hashes.to_set(_read_items(cursor)),
    0x04: _read_dict,
    0x05: _read_text,
    0x06: lambda cursor: bytes(cursor.take(cursor.read_size())),
    0x0A: _read_integer,
    0x0B: lambda cursor: cursor.take(1)[0] != 0,
    0x0C: lambda cursor: complex(*_COMPLEX.unpack(cursor.take(_COMPLEX.size))),
    0x0D: lambda cursor: _FLOAT.unpack(cursor.take(_FLOAT.size))[0],
    0xFF: lambda _: None,
    ord("d"): lambda cursor: Decimal(_read_text(cursor)),
    ord("t"): _read_moment,
    ord("u"): lambda cursor: UUID(bytes=bytes(cursor.take(16))),
}

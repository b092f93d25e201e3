"""Which Python values each core type accepts, and what comes back for them from every database.

Whatever the database in use, the same row is refused or comes back the same: lengths, ranges and
precision are checked and rounded here, before a statement is sent, not left to the server's mode.
"""

from __future__ import annotations

import datetime as dt
import decimal
import json
import math
import numbers
import struct
import uuid
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

#: Any value that a user may store: the one place where the type is not known.
Value: TypeAlias = Any
Arguments: TypeAlias = tuple[int | str, ...]

#: Longest `char` and `varchar` that fit one MySQL row of utf8mb4 [characters].
MAX_TEXT = 16_383
MAX_MICROSECOND_DIGITS = 6


class OutsideError(ValueError):
    """A value of the right kind that the type cannot hold: no row has it."""


def refused_number(value: Value, message: str) -> ValueError:
    """Return the error of a value where a number belongs; NaN is none."""
    is_number = isinstance(value, numbers.Number) and "nan" not in str(value).lower()
    return OutsideError(message) if is_number else ValueError(message)


def _integer(bits: int) -> Callable[[Value, Arguments], int]:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def accept(value: Value, _: Arguments) -> int:
        if type(value) is not int:
            value = _whole(value)
        number: int = value
        if not low <= number <= high:
            message = f"{number} is outside of int{bits} ({low} to {high})"
            raise OutsideError(message)
        return number

    return accept


def _whole(value: Value) -> int:
    try:
        number = int(value) if _is_scalar(value) else 0
        exact = _is_scalar(value) and (isinstance(value, str) or bool(number == value))
    except (TypeError, ValueError, OverflowError):
        exact = False
        number = 0
    if not exact:
        message = f"{value!r} is not a whole number"
        raise refused_number(value, message)
    return number


def _float64(value: Value, _: Arguments) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        message = f"{value!r} is not a number"
        raise ValueError(message) from None
    if not math.isfinite(number):
        message = f"{number} cannot be kept in a number column; use null, or <blob> for arrays"
        raise ValueError(message)
    return number


def round_float32(value: float) -> float:
    """Return the float32 nearest to `value`, as an exact float64.

    Raises
    ------
    OverflowError
        The value is outside of float32.
    """
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def shortest_float32(value: float) -> float:
    """Return the float64 with the fewest digits that is the same float32: 1.1, not 1.10000002."""
    exact = round_float32(value)
    for digits in (6, 7, 8):
        candidate = float(f"{exact:.{digits}g}")
        if round_float32(candidate) == exact:
            return candidate
    return float(f"{exact:.9g}")


def _float32(value: Value, _: Arguments) -> float:
    try:
        return shortest_float32(_float64(value, ()))
    except OverflowError:
        message = f"{value!r} is outside of float32 (about ±3.4e38)"
        raise OutsideError(message) from None


def _bool(value: Value, _: Arguments) -> bool:
    if isinstance(value, str) or not _is_scalar(value) or value not in (0, 1):
        message = f"{value!r} is not a bool: use True or False"
        raise ValueError(message)
    return bool(value)


def _is_scalar(value: Value) -> bool:
    return not getattr(value, "shape", ())


def _text(value: Value, arguments: Arguments) -> str:
    text = str(_instance(value, str, "text"))
    length = int(arguments[0])
    if len(text) > length:
        message = f"the text has {len(text)} characters, {length} fit"
        raise OutsideError(message)
    if not text.isascii():
        text.encode()  # a lone surrogate is no character; the error says so
    return text


def _char(value: Value, arguments: Arguments) -> str:
    """Leave out trailing blanks, as MySQL does when it reads a CHAR."""
    return _text(value, arguments).rstrip(" ")


def _instance(value: Value, kind: type | tuple[type, ...], name: str) -> Value:
    """Return `value` if it is of the kind; a ValueError otherwise, as for every refused value."""
    if isinstance(value, kind):
        return value
    found = "a number" if isinstance(value, numbers.Number) else f"of type {type(value).__name__}"
    message = f"{value!r} is {found}, not {name}"
    raise ValueError(message)


def _enum(value: Value, arguments: Arguments) -> str:
    if not isinstance(value, str) or value not in arguments:
        message = f"{value!r} is not one of {', '.join(repr(a) for a in arguments)}"
        raise ValueError(message)
    return str(value)


def _decimal(value: Value, arguments: Arguments) -> decimal.Decimal:
    precision, scale = int(arguments[0]), int(arguments[1])
    number = decimal.Decimal("nan")
    try:
        number = decimal.Decimal(str(value))
        with decimal.localcontext(prec=max(precision, 1) + 2):
            step = decimal.Decimal(1).scaleb(-scale)
            rounded = number.quantize(step, rounding=decimal.ROUND_HALF_UP)
            is_outside = abs(rounded) >= decimal.Decimal(10) ** (precision - scale)
    except decimal.InvalidOperation:
        message = f"{value!r} does not fit decimal({precision},{scale})"
        raise refused_number(number, message) from None
    if is_outside:
        message = f"{value!r} is outside of decimal({precision},{scale})"
        raise OutsideError(message)
    return rounded


def _date(value: Value, _: Arguments) -> dt.date:
    if isinstance(value, str):
        value = _from_iso(_iso_day, value, "a date (YYYY-MM-DD)")
    value = from_numpy(value)
    if isinstance(value, dt.datetime):
        value = value.date()
    day: dt.date = _instance(value, dt.date, "a date")
    return day


def _iso_day(text: str) -> dt.date:
    return dt.datetime.fromisoformat(text).date()


def _datetime(value: Value, arguments: Arguments) -> dt.datetime:
    if isinstance(value, str):
        value = _from_iso(dt.datetime.fromisoformat, value, "a datetime (YYYY-MM-DD hh:mm:ss)")
    value = from_numpy(value)
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = dt.datetime(value.year, value.month, value.day)  # noqa: DTZ001
    time: dt.datetime = _instance(value, dt.datetime, "a datetime")
    if time.tzinfo is not None:
        time = time.astimezone(dt.UTC).replace(tzinfo=None)
    step = 10 ** (MAX_MICROSECOND_DIGITS - int(arguments[0] if arguments else 0))
    rest = time.microsecond % step
    rounded = time - dt.timedelta(microseconds=rest)
    if rest * 2 < step or not rest:
        return rounded
    try:
        return rounded + dt.timedelta(microseconds=step)
    except OverflowError:
        message = f"{time} rounds up to the year 10000"
        raise OutsideError(message) from None


def from_numpy(value: Value) -> Value:
    """Return a time of numpy or pandas as Python's datetime; other values as they are."""
    if type(value).__name__ == "Timestamp":
        return value.to_pydatetime(warn=False)
    if getattr(getattr(value, "dtype", None), "kind", "") != "M":
        return value
    return value.astype("datetime64[us]").item()


def _from_iso(parse: Callable[[str], Value], value: str, what: str) -> Value:
    try:
        return parse(value)
    except ValueError:
        message = f"{value!r} is not {what}"
        raise ValueError(message) from None


def _uuid(value: Value, _: Arguments) -> uuid.UUID:
    if isinstance(value, uuid.UUID):
        return value
    try:
        return uuid.UUID(bytes=bytes(value)) if isinstance(value, bytes) else uuid.UUID(str(value))
    except ValueError:
        message = f"{value!r} is not a UUID"
        raise ValueError(message) from None


def _json(value: Value, _: Arguments) -> Value:
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        message = f"the value is not JSON: {error}"
        raise ValueError(message) from None


def _bytes(value: Value, _: Arguments) -> bytes:
    return bytes(_instance(value, (bytes, bytearray, memoryview), "bytes; <blob> holds any value"))


ACCEPT: dict[str, Callable[[Value, Arguments], Value]] = {
    "bool": _bool,
    "bytes": _bytes,
    "char": _char,
    "date": _date,
    "datetime": _datetime,
    "decimal": _decimal,
    "enum": _enum,
    "float32": _float32,
    "float64": _float64,
    "int8": _integer(8),
    "int16": _integer(16),
    "int32": _integer(32),
    "int64": _integer(64),
    "json": _json,
    "uuid": _uuid,
    "varchar": _text,
}

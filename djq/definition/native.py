"""The native types: the words of MySQL, their ranges, and what their columns accept.

They are understood because pipelines use them. A core type says the same on every database, and is
the better choice in a new table: `int32` for `int`, `<blob>` for `longblob`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from djq.definition.acceptance import ACCEPT, Arguments, OutsideError, Value, refused_number

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Value, arguments of the type, whether it is unsigned → the value that comes back.
Accept: TypeAlias = Callable[[Value, Arguments, bool], Value]

#: MySQL's widest TIME: 838:59:59 in either direction [µs].
MAX_TIME_US = ((838 * 60 + 59) * 60 + 59) * 1_000_000
#: What a TIMESTAMP holds, in UTC; zero stands for "none" on the server.
FIRST_TIMESTAMP = dt.datetime(1970, 1, 1, 0, 0, 1)  # noqa: DTZ001 - naive UTC, as stored
LAST_TIMESTAMP = dt.datetime(2038, 1, 19, 3, 14, 7, 999_999)  # noqa: DTZ001
YEARS = (1901, 2155)

_TIME = re.compile(
    r"(?P<sign>-?)(?P<hours>\d{1,3}):(?P<minutes>[0-5]\d)"
    r"(?::(?P<seconds>[0-5]\d)(?:\.(?P<fraction>\d{1,6}))?)?\Z"
)


@dataclass(frozen=True, slots=True)
class NativeKind:
    """One native type: how it is written, and what it accepts."""

    accept: Accept
    #: The least and the most arguments, and the largest value of each.
    arguments: tuple[int, int] = (0, 0)
    most: tuple[int, ...] = ()
    can_be_unsigned: bool = False
    #: Long texts and blobs have no place in a key, and no default but null.
    is_long: bool = False
    #: The core type to use instead.
    core: str = ""


def _integer(name: str, bits: int) -> Accept:
    def accept(value: Value, _: Arguments, is_unsigned: bool) -> int:
        number: int = ACCEPT["int64"](value, ()) if not is_unsigned else _whole(value)
        low, high = (0, 2**bits - 1) if is_unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        if not low <= number <= high:
            shown = f"{name} unsigned" if is_unsigned else name
            message = f"{number} is outside of {shown} ({low} to {high})"
            raise OutsideError(message)
        return number

    return accept


def _whole(value: Value) -> int:
    """Return a whole number of any size; int64 alone would refuse the upper half of bigint."""
    if isinstance(value, str):
        value = int(value) if value.strip().lstrip("+-").isdigit() else value
    try:
        number = int(value)
        is_whole = not getattr(value, "shape", ()) and bool(value == number)
    except (TypeError, ValueError, OverflowError):
        number, is_whole = 0, False
    if not is_whole:
        message = f"{value!r} is not a whole number"
        raise refused_number(value, message)
    return number


def _floating(name: str, core: str) -> Accept:
    def accept(value: Value, arguments: Arguments, is_unsigned: bool) -> float:
        number: float = ACCEPT[core](value, ())
        if len(arguments) > 1:
            precision, scale = int(arguments[0]), int(arguments[1])
            number = round(number, scale)
            if abs(number) >= 10.0 ** (precision - scale):
                message = f"{value!r} is outside of {name}({precision},{scale})"
                raise OutsideError(message)
        checked: float = _not_negative(number, name, is_unsigned=is_unsigned)
        return checked

    return accept


def _decimal(value: Value, arguments: Arguments, is_unsigned: bool) -> Value:
    return _not_negative(ACCEPT["decimal"](value, arguments), "decimal", is_unsigned=is_unsigned)


def _not_negative(number: Value, name: str, *, is_unsigned: bool) -> Value:
    if is_unsigned and number < 0:
        message = f"{number} is outside of {name} unsigned (0 and more)"
        raise OutsideError(message)
    return number


def _time(value: Value, arguments: Arguments, _: bool) -> dt.timedelta:
    micros = time_us(value)
    step = 10 ** (6 - int(arguments[0] if arguments else 0))
    rounded = (abs(micros) + step // 2) // step * step if step > 1 else abs(micros)
    if rounded > MAX_TIME_US:
        message = f"{value!r} is outside of time (-838:59:59 to 838:59:59)"
        raise OutsideError(message)
    return dt.timedelta(microseconds=-rounded if micros < 0 else rounded)


def time_us(value: Value) -> int:
    """Return a duration, a time of day, or `hh:mm:ss` in microseconds.

    Raises
    ------
    ValueError
        It is something else.
    """
    if getattr(getattr(value, "dtype", None), "kind", "") == "m":
        value = value.astype("timedelta64[us]").item()
    if isinstance(value, str) and (match := _TIME.match(value.strip())):
        whole = (int(match["hours"]) * 60 + int(match["minutes"])) * 60 + int(match["seconds"] or 0)
        micros = whole * 1_000_000 + int((match["fraction"] or "").ljust(6, "0"))
        return -micros if match["sign"] else micros
    if isinstance(value, dt.time) and value.tzinfo is None:
        whole = (value.hour * 60 + value.minute) * 60 + value.second
        return whole * 1_000_000 + value.microsecond
    if isinstance(value, dt.timedelta):
        return value // dt.timedelta(microseconds=1)
    message = f"{value!r} is not a time: use datetime.timedelta, datetime.time, or hh:mm:ss"
    raise ValueError(message)


def time_text(micros: int) -> str:
    """Return microseconds as `[-]hh:mm:ss[.ffffff]`."""
    seconds, fraction = divmod(abs(micros), 1_000_000)
    minutes, second = divmod(seconds, 60)
    text = f"{'-' if micros < 0 else ''}{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}"
    return f"{text}.{fraction:06d}".rstrip("0") if fraction else text


def _timestamp(value: Value, arguments: Arguments, _: bool) -> dt.datetime:
    time: dt.datetime = ACCEPT["datetime"](value, arguments)
    if not FIRST_TIMESTAMP <= time <= LAST_TIMESTAMP:
        message = (
            f"{time} is outside of timestamp ({FIRST_TIMESTAMP} to 2038-01-19 03:14:07, UTC); "
            "datetime holds it"
        )
        raise OutsideError(message)
    return time


def _year(value: Value, _: Arguments, __: bool) -> int:
    number = _whole(value)
    if not YEARS[0] <= number <= YEARS[1]:
        message = f"{number} is outside of year ({YEARS[0]} to {YEARS[1]}, four digits)"
        raise OutsideError(message)
    return number


def _text(name: str, most: int) -> Accept:
    def accept(value: Value, _: Arguments, __: bool) -> str:
        if not isinstance(value, str):
            message = f"{value!r} is of type {type(value).__name__}, not text"
            raise ValueError(message)  # noqa: TRY004 - the error of every refused value
        size = len(value.encode())
        if size > most:
            message = f"the text has {size} bytes, {most} fit into {name}"
            raise OutsideError(message)
        return value

    return accept


def _blob(name: str, most: int) -> Accept:
    def accept(value: Value, _: Arguments, __: bool) -> bytes:
        found: bytes = ACCEPT["bytes"](value, ())
        if len(found) > most:
            message = f"the value has {len(found)} bytes, {most} fit into {name}"
            raise ValueError(message)
        return found

    return accept


def _binary(value: Value, arguments: Arguments, _: bool) -> bytes:
    """Fill up with zero bytes, as MySQL does when it stores a BINARY."""
    return _varbinary(value, arguments, _).ljust(int(arguments[0]), b"\0")


def _varbinary(value: Value, arguments: Arguments, _: bool) -> bytes:
    found: bytes = ACCEPT["bytes"](value, ())
    if len(found) > int(arguments[0]):
        message = f"the value has {len(found)} bytes, {arguments[0]} fit"
        raise ValueError(message)
    return found


def _number(accept: Accept, core: str) -> NativeKind:
    return NativeKind(accept, (0, 1), (255,), can_be_unsigned=True, core=core)


#: Canonical names; `ALIASES` are other words for them.
NATIVE_TYPES: Mapping[str, NativeKind] = {
    "tinyint": _number(_integer("tinyint", 8), "int8"),
    "smallint": _number(_integer("smallint", 16), "int16"),
    "mediumint": _number(_integer("mediumint", 24), "int32"),
    "int": _number(_integer("int", 32), "int32"),
    "bigint": _number(_integer("bigint", 64), "int64"),
    "float": NativeKind(
        _floating("float", "float32"), (0, 2), (255, 30), can_be_unsigned=True, core="float32"
    ),
    "double": NativeKind(
        _floating("double", "float64"), (0, 2), (255, 30), can_be_unsigned=True, core="float64"
    ),
    "decimal": NativeKind(_decimal, (0, 2), (65, 30), can_be_unsigned=True, core="decimal(p,s)"),
    "time": NativeKind(_time, (0, 1), (6,), core="decimal or float64 seconds"),
    "timestamp": NativeKind(_timestamp, (0, 1), (6,), core="datetime"),
    "year": NativeKind(_year, (0, 1), (4,), core="int16"),
    "tinytext": NativeKind(_text("tinytext", 2**8 - 1), is_long=True, core="varchar(n)"),
    "text": NativeKind(_text("text", 2**16 - 1), is_long=True, core="varchar(n)"),
    "mediumtext": NativeKind(_text("mediumtext", 2**24 - 1), is_long=True, core="varchar(n)"),
    "longtext": NativeKind(_text("longtext", 2**32 - 1), is_long=True, core="varchar(n)"),
    "tinyblob": NativeKind(_blob("tinyblob", 2**8 - 1), is_long=True, core="<blob>"),
    "blob": NativeKind(_blob("blob", 2**16 - 1), is_long=True, core="<blob>"),
    "mediumblob": NativeKind(_blob("mediumblob", 2**24 - 1), is_long=True, core="<blob>"),
    "longblob": NativeKind(_blob("longblob", 2**32 - 1), is_long=True, core="<blob>"),
    "binary": NativeKind(_binary, (1, 1), (255,), core="bytes"),
    "varbinary": NativeKind(_varbinary, (1, 1), (65_532,), core="bytes"),
}
#: Other words → the canonical name; `serial` is more than a name and is read by the grammar.
ALIASES: Mapping[str, str] = {
    "integer": "int",
    "real": "double",
    "double precision": "double",
    "numeric": "decimal",
    "boolean": "bool",
}
INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})
BLOBS = frozenset({"tinyblob", "blob", "mediumblob", "longblob"})

"""Whole columns checked at once, by loops that run in C; what they cannot vouch for takes longer.

A check returns the column as the database takes it, or None: then each value is looked at by
itself, which finds the same, and says which row is wrong.
"""

from __future__ import annotations

import datetime as dt
import math
import uuid
from array import array
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from djq.definition.acceptance import MAX_MICROSECOND_DIGITS, round_float32
from djq.definition.attributes import CoreType

if TYPE_CHECKING:
    from djq.definition.attributes import Attribute

Column: TypeAlias = Sequence[Any]
Check: TypeAlias = Callable[[Column], Column | None]

_NONE = type(None)
#: Greatest float32.
_MAX_FLOAT32 = round_float32(3.4028234663852886e38)
#: The arrays of C that hold exactly the integers of a type.
_ARRAYS: dict[str, Literal["b", "h", "i", "q"]] = {
    "int8": "b",
    "int16": "h",
    "int32": "i",
    "int64": "q",
}


def check_of(attribute: Attribute) -> Check | None:
    """Return the check of a column of this attribute, None if there is none."""
    type_ = attribute.type
    check = _check(type_) if isinstance(type_, CoreType) else None
    if check is None or not attribute.nullable:
        return check
    return _but_nulls(check, is_float=isinstance(type_, CoreType) and type_.name in _FLOATS)


def _but_nulls(check: Check, *, is_float: bool) -> Check:
    """Return the check of a column that may hold nulls; among floats NaN is null."""

    def checked(column: Column) -> Column | None:
        if is_float and set(map(type, column)) <= {float, _NONE}:
            column = [None if v is None or v != v else v for v in column]  # noqa: PLR0124 - NaN
        if None not in column:
            return check(column)
        found = check([v for v in column if v is not None])
        if found is None:
            return None
        present = iter(found)
        return [None if v is None else next(present) for v in column]

    return checked


def _check(type_: CoreType) -> Check | None:
    if type_.name in _ARRAYS:
        return _integers(_ARRAYS[type_.name])
    if type_.name == "varchar":
        return _texts(int(type_.arguments[0]))
    if type_.name == "char":
        return _padded(int(type_.arguments[0]))
    if type_.name == "enum":
        return _among(frozenset(type_.arguments))
    if type_.name == "datetime":
        return _times(int(type_.arguments[0] if type_.arguments else 0))
    return _PLAIN.get(type_.name)


def _integers(code: Literal["b", "h", "i", "q"]) -> Check:
    def check(column: Column) -> Column | None:
        try:
            return array(code, column)  # one loop for type and range
        except (TypeError, OverflowError):
            return None

    return check


def _texts(length: int) -> Check:
    def check(column: Column) -> Column | None:
        try:
            joined = "".join(column)
        except TypeError:
            return None
        if max(map(len, column), default=0) > length:
            return None
        return column if joined.isascii() or _is_text(joined) else None

    return check


def _is_text(text: str) -> bool:
    """Tell whether no lone surrogate is among the characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _padded(length: int) -> Check:
    check_texts = _texts(length)

    def check(column: Column) -> Column | None:
        is_right = check_texts(column) is not None and list(map(str.rstrip, column)) == list(column)
        return column if is_right else None

    return check


def _among(values: frozenset[int | str]) -> Check:
    def check(column: Column) -> Column | None:
        return column if set(map(type, column)) <= {str} and values.issuperset(column) else None

    return check


def _times(digits: int) -> Check:
    step = 10 ** (MAX_MICROSECOND_DIGITS - digits)

    def check(column: Column) -> Column | None:
        is_right = set(map(type, column)) <= {dt.datetime} and not any(
            t.microsecond % step or t.tzinfo is not None for t in column
        )
        return column if is_right else None

    return check


def _float64s(column: Column) -> Column | None:
    # A sum of finite numbers may be infinite; then each is looked at.
    is_right = set(map(type, column)) <= {float} and math.isfinite(sum(column))
    return column if is_right else None


def _float32s(column: Column) -> Column | None:
    is_right = _float64s(column) is not None
    return (
        column if is_right and max((abs(v) for v in column), default=0.0) <= _MAX_FLOAT32 else None
    )


def _instances(kind: type) -> Check:
    def check(column: Column) -> Column | None:
        return column if set(map(type, column)) <= {kind} else None

    return check


_FLOATS = frozenset({"float32", "float64"})
_PLAIN: dict[str, Check] = {
    "float64": _float64s,
    "float32": _float32s,
    "bool": _instances(bool),
    "date": _instances(dt.date),
    "uuid": _instances(uuid.UUID),
    "bytes": _instances(bytes),
}

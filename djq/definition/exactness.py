"""Values of conditions: as a column holds them, or of no row at all."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import TYPE_CHECKING

from djq.definition.acceptance import ACCEPT, OutsideError, Value, from_numpy
from djq.definition.native import NATIVE_TYPES, time_us

if TYPE_CHECKING:
    from collections.abc import Callable

    from djq.definition.attributes import CoreType, NativeType

#: Native types whose bytes are compared as they are.
_BYTES = frozenset(n for n in NATIVE_TYPES if n.endswith(("blob", "binary")))


def exact(type_: CoreType | NativeType, value: Value) -> Value:
    """Return `value` as a column of the type holds it.

    Raises
    ------
    OutsideError
        The column cannot hold it, or would round it: it equals no row's value.
    ValueError
        It is of another kind.
    """
    if type_.name in _BYTES:
        return value
    in_full = _IN_FULL.get(type_.name)
    if in_full is None:
        return type_.accept(value)
    given = in_full(value)
    kept = type_.accept(given)
    if kept != given:
        message = f"{value!r} is more than {type_} holds"
        raise OutsideError(message)
    return kept


def is_rounded(type_: CoreType | NativeType) -> bool:
    """Tell whether a column of the type may hold less of a value than was given."""
    return type_.name in _IN_FULL


def plain(value: Value) -> Value:
    """Return a scalar of numpy as one of Python, for an attribute whose type nobody knows."""
    value = from_numpy(value)
    is_scalar = hasattr(value, "dtype") and getattr(value, "shape", None) == ()
    return value.item() if is_scalar else value


def _decimal(value: Value) -> Value:
    try:
        return decimal.Decimal(str(value))
    except decimal.InvalidOperation:
        return value  # the type says what is wrong


def _moment(value: Value) -> dt.datetime:
    moment: dt.datetime = ACCEPT["datetime"](value, (6,))
    return moment


def _day(value: Value) -> dt.date:
    """Return the date of a midnight; no other moment is a date."""
    try:
        moment = _moment(value)
    except ValueError:
        day: dt.date = ACCEPT["date"](value, ())  # says what is wrong
        return day
    if moment != dt.datetime.combine(moment, dt.time()):
        message = f"{value!r} is no date"
        raise OutsideError(message)
    return moment.date()


def _time(value: Value) -> dt.timedelta:
    return dt.timedelta(microseconds=time_us(value))


#: Types that round → how a value is read in full.
_IN_FULL: dict[str, Callable[[Value], Value]] = {
    "date": _day,
    "datetime": _moment,
    "decimal": _decimal,
    "time": _time,
    "timestamp": _moment,
}

"""Checks of plain arguments: numbers and flags as people give them."""

from __future__ import annotations

import operator
from math import isnan
from numbers import Real
from typing import TYPE_CHECKING, SupportsIndex

from djq.errors import UsageError

if TYPE_CHECKING:
    from djq.definition.acceptance import Value


def as_whole(value: Value) -> int | None:
    """Return a whole number as an `int`, those of numpy, too; None: it is none."""
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        return None
    try:
        return operator.index(value)
    except TypeError:  # an array has the method as well
        return None


def check_flag(call: str, name: str, value: Value) -> bool:
    """Return a flag, also one of numpy.

    Raises
    ------
    UsageError
        It is something else: "no" would count as yes.
    """
    is_numpy = type(value).__module__ == "numpy" and str(getattr(value, "dtype", "")) == "bool"
    if not (isinstance(value, bool) or (is_numpy and not getattr(value, "shape", ()))):
        message = f"{call}({name}={value!r}): give True or False"
        raise UsageError(message)
    return bool(value)


def check_seconds(call: str, value: Value) -> float | None:
    """Return a time to wait [s], or None.

    Raises
    ------
    UsageError
        It is something else.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Real) or isnan(value):
        message = f"{call}({value!r}): give a number of seconds, or None"
        raise UsageError(message)
    return float(value)

"""Columns of values → what `fetch` and its kin return: dicts, numpy arrays, structured arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from djq.tables.kinds import FLOATS, INTEGERS, UNKNOWN, kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from djq.definition.acceptance import Value
    from djq.definition.heading import Heading

Row: TypeAlias = dict[str, Any]
Column: TypeAlias = "Sequence[Any]"
Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"


def as_dicts(names: Sequence[str], columns: Sequence[Column]) -> list[Row]:
    """Return rows as dicts of some of their columns."""
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def as_array(values: Column, kind: str) -> Array:
    """Return a column as an array.

    Whole numbers are int64 (uint64 for `bigint unsigned`), other numbers float64 with NaN for
    null, the rest objects; so are whole numbers and bools where one is null.
    """
    if kind == UNKNOWN:
        kind = _kind_of_values(values)
    if kind in FLOATS:
        return np.array(values, dtype=np.float64)
    if (kind in INTEGERS or kind == "bool") and None not in values:
        dtype = {"bool": "bool", "uint64": "uint64"}.get(kind, "int64")
        return np.fromiter(values, dtype=dtype, count=len(values))
    return as_objects(values)


def as_objects(values: Column) -> Array:
    """Return an array that holds the values themselves, also where they are arrays."""
    return np.fromiter(values, dtype=object, count=len(values))


def _kind_of_values(values: Column) -> str:
    types = set(map(type, values))
    if types and types <= {int, float, type(None)} and float in types:
        return "float64"
    if types == {int}:
        return "int64" if min(values) >= -(2**63) and max(values) < 2**63 else "object"
    return "bool" if types == {bool} else "object"


def as_records(columns: Sequence[Column], heading: Heading) -> Array:
    """Return a structured array with a field per attribute."""
    arrays = [as_array(c, kind_of(a)) for c, a in zip(columns, heading, strict=True)]
    dtype = np.dtype([(n, a.dtype) for n, a in zip(heading.names, arrays, strict=True)])
    found = np.empty(len(columns[0]) if columns else 0, dtype=dtype)
    for name, array in zip(heading.names, arrays, strict=True):
        found[name] = array
    return found


def squeezed(value: Value) -> Value:
    """Return a value whose arrays, also those within it, have no axes of length 1.

    An array of one element becomes that element.
    """
    kind: Any = value.__class__
    if issubclass(kind, np.ndarray):
        found = value.squeeze()
        return found.item() if found.ndim == 0 else found
    if kind is dict:
        return {k: squeezed(v) for k, v in value.items()}
    if kind is list:
        return [squeezed(v) for v in value]
    return tuple(squeezed(v) for v in value) if kind is tuple else value

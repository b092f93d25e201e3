"""Frames of pandas ↔ Arrow tables: what would not come back as it was is refused.

Arrow has one type per column, so that columns of Python objects are what changes: a list becomes
an array, a dict gets the keys of all others. Those are read back and compared. A missing value may
come back as another one, since pandas has several (2.x keeps texts beside NaN, 3.x has a dtype).
"""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import pyarrow  # pyright: ignore[reportMissingTypeStubs] # there are none

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from djq.codecs.messagepack import Value

# The library has no types of its own.
_arrow: Any = cast("Any", pyarrow)

#: Of these, lists are equal only if they hold the same.
_PLAIN: Final = frozenset({str, bytes, bool, int, float, date, type(None)})
#: Classes of what stands for a missing value in pandas, beside None and NaN.
_MISSING: Final = frozenset({"NAType", "NaTType"})
#: Of a value in a message.
_MAX_LENGTH: Final = 60
_ADVICE: Final = (
    'give it a dtype, as .astype("Int64"), .astype("string") or .convert_dtypes() do, '
    "or leave it out with .drop() and keep its objects in a <blob>"
)


def from_pandas(frame: Value) -> Value:
    """Return a frame as a table.

    Raises
    ------
    TypeError, ValueError, ArrowException
        Arrow has no type for what is in it, or `to_pandas` would not return the same.
    """
    # pyarrow only warns, and leaves them out.
    json.dumps(frame.attrs)
    table = _arrow.Table.from_pandas(frame, nthreads=1)
    _refuse_changes(frame, table)
    return table


def to_pandas(table: Value) -> Value:
    """Return a table as the frame that it was.

    Raises
    ------
    TypeError, ValueError, ArrowException
        It is not a table that `from_pandas` returns.
    """
    _refuse_views(table)
    return table.to_pandas(use_threads=False, integer_object_nulls=True)


def _refuse_views(table: Value) -> None:
    """Refuse columns whose rows may share memory, which they cannot in a frame of pandas."""
    for field in table.schema:
        if "view" in str(field.type):
            message = f"column {field.name!r} of {field.type}: convert it to a type without views"
            raise TypeError(message)


def _refuse_changes(frame: Value, table: Value) -> None:
    """Refuse labels and values that would not come back as they are."""
    blank = frame.iloc[:0]
    bare = to_pandas(_arrow.Table.from_pandas(blank, nthreads=1))
    if _any_differ(_labels(blank), _labels(bare)):
        message = "its column labels, or the names of its index, do not come back: let them be text"
        raise TypeError(message)
    parts = list(_parts(frame))
    pairs = zip(parts, _parts(bare), strict=True)
    is_doubtful = [_is_doubtful(values.dtype, found.dtype) for (_, values), (_, found) in pairs]
    if not any(is_doubtful):
        return
    n_columns = frame.shape[1]
    columns = [i for i in range(n_columns) if is_doubtful[i]]
    # Of the index all, since pyarrow puts the levels together; one of a range is no column.
    back = to_pandas(table.select([*columns, *range(n_columns, table.num_columns)]))
    places = [*columns, *range(n_columns, len(parts))]
    for place, (_, found) in zip(places, _parts(back), strict=True):
        name, values = parts[place]
        if is_doubtful[place]:
            _compare(name, values, found)


def _labels(frame: Value) -> list[Value]:
    return [*frame.columns.names, *frame.columns.tolist(), *frame.index.names]


def _parts(frame: Value) -> Iterator[tuple[str, Value]]:
    """Yield the columns of a frame and the levels of its index, each with its name."""
    for position, name in enumerate(frame.columns):
        yield f"column {name!r}", frame.iloc[:, position]
    for position, name in enumerate(frame.index.names):
        yield f"index level {name or position!r}", frame.index.get_level_values(position)


def _is_doubtful(dtype: Value, found: Value) -> bool:
    """Return whether values of a dtype must be compared: the others are known to come back."""
    if type(dtype) is not type(found):
        return True
    if hasattr(dtype, "categories"):
        return _is_doubtful(dtype.categories.dtype, found.categories.dtype)
    return isinstance(dtype, np.dtype) and dtype.hasobject


def _compare(place: str, values: Value, found: Value) -> None:
    """Refuse a column whose values, or the categories of them, differ from those found."""
    if hasattr(values.dtype, "categories"):
        place = f"the categories of {place}"
        values, found = values.dtype.categories, found.dtype.categories
    before, after = values.tolist(), found.tolist()
    types = list(map(type, before))
    if _PLAIN.issuperset(types) and types == list(map(type, after)) and before == after:
        return
    for row, (value, other) in enumerate(zip(before, after, strict=True)):
        if _differ(value, other) and not (_is_missing(value) and _is_missing(other)):
            message = (
                f"{place} would not come back as it is: in row {row}, "
                f"{_shorten(value)} would become {_shorten(other)}; {_ADVICE}"
            )
            raise TypeError(message)


def _is_missing(value: Value) -> bool:
    """Return whether nothing is there, as pandas says it: by None, NaN, NA or NaT."""
    if isinstance(value, float):
        return bool(np.isnan(value))
    return value is None or type(value).__name__ in _MISSING


def _differ(value: Value, found: Value) -> bool:
    """Return whether two values differ, be it in type, zone or trailing zeros."""
    if issubclass(type(value), np.generic):
        # A column of numbers gives NumPy's scalars or Python's, as it is asked.
        value = value.item()
    kind = cast("Any", type(value))
    if value is found:
        return False
    if kind is not type(found):
        return True
    if kind in _CONTAINERS:
        return _CONTAINERS[kind](value, found)
    if kind is float and np.isnan(value):
        return not np.isnan(found)
    return cast("bool", value != found) or repr(value) != repr(found)


def _dicts_differ(value: Value, found: Value) -> bool:
    return _any_differ([*value], [*found]) or _any_differ([*value.values()], [*found.values()])


def _arrays_differ(value: Value, found: Value) -> bool:
    if (value.dtype, value.shape) != (found.dtype, found.shape):
        return True
    if value.dtype.hasobject:
        return _any_differ(value.tolist(), found.tolist())
    return cast("bool", value.tobytes() != found.tobytes())


def _any_differ(values: Sequence[Value], found: Sequence[Value]) -> bool:
    return len(values) != len(found) or any(map(_differ, values, found))


_CONTAINERS: Final[dict[type, Callable[[Value, Value], bool]]] = {
    dict: _dicts_differ,
    list: _any_differ,
    np.ndarray: _arrays_differ,
}


def _shorten(value: Value) -> str:
    text = f"{value!r} ({type(value).__name__})"
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}…"

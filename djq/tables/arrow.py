"""Columns of values → Arrow tables, with types from the heading."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from djq.errors import QueryError
from djq.tables.frames import decimal_digits, enum_values, library
from djq.tables.kinds import UNKNOWN, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from djq.definition.acceptance import Value
    from djq.definition.attributes import Attribute
    from djq.definition.heading import Heading
    from djq.tables.shapes import Array, Column

#: Most digits of Arrow's smaller decimal.
SMALL_DIGITS = 38
#: Largest number that Arrow has a type for: it has none for long doubles.
MAX_ITEM_BYTES = 8
#: Values that Arrow has types for, if all in a column are alike.
_PLAIN = (bool, int, float, str, bytes)

_TYPES: dict[str, Callable[[Any], Any]] = {
    "int8": lambda pa: pa.int8(),
    "int16": lambda pa: pa.int16(),
    "int32": lambda pa: pa.int32(),
    "int64": lambda pa: pa.int64(),
    "uint8": lambda pa: pa.uint8(),
    "uint16": lambda pa: pa.uint16(),
    "uint32": lambda pa: pa.uint32(),
    "uint64": lambda pa: pa.uint64(),
    "float32": lambda pa: pa.float32(),
    "float64": lambda pa: pa.float64(),
    "bool": lambda pa: pa.bool_(),
    "text": lambda pa: pa.string(),
    "date": lambda pa: pa.date32(),
    "datetime": lambda pa: pa.timestamp("us"),
    "duration": lambda pa: pa.duration("us"),
    "bytes": lambda pa: pa.binary(),
    UNKNOWN: lambda _: None,
}


def to_arrow(columns: Sequence[Column], heading: Heading) -> Value:
    """Return an Arrow table.

    Raises
    ------
    QueryError
        Values that Arrow has no type for.
    """
    pa = library("pyarrow", "to_arrow")
    arrays = [_checked_column(pa, values, a) for a, values in zip(heading, columns, strict=True)]
    fields = [
        pa.field(a.name, array.type, nullable=a.nullable or a.type is None)
        for a, array in zip(heading, arrays, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _checked_column(pa: Any, values: Column, attribute: Attribute) -> Value:  # noqa: ANN401 - the library
    try:
        return _column(pa, values, attribute)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        words = f"the values of {_shown(attribute)}: {error}"
        raise _refusal(words) from error


def _column(pa: Any, values: Column, attribute: Attribute) -> Value:  # noqa: ANN401 - the library
    kind = kind_of(attribute)
    match kind:
        case "decimal":
            digits = decimal_digits(attribute)
            is_small = digits[0] <= SMALL_DIGITS
            found: Value = pa.array(
                values, pa.decimal128(*digits) if is_small else pa.decimal256(*digits)
            )
        case "enum":
            names = enum_values(attribute)
            places = {name: i for i, name in enumerate(names)}
            indices = pa.array(list(map(places.get, values)), pa.int32())
            found = pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.string()))
        case "uuid":
            plain = pa.array([v if v is None else v.bytes for v in values], pa.binary(16))
            found = pa.ExtensionArray.from_storage(pa.uuid(), plain)
        case "json":
            texts = [v if v is None else json.dumps(v) for v in values]
            found = pa.ExtensionArray.from_storage(
                pa.json_(pa.string()), pa.array(texts, pa.string())
            )
        case "object":
            found = _objects(pa, values, attribute)
        case _:
            found = pa.array(values, _TYPES[kind](pa))
    return found


def _objects(pa: Any, values: Column, attribute: Attribute) -> Value:  # noqa: ANN401 - the library
    """Return encoded values: arrays of numbers as lists or tensors, alike plain values as such."""
    present = [v for v in values if v is not None]
    types = set(map(type, present))
    if not present:
        return pa.nulls(len(values))
    if len(types) == 1 and issubclass(types.pop(), _PLAIN):
        return pa.array(values)
    forms = {_form(v) for v in present}
    dtype, n_axes, shape = next(iter(forms))
    if n_axes and len({f[:2] for f in forms}) == 1:
        item = pa.from_numpy_dtype(np.dtype(dtype))
        if n_axes == 1:
            return pa.array([v if v is None else _items(v, dtype) for v in values], pa.list_(item))
        if any(map(np.ma.is_masked, present)):
            words = f"masks in the values of {_shown(attribute)}, which have more axes than one"
            raise _refusal(words)
        if len(forms) == 1:
            tensor = pa.fixed_shape_tensor(item, shape)
            flat = [v if v is None else np.ascontiguousarray(v, dtype).ravel() for v in values]
            plain = pa.array(flat, tensor.storage_type)
            return pa.ExtensionArray.from_storage(tensor, plain)
    words = (
        f"the values of {_shown(attribute)}: it takes arrays of numbers of at most 8 bytes, "
        "of one dtype and of one axis or one shape, and numbers or texts"
    )
    raise _refusal(words)


def _form(value: Value) -> tuple[str, int, tuple[int, ...]]:
    """Return dtype, number of axes and shape of an array of numbers; no axes for other values."""
    if not hasattr(value, "dtype") or not _is_of_numbers(value.dtype):
        return "", 0, ()
    array: Array = value
    return array.dtype.newbyteorder("=").str, array.ndim, array.shape


def _is_of_numbers(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "iufb" and dtype.itemsize <= MAX_ITEM_BYTES


def _items(array: Array, dtype: str) -> Value:
    """Return the numbers of a list, None where one is masked."""
    return array.tolist() if np.ma.is_masked(array) else np.ascontiguousarray(array, dtype)


def _shown(attribute: Attribute) -> str:
    return f'"{attribute.name}"' + (f" ({attribute.type})" if attribute.type is not None else "")


def _refusal(words: str) -> QueryError:
    message = (
        f"Arrow has no type for {words}. "
        "Leave it out with .proj(), or use to_dicts or to_arrays, which hold any value"
    )
    return QueryError(message)

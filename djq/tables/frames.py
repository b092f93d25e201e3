"""Columns of values → data frames of pandas and polars, with types from the heading.

The libraries are not needed otherwise, and loaded when they are first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from djq.definition.attributes import CoreType, NativeType
from djq.errors import ConfigError
from djq.tables.kinds import FLOATS, INTEGERS, UNKNOWN, kind_of
from djq.tables.shapes import as_array, as_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from djq.definition.acceptance import Value
    from djq.definition.attributes import Attribute
    from djq.definition.heading import Heading
    from djq.tables.shapes import Column

#: Most digits of a decimal of polars.
POLARS_DIGITS = 38


def library(name: str, verb: str) -> Any:  # noqa: ANN401 - a module of its own types
    """Import a library that djq does without.

    Raises
    ------
    ConfigError
        It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        message = f'{verb} needs {name}: pip install "djq[frames]"'
        raise ConfigError(message) from error


# --- pandas ------------------------------------------------------------------------------------


def to_pandas(columns: Sequence[Column], heading: Heading, index: Sequence[str]) -> Value:
    """Return a DataFrame of pandas with these attributes as its index."""
    pandas = library("pandas", "to_pandas")
    series = {
        a.name: _pandas_column(pandas, values, a)
        for a, values in zip(heading, columns, strict=True)
    }
    frame = pandas.DataFrame(series, copy=False)
    return frame.set_index(list(index)) if index else frame


def _pandas_column(pandas: Any, values: Column, attribute: Attribute) -> Value:  # noqa: ANN401
    """Return a column in pandas' type; numbers that may be null are of its nullable types."""
    kind = kind_of(attribute)
    if kind in INTEGERS:
        return _pandas_integers(pandas, values, kind, nullable=attribute.nullable)
    if kind in FLOATS:
        return np.array(values, dtype=kind)
    match kind:
        case "bool" if attribute.nullable:
            found: Value = pandas.array(values, dtype="boolean")
        case "text":
            is_str = int(pandas.__version__.partition(".")[0]) > 2  # noqa: PLR2004 - since pandas 3
            found = pandas.array(as_objects(values), dtype="str") if is_str else as_objects(values)
        case "enum":
            found = pandas.Categorical(as_objects(values), categories=enum_values(attribute))
        case "datetime":
            found = np.array(values, dtype="datetime64[us]")
        case "duration":
            found = np.array(values, dtype="timedelta64[us]")
        case "bool" | _ if kind in {"bool", UNKNOWN}:
            found = as_array(values, kind)
        case _:
            found = as_objects(values)
    return found


def _pandas_integers(pandas: Any, values: Column, kind: str, *, nullable: bool) -> Value:  # noqa: ANN401
    if not nullable:
        return np.fromiter(values, dtype=kind, count=len(values))
    is_null = np.fromiter((v is None for v in values), dtype=bool, count=len(values))
    filled = np.fromiter((0 if v is None else v for v in values), dtype=kind, count=len(values))
    return pandas.arrays.IntegerArray(filled, is_null)


def enum_values(attribute: Attribute) -> list[str]:
    """Return the values that an enum may have, in the order of its definition."""
    return [str(a) for a in getattr(attribute.type, "arguments", ())]


def decimal_digits(attribute: Attribute) -> tuple[int, int]:
    """Return the digits of a decimal: all, and those behind the point."""
    type_ = attribute.type
    arguments = type_.arguments if isinstance(type_, CoreType | NativeType) else ()
    all_, behind = (*map(int, arguments), 0, 0)[:2] if arguments else (10, 0)
    return all_, behind


# --- polars ------------------------------------------------------------------------------------


def to_polars(columns: Sequence[Column], heading: Heading) -> Value:
    """Return a DataFrame of polars."""
    polars = library("polars", "to_polars")
    return polars.DataFrame(
        [_polars_column(polars, values, a) for a, values in zip(heading, columns, strict=True)]
    )


def _polars_column(polars: Any, values: Column, attribute: Attribute) -> Value:  # noqa: ANN401
    name, kind, dtype = attribute.name, kind_of(attribute), _polars_type(polars, attribute)
    if dtype == polars.Object:
        return polars.Series(name, list(values), dtype=polars.Object)
    if kind == "uuid":
        values = [v if v is None else str(v) for v in values]
    return polars.Series(name, values, dtype=dtype, strict=False)


_POLARS: dict[str, Callable[[Any], Any]] = {
    "int8": lambda pl: pl.Int8,
    "int16": lambda pl: pl.Int16,
    "int32": lambda pl: pl.Int32,
    "int64": lambda pl: pl.Int64,
    "uint8": lambda pl: pl.UInt8,
    "uint16": lambda pl: pl.UInt16,
    "uint32": lambda pl: pl.UInt32,
    "uint64": lambda pl: pl.UInt64,
    "float32": lambda pl: pl.Float32,
    "float64": lambda pl: pl.Float64,
    "bool": lambda pl: pl.Boolean,
    "text": lambda pl: pl.String,
    "date": lambda pl: pl.Date,
    "datetime": lambda pl: pl.Datetime("us"),
    "duration": lambda pl: pl.Duration("us"),
    "uuid": lambda pl: pl.String,
    "bytes": lambda pl: pl.Binary,
    UNKNOWN: lambda _: None,
}


def _polars_type(polars: Any, attribute: Attribute) -> Value:  # noqa: ANN401 - the library
    kind = kind_of(attribute)
    if kind == "enum":
        return polars.Enum(enum_values(attribute))
    if kind == "decimal":
        digits = decimal_digits(attribute)
        return polars.Decimal(*digits) if digits[0] <= POLARS_DIGITS else polars.Object
    return _POLARS.get(kind, lambda pl: pl.Object)(polars)

"""What a user may hand to `insert` → chunks of rows: frames, Arrow, arrays, files, iterables.

pandas, polars and pyarrow are not needed: their objects are recognised only where the user has
loaded the library, and asked in its own words.
"""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from djq.definition.attributes import CodecType, NativeType
from djq.errors import RowError
from djq.tables.arrowrows import from_arrow
from djq.tables.gather import Chunk, chunks_of, unknown

if TYPE_CHECKING:
    from djq.definition.acceptance import Value
    from djq.definition.attributes import Attribute
    from djq.definition.spec import TableSpec

#: Rows that are checked and sent together: few enough for the processor's cache.
CHUNK_ROWS = 4_000
#: The same where a row may hold large values.
WIDE_CHUNK_ROWS = 64
#: Core types whose values may be large.
_LARGE = frozenset({"json", "bytes"})
_TEXTS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
_BOOLS = {"true": True, "false": False, "1": True, "0": False}


def default_chunk(spec: TableSpec) -> int:
    """Return how many rows of a table are taken at a time, for flat memory."""
    is_wide = any(_may_be_large(a) for a in spec.heading)
    return WIDE_CHUNK_ROWS if is_wide else CHUNK_ROWS


def _may_be_large(attribute: Attribute) -> bool:
    type_ = attribute.type
    if isinstance(type_, NativeType):
        return type_.is_blob or type_.name.endswith("text")
    return isinstance(type_, CodecType) or (type_ is not None and type_.name in _LARGE)


def read(rows: Value, spec: TableSpec, size: int, *, ignore_extra_fields: bool) -> Iterator[Chunk]:
    """Cut whatever holds rows into chunks of columns.

    Raises
    ------
    RowError
        It holds no rows, or its columns are not the table's; errors of single rows are noted in
        the chunks.
    """
    columns = _columnar(rows, spec)
    if columns is not None:
        return _named_columns(columns(size), spec, ignore_extra_fields=ignore_extra_fields)
    if isinstance(rows, Path):
        return _from_csv(rows, spec, size, ignore_extra_fields=ignore_extra_fields)
    if isinstance(rows, Mapping | str | bytes) or not hasattr(rows, "__iter__"):
        message = f"{spec.display_name}: insert takes many rows, not {rows!r}; {_advice(rows)}"
        raise RowError(message)
    return chunks_of(rows, spec, size, ignore_extra_fields=ignore_extra_fields)


def _advice(rows: Value) -> str:
    is_file = isinstance(rows, str) and rows.endswith((".csv", ".tsv", ".txt"))
    return f"pathlib.Path({rows!r}) is a CSV file" if is_file else "insert1 takes one row"


Columns = dict[str, Sequence[Any]]


def _columnar(rows: Value, spec: TableSpec) -> Callable[[int], Iterator[Columns]] | None:
    """Return what yields the columns of an object that holds columns, None for other objects."""
    names: tuple[str, ...] | None = getattr(getattr(rows, "dtype", None), "names", None)
    if names is not None and getattr(rows, "ndim", 0) == 1:
        return lambda size: _from_records(rows, names, size)
    if _is_of("pandas", "DataFrame", rows):
        check_distinct(rows.columns, spec, "the DataFrame")
        return lambda size: _from_pandas(index_as_columns(rows, spec), size)
    if _is_of("polars", "DataFrame", rows) or _is_of("polars", "LazyFrame", rows):
        return lambda size: _from_polars(rows.lazy().collect(), size)
    batches = _batches(rows)
    return None if batches is None else lambda size: from_arrow(batches, size, spec)


def _batches(rows: Value) -> Iterable[Value] | None:
    """Return Arrow's batches of rows, None for what is not Arrow's."""
    if _is_of("pyarrow", "Table", rows):
        batches: Iterable[Value] = rows.to_batches()
        return batches
    if _is_of("pyarrow", "RecordBatch", rows):
        return (rows,)
    given: Iterable[Value] = rows
    is_list = type(rows) in {list, tuple} and _is_of("pyarrow", "RecordBatch", next(iter(given), 0))
    return given if is_list or _is_of("pyarrow", "RecordBatchReader", rows) else None


def _is_of(library: str, name: str, value: Value) -> bool:
    """Tell whether a value is of a library's class, if the user loaded the library."""
    kind = getattr(sys.modules.get(library), name, None)
    return isinstance(kind, type) and isinstance(value, kind)


def _named_columns(
    parts: Iterable[Columns], spec: TableSpec, *, ignore_extra_fields: bool
) -> Iterator[Chunk]:
    """Yield the columns that are attributes; others are refused, or left out."""
    first = 1
    for columns in parts:
        others = [name for name in columns if name not in spec.heading]
        if others and not ignore_extra_fields:
            message = (
                f"{spec.display_name}: {unknown(others[0], spec)}. "
                "ignore_extra_fields=True leaves such columns out"
            )
            raise RowError(message)
        n = len(next(iter(columns.values()), ()))
        if n:
            yield Chunk(first, n, {k: v for k, v in columns.items() if k in spec.heading})
        first += n


# --- numpy -----------------------------------------------------------------------------------


def _from_records(rows: Value, names: Sequence[str], size: int) -> Iterator[Columns]:
    for start in range(0, max(len(rows), 1), size):
        part = rows[start : start + size]
        yield {name: _array_values(part[name]) for name in names}


def _array_values(array: Value) -> Sequence[Any]:
    """Return a numpy array as Python's values; an attribute's array in each row stays one."""
    if array.ndim > 1:
        return list(array)
    if array.dtype.kind == "M":
        # Finer steps come out as numbers.
        array = array.astype("datetime64[us]")
    values: list[Any] = array.tolist()
    return values


# --- pandas ------------------------------------------------------------------------------------


def index_as_columns(frame: Value, spec: TableSpec, *, wanted: bool | None = None) -> Value:
    """Return a DataFrame with its index as columns; by default if its names are attributes."""
    names: list[Any] = list(frame.index.names)
    if wanted is None:
        wanted = all(name in spec.heading for name in names) and not set(names) & {*frame.columns}
    if not wanted:
        return frame
    wrong = [name for name in names if name not in spec.heading.primary_key]
    if wrong:
        message = (
            f"{spec.display_name}: the DataFrame's index is named {names}, and the primary key is "
            f"({', '.join(spec.heading.primary_key)}). Name it with df.rename_axis(...), or leave "
            "it out with index_as_pk=False"
        )
        raise RowError(message)
    return frame.reset_index()


def _from_pandas(frame: Value, size: int) -> Iterator[Columns]:
    for start in range(0, max(len(frame), 1), size):
        part = frame.iloc[start : start + size]
        yield {str(name): _series_values(part[name]) for name in part.columns}


def _series_values(series: Value) -> Sequence[Any]:
    if getattr(series.dtype, "kind", "") == "M":
        if getattr(series.dt, "tz", None) is not None:
            series = series.dt.tz_convert("UTC").dt.tz_localize(None)
        return _array_values(series.to_numpy(dtype="datetime64[us]"))
    values: list[Any] = series.tolist()
    return values


# --- polars ------------------------------------------------------------------------------------


def _from_polars(frame: Value, size: int) -> Iterator[Columns]:
    for start in range(0, max(len(frame), 1), size):
        part = frame.slice(start, size)
        yield {name: part[name].to_list() for name in part.columns}


# --- CSV ---------------------------------------------------------------------------------------


def _from_csv(
    path: Path, spec: TableSpec, size: int, *, ignore_extra_fields: bool
) -> Iterator[Chunk]:
    """Read a file whose first row names the attributes; an empty cell is a value left out."""
    try:
        file = path.open(newline="", encoding="utf-8-sig")
    except OSError as error:
        message = f"{spec.display_name}: cannot read {path}: {error.strerror}"
        raise RowError(message) from error
    with file:
        try:
            reader = csv.DictReader(file)
            check_distinct(reader.fieldnames or (), spec, f"the header of {path}")
            rows = (_cells(row, number, spec) for number, row in enumerate(reader, 1))
            yield from chunks_of(rows, spec, size, ignore_extra_fields=ignore_extra_fields)
        except UnicodeDecodeError as error:
            message = f"{spec.display_name}: {path} is not UTF-8: save it as UTF-8"
            raise RowError(message) from error


def check_distinct(names: Iterable[object], spec: TableSpec, what: str) -> None:
    """Refuse columns of one name: which of them is meant nobody knows."""
    repeated = next((n for n, count in Counter(map(str, names)).items() if count > 1), None)
    if repeated is not None:
        message = f'{spec.display_name}: {what} has "{repeated}" twice: rename or leave out one'
        raise RowError(message)


def _cells(row: dict[Any, Any], number: int, spec: TableSpec) -> dict[str, Value]:
    if None in row or None in row.values():
        message = (
            f"{spec.display_name}, row {number}: {'more' if None in row else 'fewer'} cells than "
            f"the header's {len([n for n in row if n is not None])} names"
        )
        raise RowError(message)
    found: dict[str, Value] = {}
    for name, text in row.items():
        attribute = spec.heading.by_name.get(name)
        if attribute is None:
            found[name] = text
        elif text or (_is_text(attribute) and not attribute.has_default):
            found[name] = _cell(text, attribute)
    return found


def _is_text(attribute: Attribute) -> bool:
    return not isinstance(attribute.type, CodecType | None) and attribute.type.name in _TEXTS


def _cell(text: str, attribute: Attribute) -> Value:
    """Return what a cell says; types that read text by themselves get the text."""
    name = getattr(attribute.type, "name", "")
    if name == "bool":
        return _BOOLS.get(text.strip().lower(), text)
    if name == "json":
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text

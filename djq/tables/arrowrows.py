"""Arrow's batches of rows → columns of Python's values, as `insert` takes them."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from djq.tables.kinds import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from djq.definition.acceptance import Value
    from djq.definition.spec import TableSpec

Columns = dict[str, "Sequence[Any]"]


def from_arrow(batches: Iterable[Value], size: int, spec: TableSpec) -> Iterator[Columns]:
    """Yield the columns of so many rows at a time."""
    by_name = spec.heading.by_name
    encoded = {n for n, a in by_name.items() if kind_of(a) == "object"}
    for batch in batches:
        for start in range(0, max(batch.num_rows, 1), size):
            part = batch.slice(start, size)
            columns = zip(part.schema.names, part.columns, strict=True)
            yield {n: _values(c, is_encoded=n in encoded) for n, c in columns}


def _values(column: Value, *, is_encoded: bool) -> Sequence[Any]:
    """Return a column's values; lists of numbers become arrays where a codec will encode them."""
    pa = sys.modules["pyarrow"]
    type_ = column.type
    if str(type_).startswith("timestamp[ns"):
        # Without pandas Python has no nanoseconds.
        column = column.cast(pa.timestamp("us", tz=type_.tz), safe=False)
    if isinstance(type_, pa.JsonType):
        return [None if v is None else json.loads(v) for v in column.to_pylist()]
    if is_encoded and isinstance(type_, pa.FixedShapeTensorType):
        return [s.to_numpy() if s.is_valid else None for s in column]
    if is_encoded and pa.types.is_list(type_) and _is_number(pa, type_.value_type):
        return [s.values.to_numpy(zero_copy_only=False) if s.is_valid else None for s in column]
    values: list[Any] = column.to_pylist()
    return values


def _is_number(pa: Any, type_: Value) -> bool:  # noqa: ANN401 - the library
    types = pa.types
    return bool(types.is_integer(type_) or types.is_floating(type_) or types.is_boolean(type_))

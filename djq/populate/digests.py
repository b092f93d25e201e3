"""Fetched values → a digest, equal if and only if they are: to see whether inputs changed."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import hashlib
import pathlib
import uuid
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from djq.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from djq.definition.acceptance import Value

#: Types whose `repr` says all of a value, and nothing of its place in memory.
_PLAIN = frozenset(
    {
        type(None),
        bool,
        int,
        float,
        complex,
        str,
        bytes,
        range,
        dt.date,
        dt.time,
        dt.datetime,
        dt.timedelta,
        decimal.Decimal,
        uuid.UUID,
        pathlib.PosixPath,
        pathlib.WindowsPath,
        pathlib.PurePosixPath,
        pathlib.PureWindowsPath,
    }
)
#: Length of a digest [bytes].
_SIZE = 32


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


def digest(value: Value) -> bytes:
    """Return a digest of what a make fetched.

    Parameters
    ----------
    value
        Plain values, numpy arrays and scalars, handles of arrays and objects, data frames of pandas
        and polars, Arrow tables, dataclasses, and containers of all those. Dicts and sets count
        without order.

    Raises
    ------
    UsageError
        Something in it has no value to compare; the message says what, and where.
    """
    found = hashlib.blake2b(digest_size=_SIZE)
    _add(found, value, "")
    return found.digest()


def _add(into: _Hash, value: Value, path: str) -> None:
    kind = cast("type[object]", type(value))
    if kind in _PLAIN:
        _tag(into, kind.__name__, repr(value))
    elif isinstance(value, np.ndarray):
        _add_array(into, cast("Any", value), path)
    elif isinstance(value, np.generic):
        _add_array(into, np.asarray(cast("Any", value)), path)
    elif isinstance(value, enum.Enum):
        _tag(into, kind.__qualname__, value.name)
    elif isinstance(value, dict):
        _add_mapping(into, cast("Any", value), path)
    elif isinstance(value, list | tuple):
        _add_sequence(into, cast("Sequence[Any]", value), path)
    elif isinstance(value, set | frozenset):
        items = cast("Iterable[Any]", value)
        _add_unordered(into, "set", (_part(v, f"{path}.item({v!r})") for v in items))
    elif isinstance(value, bytearray | memoryview):
        _tag(into, "bytes", repr(bytes(cast("Any", value))))
    else:
        _add_object(into, value, path)


def _tag(into: _Hash, *words: str) -> None:
    """Add words with their lengths, so that no two values run into the same bytes."""
    for word in words:
        data = word.encode(errors="surrogatepass")
        into.update(len(data).to_bytes(8, "little"))
        into.update(data)


def _part(value: Value, path: str) -> bytes:
    found = hashlib.blake2b(digest_size=_SIZE)
    _add(found, value, path)
    return found.digest()


def _add_array(into: _Hash, array: np.ndarray[Any, Any], path: str) -> None:
    _tag(into, "array", str(array.dtype.descr if array.dtype.names else array.dtype))
    _tag(into, str(array.shape))
    if array.dtype.names:
        for name in array.dtype.names:
            _add_array(into, array[name], f"{path}[{name!r}]")
    elif array.dtype.hasobject:
        for i, item in enumerate(array.ravel().tolist()):
            _add(into, item, f"{path}[{i}]")
    else:
        into.update(np.ascontiguousarray(array).tobytes())


def _add_mapping(into: _Hash, value: Mapping[Any, Any], path: str) -> None:
    pairs = (_part(k, f"{path}.key({k!r})") + _part(v, f"{path}[{k!r}]") for k, v in value.items())
    _add_unordered(into, "dict", pairs)


def _add_unordered(into: _Hash, name: str, parts: Iterable[bytes]) -> None:
    found = sorted(parts)
    _tag(into, name, str(len(found)))
    for part in found:
        into.update(part)


def _add_sequence(into: _Hash, value: Sequence[Any], path: str) -> None:
    _tag(into, "list", str(len(value)))
    if {type(v) for v in value} <= _PLAIN:  # most often; as a whole it takes a tenth of the time
        _tag(into, repr(list(value)))
        return
    for i, item in enumerate(value):
        _add(into, item, f"{path}[{i}]")


def _add_object(into: _Hash, value: Value, path: str) -> None:
    """Add a value of another library, recognised by its class's name, or a dataclass."""
    kind = cast("type[object]", type(value))
    library = kind.__module__.partition(".")[0]
    read = _READERS.get((library, kind.__name__))
    if read is not None:
        _tag(into, library, kind.__name__)
        _add(into, read(value), path)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        _tag(into, kind.__qualname__)
        _add_mapping(into, fields, path)
    else:
        raise _not_comparable(kind, path)


def _not_comparable(kind: type[object], path: str) -> UsageError:
    what = f"{kind.__module__}.{kind.__qualname__}"
    message = (
        f"what make_fetch returned cannot be compared with what is there at the COMMIT: value{path}"
        f" is of type {what}. Return plain values, arrays, data frames or containers of these: "
        "fetch the rows of a query, and make other objects in make_compute"
    )
    return UsageError(message)


def _pandas_frame(frame: Value) -> Value:
    columns = [(name, frame.iloc[:, i].to_numpy()) for i, name in enumerate(frame.columns)]
    return [list(frame.index.names), frame.index.to_numpy(), columns]


def _pandas_series(series: Value) -> Value:
    return [series.name, series.index.to_numpy(), series.to_numpy()]


def _polars_frame(frame: Value) -> Value:
    return [(c.name, str(c.dtype), c.to_list()) for c in frame.get_columns()]


def _arrow_table(table: Value) -> Value:
    return [str(table.schema), table.to_pydict()]


_READERS: Mapping[tuple[str, str], Callable[[Value], Value]] = {
    ("djq", "ArrayRef"): lambda ref: ref.address,
    ("djq", "NpyRef"): lambda ref: ref.address,
    ("djq", "ObjectRef"): lambda ref: ref.to_json(),
    ("pandas", "DataFrame"): _pandas_frame,
    ("pandas", "Series"): _pandas_series,
    ("pandas", "Index"): lambda index: [index.name, index.to_numpy()],
    ("pandas", "Timestamp"): repr,
    ("pandas", "Timedelta"): repr,
    ("pandas", "NaTType"): repr,
    ("pandas", "NAType"): repr,
    ("polars", "DataFrame"): _polars_frame,
    ("polars", "Series"): lambda series: [series.name, str(series.dtype), series.to_list()],
    ("pyarrow", "Table"): _arrow_table,
}

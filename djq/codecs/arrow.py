"""Tables of Arrow, pandas and polars ↔ Arrow IPC streams, as in docs/blob-format.md.

Loaded by its name, and only where such a codec is used, since pyarrow is optional.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final, cast

import pyarrow  # pyright: ignore[reportMissingTypeStubs] # there are none

from djq.codecs.arrow_messages import claimed_bytes
from djq.codecs.arrow_pandas import from_pandas, to_pandas
from djq.codecs.extensions import MALFORMED, reason
from djq.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from djq.codecs.messagepack import Value

# The library has no types of its own.
_arrow: Any = cast("Any", pyarrow)

#: Which kind of table was stored, in the metadata of the schema; a plain Table has none.
KIND_KEY: Final = b"djq.kind"
#: More memory per stored byte is an attack; writers pad what shrinks by more.
MAX_RATIO: Final = 1000
#: How a stream ends; without it, a stream that was cut between batches would look whole.
_END: Final = b"\xff\xff\xff\xff\0\0\0\0"
#: What the libraries raise for malformed input beside ValueError and its like; SyntaxError, since
#: pyarrow reads the literals that name columns of several levels in frames of pandas.
_MALFORMED: Final[tuple[type[Exception], ...]] = (
    *MALFORMED,
    _arrow.ArrowException,
    OSError,
    NotImplementedError,
    SyntaxError,
)
_ACCEPTED: Final = (
    "pyarrow.Table, pyarrow.RecordBatch, pandas.DataFrame and polars.DataFrame; "
    "of a Series pass .to_frame(), of a LazyFrame .collect()"
)


def encode(table: object) -> bytes:
    """Encode a table.

    Parameters
    ----------
    table
        A `pyarrow.Table` or `RecordBatch`, or a `DataFrame` of pandas or polars: of exactly these
        classes, since a subclass would come back as its base.

    Returns
    -------
    bytes
        An Arrow IPC stream with buffers compressed by Zstandard, which any Arrow library reads.

    Raises
    ------
    CodecError
        It is something else, or Arrow has no type for what is in it.
    """
    kind = f"{type(table).__module__.partition('.')[0]}.{type(table).__qualname__}"
    writer = _WRITERS.get(kind)
    if writer is None:
        message = f"{kind} cannot be stored as an Arrow table; what can: {_ACCEPTED}"
        raise CodecError(message)
    try:
        return _pad(_write(writer(table), kind))
    except _MALFORMED as error:
        message = f"this {kind} cannot be stored as an Arrow table: {error}"
        raise CodecError(message) from error


def decode(data: bytes | bytearray | memoryview) -> Value:
    """Decode a table.

    Returns
    -------
    Any
        What was stored, as the kind of table that it was; of another writer's stream, a
        `pyarrow.Table`. Tables and batches may share the memory of `data`.

    Raises
    ------
    CodecError
        The bytes are no whole stream, its values contradict each other, it claims far more memory
        than it has bytes, or the library whose table was stored cannot be used here.
    """
    buffer = _arrow.py_buffer(data)
    try:
        _check(buffer)
        options = _arrow.ipc.IpcReadOptions(use_threads=False)
        with _arrow.ipc.open_stream(buffer, options=options) as stream:
            table = stream.read_all()
        table.validate(full=True)
        metadata = dict(table.schema.metadata or {})
        kind = metadata.pop(KIND_KEY, b"pyarrow.Table").decode()
        return _READERS[kind](table.replace_schema_metadata(metadata or None))
    except ModuleNotFoundError as error:
        message = f'this table needs {error.name}: pip install "djq[frames]"'
        raise CodecError(message) from error
    except _MALFORMED as error:
        message = f"this Arrow table cannot be read: {reason(error)}"
        raise CodecError(message) from error


def _write(table: Value, kind: str) -> bytes:
    schema = table.schema.with_metadata({**(table.schema.metadata or {}), KIND_KEY: kind.encode()})
    options = _arrow.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
    sink = _arrow.BufferOutputStream()
    with _arrow.ipc.new_stream(sink, schema, options=options) as stream:
        stream.write_table(table)
    return cast("bytes", sink.getvalue().to_pybytes())


def _pad(data: bytes) -> bytes:
    """Let zeros follow a stream that shrank by so much that it would be taken for an attack."""
    n_claimed = sum(map(claimed_bytes, _messages(_arrow.BufferReader(data))))
    return data.ljust(-(-n_claimed // MAX_RATIO), b"\0")


def _check(buffer: Value) -> None:
    """Refuse a stream that does not end, goes on after its end, or claims too much memory."""
    reader = _arrow.BufferReader(buffer)
    n_claimed = 0
    for message in _messages(reader):
        n_claimed += claimed_bytes(message)
        if n_claimed > MAX_RATIO * buffer.size:
            text = f"it claims {n_claimed} bytes of memory in {buffer.size} bytes"
            raise ValueError(text)
    stop = reader.tell()
    rest = memoryview(buffer)
    if bytes(rest[stop - len(_END) : stop]) != _END or any(rest[stop:]):
        text = "it is cut off, or goes on after its end"
        raise ValueError(text)


def _messages(reader: Value) -> Iterator[Value]:
    messages = _arrow.ipc.MessageReader.open_stream(reader)
    while True:
        try:
            yield messages.read_next_message()
        except StopIteration:
            return


# --- kinds of tables ---------------------------------------------------------------------------


def _from_polars(frame: Value) -> Value:
    for name, dtype in frame.schema.items():
        if _holds_objects(dtype):
            # As Arrow, it would be pointers into this process.
            message = (
                f"column {name!r} of {dtype} holds Python objects: convert it to a type of "
                "polars, or leave it out with .drop() and keep the objects in a <blob>"
            )
            raise TypeError(message)
    return frame.to_arrow()


def _holds_objects(dtype: Value) -> bool:
    """Return whether a type of polars is Object or nests it, at which its own writer aborts."""
    nested = [getattr(dtype, name, None) for name in ("inner", "key", "value")]
    nested += [field.dtype for field in getattr(dtype, "fields", ())]
    return str(dtype) == "Object" or any(map(_holds_objects, filter(None, nested)))


def _to_polars(table: Value) -> Value:
    polars: Any = importlib.import_module("polars")
    try:
        return polars.from_arrow(table)
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException) as error:
        raise ValueError(*error.args) from error


def _to_batch(table: Value) -> Value:
    if not table.num_rows:
        return _arrow.RecordBatch.from_pylist([], schema=table.schema)
    (batch,) = table.to_batches()
    return batch


_WRITERS: Final[dict[str, Callable[[Value], Value]]] = {
    "pyarrow.Table": lambda table: table,
    "pyarrow.RecordBatch": lambda batch: _arrow.Table.from_batches([batch]),
    "pandas.DataFrame": from_pandas,
    "polars.DataFrame": _from_polars,
}
_READERS: Final[dict[str, Callable[[Value], Value]]] = {
    "pyarrow.Table": lambda table: table,
    "pyarrow.RecordBatch": _to_batch,
    "pandas.DataFrame": to_pandas,
    "polars.DataFrame": _to_polars,
}

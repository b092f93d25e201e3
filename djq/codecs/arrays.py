"""NumPy arrays ↔ frames of kind `A`."""

from __future__ import annotations

import itertools
import math
import sys
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from djq.codecs import dtypes
from djq.codecs.compression import (
    CHUNK_BYTES,
    MAX_CHUNK_BYTES,
    MAX_ITEM_BYTES,
    ChunkReader,
    Frame,
    compress,
    write_frame,
)
from djq.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

KIND: Final = b"A"
KEYS: Final = frozenset({"dtype", "shape", "chunks", "index"})
#: Others (units, labels) would silently lose what they have beside the elements.
_CLASSES: Final = frozenset({np.ndarray, np.recarray, np.memmap})
#: NumPy's own limit.
_MAX_DIMENSIONS: Final = 64


def describe(array: NDArray[Any]) -> object:
    """Return the description of the array's dtype.

    Raises
    ------
    CodecError
        The array's class or dtype cannot be stored.
    """
    check_class(array)
    return dtypes.describe(array.dtype)


def check_class(array: NDArray[Any]) -> None:
    """Refuse subclasses of arrays, but for records and maps of files.

    Raises
    ------
    CodecError
        The array would not come back as what it is.
    """
    if type(array) not in _CLASSES:
        message = (
            f"{type(array).__name__} cannot be stored, since it would come back as a plain array: "
            "pass numpy.asarray of it, and what gets lost by that beside it"
        )
        raise CodecError(message)


def write(array: NDArray[Any]) -> list[bytes]:
    """Return the parts of a frame that holds `array` in C order.

    Raises
    ------
    CodecError
        The array's class or dtype cannot be stored.
    """
    description = describe(array)
    if array.dtype.itemsize > MAX_ITEM_BYTES:
        message = (
            f"one element of {array.dtype.itemsize} bytes exceeds the limit of {MAX_ITEM_BYTES}"
        )
        raise CodecError(message)
    chunks = chunk_shape(array.shape, array.dtype.itemsize)
    raws = (to_bytes(array[where]) for where in _grid(array.shape, chunks)) if array.nbytes else ()
    packed = compress(raws, typesize=_typesize(array.dtype))
    head = {
        "dtype": description,
        "shape": list(array.shape),
        "chunks": list(chunks),
        "index": packed.index,
    }
    return write_frame(KIND, head, packed.parts)


def read(frame: Frame) -> NDArray[Any]:
    """Return the array of a frame: writable, in C order, its own memory.

    Raises
    ------
    CodecError
        The frame is malformed or damaged.
    """
    dtype = dtypes.parse(frame.head["dtype"])
    shape, chunks = parse_shape(frame.head["shape"]), _sizes(frame.head["chunks"], 1)
    reader = ChunkReader(frame.head["index"], frame.body)
    _check_sizes(dtype, shape, chunks, reader)
    if reader.n_bytes != len(frame.body):
        message = f"this blob has {len(frame.body) - reader.n_bytes} bytes after its end"
        raise CodecError(message)
    array = empty(shape, dtype)
    if len(reader):
        for position, where in enumerate(_grid(shape, chunks)):
            target = array[where]
            if target.flags.c_contiguous:
                reader.read(position, _view_bytes(target))
            else:
                part = np.empty(target.shape, dtype)
                reader.read(position, _view_bytes(part))
                target[...] = part
    _check_texts(array)
    return array


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return a new array whose elements are still to be set.

    Raises
    ------
    CodecError
        No array of this shape can be made on this machine.
    """
    try:
        # NumPy makes room for a character in texts of none: it must not be what lay there before.
        make = np.empty if dtype.itemsize else np.zeros
        array: NDArray[Any] = make(shape, dtype)
    except (ValueError, MemoryError) as error:
        message = (
            f"an array of shape {shape} and {dtype.itemsize} bytes per element cannot be allocated"
        )
        raise CodecError(message) from error
    return array.view(np.recarray) if dtype.type is np.record else array


def from_bytes(raw: object, shape: object, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return an array from its raw bytes in C order.

    Raises
    ------
    CodecError
        There are more or fewer bytes than the shape needs.
    """
    sizes = parse_shape(shape)
    if not isinstance(raw, bytes) or math.prod(sizes) * dtype.itemsize != len(raw):
        message = f"an array of shape {sizes} of {dtype} has another number of bytes"
        raise CodecError(message)
    array = empty(sizes, dtype)
    if raw:
        _view_bytes(array)[:] = np.frombuffer(raw, dtype=np.uint8)
    _check_texts(array)
    return array


def parse_shape(shape: object) -> tuple[int, ...]:
    """Return the shape that a blob claims.

    Raises
    ------
    CodecError
        It is not a list of sizes, or longer than NumPy can have it.
    """
    return _sizes(shape, 0)


def to_bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the bytes of a non-empty array in C order, without a copy when it lies so already."""
    return _view_bytes(np.ascontiguousarray(array))


def chunk_shape(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return the shape of the largest C-contiguous slab of at most `CHUNK_BYTES`.

    Examples
    --------
    >>> chunk_shape((1000, 1024, 1024), 2)
    (2, 1024, 1024)
    >>> chunk_shape((3, 10_000_000), 1)
    (1, 4194304)
    """
    room = max(1, CHUNK_BYTES // max(1, itemsize))
    chunks: list[int] = []
    for size in reversed(shape):
        chunks.append(max(1, min(size, room)))
        room = room // chunks[-1] if chunks[-1] == max(1, size) else 1
    return tuple(reversed(chunks))


def _check_texts(array: NDArray[Any]) -> None:
    """Refuse code points beyond Unicode's, at which Python fails later, when one is looked at."""
    if array.dtype.names is not None:
        for name in array.dtype.names:
            _check_texts(array[name])
    elif array.dtype.kind == "U" and array.size and array.dtype.itemsize:
        points = np.ascontiguousarray(array).reshape(-1).view(array.dtype.byteorder + "u4")
        if points.max() > sys.maxunicode:
            message = (
                f"a text of this blob has the code point {points.max():#x}, which does not exist"
            )
            raise CodecError(message)


def _view_bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    return array.view(np.ndarray).reshape(-1).view(np.uint8)


def _grid(shape: Sequence[int], chunks: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    """Yield the place of each chunk, in C order; `...` keeps a 0-d array an array."""
    starts = [range(0, size, step) for size, step in zip(shape, chunks, strict=True)]
    for corner in itertools.product(*starts):
        yield (
            *(slice(start, start + step) for start, step in zip(corner, chunks, strict=True)),
            ...,
        )


def _typesize(dtype: np.dtype[Any]) -> int:
    """Choose what the shuffle filter takes for one element."""
    by_kind = {"S": 1, "V": 1, "U": 4}
    return dtype.itemsize if dtype.fields is not None else by_kind.get(dtype.kind, dtype.itemsize)


def _sizes(values: object, least: int) -> tuple[int, ...]:
    if not isinstance(values, list):
        message = f"shape {str(values)[:80]!r} is malformed"
        raise CodecError(message)
    sizes = tuple(cast("list[int]", values))
    if len(sizes) > _MAX_DIMENSIONS or not all(
        type(size) is int and size >= least for size in sizes
    ):
        message = f"shape {str(sizes)[:80]} is malformed"
        raise CodecError(message)
    return sizes


def _check_sizes(
    dtype: np.dtype[Any], shape: tuple[int, ...], chunks: tuple[int, ...], reader: ChunkReader
) -> None:
    """Refuse sizes that the chunks at hand cannot fill, before any memory is taken for them."""
    if len(shape) != len(chunks):
        message = f"chunks of {len(chunks)} dimensions in an array of {len(shape)}"
        raise CodecError(message)
    n_raw = math.prod(min(pair) for pair in zip(shape, chunks, strict=True)) * dtype.itemsize
    if n_raw > max(MAX_CHUNK_BYTES, dtype.itemsize):
        message = f"chunks of {n_raw} bytes exceed the limit of {MAX_CHUNK_BYTES}"
        raise CodecError(message)
    n_expected = (
        math.prod(-(-size // step) for size, step in zip(shape, chunks, strict=True))
        if n_raw
        else 0
    )
    if n_expected != len(reader):
        message = (
            f"an array of shape {shape} in chunks of shape {chunks} has {n_expected} of them, "
            f"not {len(reader)}"
        )
        raise CodecError(message)

"""NumPy arrays ↔ frames of kind `A`."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from djq.codecs import dtypes
from djq.codecs.chunks import ChunkReader
from djq.codecs.compression import (
    MAX_ITEM_BYTES,
    PLAIN,
    Frame,
    Method,
    compress,
    numbers,
    shuffled,
    write_frame,
)
from djq.codecs.grids import Grid, places, sizes, slab_shape, tile_shape
from djq.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

KIND: Final = b"A"
KEYS: Final = frozenset({"dtype", "shape", "chunks", "index"})
#: Kinds of dtypes whose elements are numbers.
_NUMBERS: Final = "iufcmM"
#: Others (units, labels) would silently lose what they have beside the elements.
_CLASSES: Final = frozenset({np.ndarray, np.recarray, np.memmap})


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


def write(array: NDArray[Any], *, tiled: bool = False) -> list[bytes]:
    """Return the parts of a frame that holds `array` in C order.

    Its chunks are slabs, or if it is `tiled`, such as serve slices along every axis.

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
    chunks = (tile_shape if tiled else slab_shape)(array.shape, array.dtype.itemsize)
    grid = list(places(array.shape, chunks)) if array.nbytes else []
    packed = compress((to_bytes(array[where]) for where in grid), _method(array, grid))
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
    grid = Grid.of(frame.head)
    reader = ChunkReader(grid.index, frame.body)
    if reader.n_bytes != len(frame.body):
        message = f"this blob has {len(frame.body) - reader.n_bytes} bytes after its end"
        raise CodecError(message)
    array = empty(grid.shape, grid.dtype)
    for position, where in enumerate(grid):
        target = array[where]
        if target.flags.c_contiguous:
            reader.read(position, view_bytes(target))
        else:
            part = np.empty(target.shape, grid.dtype)
            reader.read(position, view_bytes(part))
            target[...] = part
    check_texts(array)
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
    found = sizes(shape)
    if not isinstance(raw, bytes) or math.prod(found) * dtype.itemsize != len(raw):
        message = f"an array of shape {found} of {dtype} has another number of bytes"
        raise CodecError(message)
    array = empty(found, dtype)
    if raw:
        view_bytes(array)[:] = np.frombuffer(raw, dtype=np.uint8)
    check_texts(array)
    return array


def to_bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the bytes of a non-empty array in C order, without a copy when it lies so already."""
    return view_bytes(np.ascontiguousarray(array))


def check_texts(array: NDArray[Any]) -> None:
    """Refuse code points beyond Unicode's, at which Python fails later, when one is looked at."""
    if array.dtype.names is not None:
        for name in array.dtype.names:
            check_texts(array[name])
    elif array.dtype.kind == "U" and array.size and array.dtype.itemsize:
        points = np.ascontiguousarray(array).reshape(-1).view(array.dtype.byteorder + "u4")
        if points.max() > sys.maxunicode:
            message = (
                f"a text of this blob has the code point {points.max():#x}, which does not exist"
            )
            raise CodecError(message)


def view_bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the bytes of a non-empty array that lies in C order."""
    return array.view(np.ndarray).reshape(-1).view(np.uint8)


def _method(array: NDArray[Any], grid: Sequence[tuple[Any, ...]]) -> Method:
    """Choose how the chunks are compressed, by the dtype and what lies in the middle."""
    dtype = array.dtype
    if not grid or (dtype.kind in "SV" and dtype.fields is None):
        return PLAIN
    if dtype.kind not in _NUMBERS:
        return shuffled(4 if dtype.kind == "U" else dtype.itemsize)
    return numbers(dtype.itemsize, to_bytes(array[grid[len(grid) // 2]]))

"""How an array lies in a frame: a grid of chunks, checked before anything is read by it."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from djq.codecs import dtypes
from djq.codecs.chunks import ChunkIndex
from djq.codecs.compression import CHUNK_BYTES, MAX_CHUNK_BYTES
from djq.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np

#: A slab is cut crosswise into tiles of this: a slice across it then reads a sixteenth. In smaller
#: ones each chunk's own cost counts: docs/decisions/0015-lazy-arrays.md [bytes].
TILE_BYTES: Final = 256 << 10
#: NumPy's own limit.
_MAX_DIMENSIONS: Final = 64


@dataclass(frozen=True, slots=True)
class Grid:
    """The dtype and shape of an array, and its chunks."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    #: The shape of a chunk; those at the far edges are smaller.
    chunks: tuple[int, ...]
    index: ChunkIndex

    @classmethod
    def of(cls, head: Mapping[str, Any]) -> Grid:
        """Return the grid that the head of a frame describes.

        Raises
        ------
        CodecError
            The head is malformed, or promises more than its chunks can fill.
        """
        dtype = dtypes.parse(head["dtype"])
        shape, chunks = sizes(head["shape"]), sizes(head["chunks"], 1)
        grid = cls(dtype, shape, chunks, ChunkIndex(head["index"]))
        grid._check()
        return grid

    @property
    def n_along(self) -> tuple[int, ...]:
        """How many chunks there are along each axis."""
        return tuple(-(-size // step) for size, step in zip(self.shape, self.chunks, strict=True))

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Yield the place of each chunk, in C order."""
        return places(self.shape, self.chunks) if len(self.index) else iter(())

    def _check(self) -> None:
        """Refuse sizes that the chunks cannot fill, before any memory is taken for them."""
        if len(self.shape) != len(self.chunks):
            message = f"chunks of {len(self.chunks)} dimensions in an array of {len(self.shape)}"
            raise CodecError(message)
        largest = math.prod(map(min, self.shape, self.chunks)) * self.dtype.itemsize
        if largest > max(MAX_CHUNK_BYTES, self.dtype.itemsize):
            message = f"chunks of {largest} bytes exceed the limit of {MAX_CHUNK_BYTES}"
            raise CodecError(message)
        n_expected = math.prod(self.n_along) if largest else 0
        if n_expected != len(self.index):
            message = (
                f"an array of shape {self.shape} in chunks of shape {self.chunks} has "
                f"{n_expected} of them, not {len(self.index)}"
            )
            raise CodecError(message)


def slab_shape(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return the shape of the largest C-contiguous slab of at most `CHUNK_BYTES`.

    Examples
    --------
    >>> slab_shape((1000, 1024, 1024), 2)
    (2, 1024, 1024)
    >>> slab_shape((3, 10_000_000), 1)
    (1, 4194304)
    """
    room = max(1, CHUNK_BYTES // max(1, itemsize))
    chunks: list[int] = []
    for size in reversed(shape):
        chunks.append(max(1, min(size, room)))
        room = room // chunks[-1] if chunks[-1] == max(1, size) else 1
    return tuple(reversed(chunks))


def tile_shape(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return the shape of chunks that serve slices along every axis.

    A slab is halved along its longest axis but the first, again and again, to `TILE_BYTES`: a slice
    along the first axis reads what it would read of slabs, in one piece, and one across it less.

    Examples
    --------
    >>> tile_shape((1_000_000, 384), 2)
    (5461, 24)
    >>> tile_shape((10_000, 512, 512), 2)
    (8, 128, 128)
    """
    tile = list(slab_shape(shape, itemsize))
    while math.prod(tile) * itemsize > TILE_BYTES and max(tile) > 1:
        longest = max(range(1, len(tile)), key=tile.__getitem__, default=0)
        longest = longest if tile[longest] > 1 else 0
        tile[longest] = -(-tile[longest] // 2)
    return tuple(tile)


def places(shape: Sequence[int], chunks: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    """Yield the place of each chunk, in C order; `...` keeps a 0-d array an array."""
    starts = [range(0, size, step) for size, step in zip(shape, chunks, strict=True)]
    for corner in itertools.product(*starts):
        yield (
            *(slice(start, start + step) for start, step in zip(corner, chunks, strict=True)),
            ...,
        )


def sizes(values: object, least: int = 0) -> tuple[int, ...]:
    """Return a shape that was read, if it is one of sizes of `least` or more.

    Raises
    ------
    CodecError
        It is something else.
    """
    if not isinstance(values, list):
        message = f"shape {str(values)[:80]!r} is malformed"
        raise CodecError(message)
    found = tuple(cast("list[int]", values))
    if len(found) > _MAX_DIMENSIONS or not all(type(n) is int and n >= least for n in found):
        message = f"shape {str(found)[:80]} is malformed"
        raise CodecError(message)
    return found

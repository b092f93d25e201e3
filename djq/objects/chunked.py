"""An array in an object of chunks: reads the chunks that a selection touches, and no others."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from djq.codecs import arrays, dtypes
from djq.codecs.compression import read_frame
from djq.codecs.grids import Grid
from djq.errors import CodecError
from djq.objects.cutting import cut
from djq.objects.selection import Selection
from djq.storage.buffers import GAP_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from djq.objects.cutting import Piece
    from djq.objects.located import StoredObject
    from djq.storage.content import Reference

#: What is read at once, in several requests: with it all memory that a read takes beside its
#: result [bytes].
GROUP_BYTES: Final = 64 << 20
#: Chunks that are read at once: stores look for each of them in what they read.
_N_GROUP: Final = 1024


class ChunkedArray:
    """An array as `<array@store>` wrote it; its head is read once, when it is first needed.

    Parameters
    ----------
    stored
        Where it lies.
    n_head
        Length of what comes before the first chunk [bytes].
    shape, dtype
        What its row says of it.

    Notes
    -----
    All methods raise ObjectMissingError, ObjectCorruptedError or StoreUnavailableError for what
    cannot be read. Several threads may use it at once.
    """

    def __init__(
        self,
        stored: StoredObject,
        n_head: int,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
    ) -> None:
        self.stored = stored
        self.n_head = n_head
        self.shape = shape
        self.dtype = dtype
        self._lock = threading.Lock()
        self._grid: Grid | None = None

    def __reduce__(self) -> tuple[type[ChunkedArray], tuple[Any, ...]]:
        """Pickle what the row says."""
        return ChunkedArray, (self.stored, self.n_head, self.shape, self.dtype)

    def to_json(self, reference: Reference) -> dict[str, Any]:
        """Return what a row says of the array, if it lies at `reference`."""
        return described(reference, self.shape, self.dtype, self.n_head)

    @property
    def grid(self) -> Grid:
        """How its chunks lie."""
        with self._lock:
            if self._grid is None:
                self._grid = self._open(self.stored.ranges([(0, self.n_head)])[0])
            return self._grid

    def read(self, selection: Selection) -> NDArray[Any]:
        """Return what is to be read for a selection, each chunk of it verified."""
        grid = self.grid
        found = self._empty(selection.read_shape)
        for piece, data in self._pieces(selection, grid):
            self._place(piece, data, grid, found)
        return self._checked(found)

    def load(self) -> NDArray[Any]:
        """Return the whole array, verified by the address of the object, too."""
        head = self.stored.ranges([(0, self.n_head)])[0]
        digest, grid = hashlib.sha256(head), self._open(head)
        found = self._empty(self.shape)
        for piece, data in self._pieces(Selection.of((), self.shape), grid):
            digest.update(data)
            self._place(piece, data, grid, found)
        self.stored.check(digest.hexdigest())
        return self._checked(found)

    def _open(self, head: memoryview) -> Grid:
        try:
            grid = Grid.of(read_frame(head, {arrays.KIND: arrays.KEYS}).head)
        except CodecError as error:
            raise self.stored.damaged(error) from error
        if (grid.shape, grid.dtype) != (self.shape, self.dtype):
            raise self.stored.is_another((grid.dtype, grid.shape), (self.dtype, self.shape))
        size = self.n_head + grid.index.n_bytes
        if size != self.stored.reference.size:
            raise self.stored.is_another((size, "bytes"), (self.stored.reference.size, "bytes"))
        return grid

    def _pieces(self, selection: Selection, grid: Grid) -> Iterator[tuple[Piece, memoryview]]:
        """Yield the pieces of a selection with the chunks that they are in."""
        for pieces in self._groups(cut(selection, grid), grid):
            ranges = [self._range(piece, grid) for piece in pieces]
            yield from zip(pieces, self.stored.ranges(ranges), strict=True)

    def _groups(self, pieces: Iterable[Piece], grid: Grid) -> Iterator[list[Piece]]:
        """Yield what is read at once: as much as memory allows, gaps that are read included."""
        group: list[Piece] = []
        n_bytes = last = 0
        for piece in pieces:
            start, stop = self._range(piece, grid)
            if n_bytes > GROUP_BYTES or len(group) == _N_GROUP:
                yield group
                group, n_bytes = [], 0
            gap = start - last if group else 0
            n_bytes += stop - start + (gap if 0 < gap <= GAP_BYTES else 0)
            group.append(piece)
            last = stop
        if group:
            yield group

    def _range(self, piece: Piece, grid: Grid) -> tuple[int, int]:
        start, stop = grid.index.place(piece.number)
        return self.n_head + start, self.n_head + stop

    def _place(self, piece: Piece, data: memoryview, grid: Grid, found: NDArray[Any]) -> None:
        """Decompress a chunk into its place."""
        chunk = found[(*piece.target, ...)] if piece.is_whole else None
        is_direct = chunk is not None and chunk.flags.c_contiguous
        if chunk is None or not is_direct:
            chunk = np.empty(piece.shape, self.dtype)
        try:
            grid.index.unpack(piece.number, data, arrays.view_bytes(chunk))
        except CodecError as error:
            raise self.stored.damaged(error) from error
        if not is_direct:
            piece.copy(chunk, found)

    def _empty(self, shape: tuple[int, ...]) -> NDArray[Any]:
        return arrays.empty(shape, self.dtype)

    def _checked(self, found: NDArray[Any]) -> NDArray[Any]:
        try:
            arrays.check_texts(found)
        except CodecError as error:
            raise self.stored.damaged(error) from error
        return found


def described(
    reference: Reference, shape: tuple[int, ...], dtype: np.dtype[Any], n_head: int
) -> dict[str, Any]:
    """Return what a row says of an array: where it is, and what shows without reading it."""
    return {
        **reference.to_json(),
        "shape": list(shape),
        "dtype": dtypes.describe(dtype),
        "head": n_head,
    }

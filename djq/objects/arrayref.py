"""`ArrayRef`: an array in a store, of which slices are read when they are asked for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Self

from djq.objects.selection import Selection, UnusualIndexError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import DTypeLike, NDArray

    from djq.objects.chunked import ChunkedArray
    from djq.objects.selection import Index
    from djq.storage.content import ContentStore

#: A block that is handed out takes no more, unless one row does [bytes].
BLOCK_BYTES: Final = 64 << 20


class ArrayRef:
    """An array of an attribute `<array@store>`: fetched without being read.

    Shape, dtype and sizes come from the row. `ref[index]` is what NumPy would return of the array,
    and reads only the chunks that hold it; `ref.load()` and `numpy.asarray(ref)` read all of it.
    Two are equal if they refer to the same content. Several threads may use one at once; it works
    after its connection is closed.

    Raises
    ------
    ObjectMissingError
        The object is not in its store (all that reads).
    ObjectCorruptedError
        Its bytes are not those that were stored; each chunk has a checksum.
    StoreUnavailableError
        The store did not answer; trying again may help.
    """

    __slots__ = ("_chunked",)

    def __init__(self, chunked: ChunkedArray) -> None:
        self._chunked = chunked

    # --- what the row says ---------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self._chunked.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        return self._chunked.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """What the array takes in memory [bytes]."""
        return self.size * self.dtype.itemsize

    @property
    def store(self) -> str:
        """The name of its store."""
        return self._chunked.stored.reference.store

    @property
    def path(self) -> str:
        """Where its object lies in the store."""
        return self._chunked.stored.reference.path

    @property
    def address(self) -> str:
        """The hash of the object's bytes: equal for equal arrays."""
        return self._chunked.stored.reference.hash

    @property
    def stored_bytes(self) -> int:
        """What its object takes in the store [bytes]."""
        return self._chunked.stored.reference.size

    def __len__(self) -> int:
        """Return the length of the first axis."""
        if not self.shape:
            message = "len() of an array without axes"
            raise TypeError(message)
        return self.shape[0]

    def __repr__(self) -> str:
        """Return what the row says."""
        return f'ArrayRef(shape={self.shape}, dtype={self.dtype}, store="{self.store}")'

    def __eq__(self, other: object) -> bool:
        """Whether both refer to the same content; what it is, is not read."""
        if not isinstance(other, ArrayRef):
            return NotImplemented
        return self.address == other.address

    def __hash__(self) -> int:
        """Return the hash of the content's address."""
        return hash(self.address)

    # --- what is read --------------------------------------------------------------------------

    def __getitem__(self, index: Index) -> Any:  # noqa: ANN401 - an array, or one element
        """Return what NumPy would return of the array, in memory of its own.

        Raises
        ------
        IndexError
            As NumPy.
        """
        try:
            selection = Selection.of(index, self.shape)
        except UnusualIndexError:
            return self.load()[index]
        return selection.finish(self._chunked.read(selection))

    def load(self) -> NDArray[Any]:
        """Return the whole array, verified by its content address."""
        return self._chunked.load()

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the whole array, for `numpy.asarray` and its kin.

        Raises
        ------
        ValueError
            No copy was allowed: what is in a store cannot be had without.
        """
        if copy is False:
            message = "an array in a store cannot be had without a copy: leave out copy=False"
            raise ValueError(message)
        found = self.load()
        return found if dtype is None else found.astype(dtype, copy=False)

    def blocks(self, max_bytes: int = BLOCK_BYTES) -> Iterator[NDArray[Any]]:
        """Yield the array in blocks along the first axis, one after the other.

        Parameters
        ----------
        max_bytes
            What a block takes in memory, unless a single row takes more. Beside it about as much
            is needed to read it.
        """
        if not self.shape:
            yield self.load()
            return
        row = self.nbytes // max(1, len(self))
        fitting = max(1, max_bytes // max(1, row))
        # Not in the middle of a chunk, which would be read twice.
        thick = self._chunked.grid.chunks[0]
        rows = fitting - fitting % thick if fitting > thick else fitting
        for start in range(0, len(self), rows):
            yield self[start : start + rows]

    def __iter__(self) -> Iterator[Any]:
        """Yield the rows along the first axis; blocks of them are read at once.

        Raises
        ------
        TypeError
            The array has no axes.
        """
        len(self)
        return (row for block in self.blocks() for row in block)

    def copy_to(self, content: ContentStore) -> dict[str, Any]:
        """Put the object into a store as it is, and return what a row says of it there."""
        return self._chunked.to_json(content.put(self._chunked.stored.get()))

    def __copy__(self) -> Self:
        """Return itself: nothing about it changes."""
        return self

    def __deepcopy__(self, memo: object) -> Self:
        """Return itself: nothing about it changes."""
        return self

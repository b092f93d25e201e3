"""`NpyRef`: a `.npy` file in a store, with the names that DataJoint gives it."""

from __future__ import annotations

import hashlib
import math
import threading
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from djq.codecs import arrays
from djq.errors import CodecError
from djq.objects.npyformat import HEAD_BYTES, Head, read_head
from djq.objects.selection import Selection, UnusualIndexError
from djq.storage.buffers import PIECE_BYTES
from djq.storage.filesystem import FolderStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike, NDArray

    from djq.objects.located import StoredObject
    from djq.objects.selection import Index

#: What is read at once [bytes].
_GROUP_BYTES: Final = 64 << 20
#: Modes of `numpy.memmap` that leave the file as it is.
_MODES: Final = ("r", "c")


class NpyRef:
    """An array of an attribute `<npy@store>`: fetched without being read.

    Shape, dtype and sizes come from the row. `load()` reads the file, once: the same array comes
    back each time. Before that, `ref[index]` reads only the rows that it needs, if the file is in C
    order. Several threads may use one at once; it works after its connection is closed.

    Raises
    ------
    ObjectMissingError
        The object is not in its store (all that reads).
    ObjectCorruptedError
        It is not what was stored. Parts have no checksum, and are checked only for their size; so
        are files that DataJoint wrote.
    StoreUnavailableError
        The store did not answer; trying again may help.
    """

    def __init__(self, stored: StoredObject, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._stored = stored
        self.shape: Final = shape
        self.dtype: Final = dtype
        self._lock = threading.RLock()
        self._head: Head | None = None
        self._loaded: NDArray[Any] | None = None

    # --- what the row says ---------------------------------------------------------------------

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
        return self._stored.content.name

    @property
    def path(self) -> str:
        """Where the file lies in the store."""
        return self._stored.reference.path

    @property
    def address(self) -> str:
        """The hash of the file's bytes; of DataJoint's files, its store and path."""
        reference = self._stored.reference
        return reference.hash or f"{reference.store}/{reference.path}"

    @property
    def is_loaded(self) -> bool:
        """Whether `load` has read the file."""
        return self._loaded is not None

    def __len__(self) -> int:
        """Return the length of the first axis."""
        if not self.shape:
            message = "len() of an array without axes"
            raise TypeError(message)
        return self.shape[0]

    def __repr__(self) -> str:
        """Return what the row says."""
        loaded = "loaded" if self.is_loaded else "not loaded"
        return f"NpyRef(shape={self.shape}, dtype={self.dtype}, {loaded})"

    def __eq__(self, other: object) -> bool:
        """Whether both refer to the same file; what it holds, is not read."""
        return self.address == other.address if isinstance(other, NpyRef) else NotImplemented

    def __hash__(self) -> int:
        """Return the hash of the file's address."""
        return hash(self.address)

    # --- what is read --------------------------------------------------------------------------

    def load(self, mmap_mode: Literal["r", "c"] | None = None) -> NDArray[Any]:
        """Return the whole array.

        Parameters
        ----------
        mmap_mode
            `"r"` (read-only) or `"c"` (changes stay in memory): map the file, if the store is a
            folder, and read what is looked at. Of other stores the whole file is read.

        Raises
        ------
        ValueError
            Another mode, which would change what is stored.
        """
        if mmap_mode is None:
            with self._lock:
                if self._loaded is None:
                    self._loaded = self._read_all()
                return self._loaded
        if mmap_mode not in _MODES:
            message = f'mmap_mode={mmap_mode!r} would change a stored object: choose "r" or "c"'
            raise ValueError(message)
        return self._map(mmap_mode)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the whole array, for `numpy.asarray` and its kin."""
        found = self.load()
        if copy:
            return found.astype(self.dtype if dtype is None else dtype)
        if copy is False and dtype is not None and np.dtype(dtype) != found.dtype:
            message = f"{self.dtype} becomes {np.dtype(dtype)} only in a copy: leave out copy=False"
            raise ValueError(message)
        return found if dtype is None else found.astype(dtype, copy=False)

    def __getitem__(self, index: Index) -> Any:  # noqa: ANN401 - an array, or one element
        """Return what NumPy would return of the array.

        Raises
        ------
        IndexError
            As NumPy.
        """
        if self._loaded is not None:
            return self._loaded[index]
        try:
            selection = Selection.of(index, self.shape)
        except UnusualIndexError:
            return self.load()[index]
        rows = selection.ranges[0] if self.shape and not selection.points else None
        if not rows or len(rows) == len(self) or self.head.is_fortran:
            return self.load()[index]
        first = rows[0]
        others = (
            slice(each.start, each.stop, each.step)
            for each in selection.ranges[1:]
            if each is not None
        )
        read = self._read_rows(first, rows[-1] + 1)[:: rows.step]
        return selection.finish(read[(slice(None), *others)])

    @property
    def head(self) -> Head:
        """What the header of the file says, read when first asked for."""
        with self._lock:
            if self._head is None:
                self._head = self._read_head()
            return self._head

    def _read_head(self) -> Head:
        try:
            head = read_head(self._stored.first(HEAD_BYTES))
        except CodecError as error:
            raise self._stored.damaged(error) from error
        if (head.shape, head.dtype) != (self.shape, self.dtype):
            raise self._stored.is_another((head.dtype, head.shape), (self.dtype, self.shape))
        return head

    def _read_all(self) -> NDArray[Any]:
        """Read the file piece by piece, and verify it if its hash is known."""
        head = self.head
        sha256 = hashlib.sha256(self._stored.ranges([(0, head.start)])[0])
        found = arrays.empty(self.shape[::-1] if head.is_fortran else self.shape, self.dtype)
        self._fill(found, head.start, sha256.update)
        if self._stored.reference.hash:
            self._stored.check(sha256.hexdigest())
        return found.T if head.is_fortran else found

    def _read_rows(self, first: int, stop: int) -> NDArray[Any]:
        """Read some rows of a file in C order."""
        found = arrays.empty((stop - first, *self.shape[1:]), self.dtype)
        self._fill(found, self.head.start + first * (self.nbytes // len(self)))
        return found

    def _fill(
        self,
        found: NDArray[Any],
        start: int,
        see: Callable[[memoryview], None] = lambda _: None,
    ) -> None:
        """Read an array from the byte `start` on."""
        if not found.nbytes:
            return
        into = arrays.view_bytes(found)
        for begin in range(0, found.nbytes, _GROUP_BYTES):
            end = min(found.nbytes, begin + _GROUP_BYTES)
            edges = [*range(start + begin, start + end, PIECE_BYTES), start + end]
            for at, data in zip(edges, self._stored.ranges([*pairwise(edges)]), strict=False):
                see(data)
                into[at - start : at - start + data.nbytes] = np.frombuffer(data, np.uint8)
        try:
            arrays.check_texts(found)
        except CodecError as error:
            raise self._stored.damaged(error) from error

    def _map(self, mode: Literal["r", "c"]) -> NDArray[Any]:
        store, head = self._stored.content.store, self.head
        if isinstance(store, FolderStore) and self.nbytes:
            order: Literal["F", "C"] = "F" if head.is_fortran else "C"
            path = store.root / self.path
            return np.memmap(path, self.dtype, mode, head.start, self.shape, order)
        found = self.load()
        if mode == "c":
            return found.copy("K")
        found = found.view()
        found.flags.writeable = False
        return found

    def __reduce__(self) -> tuple[type[NpyRef], tuple[Any, ...]]:
        """Pickle what the row says."""
        return NpyRef, (self._stored, self.shape, self.dtype)

    def __deepcopy__(self, memo: object) -> NpyRef:
        """Return a handle that has not loaded the array, which is free to change."""
        return NpyRef(self._stored, self.shape, self.dtype)

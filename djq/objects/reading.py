"""An object of a store as a file that is read where it is asked for."""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, Any, Final, cast

from djq.errors import UsageError

if TYPE_CHECKING:
    from djq.storage.base import ObjectStore

#: Read at once, however little is asked for [bytes]: it takes a bucket about as long as to answer.
BUFFER_BYTES: Final = 4 << 20


class StoredFile(io.RawIOBase):
    """A seekable stream of an object's bytes; nothing is read before it is asked for.

    Parameters
    ----------
    store, path
        The object.
    size
        Of the object [bytes].
    """

    def __init__(self, store: ObjectStore, path: str, size: int) -> None:
        super().__init__()
        self._store = store
        self._path = path
        self._size = size
        self._at = 0

    @property
    def name(self) -> str:
        """The object's path."""
        return self._path

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a place, counted from the beginning, from here, or from the end."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            message = f"{self._path}: there is no place {base + offset} in a file"
            raise ValueError(message)
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - whatever can be written to
        """Fill `buffer` from here on, and return how many bytes there were."""
        target = memoryview(buffer).cast("B")
        length = min(target.nbytes, max(0, self._size - self._at))
        if length == 0:
            return 0
        found = self._store.get_range(self._path, self._at, length)
        target[: found.nbytes] = found
        self._at += found.nbytes
        return found.nbytes


def open_object(store: ObjectStore, path: str, mode: str) -> IO[bytes] | IO[str]:
    """Open an object for reading: `rb`, or `r` for text in UTF-8.

    Raises
    ------
    ObjectMissingError
        There is none.
    UsageError
        The mode is another one: objects are never changed.
    """
    if mode not in {"rb", "r", "rt"}:
        message = f'mode {mode!r}: an object is never changed; "rb" reads bytes, and "r" text'
        raise UsageError(message)
    raw = StoredFile(store, path, store.stat(path).size)
    binary = io.BufferedReader(raw, buffer_size=BUFFER_BYTES)
    return cast("IO[bytes]", binary) if mode == "rb" else io.TextIOWrapper(binary, encoding="utf-8")

"""An object of a store as a file that is read where it is asked for."""

from __future__ import annotations

import hashlib
import io
from typing import IO, TYPE_CHECKING, Any, Final, cast

from djq.errors import ObjectCorruptedError, UsageError
from djq.objects.naming import naming

if TYPE_CHECKING:
    from djq.storage.base import ObjectStore

#: Read at once, however little is asked for [bytes]: it takes a bucket about as long as to answer.
BUFFER_BYTES: Final = 4 << 20


class StoredFile(io.RawIOBase):
    """A seekable stream of an object's bytes; nothing is read before it is asked for.

    What was read from the beginning on without a gap is hashed. If that is all of it, the read that
    comes to the end raises ObjectCorruptedError where the hash is not `sha256`.

    Parameters
    ----------
    store, path
        The object.
    size
        Of the object [bytes].
    sha256
        Of its content, hexadecimal; None: not known.
    where
        The row and the store, for messages; "": they do not name them.
    """

    def __init__(
        self,
        store: ObjectStore,
        path: str,
        size: int,
        sha256: str | None = None,
        where: str = "",
    ) -> None:
        super().__init__()
        self._store = store
        self._path = path
        self._size = size
        self._sha256 = sha256
        self._where = where
        self._at = 0
        self._found = hashlib.sha256()
        self._n_hashed = 0

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
        """Fill `buffer` from here on, and return how many bytes there were.

        Raises
        ------
        ObjectCorruptedError
            The object ends before its size, or is another one than was stored.
        """
        target = memoryview(buffer).cast("B")
        length = min(target.nbytes, max(0, self._size - self._at))
        if length == 0:
            return 0
        with naming(self._where):
            found = self._store.get_range(self._path, self._at, length)
            if not found.nbytes:
                raise _damaged(self._path, f"it ends at byte {self._at} of {self._size}")
            self._check(found)
        target[: found.nbytes] = found
        self._at += found.nbytes
        return found.nbytes

    def _check(self, found: memoryview) -> None:
        """Hash what continues what was hashed, and compare at the end."""
        if self._sha256 is None or self._at > self._n_hashed:
            return
        following = found[self._n_hashed - self._at :]
        self._found.update(following)
        self._n_hashed += following.nbytes
        if self._n_hashed == self._size and self._found.hexdigest() != self._sha256:
            raise _damaged(self._path, "its hash is another")


def open_object(
    store: ObjectStore,
    path: str,
    mode: str,
    size: int | None = None,
    sha256: str | None = None,
    where: str = "",
) -> IO[bytes] | IO[str]:
    """Open an object for reading: `rb`, or `r` for text in UTF-8.

    Parameters
    ----------
    size, sha256
        Of what was stored there; None: not known.
    where
        The row and the store, for messages of the file; "": they do not name them.

    Raises
    ------
    ObjectMissingError
        There is none.
    ObjectCorruptedError
        It has another size.
    UsageError
        The mode is another one: objects are never changed.
    """
    if mode not in {"rb", "r", "rt"}:
        message = f'mode {mode!r}: an object is never changed; "rb" reads bytes, and "r" text'
        raise UsageError(message)
    found = store.stat(path).size
    if size is not None and found != size:
        raise _damaged(path, f"it has {found} of {size} bytes")
    raw = StoredFile(store, path, found, sha256, where)
    binary = io.BufferedReader(raw, buffer_size=BUFFER_BYTES)
    return cast("IO[bytes]", binary) if mode == "rb" else io.TextIOWrapper(binary, encoding="utf-8")


def _damaged(path: str, problem: str) -> ObjectCorruptedError:
    message = (
        f"the object at {path} is not the one that was stored: {problem}; restore it from a backup"
    )
    return ObjectCorruptedError(message)

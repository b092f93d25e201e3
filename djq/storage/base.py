"""`ObjectStore`, the contract of every store, and what each failure means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

from djq.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What S3 allows, too [bytes].
MAX_PATH_BYTES: Final = 1024
_MAX_NAME_BYTES: Final = 255
_FORBIDDEN: Final = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")


class ObjectStore(Protocol):
    """Named bytes: a folder, a bucket.

    Paths are relative, separated by `/`, and checked by `check_path`. Every method may be called
    from several threads and processes at once. What each failure means, for all methods:

    ObjectMissingError
        Nothing lies at this path (`get`, `get_range`, `size`).
    StoreUnavailableError
        The store did not answer, or is overloaded, also after the retries that the implementation
        makes; trying again later may help, and does no harm.
    StorageError
        Anything else: a malformed path, a full disk, missing rights. Trying again does not help.
    """

    def put(self, path: str, data: bytes) -> None:
        """Store `data` at `path`, replacing what was there.

        When this returns, the object survives a crash of the machine. Readers, and a crash at any
        moment, see the old object or the new one, whole.
        """
        ...

    def get(self, path: str) -> bytes:
        """Return the object at `path`."""
        ...

    def get_range(self, path: str, start: int, length: int) -> bytes:
        """Return `length` bytes from `start` on; fewer where the object ends before."""
        ...

    def exists(self, path: str) -> bool:
        """Return whether an object lies at `path`."""
        ...

    def size(self, path: str) -> int:
        """Return the object's size [bytes]."""
        ...

    def delete(self, path: str) -> None:
        """Remove the object at `path`; nothing happens if there is none."""
        ...

    def list(self, prefix: str = "") -> Iterator[str]:
        """Yield the paths of all objects in the folder `prefix`, at any depth, in any order."""
        ...


def check_path(path: str) -> str:
    """Return `path` if it names an object inside of a store, on every store alike.

    Raises
    ------
    StorageError
        The path is empty, absolute, too long, leaves the store (`..`), or has an empty part or
        characters that some store does not keep.
    """
    names = path.split("/")
    is_wrong = (
        any(name in {"", ".", ".."} or _n_bytes(name) > _MAX_NAME_BYTES for name in names)
        or _n_bytes(path) > MAX_PATH_BYTES
        or _FORBIDDEN.search(path) is not None
    )
    if is_wrong:
        message = (
            f"{path[:200]!r} is not a path inside of a store: write names of at most "
            f"{_MAX_NAME_BYTES} bytes, separated by single slashes, without "
            f'"..", backslashes and control characters, at most {MAX_PATH_BYTES} bytes in all'
        )
        raise StorageError(message)
    return path


def _n_bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))

"""`ObjectStore`, the contract of every store, and what each failure means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from djq.errors import ObjectMissingError, StorageError
from djq.storage.buffers import PIECE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from djq.storage.buffers import Data

#: What S3 allows, too [bytes].
MAX_PATH_BYTES: Final = 1024
_MAX_NAME_BYTES: Final = 255
_FORBIDDEN: Final = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Stat:
    """What a store knows about an object without reading it."""

    path: str
    #: [bytes]
    size: int
    #: When it was last put, by the store's own clock, UTC. A store that does not know it says now:
    #: an object of unknown age is never old enough to be collected.
    modified: datetime


class ObjectStore(Protocol):
    """Named bytes: a folder, a bucket.

    Paths are relative, separated by `/`, and checked by `check_path`. Every method may be called
    from several threads and processes at once. What each failure means, for all methods:

    ObjectMissingError
        Nothing lies at this path (all that reads).
    StoreUnavailableError
        The store did not answer, or is overloaded, also after the retries that the implementation
        makes; trying again later may help, and does no harm.
    StorageError
        Anything else: a malformed path, a full disk, missing rights. Trying again does not help.

    What is read is a `memoryview` of bytes (format "B", one dimension) that nobody else writes to.
    """

    def put(self, path: str, data: Data) -> None:
        """Store `data` at `path`, replacing what was there; parts one after the other.

        When this returns, the object survives a crash of the machine, as far as the store promises
        that. Readers, and a crash at any moment, see the old object or the new one, whole. An
        error in an iterator of parts is raised as it is, and the old object stays.
        """
        ...

    def get(self, path: str) -> memoryview:
        """Return the object at `path`, whole: never parts of two versions."""
        ...

    def get_range(self, path: str, start: int, length: int) -> memoryview:
        """Return `length` bytes from `start` on; fewer where the object ends before."""
        ...

    def get_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        """Return the bytes from start to stop (exclusive) of each of `ranges`, in their order.

        Neighbours are read at once, and the others at the same time where that helps. Ranges end
        where the object ends.
        """
        ...

    def iterate(self, path: str, chunk_bytes: int = PIECE_BYTES) -> Iterator[memoryview]:
        """Yield the object in chunks of `chunk_bytes`, the last one smaller, in flat memory.

        An object that is replaced meanwhile raises StoreUnavailableError, or is read to its end
        as it was.
        """
        ...

    def stat(self, path: str) -> Stat:
        """Return the object's size and when it was put."""
        ...

    def delete(self, path: str) -> None:
        """Remove the object at `path`; nothing happens if there is none."""
        ...

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """Yield all objects in the folder `prefix`, at any depth, in any order.

        Objects that come or go meanwhile may be left out; one that was there all the time is not:
        a listing that cannot be completed raises, and never ends early.
        """
        ...


def exists(store: ObjectStore, path: str) -> bool:
    """Return whether an object lies at `path`."""
    try:
        store.stat(path)
    except ObjectMissingError:
        return False
    return True


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

"""Content addresses: an object is named after its bytes, written once, and verified when read."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from djq.errors import (
    ObjectCorruptedError,
    ObjectMissingError,
    StorageError,
    StoreUnavailableError,
    UsageError,
)
from djq.storage.buffers import pieces, source_errors
from djq.storage.clock import StoreClock
from djq.storage.sweeps import SweepWatch
from djq.storage.transfers import N_THREADS

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from djq.storage.base import ObjectStore
    from djq.storage.buffers import Data

#: The folder of content-addressed objects within a store, beside whatever else is kept there.
FOLDER: Final = "hash"
ALGORITHM: Final = "sha256"
#: Folders of at most some thousand entries for a million objects.
_N_FOLDER_DIGITS: Final = 2
#: The first may take an upload's time, the second only a question's.
_N_LOOKS: Final = 5
_ADDRESS: Final = re.compile(
    rf"{FOLDER}/(?P<head>[0-9a-f]{{2}})/(?P<digest>(?P=head)[0-9a-f]{{62}})"
)
#: An object that was put so lately is as good as new. Garbage collection must wait longer, by what
#: the longest transaction takes.
FRESH: Final = timedelta(hours=1)
#: What DataJoint writes: the MD5 of the content in base32, in lower case, without padding.
_DATAJOINT_HASH: Final = re.compile("[a-z2-7]{26}")


@dataclass(frozen=True, slots=True)
class Reference:
    """What a row holds instead of an object's bytes."""

    #: The store's name in the settings.
    store: str
    path: str
    #: `sha256:` and 64 hexadecimal digits; DataJoint's have no kind.
    hash: str
    #: [bytes]
    size: int

    def to_json(self) -> dict[str, Any]:
        """Return the reference as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, obj: object) -> Reference:
        """Return the reference that `to_json` wrote.

        Raises
        ------
        StorageError
            `obj` is something else.
        """
        text = str(obj)
        if isinstance(obj, dict):
            fields = cast("Mapping[str, Any]", obj)
            values = [fields.get(name) for name in ("store", "path", "hash", "size")]
            if [type(value) for value in values] == [str, str, str, int]:
                return cls(*cast("list[Any]", values))
        message = f"{text[:200]} is not a reference to an object; the row was not written by djq"
        raise StorageError(message)


class ContentStore:
    """A store under the name that definitions use for it.

    Parameters
    ----------
    name
        The store's name in the settings.
    store
        Where its objects lie.
    n_threads
        How many objects are put or got at once, if nobody says otherwise.

    Attributes
    ----------
    clock
        The store's clock, by which the ages of its objects count.
    sweeps
        What collections of garbage are about to delete.
    """

    def __init__(self, name: str, store: ObjectStore, n_threads: int = N_THREADS) -> None:
        self.name = name
        self.store = store
        self.n_threads = n_threads
        self.clock: StoreClock = StoreClock(store)
        self.sweeps: SweepWatch = SweepWatch(store, self.clock)

    def __repr__(self) -> str:
        """Return the name and the store."""
        return f"ContentStore({self.name!r}, {self.store!r})"

    def put(self, data: Data) -> Reference:
        """Store `data` under its content address, once; afterwards it survives a crash.

        Call it *before* the row that holds the reference is inserted: a crash in between leaves an
        object that nothing refers to, never a row without its object. From here on the object is
        at most an hour old, or new: garbage collection, which takes only older ones, leaves time
        to insert the row.

        Parameters
        ----------
        data
            What can be read twice: for its address, and to store it. Anything but a buffer, a list
            or a tuple is checked to be the same the second time.

        Raises
        ------
        UsageError
            `data` is an iterator, which can be read only once.
        StoreUnavailableError
            The store did not answer; trying again may help.
        StorageError
            The store refused, or `data` changed while it was stored.
        """
        if isinstance(data, Iterator):
            message = "an iterator has no content address: it can be read once; give its parts"
            raise UsageError(message)
        digest, size = _digest(data)
        path = f"{FOLDER}/{digest[:_N_FOLDER_DIGITS]}/{digest}"
        for _ in range(_N_LOOKS):
            looked = self.sweeps.avoid(path)
            if not self._keeps(path, size):
                is_steady = isinstance(data, bytes | bytearray | memoryview | list | tuple)
                self.store.put(path, data if is_steady else _unchanged(data, digest))
            # Else it took so long that a collection may have been announced and over.
            if self.sweeps.holds(looked):
                return Reference(self.name, path, f"{ALGORITHM}:{digest}", size)
        message = f'store "{self.name}" answers too slowly to be sure that {path} stays; try again'
        raise StoreUnavailableError(message)

    def get(self, reference: Reference) -> memoryview:
        """Return the object, verified against its size and hash.

        Raises
        ------
        ObjectMissingError
            Nothing lies at the address.
        ObjectCorruptedError
            The bytes there are others than those that were stored.
        StoreUnavailableError
            The store did not answer; trying again may help.
        """
        check = _Check(reference)
        with _missing(reference):
            data = self.store.get(reference.path)
        check.update(data)
        check.finish()
        return data

    def iterate(self, reference: Reference) -> Iterator[memoryview]:
        """Yield the object in chunks, in flat memory; the errors are those of `get`.

        Whether it is damaged is known behind its last chunk: keep nothing before the end.
        """
        check = _Check(reference)
        with _missing(reference):
            for chunk in self.store.iterate(reference.path):
                check.update(chunk)
                yield chunk
        check.finish()

    def _keeps(self, path: str, size: int) -> bool:
        """Return whether the object is there, and will not be collected before the row is.

        One of another size is damaged, and an old one may be about to be collected, since nothing
        refers to it yet: both are written again.
        """
        try:
            found = self.store.stat(path)
        except ObjectMissingError:
            return False
        return found.size == size and self.clock.now() - found.modified < FRESH


def digest_in(path: str) -> str | None:
    """Return the SHA-256 that a content address names; None: the path is none of djq's."""
    match = _ADDRESS.fullmatch(path)
    return match["digest"] if match else None


class _Check:
    """The size and hash of an object as far as it was read."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        algorithm, separator, _ = reference.hash.partition(":")
        self._is_datajoint = not separator and bool(_DATAJOINT_HASH.fullmatch(reference.hash))
        if not self._is_datajoint and (algorithm != ALGORITHM or not separator):
            message = (
                f'store "{reference.store}": the hash of {reference.path} is of unknown kind '
                f'"{algorithm[:40]}"; update djq'
            )
            raise StorageError(message)
        self._hash = hashlib.md5(usedforsecurity=False) if self._is_datajoint else hashlib.sha256()
        self._size = 0

    def update(self, data: memoryview) -> None:
        self._hash.update(data)
        self._size += data.nbytes

    def finish(self) -> None:
        """Refuse an object that is not the one that was stored."""
        wanted = self._reference
        if self._size != wanted.size or self._found != wanted.hash:
            message = (
                f'store "{wanted.store}": the object at {wanted.path} is damaged: it has '
                f"{self._size} of {wanted.size} bytes, and another hash than its address says; "
                "restore it from a backup"
            )
            raise ObjectCorruptedError(message)

    @property
    def _found(self) -> str:
        if self._is_datajoint:
            return base64.b32encode(self._hash.digest()).rstrip(b"=").lower().decode()
        return f"{ALGORITHM}:{self._hash.hexdigest()}"


@contextmanager
def _missing(reference: Reference) -> Generator[None]:
    """Say which object is missing, of which store."""
    try:
        yield
    except ObjectMissingError as error:
        message = (
            f'store "{reference.store}": no object at {reference.path}; '
            "it was removed, or never written here"
        )
        raise ObjectMissingError(message) from error


def _digest(data: Data) -> tuple[str, int]:
    """Return the SHA-256 of `data`, part by part, and its size [bytes]."""
    sha256, size = hashlib.sha256(), 0
    with source_errors():
        for piece in pieces(data):
            sha256.update(piece)
            size += piece.nbytes
    return sha256.hexdigest(), size


def _unchanged(data: Data, digest: str) -> Iterator[memoryview]:
    """Yield the pieces of `data`, and fail before the end if they are not those of `digest`."""
    sha256 = hashlib.sha256()
    last = memoryview(b"")
    for piece in pieces(data):
        sha256.update(piece)
        yield last
        last = piece
    if sha256.hexdigest() != digest:
        message = "the data changed while it was stored, and was not stored; try again"
        raise StorageError(message)
    yield last

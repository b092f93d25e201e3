"""Content addresses: an object is named after its bytes, written once, and verified when read."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from djq.errors import ObjectCorruptedError, ObjectMissingError, StorageError
from djq.storage.buffers import pieces

if TYPE_CHECKING:
    from collections.abc import Mapping

    from djq.storage.base import ObjectStore
    from djq.storage.buffers import Data

#: The folder of content-addressed objects within a store, beside whatever else is kept there.
FOLDER: Final = "hash"
ALGORITHM: Final = "sha256"
#: Folders of at most some thousand entries for a million objects.
_N_FOLDER_DIGITS: Final = 2


@dataclass(frozen=True, slots=True)
class Reference:
    """What a row holds instead of an object's bytes."""

    #: The store's name in the settings.
    store: str
    path: str
    #: `sha256:` and 64 hexadecimal digits.
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
    """

    def __init__(self, name: str, store: ObjectStore) -> None:
        self.name = name
        self.store = store

    def __repr__(self) -> str:
        """Return the name and the store."""
        return f"ContentStore({self.name!r}, {self.store!r})"

    def put(self, data: Data) -> Reference:
        """Store `data` under its content address, once; afterwards it survives a crash.

        Call it *before* the row that holds the reference is inserted: a crash in between leaves an
        object that nothing refers to, never a row without its object.

        Raises
        ------
        StoreUnavailableError
            The store did not answer; trying again may help.
        StorageError
            The store refused.
        """
        digest, size = _digest(data)
        path = f"{FOLDER}/{digest[:_N_FOLDER_DIGITS]}/{digest}"
        if not self._has(path, size):
            self.store.put(path, data)
        return Reference(self.name, path, f"{ALGORITHM}:{digest}", size)

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
        try:
            data = self.store.get(reference.path)
        except ObjectMissingError as error:
            message = (
                f'store "{reference.store}": no object at {reference.path}; '
                "it was removed, or never written here"
            )
            raise ObjectMissingError(message) from error
        algorithm, _, digest = reference.hash.partition(":")
        if algorithm != ALGORITHM:
            message = (
                f'store "{reference.store}": the hash of {reference.path} is of unknown kind '
                f'"{algorithm[:40]}"; update djq'
            )
            raise StorageError(message)
        if len(data) != reference.size or hashlib.sha256(data).hexdigest() != digest:
            message = (
                f'store "{reference.store}": the object at {reference.path} is damaged: it has '
                f"{len(data)} of {reference.size} bytes, and another hash than its address says; "
                "restore it from a backup"
            )
            raise ObjectCorruptedError(message)
        return data

    def _has(self, path: str, size: int) -> bool:
        """Return whether the object is there; one of another size is damaged, to be replaced."""
        try:
            return self.store.stat(path).size == size
        except ObjectMissingError:
            return False


def _digest(data: Data) -> tuple[str, int]:
    """Return the SHA-256 of `data`, part by part, and its size [bytes]."""
    sha256, size = hashlib.sha256(), 0
    for piece in pieces(data):
        sha256.update(piece)
        size += piece.nbytes
    return sha256.hexdigest(), size

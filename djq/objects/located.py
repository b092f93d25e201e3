"""An object of a row that was fetched: where it lies, and how to read all or parts of it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from djq.errors import ObjectCorruptedError, ObjectMissingError, StorageError
from djq.settings import load
from djq.storage.content import ALGORITHM, ContentStore
from djq.storage.filesystem import FolderStore
from djq.storage.open import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from djq.objects.rowplace import RowPlace
    from djq.storage.content import Reference


@dataclass(frozen=True)
class StoredObject:
    """An object, which outlives the connection by which its row was fetched.

    It pickles as its address: a folder is the same folder in the other process (of this machine),
    any other store is opened there by the settings of that process, so that no password travels.
    """

    content: ContentStore
    reference: Reference
    #: The row that it was fetched from, which errors name; None: from none.
    row: RowPlace | None = field(default=None, compare=False)

    @property
    def where(self) -> str:
        """How messages call it."""
        return (
            f"{self.row}: " if self.row else ""
        ) + f'store "{self.content.name}", object {self.reference.path}'

    def get(self) -> memoryview:
        """Return the whole object, verified.

        Raises
        ------
        ObjectMissingError, ObjectCorruptedError, StoreUnavailableError
            As for `ContentStore.get`.
        """
        with self._telling():
            return self.content.get(self.reference)

    def ranges(self, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        """Return the bytes from start to stop of each of `ranges`, unverified.

        Raises
        ------
        ObjectMissingError
            There is no such object.
        ObjectCorruptedError
            It ends before.
        StoreUnavailableError
            The store did not answer; trying again may help.
        """
        with self._telling():
            found = self.content.store.get_ranges(self.reference.path, ranges)
        for (start, stop), view in zip(ranges, found, strict=True):
            if view.nbytes != stop - start:
                how = f"it is cut off before byte {stop}"
                raise self.damaged(how)
        return found

    def first(self, n_bytes: int) -> memoryview:
        """Return the first bytes, fewer if there are no more."""
        with self._telling():
            return self.content.store.get_range(self.reference.path, 0, n_bytes)

    @contextmanager
    def _telling(self) -> Generator[None]:
        try:
            yield
        except ObjectMissingError as error:
            message = f"{self.where}: there is none; it was removed, or never written here"
            raise ObjectMissingError(message) from error
        except StorageError as error:
            message = f"{self.where}: {error}"
            raise type(error)(message) from error

    def damaged(self, how: object) -> ObjectCorruptedError:
        """Return the error that says what is wrong with the object."""
        message = f"{self.where}: {how}; restore the object from a backup"
        return ObjectCorruptedError(message)

    def check(self, sha256: str) -> None:
        """Refuse what was read, whole, if it has another hash than its address says.

        Raises
        ------
        ObjectCorruptedError
            It has.
        """
        if f"{ALGORITHM}:{sha256}" != self.reference.hash:
            how = "it has another hash than its address says"
            raise self.damaged(how)

    def is_another(self, found: object, expected: object) -> ObjectCorruptedError:
        """Return the error that the object is not what its row says."""
        return self.damaged(f"it holds {found}, and its row says {expected}")

    def __reduce__(
        self,
    ) -> tuple[
        Callable[..., StoredObject], tuple[str, FolderStore | None, Reference, RowPlace | None]
    ]:
        """Pickle the address."""
        store = self.content.store
        folder = store if isinstance(store, FolderStore) else None
        return reopen, (self.content.name, folder, self.reference, self.row)


def reopen(
    name: str, folder: FolderStore | None, reference: Reference, row: RowPlace | None = None
) -> StoredObject:
    """Return an object that another process pickled.

    Raises
    ------
    ConfigError
        This process's settings do not know its store.
    """
    return StoredObject(_reopened(name, folder), reference, row)


@dataclass(frozen=True)
class Reopening:
    """What opens the store of a handle that another process pickled, when it is first asked.

    It pickles as `StoredObject` does: a folder goes along, and nothing of any other store.
    """

    folder: FolderStore | None
    _opened: dict[str, ContentStore] = field(
        default_factory=dict[str, ContentStore], init=False, repr=False, compare=False
    )

    @classmethod
    def of(cls, content: ContentStore) -> Reopening:
        """Return what opens this store elsewhere."""
        return cls(content.store if isinstance(content.store, FolderStore) else None)

    def __call__(self, name: str) -> ContentStore:
        """Return the store.

        Raises
        ------
        ConfigError
            This process's settings do not know it.
        """
        if name not in self._opened:
            self._opened[name] = _reopened(name, self.folder)
        return self._opened[name]


def _reopened(name: str, folder: FolderStore | None) -> ContentStore:
    return open_store(name, load().store(name)) if folder is None else ContentStore(name, folder)

"""Objects of one row that are written before there is the row."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, Final, Protocol

from djq.errors import UsageError
from djq.objects import manifest, uploads
from djq.objects.handle import ObjectRef, fsspec_door
from djq.objects.managed import described, store_at
from djq.objects.manifest import Member
from djq.objects.places import new_path
from djq.storage.content import FRESH

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from djq.codecs.codec import Context
    from djq.storage.base import ObjectStore
    from djq.storage.content import ContentStore

_MODES: Final = {"wb": "wb", "w+b": "w+b", "wb+": "w+b", "w": "w", "wt": "w"}


class Stage(Protocol):
    """What becomes the object of one attribute."""

    def finish(self) -> ObjectRef:
        """Complete the object, and return what the row will say of it."""
        ...

    def discard(self) -> None:
        """Remove what is in the store."""
        ...


class LocalStage:
    """A file or folder of this machine, which goes into the store as a whole at the end.

    Parameters
    ----------
    path
        Where it is, or will be, on this machine.
    ext
        Of the object.
    context
        Gives the attribute's place, when the row's key is known.
    """

    def __init__(self, path: Path, ext: str, context: Callable[[], Context]) -> None:
        self.local = path
        self._ext = ext
        self._context = context
        self._file: IO[Any] | None = None
        self._written: tuple[ObjectStore, str] | None = None

    def open(self, mode: str) -> IO[Any]:
        """Open the file for writing.

        Raises
        ------
        UsageError
            The mode is not one for writing.
        """
        if mode not in _MODES:
            message = f'mode {mode!r}: a new object is written; "wb" takes bytes, and "w" text'
            raise UsageError(message)
        encoding = "utf-8" if _MODES[mode] == "w" else None
        self._file = self.local.open(_MODES[mode], encoding=encoding)
        return self._file

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._file is not None:
            self._file.close()

    def finish(self) -> ObjectRef:
        """Store the file or folder."""
        self.close()
        context = self._context()
        path = new_path(context, self._ext)
        self._written = context.open_store(context.store_name or "").store, path
        return store_at(path, self.local, self._ext, context)

    def discard(self) -> None:
        """Remove what was stored."""
        self.close()
        if self._written is not None:
            _remove(*self._written)


class StoreStage:
    """A folder in the store, which is written to as a mapping.

    Parameters
    ----------
    context
        The attribute's place.
    ext
        Of the object.
    """

    def __init__(self, context: Context, ext: str) -> None:
        self._content: ContentStore = context.open_store(context.store_name or "")
        self._ext = ext
        self._path = new_path(context, ext)
        self.mapping: Any = fsspec_door("mapping")(
            self._content.store, self._path, is_writable=True
        )

    def finish(self) -> ObjectRef:
        """Write the manifest, of what is there; sizes are known, and hashes are not."""
        store = self._content.store
        found = list(store.list(self._path))
        now = self._content.clock.now() if found else None
        for stat in found:
            # Garbage collection takes objects for abandoned that have no row for a long time.
            if now is not None and now - stat.modified > FRESH:
                store.put(stat.path, store.iterate(stat.path))
        skip = len(self._path) + 1
        members = [Member(stat.path[skip:], stat.size) for stat in found]
        done = uploads.put_manifest(store, self._path, members)
        return described(done, self._path, self._ext, self._content)

    def discard(self) -> None:
        """Remove what is there."""
        _remove(self._content.store, self._path)


def _remove(store: ObjectStore, path: str) -> None:
    for found in [each.path for each in store.list(path)]:
        store.delete(found)
    store.delete(path + manifest.SUFFIX)
    store.delete(path)

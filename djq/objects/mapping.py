"""A store as a file system of fsspec: for zarr, xarray and whatever else opens one.

Loaded by name only, since fsspec is optional.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, ClassVar, Final

from fsspec import AbstractFileSystem  # pyright: ignore[reportMissingTypeStubs]
from fsspec.mapping import FSMap  # pyright: ignore[reportMissingTypeStubs]

from djq.errors import ObjectMissingError
from djq.objects.reading import open_object
from djq.objects.uploads import parts_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from djq.storage.base import ObjectStore

#: What is written as a file stays in memory up to this size [bytes].
_SPOOL_BYTES: Final = 16 << 20


def mapping(store: ObjectStore, root: str, *, is_writable: bool = False) -> Any:  # noqa: ANN401
    """Return the folder `root` of a store as a mapping of names to bytes."""
    system = StoreFileSystem(store, writable=root if is_writable else None)
    return FSMap(root, system)


#: fsspec has no types.
_System: Any = AbstractFileSystem


class StoreFileSystem(_System):  # type: ignore[misc]
    """The objects of one store as files; folders are there as far as files are in them.

    Parameters
    ----------
    store
        Where they lie.
    writable
        The one folder that can be written to; None: nothing can, since rows refer to it.
    """

    protocol: ClassVar[str] = "djq"
    #: Two stores are two file systems, whatever their arguments look like.
    cachable: ClassVar[bool] = False

    def __init__(
        self,
        store: ObjectStore,
        writable: str | None = None,
        **options: Any,  # noqa: ANN401 - fsspec's
    ) -> None:
        super().__init__(**options)  # pyright: ignore[reportUnknownMemberType]
        self._store = store
        self._writable = writable

    def info(self, path: str, **_: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return name, size and type of a file or folder; FileNotFoundError: there is none."""
        path = _plain(path)
        if not path:
            return _folder("")
        try:
            found = self._store.stat(path)
        except ObjectMissingError as error:
            if any(True for _ in self._store.list(path)):
                return _folder(path)
            raise FileNotFoundError(path) from error
        return {**_file(path, found.size), "mtime": found.modified}

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:  # noqa: ANN401
        """Return what is in a folder; FileNotFoundError: there is none."""
        path = _plain(path)
        start = len(path) + 1 if path else 0
        found: dict[str, dict[str, Any]] = {}
        for stat in self._store.list(path):
            name, slash, _rest = stat.path[start:].partition("/")
            full = stat.path[:start] + name
            found[full] = _folder(full) if slash else _file(full, stat.size)
        if not found and path:
            found[path] = self.info(path)
        entries = [found[name] for name in sorted(found)]
        return entries if detail else [entry["name"] for entry in entries]

    def find(self, path: str, **options: Any) -> Any:  # noqa: ANN401
        """Return all files below a folder, of one listing."""
        path = _plain(path)
        if any(options.get(name) for name in ("maxdepth", "withdirs")):
            return super().find(path, **options)  # pyright: ignore
        files = {stat.path: _file(stat.path, stat.size) for stat in self._store.list(path)}
        names = sorted(files)
        return {name: files[name] for name in names} if options.get("detail") else names

    def cat_file(
        self,
        path: str,
        start: int | None = None,
        end: int | None = None,
        **_: Any,  # noqa: ANN401
    ) -> bytes:
        """Return a file's bytes, or those from `start` to `end`; negative: from its end."""
        path = _plain(path)
        with _their_errors(path):
            if start is None and end is None:
                return bytes(self._store.get(path))
            size = self._store.stat(path).size
            first, last, _step = slice(start, end).indices(size)
            return bytes(self._store.get_range(path, first, max(0, last - first)))

    def pipe_file(self, path: str, value: Any, mode: str = "overwrite", **_: Any) -> None:  # noqa: ANN401
        """Write a file."""
        path = self._check_writable(path)
        if mode == "create" and self.exists(path):
            raise FileExistsError(path)
        self._store.put(path, value)

    def rm_file(self, path: str) -> None:
        """Remove a file."""
        self._store.delete(self._check_writable(path))

    def rm(
        self, path: str | list[str], recursive: bool = False, maxdepth: int | None = None
    ) -> None:
        """Remove files, or folders if `recursive`."""
        del maxdepth
        for each in [path] if isinstance(path, str) else path:
            for name in self.find(each) if recursive and self.isdir(each) else [each]:
                self.rm_file(name)

    def mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:  # noqa: ANN401
        """Do nothing: folders come with the files in them."""

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Do nothing: folders come with the files in them."""

    def _open(self, path: str, mode: str = "rb", **_: Any) -> IO[Any]:  # noqa: ANN401
        if mode == "wb":
            return _Outgoing(self._store, self._check_writable(path))
        with _their_errors(path):
            return open_object(self._store, _plain(path), mode)

    def _check_writable(self, path: str) -> str:
        path = _plain(path)
        if self._writable is None or not path.startswith(f"{self._writable}/"):
            message = (
                f"{path} is not written: objects of rows are never changed; "
                "staged_insert1 writes new ones"
            )
            raise PermissionError(message)
        return path


class _Outgoing(tempfile.SpooledTemporaryFile[bytes]):
    """A file that is written here first, and put into the store when it is closed."""

    def __init__(self, store: ObjectStore, path: str) -> None:
        super().__init__(max_size=_SPOOL_BYTES)
        self._target = store, path

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        if not self.closed:
            store, path = self._target
            self.seek(0)
            try:
                store.put(path, parts_of(self))
            finally:
                super().close()


def _plain(path: str) -> str:
    return path.removeprefix("djq://").strip("/")


def _file(path: str, size: int) -> dict[str, Any]:
    return {"name": path, "size": size, "type": "file"}


def _folder(path: str) -> dict[str, Any]:
    return {"name": path, "size": 0, "type": "directory"}


@contextmanager
def _their_errors(path: str) -> Generator[None]:
    try:
        yield
    except ObjectMissingError as error:
        raise FileNotFoundError(path) from error

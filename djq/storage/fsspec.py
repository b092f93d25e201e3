"""Any file system that fsspec knows as a store."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol, cast
from urllib.parse import urlsplit

import fsspec  # pyright: ignore[reportMissingTypeStubs]

from djq.errors import (
    ConfigError,
    DjqError,
    ObjectMissingError,
    StorageError,
    StoreUnavailableError,
)
from djq.storage.base import Stat, check_path
from djq.storage.buffers import PIECE_BYTES, SourceError, coalesce, cut, pieces, source_errors
from djq.storage.filesystem import TEMPORARY, TRANSIENT
from djq.storage.retries import retried

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from djq.settings import StoreSettings

    class _File(Protocol):
        def read(self, n_bytes: int) -> bytes: ...
        def write(self, data: memoryview) -> int: ...

    class _FileSystem(Protocol):
        """What is used of fsspec's file systems, which have no types."""

        def open(self, path: str, mode: str) -> AbstractContextManager[_File]: ...
        def cat_file(
            self, path: str, start: int | None = None, end: int | None = None
        ) -> bytes: ...
        def info(self, path: str) -> Mapping[str, Any]: ...
        def modified(self, path: str) -> datetime: ...
        def ls(self, path: str, detail: bool) -> Sequence[Mapping[str, Any]]: ...
        def makedirs(self, path: str, exist_ok: bool) -> None: ...
        def mv(self, path1: str, path2: str) -> None: ...
        def rm_file(self, path: str) -> None: ...
        def invalidate_cache(self) -> None: ...

    from djq.storage.buffers import Data

_fsspec: Final = cast("Any", fsspec)
#: How file systems call the time of the last write.
_TIMES: Final = ("mtime", "LastModified", "last_modified", "updated", "modified")


class FsspecStore:
    """Objects as files below one folder of a file system.

    An object is written under another name and moved to its own, so that it is whole or absent as
    far as a move of this file system is. Whether it survives a crash is up to the file system.

    Parameters
    ----------
    connect
        Returns the file system; asked for once in each process, since connections and threads do
        not survive a fork.
    root
        The folder, in the file system's own spelling.
    address
        How messages call it.
    """

    def __init__(self, connect: Callable[[], _FileSystem], root: str, address: str) -> None:
        self._connect = connect
        self._root = root.rstrip("/")
        self._address = address
        self._connected: tuple[int, _FileSystem] | None = None

    def __repr__(self) -> str:
        """Return the address."""
        return f"FsspecStore({self._address!r})"

    @retried
    def put(self, path: str, data: Data) -> None:
        """Write the object to a temporary file, and move it to its place."""
        target = self._locate(path)
        temporary = f"{self._root}/{TEMPORARY}/{secrets.token_hex(16)}"
        with source_errors(), self._our_errors("put", path) as files:
            self._refuse_folders(path, files)
            files.makedirs(temporary.rpartition("/")[0], exist_ok=True)
            files.makedirs(target.rpartition("/")[0], exist_ok=True)
            try:
                with files.open(temporary, "wb") as file:
                    for piece in pieces(data):
                        file.write(piece)
                files.mv(temporary, target)
            except BaseException:
                with suppress(Exception):
                    files.rm_file(temporary)
                raise

    @retried
    def get(self, path: str) -> memoryview:
        """Return the object at `path`."""
        with self._our_errors("get", path) as files:
            return memoryview(files.cat_file(self._locate(path)))

    def get_range(self, path: str, start: int, length: int) -> memoryview:
        """Return at most `length` bytes from `start` on."""
        return self.get_ranges(path, [(start, start + length)])[0]

    @retried
    def get_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        """Return the bytes of each range, neighbours read at once."""
        size = self.stat(path).size
        read: list[tuple[int, memoryview]] = []
        with self._our_errors("get", path) as files:
            # File systems differ in what they answer behind the end.
            for start, stop in coalesce([(start, min(stop, size)) for start, stop in ranges]):
                data = files.cat_file(self._locate(path), start=start, end=stop)
                read.append((start, memoryview(data)))
        return cut(ranges, read)

    def iterate(self, path: str, chunk_bytes: int = PIECE_BYTES) -> Iterator[memoryview]:
        """Yield the object in chunks, as long as it stays the same."""
        found = self._info(path)
        for start in range(0, found["size"], chunk_bytes):
            chunk = self.get_range(path, start, chunk_bytes)
            if self._info(path) != found:
                message = (
                    f"{path!r} in {self._address} was replaced while it was read; read it again"
                )
                raise StoreUnavailableError(message)
            yield chunk

    @retried
    def stat(self, path: str) -> Stat:
        """Return the object's size and time."""
        found = self._info(path)
        with self._our_errors("stat", path) as files:
            return Stat(path, found["size"], _modified(files, found))

    @retried
    def delete(self, path: str) -> None:
        """Remove the object at `path`, if there is one."""
        target = self._locate(path)
        try:
            with self._our_errors("delete", path) as files:
                if files.info(target)["type"] != "directory":
                    files.rm_file(target)
        except ObjectMissingError:
            return

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """Yield all objects in the folder `prefix`."""
        folders = [check_path(prefix) if prefix else ""]
        with self._our_errors("list", prefix) as files:
            files.invalidate_cache()
            while folders:
                folder = folders.pop()
                for found in _entries(files, f"{self._root}/{folder}".rstrip("/")):
                    name = found["name"].rstrip("/").rpartition("/")[2]
                    path = f"{folder}/{name}" if folder else name
                    if path == TEMPORARY:
                        continue
                    if found["type"] == "directory":
                        folders.append(path)
                    else:
                        yield Stat(path, found["size"], _modified(files, found))

    def _locate(self, path: str) -> str:
        if check_path(path).split("/", 1)[0] == TEMPORARY:
            message = f"{path!r} is reserved for objects on their way in"
            raise StorageError(message)
        return f"{self._root}/{path}"

    def _info(self, path: str) -> Mapping[str, Any]:
        """Return all that is known of a file, but for when it was read last."""
        with self._our_errors("stat", path) as files:
            found = files.info(self._locate(path))
            if found["type"] == "directory":
                raise IsADirectoryError(path)
            return {name: value for name, value in found.items() if name != "time"}

    def _refuse_folders(self, path: str, files: _FileSystem) -> None:
        """Raise if the object would lie on a folder, into which a file might be moved instead."""
        with suppress(FileNotFoundError):
            if files.info(self._locate(path))["type"] == "directory":
                raise IsADirectoryError(path)

    def _files(self) -> _FileSystem:
        if self._connected is None or self._connected[0] != os.getpid():
            self._connected = os.getpid(), self._connect()
        return self._connected[1]

    @contextmanager
    def _our_errors(self, verb: str, path: str) -> Generator[_FileSystem]:
        where = f"{verb} {path!r} in {self._address}"
        try:
            yield self._files()
        except (DjqError, SourceError):
            raise
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError, FileExistsError) as error:
            if verb == "put":
                message = f"{where}: a part of it is an object and a folder at once, or vanished"
                raise StorageError(message) from error
            message = f"no object at {path!r} in {self._address}"
            raise ObjectMissingError(message) from error
        except (ConnectionError, TimeoutError, EOFError) as error:
            message = f"{where}: the store did not answer: {error}"
            raise StoreUnavailableError(message) from error
        except OSError as error:
            kind = StoreUnavailableError if error.errno in TRANSIENT else StorageError
            message = f"{where}: {error}"
            raise kind(message) from error
        except Exception as error:
            # Each file system has exceptions of its own.
            message = f"{where}: {error}"
            raise StorageError(message) from error


def _entries(files: _FileSystem, folder: str) -> Sequence[Mapping[str, Any]]:
    """Return what lies in `folder`; nothing if it is not there."""
    try:
        return files.ls(folder, detail=True)
    except FileNotFoundError:
        return []


def _modified(files: _FileSystem, found: Mapping[str, Any]) -> datetime:
    """Return when a file was last written; now, if the file system does not know."""
    value = next((found[name] for name in _TIMES if found.get(name) is not None), None)
    if value is None:
        try:
            value = files.modified(found["name"])
        except NotImplementedError:
            return datetime.now(UTC)
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    moment = cast("datetime", value)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def open_filesystem(name: str, settings: StoreSettings) -> FsspecStore:
    """Open the folder that `settings.url` names on the file system of its scheme.

    Raises
    ------
    ConfigError
        fsspec does not know the scheme, or its options, or lacks a package for it.
    """
    for field in ("endpoint", "region", "access_key", "secret_key"):
        if getattr(settings, field) is not None:
            message = f'store "{name}": {field} is for S3 only; set what fsspec takes in "options"'
            raise ConfigError(message)
    scheme, _, rest = settings.url.partition("://")
    if urlsplit(settings.url).password is not None:
        message = f'store "{name}": its URL shows a password; set it as password in "options"'
        raise ConfigError(message)
    with _readable(name, settings):
        _fsspec.get_filesystem_class(scheme)
        root: str = _fsspec.core.strip_protocol(settings.url)

    def connect() -> _FileSystem:
        with _readable(name, settings):
            # Not one that another store, or the process before a fork, made.
            own = {"skip_instance_cache": True, "use_listings_cache": False}
            return cast(
                "_FileSystem",
                _fsspec.url_to_fs(settings.url, **own, **settings.plain_options)[0],
            )

    return FsspecStore(connect, root, f"{scheme}://{rest.rstrip('/')}")


@contextmanager
def _readable(name: str, settings: StoreSettings) -> Generator[None]:
    """Raise what fsspec says of wrong settings as ours, without the secrets among them."""
    try:
        yield
    except (ImportError, ValueError, TypeError) as error:
        text = str(error)
        for value in settings.plain_options.values():
            text = text.replace(str(value), "…")
        message = f'store "{name}": {text}'
        raise ConfigError(message) from None

"""A directory as a store, with atomic and durable writes."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from djq.errors import ConfigError, ObjectMissingError, StorageError, StoreUnavailableError
from djq.storage.base import Stat, check_path
from djq.storage.buffers import PIECE_BYTES, coalesce, cut, pieces, source_errors
from djq.storage.retries import retried

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from io import FileIO

    from djq.settings import StoreSettings
    from djq.storage.buffers import Data

#: Files on their way in; on the store's own file system, so that a rename moves them. Never listed.
TEMPORARY: Final = ".djq-incoming"
#: What a network file system says when its server is away or busy.
TRANSIENT: Final = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EIO,
        errno.ENETDOWN,
        errno.ENETUNREACH,
    }
    | {errno.ENOTCONN, errno.ESTALE, errno.ETIMEDOUT}
)
#: A disk reads this as fast as it finds the next place [bytes].
_GAP_BYTES: Final = 64 << 10
_HAS_FOLDER_SYNC: Final = os.name != "nt"


class FolderStore:
    """Objects as files below one folder, which is made when the first object comes.

    Parameters
    ----------
    root
        The folder; a relative one is taken from the working directory of now.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        #: Folders whose own entry is known to survive a crash, since this process saw to it.
        self._durable: set[Path] = set()

    def __repr__(self) -> str:
        """Return the folder."""
        return f"FolderStore({str(self.root)!r})"

    @retried
    def put(self, path: str, data: Data) -> None:
        """Write the object to a temporary file, flush it to the disk, and move it to its place."""
        target = self._locate(path)
        with source_errors(), _our_errors("put", path):
            incoming = self.root / TEMPORARY
            self._make_durable(incoming)
            self._make_durable(target.parent)
            temporary = incoming / secrets.token_hex(16)
            try:
                with temporary.open("xb") as file:
                    for piece in pieces(data):
                        file.write(piece)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(target)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            _sync_folder(target.parent)

    @retried
    def get(self, path: str) -> memoryview:
        """Return the object at `path`."""
        with _our_errors("get", path):
            return memoryview(self._locate(path).read_bytes())

    def get_range(self, path: str, start: int, length: int) -> memoryview:
        """Return at most `length` bytes from `start` on."""
        return self.get_ranges(path, [(start, start + length)])[0]

    @retried
    def get_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        """Return the bytes of each range, neighbours read at once."""
        read: list[tuple[int, memoryview]] = []
        with _our_errors("get", path), self._locate(path).open("rb", buffering=0) as file:
            for start, stop in coalesce(ranges, gap=_GAP_BYTES):
                file.seek(start)
                read.append((start, memoryview(_read(file, stop - start))))
        return cut(ranges, read)

    def iterate(self, path: str, chunk_bytes: int = PIECE_BYTES) -> Iterator[memoryview]:
        """Yield the object in chunks; a file that is open stays what it was."""
        with _our_errors("get", path), self._locate(path).open("rb", buffering=0) as file:
            while chunk := _read(file, chunk_bytes):
                yield memoryview(chunk)

    @retried
    def stat(self, path: str) -> Stat:
        """Return the file's size and time."""
        target = self._locate(path)
        with _our_errors("stat", path):
            found = target.stat()
            if stat.S_ISDIR(found.st_mode):
                raise IsADirectoryError(path)
            return _stat(path, found)

    @retried
    def delete(self, path: str) -> None:
        """Remove the object at `path`, if there is one."""
        target = self._locate(path)
        with _our_errors("delete", path):
            if not target.is_dir():
                target.unlink(missing_ok=True)

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """Yield all objects in the folder `prefix`."""
        folders = [prefix]
        top = self._locate(prefix) if prefix else self.root
        with _our_errors("list", prefix):
            if not top.is_dir():
                return
            while folders:
                folder = folders.pop()
                for name, found in _entries(self.root / folder):
                    path = f"{folder}/{name}" if folder else name
                    if path == TEMPORARY:
                        continue
                    if stat.S_ISDIR(found.st_mode):
                        folders.append(path)
                    else:
                        yield _stat(path, found)

    def _locate(self, path: str) -> Path:
        if check_path(path).split("/", 1)[0] == TEMPORARY:
            message = f"{path!r} is reserved for objects on their way in"
            raise StorageError(message)
        return self.root / path

    def _make_durable(self, folder: Path) -> None:
        """Make `folder` and the folders above it, and flush their entries to the disk."""
        if folder in self._durable:
            return
        if folder != self.root:
            self._make_durable(folder.parent)
        # Another process may have made it a moment ago without having flushed it yet.
        folder.mkdir(parents=folder == self.root, exist_ok=True)
        _sync_folder(folder.parent)
        self._durable.add(folder)


def _entries(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the names in `folder` and what each is; without those that are gone by now."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
    except FileNotFoundError:
        return
    for name in names:
        try:
            found = (folder / name).stat()
        except FileNotFoundError:
            continue
        yield name, found


def _stat(path: str, found: os.stat_result) -> Stat:
    return Stat(path, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))


def _read(file: FileIO, n_bytes: int) -> bytes:
    """Return `n_bytes`, fewer only at the end of the file: one read may give fewer."""
    chunk = file.read(n_bytes)
    if not chunk or len(chunk) == n_bytes:
        return chunk
    chunks = [chunk]
    while missing := n_bytes - sum(map(len, chunks)):
        chunk = file.read(missing)
        if not chunk:
            break
        chunks.append(chunk)
    return b"".join(chunks)


def _sync_folder(folder: Path) -> None:
    if not _HAS_FOLDER_SYNC:
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _our_errors(verb: str, path: str) -> Generator[None]:
    try:
        yield
    except FileNotFoundError as error:
        if verb == "put":
            message = (
                f"the folder of {path!r} vanished while it was written; was the store removed?"
            )
            raise StoreUnavailableError(message) from error
        message = f"no object at {path!r}"
        raise ObjectMissingError(message) from error
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        if verb == "put":
            message = f"{path!r} cannot be stored: a part of it is an object and a folder at once"
            raise StorageError(message) from error
        message = f"no object at {path!r}"
        raise ObjectMissingError(message) from error
    except OSError as error:
        kind = StoreUnavailableError if error.errno in TRANSIENT else StorageError
        message = f"{verb} {path!r}: {error.strerror or error}"
        raise kind(message) from error


def open_folder(name: str, settings: StoreSettings) -> FolderStore:
    """Open the folder that `settings.url` names: `file:///path`, or a plain path.

    Raises
    ------
    ConfigError
        The URL names another host, or no path.
    """
    url = settings.url
    if "://" not in url:
        return FolderStore(Path(url).expanduser())
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"} or not parts.path:
        message = (
            f'store "{name}": {url} is not a folder of this machine; '
            "write file:///path (three slashes)"
        )
        raise ConfigError(message)
    return FolderStore(Path(url2pathname(parts.path)))

"""Files, folders, bytes and streams → objects of a store, hashed while they are read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from djq.objects import manifest
from djq.objects.local import LocalFile, check_file, files_below
from djq.objects.manifest import Member
from djq.objects.transfers import run_all
from djq.storage.base import check_path
from djq.storage.buffers import PIECE_BYTES, pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from djq.storage.base import ObjectStore
    from djq.storage.buffers import Data


@runtime_checkable
class Readable(Protocol):
    """A stream of bytes."""

    def read(self, n_bytes: int, /) -> bytes | None:
        """Return at most so many bytes, none at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What was written, as a row tells it."""

    #: [bytes]; of a folder the sum.
    size: int
    #: Of the file, or of the folder's manifest.
    sha256: str
    #: Files of a folder; None: a file.
    item_count: int | None
    #: When, UTC.
    timestamp: datetime


def put(store: ObjectStore, path: str, data: Data) -> Uploaded:
    """Store bytes, in flat memory if they come in parts; an iterator's error is raised as it is."""
    hashed = _Hashed(data)
    store.put(path, iter(hashed))
    return Uploaded(hashed.size, hashed.sha256.hexdigest(), None, datetime.now(UTC))


def put_file(store: ObjectStore, path: str, source: Path) -> Uploaded:
    """Store a file; one that changes meanwhile is stored, and described, as it was read.

    Raises
    ------
    CodecError
        It cannot be read.
    """
    return put(store, path, LocalFile(source))


def put_folder(store: ObjectStore, path: str, source: Path) -> Uploaded:
    """Store all files below a folder, at any depth, and the manifest when they are there.

    Raises
    ------
    CodecError
        A file cannot be read, or there is something else than files and folders.
    StorageError
        A name is none that stores keep; nothing was written.
    """
    files = list(files_below(source))
    names = [file.relative_to(source).as_posix() for file in files]
    for name in names:
        check_path(f"{path}/{name}")

    def put_one(i: int) -> Member:
        done = put_file(store, f"{path}/{names[i]}", files[i])
        return Member(names[i], done.size, done.sha256)

    sizes = [check_file(file) for file in files]
    return put_manifest(store, path, run_all(put_one, sizes))


def put_copies(
    store: ObjectStore,
    path: str,
    read: Callable[[Member], Iterator[memoryview]],
    members: Sequence[Member],
) -> Uploaded:
    """Copy a folder from a store, file by file; `read` gives each, verified at its end."""

    def copy(i: int) -> Member:
        name = members[i].path
        check_path(f"{path}/{name}")
        done = put(store, f"{path}/{name}", read(members[i]))
        return Member(name, done.size, done.sha256)

    return put_manifest(store, path, run_all(copy, [member.size for member in members]))


def put_manifest(store: ObjectStore, path: str, members: list[Member]) -> Uploaded:
    """Store the manifest of a folder whose files are there."""
    now = datetime.now(UTC)
    encoded = manifest.encode(members, now)
    store.put(path + manifest.SUFFIX, encoded)
    total = sum(member.size for member in members)
    return Uploaded(total, hashlib.sha256(encoded).hexdigest(), len(members), now)


def parts_of(stream: Readable) -> Iterator[bytes]:
    """Yield what a stream has left.

    Raises
    ------
    TypeError
        It does not give bytes.
    """
    while part := cast("object", stream.read(PIECE_BYTES)):
        if not isinstance(part, bytes | bytearray | memoryview):
            message = f"the stream gives {type(part).__name__} instead of bytes: open it as binary"
            raise TypeError(message)
        yield bytes(part)  # pyright: ignore[reportUnknownArgumentType] # any buffer


class _Hashed:
    """Data that is hashed and counted while it is read, once."""

    def __init__(self, data: Data) -> None:
        self._data = data
        self.sha256 = hashlib.sha256()
        self.size = 0

    def __iter__(self) -> Iterator[memoryview]:
        for piece in pieces(self._data):
            self.sha256.update(piece)
            self.size += piece.nbytes
            yield piece

"""What is wrong with the object, or with the files of the folder, that a row refers to."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from djq.errors import ObjectCorruptedError, ObjectMissingError, StorageError
from djq.objects import manifest
from djq.objects.downloads import read_verified
from djq.objects.handle import ObjectRef
from djq.storage.base import check_path
from djq.storage.content import Reference, digest_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from djq.objects.manifest import Member
    from djq.storage.content import ContentStore
    from djq.tables.references import Pointer


@dataclass(frozen=True, slots=True)
class Fault:
    """An object that is not what a row, or the manifest of a folder, says of it."""

    #: `missing`, `size`, `content` or `reference`.
    kind: str
    path: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look at one reference found."""

    faults: tuple[Fault, ...] = ()
    #: Objects that were read to their end.
    n_read: int = 0


def judge(content: ContentStore, pointer: Pointer, *, verify: bool) -> Verdict:
    """Look at the object, or the files of the folder, that a row refers to.

    Parameters
    ----------
    content
        The store.
    pointer
        What the row says.
    verify
        Also read what has a known hash; what has it as its name is left to whoever reads the store.

    Raises
    ------
    StorageError
        The store did not answer.
    """
    try:
        check_path(pointer.path)
    except StorageError:
        return no_reference(pointer)
    look = _folder if pointer.is_folder else _object
    return look(content, pointer, verify=verify)


def no_reference(pointer: Pointer) -> Verdict:
    """Return what is to be said of a row whose value leads to no object of any store."""
    return _one("reference", pointer.path)


def _object(content: ContentStore, pointer: Pointer, *, verify: bool) -> Verdict:
    try:
        size = content.store.stat(pointer.path).size
    except ObjectMissingError:
        is_folder = next(iter(content.store.list(pointer.path)), None) is not None
        return Verdict() if is_folder else _one("missing", pointer.path)
    if pointer.size is not None and pointer.size != size:
        return _one("size", pointer.path)
    if not verify or pointer.hash is None or digest_in(pointer.path) is not None:
        return Verdict()
    reference = Reference(pointer.store, pointer.path, pointer.hash, size)
    kind = _trouble(content.iterate(reference))
    return Verdict((Fault(kind, pointer.path),) if kind else (), n_read=1)


def _folder(content: ContentStore, pointer: Pointer, *, verify: bool) -> Verdict:
    folder = ObjectRef(
        path=pointer.path,
        store=pointer.store,
        size=pointer.size,
        is_dir=True,
        item_count=pointer.n_files,
        sha256=None if pointer.hash is None else pointer.hash.partition(":")[2],
        open_store=lambda _: content,
    )
    listed = pointer.path if pointer.n_files is None else pointer.path + manifest.SUFFIX
    try:
        members = folder.members
    except ObjectMissingError:
        return _one("missing", listed)
    except ObjectCorruptedError:
        return _one("content", listed)
    faults: list[Fault] = []
    if pointer.size not in {None, sum(member.size for member in members)}:
        faults.append(Fault("size", pointer.path))
    sizes = {found.path: found.size for found in content.store.list(pointer.path)}
    n_read = 0
    for member in members:
        path = f"{pointer.path}/{member.path}"
        kind = _kind(member, sizes.get(path))
        if kind is None and verify and member.sha256 is not None:
            kind = _trouble(read_verified(content.store, path, member.size, member.sha256))
            n_read += 1
        if kind is not None:
            faults.append(Fault(kind, path))
    return Verdict(tuple(faults), n_read)


def _kind(member: Member, size: int | None) -> str | None:
    """Return what is wrong with a file by its size; None: it is not there."""
    if size is None:
        return "missing"
    return None if size == member.size else "size"


def _trouble(chunks: Iterator[memoryview]) -> str | None:
    """Read an object to its end, and return what is wrong with its content."""
    try:
        deque(chunks, 0)
    except ObjectMissingError:
        return "missing"
    except ObjectCorruptedError:
        return "content"
    return None


def _one(kind: str, path: str) -> Verdict:
    return Verdict((Fault(kind, path),))

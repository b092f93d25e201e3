"""Objects of a store → files of this machine, many at a time, verified on their way."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING

from djq.errors import ObjectCorruptedError, StorageError, UsageError
from djq.objects.landing import incoming, land
from djq.objects.names import check_member
from djq.objects.transfers import run_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from djq.objects.manifest import Member
    from djq.storage.base import ObjectStore


def read_verified(
    store: ObjectStore, path: str, size: int | None, sha256: str | None
) -> Iterator[memoryview]:
    """Yield an object in chunks; whether it is the right one is known at the end.

    Raises
    ------
    ObjectMissingError, StoreUnavailableError, StorageError
        As for `ObjectStore.iterate`.
    ObjectCorruptedError
        It has another size or hash; None: not known.
    """
    found, n_bytes = hashlib.sha256(), 0
    for chunk in store.iterate(path):
        if sha256 is not None:
            found.update(chunk)
        n_bytes += chunk.nbytes
        yield chunk
    is_other = sha256 is not None and found.hexdigest() != sha256
    if is_other or (size is not None and n_bytes != size):
        problem = f"it has {n_bytes} of {size} bytes" if n_bytes != size else "its hash is another"
        message = (
            f"the object at {path} is not the one that was stored: {problem}; "
            "restore it from a backup"
        )
        raise ObjectCorruptedError(message)


def download_folder(
    read: Callable[[Member], Iterator[memoryview]], members: Sequence[Member], target: Path
) -> None:
    """Write a folder's files below `target`, which appears when all of them are there.

    Parameters
    ----------
    read
        Gives a file in chunks; an error in the iterator leaves no file.

    Raises
    ------
    UsageError
        `target` is there already; nothing was changed.
    StorageError
        The name of a member leads out of the folder, or a file cannot be written.
    """
    if target.exists() or target.is_symlink():
        message = f"{target} is there already: remove it, or choose another place"
        raise UsageError(message)
    places = [check_member(member.path) for member in members]
    temporary = incoming(target.parent)

    def fetch(i: int) -> None:
        land(temporary / places[i], read(members[i]))

    try:
        temporary.mkdir(parents=True)
        run_all(fetch, [member.size for member in members])
        temporary.rename(target)
    except OSError as error:
        message = f"{target} cannot be written: {error.strerror or error}"
        raise StorageError(message) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)

"""Bytes from stores → files of this machine, whole or not at all."""

from __future__ import annotations

import errno
import filecmp
import os
import secrets
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

from djq.errors import StorageError
from djq.objects.names import check_name

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from djq.storage.buffers import Buffer

#: How the names of files begin that are on their way.
INCOMING: Final = ".djq-incoming-"
#: What file systems say that have no second names for a file.
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS})


def land_beside(folder: Path, name: str, parts: Iterable[Buffer]) -> Path:
    """Write a file into `folder`, and return its path: `name`, or the next that is free.

    A file of that name with the same content is as good; for other content `name_1`, `name_2` is
    tried: nothing is ever overwritten. Several processes may land files at once.

    Parameters
    ----------
    folder
        Made if it is not there.
    name
        Checked: it is no path.
    parts
        The content; an error in the iterator leaves no file.

    Raises
    ------
    StorageError
        The name is unsafe, or the folder cannot be written to.
    """
    check_name(name)
    with _our_errors(folder / name):
        folder.mkdir(parents=True, exist_ok=True)
    with _incoming(folder, parts) as temporary, _our_errors(folder / name):
        targets = (folder / check_name(candidate) for candidate in _candidates(name))
        return next(
            each for each in targets if _place(temporary, each) or _is_same(temporary, each)
        )


def land(target: Path, parts: Iterable[Buffer]) -> None:
    """Write the file `target`, replacing what was there; its folder is made.

    Raises
    ------
    StorageError
        It cannot be written.
    """
    with _our_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with _incoming(target.parent, parts) as temporary, _our_errors(target):
        temporary.replace(target)


def incoming(folder: Path) -> Path:
    """Return a name in `folder` that nobody else uses."""
    return folder / f"{INCOMING}{secrets.token_hex(8)}"


@contextmanager
def _incoming(folder: Path, parts: Iterable[Buffer]) -> Generator[Path]:
    """Give the name of a temporary file with this content, gone at the end of the block."""
    temporary = incoming(folder)
    source = iter(parts)
    try:
        with _our_errors(temporary):
            file = temporary.open("xb")
        with file:
            while (part := next(source, None)) is not None:
                with _our_errors(temporary):
                    file.write(part)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _candidates(name: str) -> Iterator[str]:
    yield name
    for n in count(1):
        yield f"{Path(name).stem}_{n}{Path(name).suffix}"


def _place(temporary: Path, target: Path) -> bool:
    """Give a file its name if that is free, in one step."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        try:
            target.open("xb").close()
        except FileExistsError:
            return False
        temporary.replace(target)
    return True


def _is_same(one: Path, other: Path) -> bool:
    return other.is_file() and filecmp.cmp(one, other, shallow=False)


@contextmanager
def _our_errors(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror or error}"
        raise StorageError(message) from error

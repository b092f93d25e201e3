"""Files and folders of this machine, as they are read to be stored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from djq.errors import CodecError
from djq.storage.buffers import FileParts

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator


class LocalFile(FileParts):
    """A file's content in parts; what cannot be read is a CodecError that names the file."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield the parts."""
        try:
            yield from super().__iter__()
        except OSError as error:
            message = f"{self.path} cannot be read: {error.strerror or error}"
            raise CodecError(message) from error


def local_path(value: str | os.PathLike[str]) -> Path:
    """Return the path that a row gives.

    Raises
    ------
    CodecError
        It is empty, which Python would take for the working folder.
    """
    if value == "":
        message = "the path is empty: give that of what is to be stored"
        raise CodecError(message)
    return Path(value)


def check_file(path: Path) -> int:
    """Return the size of a file whose name can be kept [bytes].

    Raises
    ------
    CodecError
        There is none, or its name is not of Unicode.
    """
    try:
        path.name.encode()
        if path.is_file():
            return path.stat().st_size
        problem = "is a folder: <object@store> takes folders" if path.is_dir() else "is no file"
    except (OSError, ValueError) as error:
        problem = f"cannot be read: {error}"
    message = f"{str(path)!r} {problem}"
    raise CodecError(message)


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder, at any depth; a link to a file is that file.

    Raises
    ------
    CodecError
        Something is neither a file nor a folder, or cannot be read.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        message = f"{folder} cannot be read: {error.strerror or error}"
        raise CodecError(message) from error
    for entry in entries:
        if entry.is_dir() and not entry.is_symlink():
            yield from files_below(entry)
        elif entry.is_file():
            yield entry
        else:
            message = (
                f"{entry} is neither a file nor a folder (a link to a folder may lead in circles): "
                "put what it stands for in its place"
            )
            raise CodecError(message)

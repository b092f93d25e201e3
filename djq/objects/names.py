"""Names that come from rows and stores, checked before they become files of this machine.

Whoever can write to a database or a store chooses them: they are not trusted.
"""

from __future__ import annotations

import os
import re
from pathlib import PurePosixPath
from typing import Final

from djq.errors import StorageError

#: What common file systems keep of one name.
_MAX_BYTES: Final = 255
_FORBIDDEN: Final = re.compile(r"[\x00-\x1f\x7f/\\\ud800-\udfff]")
#: On Windows these are drives, streams, patterns and devices, whatever folder they are in.
_WINDOWS: Final = re.compile(
    r'[<>:"|?*]|[. ]\Z|\A(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\.|\Z)',
    re.IGNORECASE,
)


def check_name(name: str, *, is_windows: bool = os.name == "nt") -> str:
    """Return `name` if it names a file in a folder, and nothing outside of it.

    Raises
    ------
    StorageError
        It is empty, a path, too long, or has characters that no file should have.
    """
    is_wrong = (
        name in {"", ".", ".."}
        or _FORBIDDEN.search(name) is not None
        or len(name.encode("utf-8", "replace")) > _MAX_BYTES
        or (is_windows and _WINDOWS.search(name) is not None)
    )
    if is_wrong:
        message = (
            f"{name[:200]!r} is not the name of a file in a folder, and is not written: it must "
            f'have 1 to {_MAX_BYTES} bytes, without slashes, backslashes, control characters, "." '
            'and ".." alone, and what the system reserves'
        )
        raise StorageError(message)
    return name


def check_member(path: str, *, is_windows: bool = os.name == "nt") -> PurePosixPath:
    """Return the path of a file within a folder, each name of which is checked.

    Raises
    ------
    StorageError
        A part of it is no name of a file or folder.
    """
    return PurePosixPath(*(check_name(name, is_windows=is_windows) for name in path.split("/")))

"""What a process has in hand, written where another process can read it after its death.

A page of shared memory in a file: no system call per key, and the kernel keeps what was written
whatever kills the writer.
"""

from __future__ import annotations

import mmap
import re
import struct
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: Of a page: time after which the process is to be killed, length of the key's id.
_HEADER = struct.Struct("<dH")
_PAGE_BYTES = 4096
#: The slot of a process that makes keys itself.
MAIN_SLOT = "0"


@dataclass(frozen=True, slots=True)
class InHand:
    """The key that a process works on."""

    key: str
    #: By `time.time()`; 0: no bound.
    deadline: float = 0.0


class Slot:
    """The slot of one process; it writes, its parent or helper reads.

    Parameters
    ----------
    owner
        Identity of the main process.
    name
        Which of its processes.
    """

    def __init__(self, owner: str, name: int | str) -> None:
        self.path = path_of(owner, name)
        self.path.write_bytes(bytes(_PAGE_BYTES))
        with self.path.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), _PAGE_BYTES)

    def take(self, key: str, deadline: float = 0.0) -> None:
        """Note that this key is begun."""
        text = key.encode()
        if len(text) > _PAGE_BYTES - _HEADER.size:
            text = b""
        # The length last: a process that dies in between had nothing in hand.
        _HEADER.pack_into(self._page, 0, 0.0, 0)
        self._page[_HEADER.size : _HEADER.size + len(text)] = text
        _HEADER.pack_into(self._page, 0, deadline, len(text))

    def drop(self) -> None:
        """Note that nothing is in hand."""
        _HEADER.pack_into(self._page, 0, 0.0, 0)

    def close(self) -> None:
        """Forget the slot."""
        self._page.close()
        self.path.unlink(missing_ok=True)


def path_of(owner: str, name: int | str) -> Path:
    """Return the file of a slot: processes of one host share the folder for temporary files."""
    return Path(tempfile.gettempdir()) / f"djq-{_safe(owner)}-{_safe(str(name))}.slot"


def names_of(owner: str) -> list[str]:
    """Return the slots of a main process whose files are there."""
    start = f"djq-{_safe(owner)}-"
    found = Path(tempfile.gettempdir()).glob(f"{start}*.slot")
    return [path.name[len(start) : -len(".slot")] for path in found]


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]", "-", text)


def in_hand(owner: str, name: int | str) -> InHand | None:
    """Return what a process has, or had, in hand; None if that is nothing or not known."""
    try:
        page = path_of(owner, name).read_bytes()
    except OSError:
        return None
    if len(page) < _HEADER.size:
        return None
    deadline, length = _HEADER.unpack_from(page)
    if not length:
        return None
    return InHand(page[_HEADER.size : _HEADER.size + length].decode(errors="replace"), deadline)


def forget(owner: str, name: int | str) -> None:
    """Remove the slot of a process that ended."""
    with suppress(OSError):
        path_of(owner, name).unlink()

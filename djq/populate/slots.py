"""What a process has in hand, written where another process can read it after its death.

A page of shared memory in a file: no system call per key, and the kernel keeps what was written
whatever kills the writer.
"""

from __future__ import annotations

import mmap
import os
import re
import struct
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: Of a page: when the key was begun, when its process is to be killed, how much memory it may hold,
#: length of the key's id.
_HEADER = struct.Struct("<ddQH")
_PAGE_BYTES = 8192
#: Where a page has what is said of all keys of a chunk.
_NOTE = 4096
#: The slot of a process that makes keys itself.
MAIN_SLOT = "0"
#: In hand are keys of one `make_many`, more than one; no key's id looks so.
SEVERAL = "*"


@dataclass(frozen=True, slots=True)
class InHand:
    """The key that a process works on."""

    key: str
    #: Both by `time.monotonic()`, which is one clock for all processes of a host.
    begun: float = 0.0
    #: 0: no bound.
    deadline: float = 0.0
    #: How much the process may hold; 0: no bound.
    memory_bytes: int = 0
    #: What was said of all keys of its chunk.
    note: str = ""


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

    def take(
        self, key: str, *, time_limit_s: float | None = None, memory_bytes: int | None = None
    ) -> None:
        """Note that this key is begun, and what it may take."""
        text = key.encode()
        if len(text) > _NOTE - _HEADER.size:
            text = b""
        # The length last: a process that dies in between had nothing in hand.
        _HEADER.pack_into(self._page, 0, 0.0, 0.0, 0, 0)
        self._page[_HEADER.size : _HEADER.size + len(text)] = text
        now = time.monotonic()
        deadline = 0.0 if time_limit_s is None else now + time_limit_s
        _HEADER.pack_into(self._page, 0, now, deadline, memory_bytes or 0, len(text))

    def say(self, note: str) -> None:
        """Write what is to be known of the keys that follow; too long a text is none."""
        text = note.encode()
        fits = len(text) <= _PAGE_BYTES - _NOTE
        self._page[_NOTE:] = (text if fits else b"").ljust(_PAGE_BYTES - _NOTE, b"\0")

    def drop(self) -> None:
        """Note that nothing is in hand."""
        _HEADER.pack_into(self._page, 0, 0.0, 0.0, 0, 0)

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
    begun, deadline, memory_bytes, length = _HEADER.unpack_from(page)
    if not length:
        return None
    key = page[_HEADER.size : _HEADER.size + length].decode(errors="replace")
    note = page[_NOTE:].rstrip(b"\0").decode(errors="replace")
    return InHand(key, begun, deadline, memory_bytes, note)


def forget(owner: str, name: int | str) -> None:
    """Remove the slot of a process that ended."""
    with suppress(OSError):
        path_of(owner, name).unlink()


def sweep(host: str) -> None:
    """Remove the slots of main processes of this host, `HOST:PID:…`, that ended without a word."""
    shape = re.compile(rf"djq-{re.escape(_safe(host))}-([0-9]+)-[0-9a-f]+-[^-]+\.slot")
    for path in Path(tempfile.gettempdir()).glob("djq-*.slot"):
        found = shape.fullmatch(path.name)
        if found is not None and not _is_alive(int(found[1])):
            with suppress(OSError):
                path.unlink()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True

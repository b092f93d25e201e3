"""A set of ten million paths in flat memory: of all that rows refer to."""

from __future__ import annotations

import hashlib
import tempfile
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType
    from typing import Self

    from numpy.typing import NDArray

#: Of a path; two of 10 million are equal in one case of 200,000, and then an object stays.
_DIGEST_BYTES: Final = 8
#: Digests that are written at once.
_BUFFER: Final = 65_536


class PathSet:
    """A set of paths, filled first and asked afterwards: 8 bytes for each, in a temporary file.

    Only a digest of each path is kept. Paths with equal digests are taken for one another: then
    one that is not in the set seems to be in it, and never the other way round.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="djq-")  # noqa: SIM115 - closed by __exit__
        self._buffer: list[int] = []
        self._sorted: NDArray[np.uint64] | None = None
        #: How many were added, repeated ones too.
        self.n_added: int = 0

    def __enter__(self) -> Self:
        """Remove the file at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the file."""
        self._sorted = None
        self._file.close()

    def add(self, path: str) -> None:
        """Take a path into the set."""
        self.n_added += 1
        self._buffer.append(digest_of(path))
        if len(self._buffer) >= _BUFFER:
            self._flush()

    def contains(self, paths: Sequence[str]) -> list[bool]:
        """Tell for each path whether it, or a folder that it lies in, is in the set."""
        known = self._known()
        owners = [i for i, path in enumerate(paths) for _ in _places(path)]
        wanted = np.array([digest_of(p) for path in paths for p in _places(path)], np.uint64)
        found = [False] * len(paths)
        if not known.size or not wanted.size:
            return found
        at = np.minimum(np.searchsorted(known, wanted), known.size - 1)
        for i in np.flatnonzero(known[at] == wanted):
            found[owners[i]] = True
        return found

    def _known(self) -> NDArray[np.uint64]:
        if self._sorted is None:
            self._flush()
            n = self._file.tell() // _DIGEST_BYTES
            if not n:
                return np.empty(0, np.uint64)
            self._sorted = np.memmap(self._file, np.uint64, "r+", shape=(n,))
            self._sorted.sort()
        return self._sorted

    def _flush(self) -> None:
        self._file.write(np.array(self._buffer, np.uint64).tobytes())
        self._file.flush()
        self._buffer.clear()


def digest_of(path: str) -> int:
    """Return 8 bytes that stand for a path."""
    digest = hashlib.blake2b(path.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES)
    return int.from_bytes(digest.digest(), "little")


def _places(path: str) -> Iterable[str]:
    """Return the path and the folders that it lies in."""
    names = path.split("/")
    return ("/".join(names[:n]) for n in range(len(names), 0, -1))

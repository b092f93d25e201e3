"""The files of one folder, several at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from djq.storage.buffers import PIECE_BYTES
from djq.storage.transfers import ItemError, Transfers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

#: Of one folder; folders of several rows may travel at the same time, too [bytes].
_MAX_BYTES: Final = 4 * PIECE_BYTES


def run_all(transfer: Callable[[int], T], sizes: Sequence[int | None]) -> list[T]:
    """Call `transfer` with 0 … n - 1, several at once, and return what they return, in order.

    Parameters
    ----------
    transfer
        Moves one file. Its first error is raised when those that had begun have ended; no other
        one begins.
    sizes
        Of each file [bytes]. A large one holds four pieces in memory, and goes alone.
    """

    def size(i: int) -> int:
        n_bytes = sizes[i]
        return PIECE_BYTES if n_bytes is None else n_bytes

    try:
        return list(Transfers(max_bytes=_MAX_BYTES).map(transfer, range(len(sizes)), size))
    except ItemError as failed:
        raise failed.error from failed.error.__cause__

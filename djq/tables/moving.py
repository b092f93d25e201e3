"""Objects of many rows on their way: several at once, in bounded memory."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

from djq.storage.transfers import ItemError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from djq.definition.acceptance import Value
    from djq.storage.transfers import Transfers

T = TypeVar("T")
R = TypeVar("R")


def moved(
    move: Callable[[T], R], items: Iterable[T], size: Callable[[T], int], transfers: Transfers
) -> Iterator[R]:
    """Yield what `move` returns for each item, in order; its errors are raised as they are.

    `move` is called in several threads at once; `size` says what an item holds in memory [bytes].
    """
    try:
        yield from transfers.map(move, items, size)
    except ItemError as failure:
        raise failure.error from failure.error.__cause__


def size_of(value: Value) -> int:
    """Return about how much memory a value takes, and so its copy on the way out [bytes]."""
    n_bytes = getattr(value, "nbytes", None)
    return n_bytes if isinstance(n_bytes, int) else sys.getsizeof(value)

"""Many transfers at once, of which the first failure ends the others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

#: A bucket answers each after 30 ms or so, and each may hold 16 MB in memory.
N_AT_ONCE: Final = 8


def run_all(transfer: Callable[[int], T], n: int) -> list[T]:
    """Call `transfer` with 0 … n - 1, several at once, and return what they return, in order.

    The first error is raised when those that had begun have ended; no other one begins.
    """
    if n <= 1:
        return [transfer(i) for i in range(n)]
    with ThreadPoolExecutor(min(N_AT_ONCE, n), thread_name_prefix="djq-transfer") as threads:
        futures = [threads.submit(transfer, i) for i in range(n)]
        try:
            return [future.result() for future in futures]
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise

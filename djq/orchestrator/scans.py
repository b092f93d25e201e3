"""Searches of whole tables beside the loop: a page of a big table may take a second."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from djq.orchestrator.states import Find, Found


class BackgroundScans:
    """One search at a time, in a thread with a connection of its own.

    Parameters
    ----------
    disconnect
        Called in the thread at its end.
    """

    def __init__(self, disconnect: Callable[[], None] = lambda: None) -> None:
        self._disconnect = disconnect
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="djq-scan")
        self._future: Future[Found] | None = None
        self._has_begun = False

    def begin(self, find: Callable[[Find], Found], search: Find) -> None:
        """Begin a search; one that is open is forgotten."""
        self._has_begun = True
        self._future = self._thread.submit(find, search)

    def wait(self, timeout_s: float) -> None:
        """Wait for the answer."""
        if self._future is not None:
            wait([self._future], timeout_s)

    def collect(self) -> Found | None:
        """Return the answer, once; None as long as there is none. Raises what the search raised."""
        if self._future is None or not self._future.done():
            return None
        future, self._future = self._future, None
        return future.result()

    def close(self) -> None:
        """Wait for the search that is open, and end the thread."""
        if self._has_begun:
            self._thread.submit(self._disconnect)
        self._thread.shutdown()

"""Searches of whole tables beside the loop: a page of a big table may take a second."""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from djq.orchestrator.states import Find, Found

_Task: TypeAlias = "tuple[Future[Found], Callable[[Find], Found], Find]"


class BackgroundScans:
    """One search at a time, in a thread with a connection of its own.

    No executor of the standard library: these end with the main thread, and a run goes on behind it
    until it is done.

    Parameters
    ----------
    disconnect
        Called in the thread at its end.
    """

    def __init__(self, disconnect: Callable[[], None] = lambda: None) -> None:
        self._disconnect = disconnect
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._future: Future[Found] | None = None

    def begin(self, find: Callable[[Find], Found], search: Find) -> None:
        """Begin a search; one that is open is forgotten."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._search_all, name="djq-scan")
            self._thread.start()
        self._future = Future()
        self._tasks.put((self._future, find, search))

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
        if self._thread is not None:
            self._tasks.put(None)
            self._thread.join()

    def _search_all(self) -> None:
        while (task := self._tasks.get()) is not None:
            future, find, search = task
            try:
                future.set_result(find(search))
            except BaseException as error:  # noqa: BLE001 - raised by `collect`
                future.set_exception(error)
        self._disconnect()

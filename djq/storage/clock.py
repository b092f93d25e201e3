"""What time it is in a store, by its own clock: ages of objects are compared with nothing else."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from djq.storage.base import ObjectStore

#: An object without bytes whose time is that of the last look at the clock.
CLOCK: Final = ".djq-clock"
#: So long two clocks run side by side; a machine that slept, or whose clock was set, looks again.
_VALID_S: Final = 600.0


class StoreClock:
    """The clock of one store, as this process knows it.

    Machines' clocks differ, by hours where nobody looks after them, and a folder's files have the
    times of its server. So the store is asked: an object is put, and its time is now.

    Parameters
    ----------
    store
        Whose clock it is; it must be writable.
    wall
        This machine's clock [s].
    """

    def __init__(self, store: ObjectStore, wall: Callable[[], float] = time.time) -> None:
        self._store = store
        self._wall = wall
        self._look: tuple[float, datetime] | None = None

    def now(self) -> datetime:
        """Return the store's time, UTC, to ten minutes at worst; costs two requests at times.

        Raises
        ------
        StorageError
            The store did not answer, or refused.
        """
        wall = self._wall()
        if self._look is None or not 0 <= wall - self._look[0] < _VALID_S:
            self._store.put(CLOCK, b"")
            self._look = wall, self._store.stat(CLOCK).modified
        seen, then = self._look
        return then + timedelta(seconds=wall - seen)

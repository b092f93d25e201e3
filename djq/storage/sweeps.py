"""What collections are about to delete, announced in the store itself.

A look at an object and its deletion are two requests, and whoever puts the object between them
would lose it. So a collection writes down what it will delete, waits until every process that puts
objects must have looked, and only then looks and deletes; a put of what is announced waits until
that is over. Nobody else notices, and it costs each process a question in half a minute. Why this
is enough: docs/decisions/0016-garbage-collection.md.
"""

from __future__ import annotations

import secrets
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from djq.errors import ObjectMissingError, StoreUnavailableError
from djq.storage.pathset import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from djq.storage.base import ObjectStore
    from djq.storage.clock import StoreClock

#: An object for each collection that deletes now: the digests of what it deletes.
FOLDER: Final = ".djq-sweep"
#: A process that puts objects looks at least this often [s].
LOOK_S = 30.0
#: From the announcement to the first deletion [s]: every process has looked, with as much to spare.
LEAD_S = 60.0
#: A collection deletes no longer than this after its announcement [s].
SWEEP_S: Final = 1_200.0
#: An announcement this old was left behind by a collection that was killed or cut off.
VALID: Final = timedelta(hours=1)
#: A put waits so long for a collection to end [s], and asks this often whether it has.
WAIT_S: Final = 300.0
PAUSE_S: Final = 1.0


class SweepWatch:
    """What is about to be deleted in one store, as this process knows it.

    Parameters
    ----------
    store, clock
        The store, and its clock.
    wall
        This machine's clock [s].
    sleep
        How to wait [s].
    """

    def __init__(
        self,
        store: ObjectStore,
        clock: StoreClock,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._clock = clock
        self._wall = wall
        self._sleep = sleep
        #: When it was asked last, and what was announced then.
        self._seen: tuple[float, frozenset[int]] = (-LOOK_S, frozenset())

    def avoid(self, path: str) -> float:
        """Return once the object at `path` is not about to be deleted; mostly that is at once.

        What is returned tells, by `holds`, how long that is certain.

        Raises
        ------
        StoreUnavailableError
            The collection takes long; trying again later helps.
        """
        looked, condemned = self._seen
        if not self.holds(looked):
            looked, condemned = self._look()
        for _ in range(round(WAIT_S / PAUSE_S)):
            if digest_of(path) not in condemned:
                return looked
            self._sleep(PAUSE_S)
            looked, condemned = self._look()
        message = (
            f"{path} is being deleted by a collection of garbage, and cannot be stored before it "
            "ends; try again in some minutes"
        )
        raise StoreUnavailableError(message)

    def holds(self, looked: float) -> bool:
        """Tell whether nothing can have been deleted that was announced after a look."""
        return 0 <= self._wall() - looked <= LOOK_S

    def _look(self) -> tuple[float, frozenset[int]]:
        began = self._wall()
        found: set[int] = set()
        for notice in list(self._store.list(FOLDER)):
            if self._clock.now() - notice.modified < VALID:
                found.update(self._read(notice.path))
        self._seen = began, frozenset(found)
        return self._seen

    def _read(self, path: str) -> list[int]:
        try:
            data = self._store.get(path)
        except ObjectMissingError:
            return []  # it is over
        digests: list[int] = np.frombuffer(data, np.uint64).tolist()
        return digests


@contextmanager
def announced(
    store: ObjectStore, paths: Iterable[str], sleep: Callable[[float], None] = time.sleep
) -> Generator[None]:
    """Announce what the block is going to delete, and wait until everybody knows.

    If the block fails, a deletion may be on its way still: then the announcement stays for an hour.
    """
    path = f"{FOLDER}/{secrets.token_hex(8)}"
    store.put(path, np.array([digest_of(p) for p in paths], np.uint64).tobytes())
    sleep(LEAD_S)
    yield
    store.delete(path)

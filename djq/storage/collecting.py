"""Garbage: the objects of a store that nothing refers to, and what it takes to remove them.

Which objects go is decided here, by their paths, times and a set of references; who refers to what
is asked elsewhere (`djq/tables/references.py`). Why no insert loses its object:
docs/decisions/0016-garbage-collection.md.
"""

from __future__ import annotations

import re
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from djq.errors import ObjectMissingError, UsageError
from djq.storage.content import FOLDER, FRESH, digest_in
from djq.storage.sweeps import SWEEP_S, announced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from djq.storage.base import ObjectStore, Stat
    from djq.storage.pathset import PathSet

T = TypeVar("T")
R = TypeVar("R")

#: Objects that no row refers to stay for a day: a make may hold its transaction open for hours.
GRACE: Final = timedelta(hours=24)
#: The store's clock is known to ten minutes; its times are whole seconds.
MARGIN: Final = timedelta(minutes=11)
#: A store whose clock is this far from the database's says nothing about ages.
MAX_SKEW: Final = timedelta(hours=1)
#: The folder of the files and folders that one row each owns, under names with a random token.
OBJECT_FOLDER: Final = "object"
#: Where djq puts what may be collected.
FOLDERS: Final = (FOLDER, OBJECT_FOLDER)
#: The token tells them from what somebody else may keep there.
_OBJECT: Final = re.compile(rf"{OBJECT_FOLDER}/(?:[^/]+/)+[^/]+_[0-9a-f]{{16}}(?:\.[^/]*)?(?:/.+)?")
#: Paths that are looked up at once.
_BATCH: Final = 4_096
#: Objects that are announced and deleted together; each such round waits a minute.
ROUND: Final = 100_000
#: Requests under way at a time.
N_THREADS: Final = 16


def is_ours(path: str) -> bool:
    """Tell whether djq put the object, so that it may be collected; by the shape of its path.

    Everything else in a store belongs to somebody else.
    """
    return digest_in(path) is not None or _OBJECT.fullmatch(path) is not None


def cutoff(now: datetime, grace: timedelta, oldest_transaction: timedelta | None) -> datetime:
    """Return before when an object must have been put to be garbage, by the store's clock.

    A transaction that is open now may refer to objects that were put since it began, and to some
    that were an hour old then.

    Raises
    ------
    UsageError
        The grace period leaves an insert no time between its object and its row.
    """
    least = FRESH + MARGIN
    if grace <= least:
        message = (
            f"grace is {in_words(grace)}: it must be longer than {in_words(least)}, since an "
            "insert may rely on an object that old, and on top of it by the time that the longest "
            f"transaction takes; the default is {in_words(GRACE)}"
        )
        raise UsageError(message)
    since_oldest = (oldest_transaction or timedelta()) + least
    return now - max(grace, since_oldest)


@dataclass(slots=True)
class Tally:
    """How many objects, and how large they are together."""

    n: int = 0
    #: [bytes]
    size: int = 0

    def add(self, found: Stat) -> None:
        """Count one more."""
        self.n += 1
        self.size += found.size


@dataclass(slots=True)
class Census:
    """What a walk through a store found."""

    #: Objects that djq put.
    kept: Tally = field(default_factory=Tally)
    #: Those too young to tell, which are among the kept.
    young: Tally = field(default_factory=Tally)
    garbage: Tally = field(default_factory=Tally)
    #: When the oldest garbage was put.
    oldest: datetime | None = None


def garbage(
    store: ObjectStore,
    referenced: PathSet,
    before: datetime,
    census: Census,
    tell: Callable[[int], object] = lambda _: None,
) -> Iterator[Stat]:
    """Yield the objects that were put before a moment and that nothing refers to.

    `tell` is called with how many more objects were listed, some thousand at a time.

    Raises
    ------
    StorageError
        The listing could not be completed; what was yielded before is garbage all the same.
    """
    found = (each for folder in FOLDERS for each in store.list(folder) if is_ours(each.path))
    for batch in batches(found, _BATCH):
        tell(len(batch))
        for each, is_referenced in zip(
            batch, referenced.contains([each.path for each in batch]), strict=True
        ):
            if is_referenced or each.modified >= before:
                census.kept.add(each)
                if each.modified >= before:
                    census.young.add(each)
                continue
            census.garbage.add(each)
            census.oldest = min(census.oldest or each.modified, each.modified)
            yield each


def sweep(
    store: ObjectStore,
    found: Iterable[Stat],
    before: datetime,
    *,
    sleep: Callable[[float], None] = time.sleep,
    wall: Callable[[], float] = time.time,
) -> Iterator[Stat]:
    """Delete garbage, several objects at a time, and yield what was deleted.

    It is announced first, and each object is looked at once more: one that somebody put again
    meanwhile, because a row is about to refer to it, is as good as new and stays.
    """

    def take(each: Stat) -> Stat | None:
        try:
            if store.stat(each.path).modified >= before:
                return None
        except ObjectMissingError:
            return None
        if wall() > deadline:
            return None  # the next collection takes it
        store.delete(each.path)
        return each

    for batch in batches(found, ROUND):
        deadline = wall() + SWEEP_S
        with announced(store, [each.path for each in batch], sleep):
            gone = in_parallel(take, batch)
            yield from (each for each in gone if each is not None)


def in_parallel(
    function: Callable[[T], R], values: Iterable[T], n_threads: int = N_THREADS
) -> Iterator[R]:
    """Yield what a function returns for each value, in order, some calls ahead in flat memory."""
    with ThreadPoolExecutor(n_threads) as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for value in values:
                waiting.append(pool.submit(function, value))
                if len(waiting) > 4 * n_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def batches(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the values in lists of `size`, the last one shorter."""
    rest = iter(values)
    while batch := list(islice(rest, size)):
        yield batch


def in_words(span: timedelta) -> str:
    """Return a duration as people write it: `1 h 10 min`."""
    minutes, seconds = divmod(round(span.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (seconds, "s")]
    return " ".join(f"{n} {unit}" for n, unit in parts if n) or "0 s"

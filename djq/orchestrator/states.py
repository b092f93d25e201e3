"""The values of the scheduler's core: events in, instructions out.

Pure: no clock, socket, thread or chance. The decisions are in `core.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from djq.orchestrator.events import Freed, Inserted, Released

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Queue of tables that name none.
DEFAULT_QUEUE = "djq.default"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Keys of one table that travel in one message."""

    id: str
    run: str
    table: str
    keys: tuple[str, ...]
    queue: str = DEFAULT_QUEUE


@dataclass(frozen=True, slots=True)
class Place:
    """Where a table stands in the pipeline."""

    table: str
    #: Depth in the graph of dependencies.
    level: int
    #: Tables whose new rows can make its keys due.
    parents: tuple[str, ...] = ()
    #: Server names of all tables whose rows can make its keys due, and whether their keys tell
    #: which ones.
    sources: Mapping[str, bool] = field(default_factory=dict[str, bool], hash=False)
    #: Among tables of one level, higher ones go first.
    priority: int = 0
    queue: str = DEFAULT_QUEUE
    #: Where keys go that ran out of memory; None: nowhere else.
    big_queue: str | None = None
    #: What a chunk needs of what is limited across the fleet: name -> (units, limit).
    units: Mapping[str, tuple[int, int]] = field(
        default_factory=dict[str, tuple[int, int]], hash=False
    )
    #: A chunk should take about this long; None: as the run says [s].
    chunk_s: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a run."""

    #: A chunk should take about this long [s].
    chunk_s: float = 1.0
    #: Stop after so many keys; None: no bound.
    max_keys: int | None = None
    #: Go on when nothing is due.
    is_endless: bool = False
    #: Runs of higher priority go first.
    priority: int = 0
    #: Leave tables to a daemon that leads them.
    is_yielding: bool = True


# Events, besides `Released`, `Freed` and `Inserted`.


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True, slots=True)
class Find:
    """Search due keys in the order of the primary key; answer with `Found`.

    A search among keys is answered before anything else; one of the whole table may take its time.
    """

    table: str
    limit: int
    after: str | None = None
    #: Only keys that go with one of `among`, keys of the table `parent`.
    parent: str | None = None
    among: tuple[str, ...] = ()

    @property
    def is_scan(self) -> bool:
        """Whether it is a page of the whole table."""
        return self.parent is None


@dataclass(frozen=True, slots=True)
class Found:
    """A search came back."""

    search: Find
    keys: tuple[str, ...]
    is_exhausted: bool
    #: What it cost [s].
    seconds: float = 0.0
    #: Of these, the keys that are to go to the big queue.
    big: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Queued:
    """A chunk was sent with the keys that nobody else had; with none, it was not sent."""

    chunk: str
    accepted: tuple[str, ...]


class Rival(NamedTuple):
    """What another run wants of a queue."""

    priority: int
    #: Chunks that it has in flight there, or would have with more room.
    n_chunks: int


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A look at the fleet."""

    #: Chunks that it can work on at the same time.
    slots: int
    #: Chunks that Redis knows.
    chunks: frozenset[str]
    #: Slots of the workers of each queue; empty: all work on every queue.
    queues: Mapping[str, int] = field(default_factory=dict[str, int], hash=False)
    #: Queue -> the other runs that have something for it.
    rivals: Mapping[str, tuple[Rival, ...]] = field(
        default_factory=dict[str, tuple[Rival, ...]], hash=False
    )


@dataclass(frozen=True, slots=True)
class RedisLost:
    """Redis forgot everything."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Nothing new shall be queued."""


@dataclass(frozen=True, slots=True)
class Led:
    """The tables for which another scheduler queues what is due; there, only look on."""

    tables: frozenset[str]


@dataclass(frozen=True, slots=True)
class Resumed:
    """The end came too early: somebody else still makes keys of these tables."""


Event = (
    Tick
    | Found
    | Queued
    | Surveyed
    | RedisLost
    | Cancelled
    | Led
    | Resumed
    | Released
    | Freed
    | Inserted
)

# Instructions.


@dataclass(frozen=True, slots=True)
class Queue:
    """Queue a chunk; answer with `Queued`."""

    chunk: Chunk


@dataclass(frozen=True, slots=True)
class Drop:
    """Take chunks back that no worker has begun."""

    chunks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bury:
    """Record an error for a key that takes workers along, so that it is not tried again."""

    table: str
    key: str
    n_losses: int


@dataclass(frozen=True, slots=True)
class Forgive:
    """Forget how often workers died with these keys: they are not due any more."""

    table: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing is due and nothing in flight."""


Instruction = Find | Queue | Drop | Bury | Forgive | Finish

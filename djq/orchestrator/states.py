"""The values of the scheduler's core: events in, instructions out.

Pure: no clock, socket, thread or chance. The decisions are in `core.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from djq.orchestrator.events import Freed, Released


@dataclass(frozen=True, slots=True)
class Chunk:
    """Keys of one table that travel in one message."""

    id: str
    run: str
    table: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a table stands in the pipeline."""

    table: str
    #: Depth in the graph of dependencies.
    level: int
    #: Tables whose new rows can make its keys due.
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a run."""

    #: A chunk should take about this long [s].
    chunk_s: float = 1.0
    #: Stop after so many keys; None: no bound.
    max_keys: int | None = None
    #: Go on when nothing is due.
    is_endless: bool = False


# Events, besides `Released` and `Freed`.


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True, slots=True)
class Found:
    """A search came back."""

    keys: tuple[str, ...]
    is_exhausted: bool
    #: What it cost [s].
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Queued:
    """A chunk was sent with the keys that nobody else had; with none, it was not sent."""

    chunk: str
    accepted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A look at the fleet."""

    #: Chunks that it can work on at the same time.
    slots: int
    #: Chunks that Redis knows.
    chunks: frozenset[str]


@dataclass(frozen=True, slots=True)
class RedisLost:
    """Redis forgot everything."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Nothing new shall be queued."""


@dataclass(frozen=True, slots=True)
class Led:
    """Whether another scheduler queues what is due in all these tables; then only look on."""

    is_led: bool


@dataclass(frozen=True, slots=True)
class Resumed:
    """The end came too early: somebody else still makes keys of these tables."""


Event = Tick | Found | Queued | Surveyed | RedisLost | Cancelled | Led | Resumed | Released | Freed

# Instructions.


@dataclass(frozen=True, slots=True)
class Find:
    """Search due keys in the order of the primary key; answer with `Found` before anything else."""

    table: str
    limit: int
    after: str | None = None
    #: Only keys that go with one of `among`, keys of the table `parent`.
    parent: str | None = None
    among: tuple[str, ...] = ()


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

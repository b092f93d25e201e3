"""What the model of Redis remembers, and what its scripts do in common: granting and freeing."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from dataclasses import dataclass, field, replace
from math import inf
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from djq.errors import RedisUnavailableError
from djq.orchestrator.events import Announcement, Freed
from djq.orchestrator.holding import (
    NOTHING_IN_HAND,
    ChunkRecord,
    Main,
    Reservation,
    Units,
    main_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


Answer = TypeVar("Answer")


@dataclass
class Cursor:
    """A search that several processes share."""

    round: int
    after: str = ""
    has_ended: bool = False
    reader: str = ""
    until: float = 0.0
    pool: list[str] = field(default_factory=list)


@dataclass
class Memory:
    """What Redis holds."""

    epoch: str | None = None
    token: int = 0
    jobs: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    chunks: dict[str, tuple[ChunkRecord, str | None]] = field(default_factory=dict)
    mains: dict[str, tuple[Main | None, float]] = field(default_factory=dict)
    losses: Counter[tuple[str, str]] = field(default_factory=Counter)
    leads: dict[str, tuple[str, float]] = field(default_factory=dict)
    watched_at: float = -inf
    pardoned_until: float = -inf
    #: Run -> its priority, chunks by queue, and until when that counts.
    wants: dict[str, tuple[int, dict[str, int], float]] = field(default_factory=dict)
    units: dict[tuple[str, str], int] = field(default_factory=dict)
    cursors: dict[str, Cursor] = field(default_factory=dict)


def told(script: Callable[..., Answer]) -> Callable[..., Answer]:
    """Have an answer of a script get lost when it is time for that.

    Redis runs the script; its client either asks the same again at once, as redis-py does, or
    passes the error on.
    """

    @functools.wraps(script)
    def call(self: ModelServer | Part, *args: object, **kwargs: object) -> Answer:
        server = self if isinstance(self, ModelServer) else self.server
        how = server.unheard.pop(script.__name__, None)
        if how is None:
            return script(self, *args, **kwargs)
        script(self, *args, **kwargs)
        if how == "error":
            message = "Redis at model did not answer"
            raise RedisUnavailableError(message)
        return script(self, *args, **kwargs)

    return call


class Part(Protocol):
    """Some of the server's scripts."""

    server: ModelServer


class ModelServer:
    """Redis as a dict."""

    def __init__(self, clock: Callable[[], float], lease_s: float) -> None:
        self.lease_s = lease_s
        self.clock = clock
        self.is_down = False
        #: Scripts whose next answer gets lost; whether they are asked again at once.
        self.unheard: dict[str, Literal["twice", "error"]] = {}
        self.memory = Memory()
        self.events: list[Announcement] = []
        self._epochs = itertools.count(1)

    def flush(self) -> None:
        self.memory = Memory()
        self.events.clear()

    def everything_free(self) -> bool:
        memory = self.memory
        return not (memory.jobs or memory.chunks or memory.losses or memory.units)

    def enter(self) -> Memory:
        if self.is_down:
            message = "Redis at model did not answer"
            raise RedisUnavailableError(message)
        if self.memory.epoch is None:
            self.memory.epoch = f"e{next(self._epochs)}"
        return self.memory

    def is_alive(self, main: str) -> bool:
        return self.memory.mains.get(main, (None, -1.0))[1] > self.clock()

    def note_watch(self) -> None:
        """Give everybody a lease if nobody could judge for half a lease."""
        last, self.memory.watched_at = self.memory.watched_at, self.clock()
        is_late = inf > self.clock() - last > self.lease_s / 2
        if is_late and self.clock() >= self.memory.pardoned_until:
            self.memory.pardoned_until = self.clock() + 2 * self.lease_s
            for name, (main, _) in self.memory.mains.items():
                self.memory.mains[name] = (main, self.clock() + self.lease_s)

    def arrive(self, holder: str, chunk: str) -> None:
        main = main_of(holder)
        if not self.is_alive(main):
            self.memory.mains[main] = (None, self.clock() + self.lease_s)
        for other, (_, owner) in list(self.memory.chunks.items()):
            if owner == holder and other != chunk:
                self.free_chunk(other, is_lost=False, reason="left over")

    def state(self, table: str, key: str) -> tuple[str, ...] | None:
        """The state of a key; of a chunk that nobody knows it is none."""
        state = self.memory.jobs.get((table, key))
        return state if state is not None and state[-1] in self.memory.chunks else None

    def strays(self) -> list[tuple[str, str]]:
        """Keys whose state is not that of a known chunk."""
        chunks = self.memory.chunks
        return [
            (table, key)
            for (table, key), state in self.memory.jobs.items()
            if state[-1] not in chunks
            or key not in chunks[state[-1]][0].keys
            or chunks[state[-1]][1] != (state[1] if state[0] == "r" else None)
        ]

    def state_for(self, holder: str, table: str, key: str) -> tuple[str, ...] | None:
        """The same for who would take the key: a chunk of a dead holder is freed first."""
        state = self.state(table, key)
        if (
            state is None
            or state[0] == "q"
            or state[1] == holder
            or self.is_alive(main_of(state[1]))
        ):
            return state
        self.free_chunk(state[-1], is_lost=True, reason="heartbeat ended")
        return None

    def is_free(self, state: tuple[str, ...] | None, holder: str) -> bool:
        return state is None or state[:2] == ("r", holder)

    def grant(self, none: Reservation, keys: Sequence[str]) -> Reservation:
        memory = self.memory
        memory.token += 1
        mark = ("r", none.holder, str(memory.token), none.chunk)
        memory.jobs.update({(none.table, key): mark for key in keys})
        main = main_of(none.holder)
        record = ChunkRecord(none.chunk, none.table, none.run, tuple(keys), True, main)
        memory.chunks[none.chunk] = (record, none.holder)
        return replace(none, keys=tuple(keys), token=memory.token)

    def held(self, chunk: str, holder: str | None) -> list[str]:
        """The keys that a holder has by a chunk."""
        record, owner = self.memory.chunks.get(chunk, (None, None))
        if record is None or owner != holder:
            return []
        states = {key: self.memory.jobs.get((record.table, key), ()) for key in record.keys}
        mark = ("r", holder, chunk)
        return [key for key, s in states.items() if (*s[:2], *s[3:]) == mark]

    def take_units(self, wanted: Units, chunk: str) -> str:
        for name, (n, limit) in wanted.items():
            used = sum(
                m for (which, by), m in self.memory.units.items() if which == name and by != chunk
            )
            if used + n > limit:
                return name
        self.memory.units.update({(name, chunk): n for name, (n, _) in wanted.items()})
        return ""

    def give_units_back(self, chunk: str) -> None:
        for name, other in list(self.memory.units):
            if other == chunk:
                del self.memory.units[name, other]

    def is_taken(self, chunk: str, holder: str) -> bool:
        """Whether another works on a chunk; if that one died, it is given up."""
        owner = self.memory.chunks[chunk][1]
        if owner in {None, holder}:
            return False
        if not self.is_alive(main_of(owner or "")):
            self.free_chunk(chunk, is_lost=True, reason="heartbeat ended")
        return True

    def free_queued(self, chunk: str, reason: str) -> int:
        record, _ = self.memory.chunks[chunk]
        states = {key: self.memory.jobs.get((record.table, key)) for key in record.keys}
        return self.free_granted(chunk, [k for k, s in states.items() if s == ("q", chunk)], reason)

    def free_granted(self, chunk: str, keys: Sequence[str], reason: str) -> int:
        """Forget a chunk, and free which of these keys are its own."""
        record, _ = self.memory.chunks.pop(chunk)
        self.give_units_back(chunk)
        jobs = self.memory.jobs
        freed = tuple(k for k in keys if jobs.get((record.table, k), ("",))[-1] == chunk)
        for key in freed:
            del jobs[record.table, key]
        if freed:
            self.events.append(Freed(record.table, chunk, record.run, freed, reason))
        return len(freed)

    def free_holders(
        self,
        main: str,
        kept: set[str],
        *,
        is_lost: bool,
        reason: str,
        in_hand: Mapping[str, str] = NOTHING_IN_HAND,
    ) -> int:
        chunks = [
            (chunk, in_hand.get(owner.rpartition("/")[2]))
            for chunk, (_, owner) in self.memory.chunks.items()
            if owner is not None and main_of(owner) == main and owner not in kept
        ]
        return sum(
            self.free_chunk(chunk, is_lost=is_lost, reason=reason, in_hand=key)
            for chunk, key in chunks
        )

    def free_chunk(
        self, chunk: str, *, is_lost: bool, reason: str, in_hand: str | None = None
    ) -> int:
        memory = self.memory
        record, holder = memory.chunks[chunk]
        mine = self.held(chunk, holder)
        del memory.chunks[chunk]
        self.give_units_back(chunk)
        for key in mine:
            del memory.jobs[record.table, key]
        is_known = in_hand in mine
        count = int(is_known or len(record.keys) == 1)
        losses: list[int | None] = []
        for key in mine:
            is_suspect = key == in_hand or not is_known
            if is_lost and is_suspect:
                memory.losses[record.table, key] += count
            losses.append(memory.losses[record.table, key] if is_suspect else None)
        if mine:
            counts = tuple(losses) if is_lost else ()
            self.events.append(Freed(record.table, chunk, record.run, tuple(mine), reason, counts))
        return len(mine)

    def free_main(self, main: str, *, is_lost: bool, reason: str) -> int:
        n_keys = self.free_holders(main, set(), is_lost=is_lost, reason=reason)
        self.memory.mains.pop(main, None)
        return n_keys

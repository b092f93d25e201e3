"""A fleet in one process under a simulated clock: reservations, broker, database, workers.

`ModelReservations` keeps the contract of `tests/contract/test_reservations.py`, as Redis does.
"""

from __future__ import annotations

import itertools
import secrets
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from djq.errors import RedisUnavailableError
from djq.orchestrator.events import Announcement, Freed, Released
from djq.orchestrator.reservations import Census, ChunkRecord, Main, Reservation, Standing
from djq.orchestrator.states import Chunk, Find, Place

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Sequence

EVENTS_KEPT = 20_000


@dataclass
class _Memory:
    """What Redis holds."""

    epoch: str | None = None
    token: int = 0
    jobs: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    chunks: dict[str, tuple[ChunkRecord, str | None]] = field(default_factory=dict)
    mains: dict[str, tuple[Main | None, float]] = field(default_factory=dict)
    losses: Counter[tuple[str, str]] = field(default_factory=Counter)
    leader: tuple[str, float] | None = None


class ModelReservations:
    """Reservations in a dict."""

    def __init__(self, clock: Callable[[], float], lease_s: float, memory: object = None) -> None:
        self.lease_s = lease_s
        self.clock = clock
        self.is_down = False
        self.memory = memory if isinstance(memory, _Memory) else _Memory()
        self.events: list[Announcement] = []
        self._epochs = itertools.count(1)

    def flush(self) -> None:
        self.memory = _Memory()
        self.events.clear()

    def everything_free(self) -> bool:
        memory = self.memory
        return not (memory.jobs or memory.chunks or +memory.losses)

    def _enter(self) -> _Memory:
        if self.is_down:
            message = "Redis at model did not answer"
            raise RedisUnavailableError(message)
        if self.memory.epoch is None:
            self.memory.epoch = f"e{next(self._epochs)}"
        return self.memory

    def _is_alive(self, main: str) -> bool:
        return self.memory.mains.get(main, (None, -1.0))[1] > self.clock()

    def queue(self, chunks: Sequence[Chunk]) -> list[tuple[str, ...]]:
        memory = self._enter()
        answers: list[tuple[str, ...]] = []
        for chunk in chunks:
            accepted = tuple(
                key
                for key in chunk.keys
                if memory.jobs.get((chunk.table, key)) in {None, ("q", chunk.id)}
            )
            memory.jobs.update({(chunk.table, key): ("q", chunk.id) for key in accepted})
            if accepted:
                record = ChunkRecord(chunk.id, chunk.table, chunk.run, accepted, is_reserved=False)
                memory.chunks[chunk.id] = (record, None)
            answers.append(accepted)
        return answers

    def reserve(self, chunk: Chunk, holder: str) -> Reservation:
        memory = self._enter()
        main = main_of(holder)
        if not self._is_alive(main):
            memory.mains[main] = (None, self.clock() + self.lease_s)
        for other, (_, owner) in list(memory.chunks.items()):
            if owner == holder and other != chunk.id:
                self._free_chunk(other, is_lost=False, reason="left over")
        none = Reservation(chunk.id, chunk.run, chunk.table, (), holder, 0, str(memory.epoch))
        if chunk.id not in memory.chunks:
            return none
        memory.token += 1
        mark = ("r", holder, str(memory.token), chunk.id)
        granted: list[str] = []
        for key in chunk.keys:
            state = memory.jobs.get((chunk.table, key))
            if state is None or state == ("q", chunk.id):
                is_free = True
            else:
                is_free = state[0] == "r" and (
                    state[1] == holder or not self._is_alive(main_of(state[1]))
                )
            if is_free:
                memory.jobs[chunk.table, key] = mark
                granted.append(key)
        if not granted:
            return none
        record = ChunkRecord(chunk.id, chunk.table, chunk.run, tuple(granted), is_reserved=True)
        memory.chunks[chunk.id] = (record, holder)
        return replace(none, keys=tuple(granted), token=memory.token)

    def holds(self, reservation: Reservation, key: str) -> Standing:
        memory = self.memory
        if self.is_down:
            return Standing(is_held=True)  # as the workplace decides
        r = reservation
        mark = ("r", r.holder, str(r.token), r.chunk)
        state = memory.jobs.get((r.table, key))
        if state != mark:
            if state is not None or memory.epoch == r.epoch:
                return Standing(is_held=False)
            memory.jobs[r.table, key] = mark
            record, _ = memory.chunks.get(
                r.chunk, (ChunkRecord(r.chunk, r.table, r.run, (), is_reserved=True), r.holder)
            )
            memory.chunks[r.chunk] = (replace(record, keys=(*record.keys, key)), r.holder)
            if not self._is_alive(main_of(r.holder)):
                memory.mains[main_of(r.holder)] = (None, self.clock() + self.lease_s)
        main = memory.mains.get(main_of(r.holder), (None, 0.0))[0]
        return Standing(is_held=True, is_stopping=main is not None and main.is_stopping)

    def release(self, reservation: Reservation, outcome: Released) -> None:
        memory = self._enter()
        r = reservation
        mark = ("r", r.holder, str(r.token), r.chunk)
        failed = tuple(key for key, _ in outcome.failed)
        settled = (*outcome.made, *outcome.exists, *failed, *outcome.empty)
        for key in (*settled, *outcome.unsettled):
            if memory.jobs.get((r.table, key)) == mark:
                del memory.jobs[r.table, key]
        for key in settled:
            memory.losses.pop((r.table, key), None)
        memory.chunks.pop(r.chunk, None)
        self.events.append(outcome)

    def drop(self, chunks: Iterable[str], reason: str) -> int:
        memory = self._enter()
        n_keys = 0
        for chunk in chunks:
            record, holder = memory.chunks.get(chunk, (None, None))
            if record is None or holder is not None:
                continue
            queued = tuple(
                key for key in record.keys if memory.jobs.get((record.table, key)) == ("q", chunk)
            )
            for key in queued:
                del memory.jobs[record.table, key]
            del memory.chunks[chunk]
            if queued:
                self.events.append(Freed(record.table, chunk, record.run, queued, reason))
            n_keys += len(queued)
        return n_keys

    def prune(self, main: str, alive: Iterable[int | str], *, is_lost: bool) -> int:
        self._enter()
        kept = {f"{main}/{slot}" for slot in alive}
        return self._free_holders(main, kept, is_lost=is_lost, reason="its process ended")

    def _free_holders(self, main: str, kept: set[str], *, is_lost: bool, reason: str) -> int:
        chunks = [
            chunk
            for chunk, (_, owner) in self.memory.chunks.items()
            if owner is not None and main_of(owner) == main and owner not in kept
        ]
        return sum(self._free_chunk(chunk, is_lost=is_lost, reason=reason) for chunk in chunks)

    def _free_chunk(self, chunk: str, *, is_lost: bool, reason: str) -> int:
        memory = self.memory
        record, holder = memory.chunks.pop(chunk)
        mine = [
            key
            for key in record.keys
            if (state := memory.jobs.get((record.table, key), ()))[:1] == ("r",)
            and (state[1], state[3]) == (holder, chunk)
        ]
        losses: list[int] = []
        for key in mine:
            del memory.jobs[record.table, key]
            if is_lost:
                memory.losses[record.table, key] += 1
                losses.append(memory.losses[record.table, key])
        if mine:
            self.events.append(
                Freed(record.table, chunk, record.run, tuple(mine), reason, tuple(losses))
            )
        return len(mine)

    def _free_main(self, main: str, *, is_lost: bool, reason: str) -> int:
        n_keys = self._free_holders(main, set(), is_lost=is_lost, reason=reason)
        self.memory.mains.pop(main, None)
        return n_keys

    def forgive(self, table: str, keys: Sequence[str]) -> None:
        memory = self._enter()
        for key in keys:
            memory.losses.pop((table, key), None)

    def beat(self, main: Main) -> str:
        memory = self._enter()
        memory.mains[main.id] = (main, self.clock() + self.lease_s)
        return str(memory.epoch)

    def leave(self, main: str) -> int:
        self._enter()
        return self._free_main(main, is_lost=False, reason="worker left")

    def reap(self) -> Census:
        memory = self._enter()
        reaped = tuple(sorted(main for main in memory.mains if not self._is_alive(main)))
        for main in reaped:
            self._free_main(main, is_lost=True, reason="heartbeat ended")
        alive = tuple(main for main, _ in memory.mains.values() if main is not None)
        return Census(str(memory.epoch), alive, reaped)

    def lead(self, candidate: str) -> str:
        memory = self._enter()
        leader, until = memory.leader or (candidate, 0.0)
        if leader == candidate or until <= self.clock():
            memory.leader = (candidate, self.clock() + self.lease_s)
        return memory.leader[0] if memory.leader else candidate

    def resign(self, candidate: str) -> None:
        if self.leader() == candidate:
            self._enter().leader = None

    def leader(self) -> str | None:
        leader = self._enter().leader
        return leader[0] if leader is not None and leader[1] > self.clock() else None

    def position(self) -> str:
        self._enter()
        return str(len(self.events))

    def announcements(self, after: str, *, wait_s: float) -> tuple[str, list[Announcement]]:
        self._enter()
        first = 0 if after == "0-0" else int(after)
        return str(max(first, len(self.events))), self.events[first:]

    def chunks(self) -> list[ChunkRecord]:
        return [record for record, _ in self._enter().chunks.values()]

    def losses(self, table: str) -> dict[str, int]:
        counts = self._enter().losses
        return {key: n for (name, key), n in counts.items() if name == table}


def main_of(holder: str) -> str:
    return holder.rpartition("/")[0]


@dataclass
class World:
    """A pipeline `Scan -> Spot -> Spot2 (two per scan) -> Total (one per pair of scans)`.

    The database of the simulation: which rows there are, how often each was committed, and which
    keys failed. A key whose scan is in `bad` raises; one in `deadly` kills its worker.
    """

    scans: set[int] = field(default_factory=set)
    bad: set[int] = field(default_factory=set)
    deadly: set[int] = field(default_factory=set)
    rows: dict[str, set[str]] = field(
        default_factory=lambda: {"Spot": set(), "Twin": set(), "Total": set()}
    )
    errors: dict[str, set[str]] = field(
        default_factory=lambda: {"Spot": set(), "Twin": set(), "Total": set()}
    )
    commits: Counter[tuple[str, str]] = field(default_factory=Counter)
    n_searches: int = 0

    places = (
        Place("Spot", 0),
        Place("Twin", 1, ("Spot",)),
        Place("Total", 2, ("Twin",)),
    )

    def keys(self, table: str) -> list[str]:
        """All keys that there should be now, in order."""
        if table == "Spot":
            return [f"[{scan}]" for scan in sorted(self.scans)]
        if table == "Twin":
            spots = sorted(int(key[1:-1]) for key in self.rows["Spot"])
            return [f"[{spot},{side}]" for spot in spots for side in (0, 1)]
        twins = self.rows["Twin"]
        pairs = sorted({int(key[1:-1].split(",")[0]) // 2 for key in twins})
        return [
            f"[{pair}]"
            for pair in pairs
            if all(f"[{2 * pair + a},{b}]" in twins for a in (0, 1) for b in (0, 1))
        ]

    def due(self, table: str) -> list[str]:
        done = self.rows[table] | self.errors[table]
        return [key for key in self.keys(table) if key not in done]

    def scan_of(self, table: str, key: str) -> int:
        first = int(key[1:-1].split(",", maxsplit=1)[0])
        return 2 * first if table == "Total" else first

    def commit(self, table: str, key: str) -> bool:
        """Insert a row; False: the unique key says that it is there."""
        if key in self.rows[table]:
            return False
        self.rows[table].add(key)
        self.commits[table, key] += 1
        return True

    # The plan of the loop.

    def find(self, search: Find) -> tuple[str, ...]:
        self.n_searches += 1
        due = self.due(search.table)
        if search.parent is not None:
            shared = {self._shared(search, key, search.parent) for key in search.among}
            due = [key for key in due if self._shared(search, key, search.table) in shared]
        if search.after is not None:
            order = [order_of(key) for key in due]
            due = [key for key, at in zip(due, order, strict=True) if at > order_of(search.after)]
        return tuple(due[: search.limit])

    def _shared(self, search: Find, key: str, table: str) -> str:
        """The part of a key that a table and its parent share."""
        if search.table == search.parent:
            return key
        if search.table == "Total":
            scan = self.scan_of(table, key)
            return str(scan // 2)
        return str(self.scan_of(table, key))

    def bury(self, table: str, key: str, n_losses: int) -> None:
        self.errors[table].add(key)


def order_of(key: str) -> tuple[int, ...]:
    return tuple(int(part) for part in key[1:-1].split(","))


@dataclass
class Broker:
    """The queue: messages can be lost, doubled and delivered in any order."""

    chance: random.Random
    messages: list[Chunk] = field(default_factory=list)
    lose: float = 0.0
    double: float = 0.0

    def send(self, chunks: Sequence[Chunk]) -> None:
        for chunk in chunks:
            if self.chance.random() < self.lose:
                continue
            self.messages.append(chunk)
            if self.chance.random() < self.double:
                self.messages.append(chunk)

    def waiting(self) -> frozenset[str]:
        return frozenset(chunk.id for chunk in self.messages)

    def take(self) -> Chunk | None:
        if not self.messages:
            return None
        return self.messages.pop(self.chance.randrange(len(self.messages)))


@dataclass
class Worker:
    """One main process with one pool process, which works in small steps."""

    world: World
    broker: Broker
    reservations: ModelReservations
    name: str = field(default_factory=lambda: f"m{secrets.token_hex(3)}")
    pid: int = 1
    reservation: Reservation | None = None
    todo: list[str] = field(default_factory=list)
    groups: dict[str, list[str]] = field(default_factory=dict)
    is_computing: bool = False
    is_mute: bool = False
    is_stopping: bool = False
    #: A pool process ended, and what it held is not freed yet.
    has_lost: bool = False

    @property
    def holder(self) -> str:
        return f"{self.name}/{self.pid}"

    def beat(self) -> None:
        if self.has_lost:
            self.reservations.prune(self.name, [self.pid], is_lost=True)
            self.has_lost = False
        if not self.is_mute:
            self.reservations.beat(Main(self.name, slots=1, is_stopping=self.is_stopping))

    def step(self) -> None:
        """Do the next thing: take a message, compute, commit or release."""
        if self.reservation is None:
            self._take()
        elif self.todo and self.is_computing:
            self._commit(self.todo[0])
        elif self.todo:
            self._compute(self.todo[0])
        else:
            self._release()

    def _take(self) -> None:
        if self.reservations.is_down or self.is_stopping:
            return
        if (chunk := self.broker.take()) is None:
            return
        reservation = self.reservations.reserve(chunk, self.holder)
        if reservation.keys:
            self.reservation, self.todo = reservation, list(reservation.keys)
            self.groups = {}

    def _compute(self, key: str) -> None:
        assert self.reservation is not None
        table = self.reservation.table
        if key in self.world.rows[table]:
            self._done("exists")
        elif self.world.scan_of(table, key) in self.world.deadly:
            self.die()
        else:
            self.is_computing = True

    def _commit(self, key: str) -> None:
        assert self.reservation is not None
        table = self.reservation.table
        self.is_computing = False
        if self.world.scan_of(table, key) in self.world.bad:
            self.world.errors[table].add(key)
            self._done("failed")
            return
        standing = self.reservations.holds(self.reservation, key)
        if not standing.is_held:
            self._done("lost")
        else:
            self._done("made" if self.world.commit(table, key) else "exists")
        if standing.is_stopping:
            self.groups.setdefault("returned", []).extend(self.todo)
            self.todo = []

    def _done(self, group: str) -> None:
        self.groups.setdefault(group, []).append(self.todo.pop(0))

    def _release(self) -> None:
        if self.reservations.is_down:
            return
        r = self.reservation
        assert r is not None
        groups = {name: tuple(keys) for name, keys in self.groups.items() if name != "failed"}
        failed = tuple((key, "bad") for key in self.groups.get("failed", ()))
        self.reservation = None
        self.reservations.release(
            r, Released(r.table, r.chunk, r.run, **groups, failed=failed, seconds=0.1)
        )

    def die(self) -> None:
        """Lose the pool process; the main process sees it a little later, and starts another."""
        self.has_lost = True
        self.pid += 1
        self.reservation, self.todo, self.is_computing = None, [], False

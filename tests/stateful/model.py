"""A fleet in one process under a simulated clock: broker, database, workers.

Its reservations are those of `tests/stateful/model_redis.py`.
"""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from djq.orchestrator.events import Released
from djq.orchestrator.reservations import Main, Reservation
from djq.orchestrator.states import Chunk, Find, Place

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from tests.stateful.model_redis import ModelReservations


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

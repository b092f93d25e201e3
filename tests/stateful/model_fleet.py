"""A fleet in one process under a simulated clock: broker and workers.

Its reservations are those of `model_redis.py`, its database is that of `model_world.py`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from djq.orchestrator.events import Released
from djq.orchestrator.reservations import Main, Reservation

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from djq.orchestrator.states import Chunk
    from tests.stateful.model_redis import ModelReservations
    from tests.stateful.model_world import World


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

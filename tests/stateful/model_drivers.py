"""Those who drive runs in the simulation: `djq/orchestrator/driving.py` without its threads."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from djq.orchestrator.driving import LOOK_S, RENEWALS_PER_LEASE, lead_name, run_of
from djq.orchestrator.states import Limits
from tests.stateful.model_world import TABLES, StoredRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from djq.orchestrator.loop import Loop
    from tests.stateful.model_redis import ModelReservations
    from tests.stateful.model_world import World


@dataclass(eq=False)
class Driver:
    """A process that makes a run go on, unless another does.

    A run that is not in the world's table is known to its process only.
    """

    run: str
    #: Of this process.
    name: str
    world: World
    server: ModelReservations
    new_loop: Callable[[str, Limits], Loop]
    clock: Callable[[], float]
    chunk_s: float
    #: Goes as soon as another process drives.
    is_leaving: bool = False
    is_finished: bool = False
    loop: Loop | None = None

    def __post_init__(self) -> None:
        self.is_stored = self.run in self.world.runs
        self.is_leading = not self.is_stored
        self.row = self.world.runs.get(self.run, StoredRun())
        self.n_loops = 0
        self.is_cancelling = self.is_told = False
        self._next_lead = self._next_look = -inf

    def turn(self) -> None:
        self._look()
        if self.is_finished:
            return
        if not self.is_leading:
            self.loop, self.is_finished = None, self.is_leaving
            return
        if self.loop is None:
            self.loop, self.is_told = self._new_loop(), False
            self._look()
        if not self.loop.is_finished:
            self.loop.turn(0.0)
        if self.loop.is_finished:
            self._end("cancelled" if self.is_told else "done")

    @property
    def wakes_at(self) -> float:
        soonest = min(self._next_lead, self._next_look) if self.is_stored else inf
        return soonest if self.loop is None else min(soonest, self.loop.wakes_at)

    def _look(self) -> None:
        now = self.clock()
        if not self.is_stored:
            return
        if now >= self._next_lead:
            self.is_leading = bool(self.server.leads.take(self.name, [lead_name(self.run)]))
            self._next_lead = now + self.server.lease_s / RENEWALS_PER_LEASE
        if now >= self._next_look:
            self._read_row()
            is_follower = self.row.is_continuous and not self.row.has_options
            if self.loop is not None and is_follower and not self.is_finished:
                leaders = self.server.leads.leaders(TABLES)
                self.loop.lead(frozenset(TABLES) - frozenset(leaders))
            self._next_look = now + LOOK_S
        if self.loop is not None and self.is_cancelling and not self.is_told:
            self.loop.cancel()
            drop_waiting(self.server, self.run)
            self.is_told = True

    def _read_row(self) -> None:
        self.world.ask()
        self.row = self.world.runs[self.run]
        self.is_finished = not self.row.is_open
        self.is_cancelling = self.is_cancelling or self.row.status == "cancelling"

    def _new_loop(self) -> Loop:
        self.n_loops += 1
        limits = Limits(
            chunk_s=self.chunk_s,
            is_endless=self.row.is_continuous,
            # Options bring it.
            priority=int(self.row.has_options),
            is_yielding=not self.row.has_options,
        )
        return self.new_loop(f"{self.run}.{self.name}-{self.n_loops}", limits)

    def _end(self, status: str) -> None:
        if self.is_stored:
            self.world.ask()
            self.world.runs[self.run] = self.world.runs[self.run].with_status(status)
        self.is_finished = True


def end_abandoned(world: World, server: ModelReservations, run: str, name: str) -> None:
    """End a cancelled run that nobody drives, as its function of that name does."""
    lead = [lead_name(run)]
    if not server.leads.take(name, lead):
        return
    drop_waiting(server, run)
    world.runs[run] = world.runs[run].with_status("cancelled")
    server.leads.resign(name, lead)


def drop_waiting(server: ModelReservations, run: str) -> None:
    """Take back what no worker has begun, whoever queued it."""
    server.drop([c.id for c in server.chunks() if run_of(c.run) == run], "cancelled")


def waiting(server: ModelReservations, run: str) -> list[str]:
    """Return the chunks of a run that no worker has begun."""
    records = (record for record, _ in server.memory.chunks.values())
    return [c.id for c in records if run_of(c.run) == run and not c.is_reserved]

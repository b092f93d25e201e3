"""Those who make keys in the simulation, step by step: workers of a fleet, plain populates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from djq.errors import RedisUnavailableError, TransientDatabaseError
from djq.orchestrator.events import Released
from djq.orchestrator.holding import Main, Standing
from tests.stateful.model_world import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from djq.orchestrator.holding import Reservation
    from tests.stateful.model_fleet import Broker
    from tests.stateful.model_redis import ModelReservations
    from tests.stateful.model_world import World

#: A key is tried so often when the database stumbles; then the chunk goes back.
MAX_TRIES = 5
BEAT_S = 5.0


@dataclass(eq=False)
class Process:
    """A pool process with the chunk in its hands."""

    pid: int
    reservation: Reservation | None = None
    todo: list[str] = field(default_factory=list)
    groups: dict[str, list[str]] = field(default_factory=dict)
    #: What comes next for the first key: compute, ask (is it still mine?) or commit.
    phase: str = "compute"
    n_tries: int = 0
    is_paused: bool = False
    is_stopping: bool = False

    @property
    def stage(self) -> str:
        if self.reservation is None:
            return "take"
        return self.phase if self.todo else "release"


@dataclass(eq=False)
class Worker:
    """One main process and its pool."""

    name: str
    world: World
    broker: Broker
    server: ModelReservations
    n_processes: int
    #: Does not ask whether a key is still its own: the last answer is fresh enough.
    is_hasty: bool = False
    tell: Callable[[str], None] = lambda _: None
    #: Told of work that was done twice.
    waste: Callable[[str], None] = lambda _: None
    processes: list[Process] = field(default_factory=list)
    is_paused: bool = False
    #: Does not reach Redis, alone.
    is_cut: bool = False
    is_stopping: bool = False
    #: A pool process ended, and what it held is not freed yet.
    has_lost: bool = False
    beaten_at: float = -BEAT_S

    def __post_init__(self) -> None:
        self.processes = [Process(pid) for pid in range(1, self.n_processes + 1)]
        self._next_pid = self.n_processes + 1

    @property
    def redis(self) -> ModelReservations:
        if self.is_cut:
            message = "cut off from Redis"
            raise RedisUnavailableError(message)
        return self.server

    def has_reached_redis(self) -> bool:
        return not (self.is_cut or self.server.is_down)

    # The main process.

    def look(self, now: float) -> None:
        """Do what its timers do: beat, and free what its dead processes held."""
        if self.is_paused or not self.has_reached_redis():
            return
        if self.has_lost:
            self.has_lost = False
            self.redis.holders.prune(
                self.name, [p.pid for p in self.processes], is_lost=not self.is_stopping
            )
        if now - self.beaten_at >= BEAT_S:
            self.beat(now)
            # What idle processes have, they released, and Redis has forgotten it.
            busy = [p.pid for p in self.processes if p.reservation is not None]
            self.redis.holders.prune(self.name, busy, is_lost=False)

    def beat(self, now: float) -> None:
        self.beaten_at = now
        self.redis.holders.beat(
            Main(self.name, slots=len(self.processes), is_stopping=self.is_stopping)
        )

    # The pool.

    def step(self, process: Process) -> bool:
        """Do the next thing; return whether anything was done."""
        if self.is_paused or process.is_paused:
            return False
        try:
            return bool(getattr(self, "_" + process.stage)(process))
        except RedisUnavailableError:
            return False
        except TransientDatabaseError:
            process.n_tries += 1
            process.phase = "compute"
            if process.n_tries >= MAX_TRIES:
                self._give_back(process)
            return False

    def _take(self, process: Process) -> bool:
        if self.is_stopping or not self.has_reached_redis():
            return False
        chunk = self.broker.take()
        if chunk is None:
            return False
        holder = f"{self.name}/{process.pid}"
        units = next(p.units for p in self.world.places if p.table == chunk.table)
        reservation = self.redis.reserve(chunk, holder, units)
        self.tell(f"{holder} takes {chunk.id}, gets {chunk.table} {' '.join(reservation.keys)}")
        if reservation.keys:
            process.reservation, process.todo = reservation, list(reservation.keys)
            process.groups, process.phase, process.n_tries = {}, "compute", 0
        return True

    def _compute(self, process: Process) -> bool:
        table, key = self._in_hand(process)
        self.world.ask()
        if key in self.world.rows[table]:
            self._done(process, "exists")
        elif self.world.is_deadly(table, key):
            self.kill(process)
            return False
        elif self.world.is_bad(table, key):
            self.world.fail(table, key)
            self._done(process, "failed")
        else:
            process.phase = "commit" if self.is_hasty else "ask"
        return True

    def _ask(self, process: Process) -> bool:
        _, key = self._in_hand(process)
        assert process.reservation is not None
        standing = Standing(is_held=True)
        if self.has_reached_redis():
            standing = self.redis.holds(process.reservation, key)
        process.is_stopping = standing.is_stopping
        process.phase = "commit"
        if not standing.is_held:
            self._waste(process)
            self._done(process, "lost")
        return True

    def _commit(self, process: Process) -> bool:
        table, key = self._in_hand(process)
        if (table, key) in self.world.undecided:
            return False
        is_first = self.world.commit(table, key)
        if not is_first:
            self._waste(process)
        self._done(process, "made" if is_first else "exists")
        if process.is_stopping:
            self._give_back(process)
        return True

    def _release(self, process: Process) -> bool:
        if not self.has_reached_redis():
            return False
        r = process.reservation
        assert r is not None
        groups = {name: tuple(keys) for name, keys in process.groups.items() if name != "failed"}
        failed = tuple((key, "bad") for key in process.groups.get("failed", ()))
        process.reservation = None
        self.tell(f"{r.holder} releases {r.chunk}")
        event = Released(r.table, r.chunk, r.run, **groups, failed=failed, seconds=0.1)
        self.redis.release(r, event)
        return True

    def _in_hand(self, process: Process) -> tuple[str, str]:
        assert process.reservation is not None
        return process.reservation.table, process.todo[0]

    def _done(self, process: Process, group: str) -> None:
        table, key = self._in_hand(process)
        self.tell(f"{self.name}/{process.pid}: {table} {key} {group}")
        process.groups.setdefault(group, []).append(process.todo.pop(0))
        process.phase, process.n_tries = "compute", 0

    def _give_back(self, process: Process) -> None:
        process.groups.setdefault("returned", []).extend(process.todo)
        process.todo = []

    def _waste(self, process: Process) -> None:
        table, key = self._in_hand(process)
        self.waste(f"{self.name}/{process.pid} computed {table} {key} for nothing")

    def kill(self, process: Process) -> None:
        """End a pool process; the main process sees it a little later, and starts another."""
        self.tell(f"{self.name}/{process.pid} dies")
        self.has_lost = True
        self.processes.remove(process)
        self.processes.append(Process(self._next_pid))
        self._next_pid += 1


@dataclass(eq=False)
class Populate:
    """A plain `populate()`: knows no reservations, and goes through what was due at its start."""

    name: str
    world: World
    tell: Callable[[str], None] = lambda _: None
    todo: list[tuple[str, str]] = field(default_factory=list)
    is_computed: bool = False

    def __post_init__(self) -> None:
        self.todo = [(table, key) for table in TABLES for key in self.world.due(table)]

    def step(self) -> bool:
        """Compute or commit the next key; return whether there is more to do."""
        if not self.todo:
            return False
        try:
            self._step(*self.todo[0])
        except TransientDatabaseError:
            self.is_computed = False
        return bool(self.todo)

    def _step(self, table: str, key: str) -> None:
        world = self.world
        world.ask()
        if (table, key) in world.undecided:
            return
        if self.is_computed:
            self.tell(f"{self.name} commits {table} {key}: {world.commit(table, key)}")
        elif world.is_deadly(table, key):
            self.todo = []
            return
        elif world.is_bad(table, key):
            world.fail(table, key)
        elif key not in world.rows[table]:
            self.is_computed = True
            return
        self.is_computed = False
        self.todo.pop(0)

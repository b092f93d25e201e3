"""Those who make keys for a fleet in the simulation, step by step."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from djq.errors import RedisUnavailableError, TransientDatabaseError
from djq.orchestrator.events import Released
from djq.orchestrator.holding import Main, Standing
from tests.stateful.model_world import BIG, HERE, THERE

if TYPE_CHECKING:
    from collections.abc import Callable

    from djq.orchestrator.holding import Reservation
    from djq.populate.failures import Cause
    from tests.stateful.model_fleet import Broker
    from tests.stateful.model_redis import ModelReservations
    from tests.stateful.model_world import Fate, World

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
    #: Its chunk came by the big queue.
    is_big: bool = False
    retries: list[tuple[str, float]] = field(default_factory=list)

    @property
    def stage(self) -> str:
        if self.reservation is None:
            return "take"
        return self.phase if self.todo else "release"


@dataclass(eq=False)
class Remains:
    """What the main process knows of a pool process that ended."""

    process: Process
    #: "": its slot said nothing yet.
    in_hand: str = ""
    #: What it was killed for by the main process, which records that; None: it just died.
    cause: Cause | None = None
    n_tries: int = 0


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
    #: Pool processes that ended, and what they held is not freed yet.
    remains: list[Remains] = field(default_factory=list)
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
        if not self.is_paused:
            with suppress(RedisUnavailableError):
                self._look(now)

    def _look(self, now: float) -> None:
        settling = [remains for remains in self.remains if not self._settle(remains)]
        if not self.has_reached_redis():
            return
        kept = [remains.process.pid for remains in settling]
        if len(settling) < len(self.remains):
            gone = {r.process.pid: r.in_hand for r in self.remains if r not in settling}
            self.redis.holders.prune(
                self.name,
                [*kept, *(p.pid for p in self.processes)],
                is_lost=not self.is_stopping,
                in_hand={str(pid): key for pid, key in gone.items() if key},
            )
            self.remains = settling
        if now - self.beaten_at >= BEAT_S:
            self.beat(now)
            self._sweep(kept)

    def _sweep(self, settling: list[int]) -> None:
        """Free what idle processes have: they released it, and Redis has forgotten that."""
        if not self.is_stopping:
            busy = [p.pid for p in self.processes if p.reservation is not None]
            self.redis.holders.prune(self.name, [*busy, *settling], is_lost=False)

    def _settle(self, remains: Remains) -> bool:
        """Record what a process was killed for; return whether nothing is left to be recorded."""
        held = remains.process.reservation
        if remains.cause is None or held is None:
            return True
        try:
            owner = self.redis.memory.chunks.get(held.chunk, (None, None))[1]
            if self.server.is_down or owner == held.holder:
                self._record(remains, held, remains.cause)
        except (RedisUnavailableError, TransientDatabaseError):
            remains.n_tries += 1
            return remains.n_tries >= MAX_TRIES
        return True

    def _record(self, remains: Remains, held: Reservation, cause: Cause) -> None:
        world, key = self.world, remains.in_hand
        world.ask()
        self.server.enter()
        made = tuple(k for k in held.keys if k in world.rows[held.table] and k != key)
        has_row = key in world.rows[held.table]
        wait_s = None if has_row else self._write(remains.process, held.table, key, cause)
        outcome = Released(
            held.table,
            held.chunk,
            held.run,
            made=made,
            exists=(key,) if has_row else (),
            failed=() if has_row else ((key, cause),),
            retries=() if wait_s is None else ((key, wait_s),),
            returned=tuple(k for k in held.keys if k not in made and k != key),
        )
        self.tell(f"{self.name} records {held.table} {key}: {cause}")
        self.redis.release(held, outcome)

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
            self._begin(process, reservation, is_big=chunk.queue == BIG)
        return True

    def _begin(self, process: Process, reservation: Reservation, *, is_big: bool = False) -> None:
        process.reservation, process.todo = reservation, list(reservation.keys)
        process.groups, process.phase, process.n_tries = {}, "compute", 0
        process.is_big, process.retries = is_big, []

    def _compute(self, process: Process) -> bool:
        table, key = self._in_hand(process)
        self.world.ask()
        if key in self.world.rows[table]:
            self._done(process, "exists")
        elif not self._befalls(process, self.world.fate(table, key)):
            process.phase = "commit" if self.is_hasty else "ask"
        return process in self.processes

    def _befalls(self, process: Process, fate: Fate | None) -> bool:
        """Let what is meant to happen to the key in hand happen; return whether anything did."""
        table, key = self._in_hand(process)
        if fate == "deadly":
            self.kill(process)
        elif fate == "bad" or (fate == "flaky" and key not in self.world.records[table]):
            self._fail(process, "user")
        elif fate == "slow":
            self._exceed(process, "time_limit")
        elif fate == "huge" or (fate == "hungry" and not process.is_big):
            self._exceed(process, "memory")
        else:
            return False
        return True

    def _exceed(self, process: Process, cause: Cause) -> None:
        self.kill(process, cause)

    def _fail(self, process: Process, cause: Cause) -> None:
        table, key = self._in_hand(process)
        wait_s = self._write(process, table, key, cause)
        if wait_s is not None:
            process.retries.append((key, wait_s))
        self._done(process, "failed")

    def _write(self, process: Process, table: str, key: str, cause: Cause) -> float | None:
        """Record a failure of a key that a process had in hand."""
        return self.world.fail(table, key, cause, THERE if process.is_big else HERE)

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
        self.tell(f"{r.holder} releases {r.chunk}")
        event = Released(
            r.table,
            r.chunk,
            r.run,
            **groups,
            failed=failed,
            retries=tuple(process.retries),
            seconds=0.1,
        )
        self.redis.release(r, event)
        process.reservation = None
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

    def kill(self, process: Process, cause: Cause | None = None) -> None:
        """End a pool process; the main process sees it a little later, and starts another."""
        self.tell(f"{self.name}/{process.pid} dies{f' for {cause}' if cause else ''}")
        # Nobody knows what a process has in hand that dies before it says so.
        is_known = process.todo and (cause or process.pid % 3)
        self.remains.append(Remains(process, process.todo[0] if is_known else "", cause))
        self.processes.remove(process)
        self.processes.append(Process(self._next_pid))
        self._next_pid += 1

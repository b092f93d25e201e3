"""Ordinary processes that make keys in the simulation, step by step."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from djq.errors import RedisUnavailableError, TransientDatabaseError
from djq.orchestrator.events import Inserted
from djq.orchestrator.holding import Main, Search
from djq.orchestrator.states import Find
from tests.stateful.model_workers import BEAT_S, Worker
from tests.stateful.model_world import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from djq.orchestrator.holding import Claim
    from djq.populate.failures import Cause
    from tests.stateful.model_redis import ModelReservations
    from tests.stateful.model_workers import Process
    from tests.stateful.model_world import World

PAGE_KEYS = 3
#: A key is not tried again when so many processes died with it.
MAX_LOSSES = 3


@dataclass(eq=False)
class Populate:
    """A plain `populate()`: knows no reservations, and goes through what was due at its start.

    What it makes it announces, as what anybody inserts.
    """

    name: str
    world: World
    server: ModelReservations
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
        fate = world.fate(table, key)
        if self.is_computed:
            is_first = world.commit(table, key)
            self.tell(f"{self.name} commits {table} {key}: {is_first}")
            if is_first and not self.server.is_down:
                self.server.events.append(Inserted(table.lower(), (key,)))
        elif fate in {"deadly", "huge"}:
            self.todo = []
            return
        elif key in world.rows[table]:
            pass
        elif fate in {"bad", "slow"} or (fate == "flaky" and key not in world.records[table]):
            world.fail(table, key, "time_limit" if fate == "slow" else "user")
        else:
            self.is_computed = True
            return
        self.is_computed = False
        self.todo.pop(0)


@dataclass(eq=False)
class Sharer(Worker):
    """A `populate(reserve_jobs=True)` of one process, table by table, and the helper that beats."""

    n_processes: int = 1
    is_over: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._tables = list(TABLES)
        self._n_chunks = 0
        self._search = self._new_search()
        self._claim: Claim | None = None

    def _new_search(self) -> Search:
        table = self._tables[0]
        return Search(f"{table}:all", table, f"p-{self.name}")

    def _take(self, process: Process) -> bool:
        if self.is_over or not self.has_reached_redis():
            return False
        # The same again, if no answer came.
        chunk, holder = f"p-{self.name}.{self._n_chunks}", f"{self.name}/{process.pid}"
        claim = self.redis.searches.claim(self._search, chunk, holder, wanted=2)
        self._n_chunks += 1
        self._search = claim.search
        held = claim.reservation
        self.tell(f"{holder} claims {held.table} {' '.join(held.keys)}")
        if claim.read_after is not None:
            self._share(claim)
        if held.keys:
            self._begin(process, held)
            self._bury(process, claim)
        elif claim.is_done:
            self._go_on()
        return bool(held.keys or claim.is_done or claim.read_after is not None)

    def _share(self, claim: Claim) -> None:
        try:
            find = Find(claim.search.table, PAGE_KEYS, claim.read_after or None)
            found = self.world.find(find)
        except TransientDatabaseError:
            self._end()  # the user sees the exception
            raise
        big = self.world.big(find.table, found)
        keys = [key for key in found if key not in big]
        self.redis.searches.add_page(claim, keys, is_last=len(found) < PAGE_KEYS)

    def _bury(self, process: Process, claim: Claim) -> None:
        for key, n_losses in claim.losses.items():
            if n_losses >= MAX_LOSSES:
                self.world.bury(claim.search.table, key, n_losses)
                process.todo.remove(key)
                process.groups.setdefault("failed", []).append(key)

    def _go_on(self) -> None:
        self._tables.pop(0)
        if self._tables:
            self._search = self._new_search()
        else:
            self._end()

    def _end(self) -> None:
        self.tell(f"{self.name} ends")
        self.is_over = True
        with suppress(RedisUnavailableError):
            self.redis.holders.leave(self.name)

    def _release(self, process: Process) -> bool:
        is_done = super()._release(process)
        if is_done and process.groups.get("returned"):
            self._search = replace(self._search, last_round=0)
        return is_done

    def _exceed(self, process: Process, cause: Cause) -> None:
        table, key = self._in_hand(process)
        if cause == "time_limit":
            self._fail(process, cause)
        elif self.world.fate(table, key) == "huge":
            self.kill(process)
        else:  # nobody looks at its memory
            process.phase = "ask"

    def kill(self, process: Process, cause: Cause | None = None) -> None:
        super().kill(process, cause)
        self.processes.clear()
        self.is_over = True

    # The helper.

    def _look(self, now: float) -> None:
        """Beat; when the process is gone, give back what it had."""
        if not self.has_reached_redis():
            return
        if self.remains:
            hand = {str(r.process.pid): r.in_hand for r in self.remains if r.in_hand}
            self.remains = []
            self.redis.holders.prune(self.name, [], is_lost=True, in_hand=hand)
            self.redis.holders.leave(self.name)
        elif not self.is_over and now - self.beaten_at >= BEAT_S:
            self.beaten_at = now
            self.redis.holders.beat(Main(self.name))

"""What to do next: the decisions of a run or of the scheduler.

The core of the scheduler has no clock, socket, thread or chance: time comes with each event, and
whatever it wants done it says. It may be told wrong things (a key that is not due any more, a
release it heard twice) and then asks for a little too much work; reservations and the database
decide what really happens.

Work is found in two ways. *Hints*: keys of a table were made, so the tables that depend on it are
searched among those keys only. *Passes*: every table is searched from its first key to its last, at
the start, when Redis forgot everything, and at a pace tied to what a pass costs; this finds
whatever hints missed. Deeper tables come first, so that finished results come out early and little
lies half done; at most a few chunks per worker slot are in flight.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from djq.orchestrator.events import Freed, Released
from djq.orchestrator.states import (
    Bury,
    Cancelled,
    Chunk,
    Drop,
    Event,
    Finish,
    Forgive,
    Found,
    Instruction,
    Led,
    Limits,
    Place,
    Queue,
    Queued,
    RedisLost,
    Resumed,
    Surveyed,
    Tick,
)
from djq.orchestrator.tablestate import TableState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from djq.orchestrator.tablestate import Probe


#: Chunks in flight: enough that no slot waits for the scheduler, few enough that order still
#: matters.
CHUNKS_PER_SLOT = 4
MIN_CHUNKS = 4
#: Keys of one search: soon to be queued, so that they are still due when they are.
MIN_PAGE, MAX_PAGE = 50, 5_000
#: A full pass begins at most this often [s], and takes at most one part in 20 of the time.
MIN_PASS_S = 2.0
PASS_PACE = 20.0
#: The scheduler leaves a failed key alone at least so long [s]: bounds what a worker of another
#: version costs, and how long `retry` seems to do nothing. A run does not try it again.
FAILED_S = 5.0
#: A key that so many dying workers had in hand is recorded as an error.
MAX_LOSSES = 3


class Core:
    """The decisions of one run or of the scheduler.

    Parameters
    ----------
    run
        Name of the run, unique; the ids of its chunks begin with it.
    places
        The tables to make.
    limits
        What bounds the run.
    """

    def __init__(self, run: str, places: Sequence[Place], limits: Limits) -> None:
        self._run = run
        self._limits = limits
        self._tables = {
            place.table: TableState(place)
            for place in sorted(places, key=lambda p: (-p.level, p.table))
        }
        self._in_flight: dict[str, Chunk] = {}
        self._absent: set[str] = set()
        self._slots = 1
        self._n_chunks = 0
        #: Keys queued by this run, less those that came back untouched.
        self._n_taken = 0
        self._searching: TableState | None = None
        self._urgent: list[Instruction] = []
        self._now = 0.0
        self._is_led = False
        self._is_cancelled = False
        self._is_finished = False
        # A pass: is one going on, is one wanted, when may the next begin, what did it
        # cost, did it find anything?
        self._in_pass = False
        self._wants_pass = True
        self._next_pass = 0.0
        self._pass_cost = 0.0
        self._pass_found = 0
        # Did anything happen since the last pass began, at all and to our own chunks?
        self._has_changed = False
        self._has_progressed = False

    @property
    def chunks(self) -> tuple[str, ...]:
        """The chunks in flight."""
        return tuple(self._in_flight)

    def recall(self, losses: Mapping[str, Mapping[str, int]]) -> None:
        """Note which keys of each table dying workers took along, and how often."""
        for name, counts in losses.items():
            self._tables[name].losses = dict(counts)
            if counts:
                self._tables[name].hint(name, counts)

    @property
    def wakes_at(self) -> float:
        """When time alone changes what is to be done; infinite if it does not."""
        times = [self._next_pass, *(table.waits_until for table in self._tables.values())]
        return min((time for time in times if time > self._now), default=inf)

    def handle(self, event: Event, now: float) -> list[Instruction]:
        """Take note of an event at a time [s, any origin, not decreasing]; return what to do."""
        self._now = now
        match event:
            case Found():
                self._found(event, now)
            case Queued():
                self._queued(event)
            case Released():
                self._released(event, now)
            case Freed():
                self._freed(event, now)
            case Surveyed():
                self._surveyed(event)
            case RedisLost():
                self._forget()
            case Cancelled():
                self._cancel()
            case Led():
                self._follow(event)
            case Resumed() | Tick():
                self._resume(event)
        return self._plan(now)

    # Taking note.

    def _found(self, event: Found, now: float) -> None:
        table, self._searching = self._searching, None
        if table is None:
            return
        probe = table.probe
        n_due = table.look_on(event) if self._is_led else table.found(event, now)
        if probe is not None and event.is_exhausted and not self._is_led:
            self._forgive(table, probe)
        if probe is None:
            self._pass_cost += event.seconds
            self._pass_found += n_due
        if self._in_pass and not any(t.is_scanning for t in self._tables.values()):
            self._in_pass = False
            self._next_pass = now + max(MIN_PASS_S, PASS_PACE * self._pass_cost)

    def _forgive(self, table: TableState, probe: Probe) -> None:
        if settled := table.settled_losses(probe):
            self._urgent.append(Forgive(table.place.table, settled))

    def _queued(self, event: Queued) -> None:
        chunk = self._in_flight[event.chunk]
        refused = set(chunk.keys).difference(event.accepted)
        self._tables[chunk.table].known -= refused
        self._n_taken -= len(refused)
        if event.accepted:
            self._in_flight[chunk.id] = Chunk(chunk.id, chunk.run, chunk.table, event.accepted)
            self._has_changed = self._has_progressed = True
        else:
            del self._in_flight[chunk.id]

    def _released(self, event: Released, now: float) -> None:
        self._land(event.chunk, n_untouched=len(event.unsettled))
        if table := self._tables.get(event.table):
            self._has_changed = True
            table.learn(event, now)
            table.settle(event, now + FAILED_S if self._limits.is_endless else inf)
            if event.unsettled:
                table.hint(event.table, event.unsettled)
        self._arrived(event.table, event.made + event.exists)

    def _arrived(self, parent: str, keys: Sequence[str]) -> None:
        """Note that the tables that depend on these keys may have due keys now."""
        for child in self._tables.values():
            if keys and parent in child.place.parents:
                child.hint(parent, keys)

    def _freed(self, event: Freed, now: float) -> None:
        self._land(event.chunk, n_untouched=len(event.keys))
        table = self._tables.get(event.table)
        if table is None:
            return
        self._has_changed = True
        again: list[str] = []
        losses = event.losses or (None,) * len(event.keys)
        for key, n_losses in zip(event.keys, losses, strict=True):
            if n_losses is not None:
                table.losses[key] = n_losses
            if n_losses is not None and n_losses >= MAX_LOSSES:
                self._urgent.append(Bury(event.table, key, n_losses))
            else:
                again.append(key)
        if not event.losses:
            table.learn(Released(event.table, event.chunk, event.run), now)
        if again:
            table.hint(event.table, again)

    def _land(self, chunk_id: str, n_untouched: int = 0) -> None:
        """Take a chunk out of the flight, if it is one of ours."""
        chunk = self._in_flight.pop(chunk_id, None)
        if chunk is not None:
            self._n_taken -= n_untouched
            self._tables[chunk.table].known.difference_update(chunk.keys)
            self._has_progressed = True

    def _surveyed(self, event: Surveyed) -> None:
        self._slots = max(1, event.slots)
        absent = {chunk for chunk in self._in_flight if chunk not in event.chunks}
        # Absent twice: the announcement of its end is not on the way, it was missed.
        for chunk in [self._in_flight[name] for name in sorted(absent & self._absent)]:
            self._land(chunk.id)
            self._tables[chunk.table].hint(chunk.table, chunk.keys)
            self._arrived(chunk.table, chunk.keys)
        self._absent = absent & set(self._in_flight)

    def _forget(self) -> None:
        for chunk in self.chunks:
            self._land(chunk)
        self._in_pass, self._wants_pass = False, True

    def _cancel(self) -> None:
        self._is_cancelled = True
        for table in self._tables.values():
            table.known.difference_update(table.ready)
            table.ready.clear()
        if self._in_flight:
            self._urgent.append(Drop(self.chunks))

    def _resume(self, event: Resumed | Tick) -> None:
        if isinstance(event, Resumed):
            self._is_finished, self._has_changed = False, True

    def _follow(self, event: Led) -> None:
        if event.is_led == self._is_led:
            return
        self._is_led = event.is_led
        for table in self._tables.values():
            table.known.difference_update(table.ready)
            table.ready.clear()
        self._wants_pass = True

    # Deciding.

    def _plan(self, now: float) -> list[Instruction]:
        instructions, self._urgent = self._urgent, []
        if self._is_finished:
            return []
        if self.is_full_up:
            if not self._in_flight:
                self._is_finished = True
                instructions.append(Finish())
            return instructions
        self._begin_pass(now)
        if self._searching is None:
            instructions += self._advance(now)
        if self._is_done:
            self._is_finished = True
            instructions.append(Finish())
        return instructions

    @property
    def is_full_up(self) -> bool:
        """Whether nothing more may be queued, ever."""
        return self._is_cancelled or self._rest == 0

    @property
    def _rest(self) -> int:
        """How many keys may still be queued."""
        limit = self._limits.max_keys
        return MAX_PAGE if limit is None else max(0, limit - self._n_taken)

    @property
    def _is_quiet(self) -> bool:
        return (
            not self._in_flight
            and self._searching is None
            and all(table.is_idle for table in self._tables.values())
        )

    @property
    def _is_done(self) -> bool:
        """Whether a whole pass found nothing due, with nothing going on meanwhile."""
        return (
            not self._limits.is_endless
            and self._is_quiet
            and not (self._in_pass or self._wants_pass or self._has_changed or self._pass_found)
        )

    def _begin_pass(self, now: float) -> None:
        if self._in_pass:
            return
        is_last = self._is_quiet and self._has_progressed and not self._limits.is_endless
        if not (self._wants_pass or is_last or now >= self._next_pass):
            return
        self._in_pass, self._wants_pass = bool(self._tables), False
        self._pass_cost, self._pass_found = 0.0, 0
        self._has_changed = self._has_progressed = False
        for table in self._tables.values():
            table.scan()

    def _advance(self, now: float) -> list[Instruction]:
        """Fill the room in flight, deepest tables first."""
        instructions: list[Instruction] = []
        for table in self._tables.values():
            if table.waits_until > now:
                continue
            while table.ready and self._room > 0:
                instructions.append(self._queue(table))
            if self._room <= 0:
                break
            if find := table.next_find(self._page(table)):
                self._searching = table
                instructions.append(find)
                break
        return instructions

    @property
    def _room(self) -> int:
        if self._rest == 0:
            return 0
        return max(MIN_CHUNKS, CHUNKS_PER_SLOT * self._slots) - len(self._in_flight)

    def _page(self, table: TableState) -> int:
        if self._is_led:
            return 1
        size = table.chunk_size(self._limits.chunk_s, self._slots)
        return max(MIN_PAGE, min(MAX_PAGE, 2 * self._room * size))

    def _queue(self, table: TableState) -> Queue:
        size = table.chunk_size(self._limits.chunk_s, self._slots)
        keys = table.take(min(size, self._rest))
        self._n_chunks += 1
        self._n_taken += len(keys)
        chunk = Chunk(f"{self._run}-{self._n_chunks}", self._run, table.place.table, keys)
        self._in_flight[chunk.id] = chunk
        return Queue(chunk)

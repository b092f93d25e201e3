"""What to do next: the decisions of a run or of the scheduler.

The core of the scheduler has no clock, socket, thread or chance: time comes with each event, and
whatever it wants done it says. It may be told wrong things (a key that is not due any more, a
release it heard twice) and then asks for a little too much work; reservations and the database
decide what really happens.

Work is found in two ways. *Hints*: keys of a table were made or inserted, so the tables that depend
on it are searched among those keys only. *Passes*: every table is searched from its first key to
its last, at the start, when Redis forgot everything, and at a pace tied to what a pass costs; this
finds whatever hints missed. One search of each kind may be open at a time, so that a page of a big
table delays no hint. Deeper tables come first, so that finished results come out early and little
lies half done; each queue has at most a few chunks per worker slot in flight.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

from djq.orchestrator.budget import Budget
from djq.orchestrator.events import Freed, Inserted, Released
from djq.orchestrator.passes import Passes
from djq.orchestrator.portions import MAX_PAGE, Portions
from djq.orchestrator.states import (
    Bury,
    Cancelled,
    Chunk,
    Drop,
    Event,
    Find,
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
    from collections.abc import Iterable, Mapping, Sequence

    from djq.orchestrator.tablestate import Probe

#: The scheduler leaves a failed key alone at least so long [s]: bounds what a worker of another
#: version costs, and how long `retry` seems to do nothing. A run does not try it again.
FAILED_S = 5.0


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
            for place in sorted(places, key=lambda p: (-p.level, -p.priority, p.table))
        }
        self._budget = Budget(limits.priority)
        self._portions = Portions(self._budget, limits.chunk_s)
        self._passes = Passes(self._tables.values())
        self._absent: set[str] = set()
        self._n_chunks = 0
        #: Keys queued by this run, less those that came back untouched.
        self._n_taken = 0
        #: The open searches: a page of a whole table, and one among keys.
        self._scan: Find | None = None
        self._probe: Find | None = None
        self._urgent: list[Instruction] = []
        self._now = 0.0
        self._is_cancelled = False
        self._is_finished = False
        # Did anything happen since the last pass began, at all and to our own chunks?
        self._has_changed = False
        self._has_progressed = False

    @property
    def chunks(self) -> tuple[str, ...]:
        """The chunks in flight."""
        return tuple(self._budget.in_flight)

    @property
    def wants(self) -> dict[str, int]:
        """How many chunks of each queue it has in flight, or would have with more room."""
        return self._portions.wants(self._tables.values(), self._now, self._rest)

    def recall(self, losses: Mapping[str, Mapping[str, int]]) -> None:
        """Note which keys of each table dying workers took along, and how often."""
        for name, counts in losses.items():
            self._tables[name].losses = dict(counts)
            if counts:
                self._tables[name].hint(name, counts)

    @property
    def wakes_at(self) -> float:
        """When time alone changes what is to be done; infinite if it does not."""
        if self.is_full_up:
            return inf
        soonest = self._passes.wakes_at if self._passes.wakes_at > self._now else inf
        for table in self._tables.values():
            if self._now < table.waits_until < soonest:
                soonest = table.waits_until
            soonest = min(soonest, table.wakes_at)
        return soonest

    def handle(self, event: Event, now: float) -> list[Instruction]:
        """Take note of an event at a time [s, any origin, not decreasing]; return what to do."""
        return self.handle_all((event,), now)

    def handle_all(self, events: Iterable[Event], now: float) -> list[Instruction]:
        """Take note of events that came together; return what to do."""
        self._now = now
        for event in events:
            self._note(event, now)
        return self._plan(now)

    # Taking note.

    def _note(self, event: Event, now: float) -> None:
        match event:
            case Found():
                self._found(event, now)
            case Queued():
                self._queued(event)
            case Released():
                self._released(event, now)
            case Freed():
                self._freed(event, now)
            case Inserted():
                for table in self._tables.values():
                    table.hear(event)
            case Surveyed():
                self._surveyed(event)
            case Led():
                self._follow(event)
            case RedisLost() | Cancelled() | Resumed() | Tick():
                self._obey(event)

    def _found(self, event: Found, now: float) -> None:
        table = self._tables[event.search.table]
        if event.search.is_scan:
            self._scan = None
        else:
            self._probe = None
        if not table.expects(event.search):
            return
        probe = table.probe
        n_due = table.look_on(event) if table.is_led else table.found(event, now)
        # News that others made something due, behind the back of the pass.
        self._has_changed = self._has_changed or (n_due > 0 and not event.search.is_scan)
        for key, n_losses in table.take_doomed(self._blocked_until(now)).items():
            self._urgent.append(Bury(table.place.table, key, n_losses))
        if event.search.is_scan:
            self._passes.note(table, event, n_due, now)
        elif event.is_exhausted and probe is not None and not table.is_led:
            self._forgive(table, probe)

    def _forgive(self, table: TableState, probe: Probe) -> None:
        if settled := table.settled_losses(probe):
            self._urgent.append(Forgive(table.place.table, settled))

    def _queued(self, event: Queued) -> None:
        chunk = self._budget.in_flight[event.chunk]
        n_refused = len(chunk.keys) - len(event.accepted)
        if n_refused:
            self._tables[chunk.table].known.difference_update(
                set(chunk.keys).difference(event.accepted)
            )
            self._n_taken -= n_refused
        if event.accepted:
            if n_refused:
                self._budget.in_flight[chunk.id] = replace(chunk, keys=event.accepted)
            self._has_changed = self._has_progressed = True
        else:
            self._budget.give_back(chunk.id)

    def _released(self, event: Released, now: float) -> None:
        self._land(event.chunk, n_untouched=len(event.unsettled))
        if table := self._tables.get(event.table):
            if event.n_tried:
                table.learn(event)
            else:
                self._come_back(table, event.exists + event.unsettled, now)
            table.settle(event, now, self._blocked_until(now))
            if event.unsettled:
                table.hint(event.table, event.unsettled)
        self._arrived(event.table, event.made + event.exists)

    def _blocked_until(self, now: float) -> float:
        return now + FAILED_S if self._limits.is_endless else inf

    def _arrived(self, parent: str, keys: Sequence[str]) -> None:
        """Note that the tables that depend on these keys may have due keys now."""
        if not keys:
            return
        for child in self._tables.values():
            if parent in child.place.parents:
                child.hint(parent, keys)

    def _freed(self, event: Freed, now: float) -> None:
        self._land(event.chunk, n_untouched=len(event.keys))
        table = self._tables.get(event.table)
        if table is None or not event.keys:
            return
        losses = event.losses or (None,) * len(event.keys)
        for key, n_losses in zip(event.keys, losses, strict=True):
            if n_losses is not None:
                table.losses[key] = n_losses
        if not event.losses:
            self._come_back(table, event.keys, now)
        table.hint(event.table, event.keys)

    def _come_back(self, table: TableState, keys: Sequence[str], now: float) -> None:
        table.come_back(keys, now, self._budget.limit(table.place.queue))

    def _land(self, chunk_id: str, n_untouched: int = 0) -> None:
        """Take a chunk out of the flight, if it is one of ours."""
        chunk = self._budget.give_back(chunk_id)
        if chunk is not None:
            self._n_taken -= n_untouched
            self._tables[chunk.table].known.difference_update(chunk.keys)
            self._has_changed = self._has_progressed = True

    def _surveyed(self, event: Surveyed) -> None:
        self._budget.note(event)
        absent = {chunk for chunk in self._budget.in_flight if chunk not in event.chunks}
        # Absent twice: the announcement of its end is not on the way, it was missed.
        for chunk in [self._budget.in_flight[name] for name in sorted(absent & self._absent)]:
            self._land(chunk.id)
            self._tables[chunk.table].hint(chunk.table, chunk.keys)
            self._arrived(chunk.table, chunk.keys)
        self._absent = absent & set(self._budget.in_flight)

    def _obey(self, event: RedisLost | Cancelled | Resumed | Tick) -> None:
        match event:
            case RedisLost():
                self._forget()
            case Cancelled():
                self._cancel()
            case Resumed():
                self._is_finished, self._has_changed = False, True
            case Tick():
                pass

    def _forget(self) -> None:
        for chunk in self.chunks:
            self._land(chunk)
        self._passes.abandon()

    def _cancel(self) -> None:
        self._is_cancelled = True
        for table in self._tables.values():
            table.drop_ready()
        if self._budget.in_flight:
            self._urgent.append(Drop(self.chunks))

    def _follow(self, event: Led) -> None:
        changed = [t for t in self._tables.values() if t.is_led != (t.place.table in event.tables)]
        for table in changed:
            table.is_led = not table.is_led
            table.is_ignored = table.is_led and self._limits.is_endless
            table.drop_ready()
            if table.is_ignored:
                table.is_scanning, table.probe = False, None
                table.hints.clear()
        if changed:
            self._passes.abandon()

    # Deciding.

    def _plan(self, now: float) -> list[Instruction]:
        instructions, self._urgent = self._urgent, []
        if self._is_finished:
            return []
        if self.is_full_up:
            if not self._budget.in_flight:
                self._is_finished = True
                instructions.append(Finish())
            return instructions
        for table in self._tables.values():
            table.wake(now)
        self._begin_pass(now)
        if self._probe is None:
            self._advance(instructions, now)
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
            not self._budget.in_flight
            and self._scan is None
            and self._probe is None
            and all(table.is_idle for table in self._tables.values())
        )

    @property
    def _is_done(self) -> bool:
        """Whether a whole pass found nothing due, with nothing going on meanwhile."""
        passes = self._passes
        return (
            not (self._limits.is_endless or self._budget.in_flight or self._has_changed)
            and not (passes.is_open or passes.is_wanted or passes.n_found)
            and self._is_quiet
            and not any(table.has_retries for table in self._tables.values())
        )

    def _begin_pass(self, now: float) -> None:
        if self._passes.is_open:
            self._passes.search_again(now)
            return
        is_last = self._has_progressed and not self._limits.is_endless and self._is_quiet
        if is_last or self._passes.is_due(now):
            self._has_changed = self._has_progressed = False
            self._passes.begin()

    def _advance(self, instructions: list[Instruction], now: float) -> None:
        """Fill the room in flight and search on, deepest tables first."""
        for table in self._tables.values():
            if table.waits_until > now or table.is_idle:
                continue
            while table.big and self._room(table.big_place) > 0:
                instructions.append(self._send((table.big.popleft(),), table.big_place))
            room = self._room(table.place) if table.ready or not table.is_led else 1
            while table.ready and room > 0:
                instructions.append(self._queue(table))
                room = self._room(table.place)
            if room > 0 and (table.hints or table.probe):
                self._probe = table.next_probe(self._portions.page(table))
                if self._probe is not None:
                    instructions.append(self._probe)
                    return
            if table.is_scanning and self._scan is None and self._portions.needs_more(table):
                self._scan = Find(table.place.table, self._portions.page(table), table.after)
                instructions.append(self._scan)

    def _room(self, place: Place) -> int:
        return self._budget.room(place) if self._rest else 0

    def _queue(self, table: TableState) -> Queue:
        return self._send(table.take(min(self._portions.chunk(table), self._rest)), table.place)

    def _send(self, keys: tuple[str, ...], place: Place) -> Queue:
        self._n_chunks += 1
        self._n_taken += len(keys)
        chunk = Chunk(f"{self._run}-{self._n_chunks}", self._run, place.table, keys, place.queue)
        self._budget.take(chunk, place)
        return Queue(chunk)

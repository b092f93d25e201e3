"""The loop around the core: hear, decide, do; it has no ideas of its own."""

from __future__ import annotations

import logging
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from djq.errors import FleetError, TransientDatabaseError
from djq.orchestrator.core import Core
from djq.orchestrator.events import Freed, Inserted, Released
from djq.orchestrator.states import (
    Bury,
    Cancelled,
    Drop,
    Find,
    Finish,
    Forgive,
    Found,
    Led,
    Limits,
    Queue,
    Queued,
    RedisLost,
    Resumed,
    Surveyed,
    Tick,
)
from djq.orchestrator.stream import READ_LIMIT
from djq.orchestrator.survey import Survey

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence

    from djq.orchestrator.dispatch import Dispatcher
    from djq.orchestrator.events import Announcement
    from djq.orchestrator.holding import Census
    from djq.orchestrator.reservations import Reservations
    from djq.orchestrator.scans import BackgroundScans
    from djq.orchestrator.states import Chunk, Event, Instruction, Place

logger = logging.getLogger("djq.scheduler")

#: Who is alive, and which chunks are known, is looked up this often [s].
SURVEY_S = 1.0
#: The longest wait for announcements [s]; a request to stop is seen that late.
WAIT_S = 0.5
#: Announcements are looked for this often while a table is searched in the background [s].
SCAN_WAIT_S = 0.01
#: First and longest wait before a server that did not answer is asked again [s].
MIN_RETRY_S, MAX_RETRY_S = 0.2, 2.0


class Plan(Protocol):
    """What is due: the contract of the loop with `populate/plan.py`. Keys are ids."""

    @property
    def places(self) -> Sequence[Place]:
        """The tables, and where they stand."""
        ...

    def find(self, search: Find) -> tuple[str, ...]:
        """Return due keys in the order of the primary key, at most `search.limit`."""
        ...

    def big(self, table: str, keys: Sequence[str]) -> frozenset[str]:
        """Return which of these keys are to go to the big queue."""
        ...

    def within(self, table: str, keys: Sequence[str]) -> Collection[str]:
        """Return which of these keys meet the restrictions."""
        ...

    def bury(self, table: str, key: str, n_losses: int) -> None:
        """Record an error for a key that killed its workers."""
        ...


class Loop:
    """A core, and what it needs to act.

    Parameters
    ----------
    run
        Name of the run, unique.
    limits
        What bounds the run.
    scans
        Searches whole tables; None: the loop waits for each page.
    observe
        Hears every announcement and every census.
    clock
        Seconds that never go back.
    """

    def __init__(
        self,
        run: str,
        plan: Plan,
        reservations: Reservations,
        dispatcher: Dispatcher,
        limits: Limits,
        *,
        scans: BackgroundScans | None = None,
        observe: Callable[[Announcement | Census], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.is_finished = False
        self._plan = plan
        self._reservations = reservations
        self._dispatcher = dispatcher
        self._scans = scans
        self._observe = observe
        self._clock = clock
        self._run = run
        self._is_endless = limits.is_endless
        self._is_following = limits.is_yielding and not limits.is_endless
        self._tables = {place.table for place in plan.places}
        self._core = Core(run, plan.places, limits)
        self._survey = Survey(run, limits.priority, self._tables, reservations, dispatcher)
        #: Where we are on the stream of announcements; None before the first turn.
        self._position: str | None = None
        self._to_do: deque[Instruction] = deque()
        self._next_survey = 0.0
        #: The search in the background.
        self._scanning: Find | None = None

    def turn(self, wait_s: float) -> None:
        """Do what is to be done, then wait for announcements, at most so long.

        Whatever fails is done again by the next turn; doing it twice does no harm.

        Raises
        ------
        RedisUnavailableError, TransientDatabaseError
            A server did not answer.
        DatabaseError
            A search failed for good.
        """
        if self._position is None:
            # Before the first search, so that what is made meanwhile is heard.
            self._position = self._reservations.stream.position()
        self._perform()
        now = self._clock()
        if now >= self._next_survey:
            self._look(now)
        self._collect()
        self._tell([Tick()])
        if self.is_finished:
            return
        if self._scanning is not None and self._scans is not None:
            # Not in Redis, which ends short waits when it looks at its clock: each 100 ms.
            self._scans.wait(min(wait_s, SCAN_WAIT_S))
            wait_s = 0.0
        soonest = self.wakes_at - self._clock()
        heard = self._hear(self._position, max(0.0, min(wait_s, soonest)))
        if heard:
            self._tell(heard)

    @property
    def wakes_at(self) -> float:
        """When time alone gives it something to do."""
        return min(self._core.wakes_at, self._next_survey)

    def cancel(self) -> None:
        """Queue nothing more, and take back what no worker has begun."""
        self._tell([Cancelled()])

    def lead(self, tables: frozenset[str]) -> None:
        """Queue what is due in these tables only: others lead the rest."""
        self._tell([Led(frozenset(self._tables - tables))])

    def _tell(self, events: Iterable[Event]) -> None:
        self._to_do.extend(self._core.handle_all(events, self._clock()))
        self._perform()

    def _perform(self) -> None:
        while self._to_do:
            chunks = self._next_chunks()
            answers = self._queue(chunks) if chunks else self._do(self._to_do[0])
            # Only now: what raised an error stays, to be done again.
            for _ in range(max(1, len(chunks))):
                self._to_do.popleft()
            if answers:
                self._to_do.extend(self._core.handle_all(answers, self._clock()))

    def _next_chunks(self) -> list[Chunk]:
        """Return the chunks at the head of the list, to be queued together."""
        chunks: list[Chunk] = []
        for instruction in self._to_do:
            if not isinstance(instruction, Queue):
                break
            chunks.append(instruction.chunk)
        return chunks

    def _queue(self, chunks: Sequence[Chunk]) -> Sequence[Event]:
        accepted = self._reservations.queue(chunks)
        self._dispatcher.send(
            [
                chunk if len(keys) == len(chunk.keys) else replace(chunk, keys=keys)
                for chunk, keys in zip(chunks, accepted, strict=True)
                if keys
            ]
        )
        return [Queued(chunk.id, keys) for chunk, keys in zip(chunks, accepted, strict=True)]

    def _do(self, instruction: Instruction) -> Sequence[Event]:
        match instruction:
            case Find():
                if instruction.is_scan and self._scans is not None:
                    self._scans.begin(self._find, instruction)
                    self._scanning = instruction
                else:
                    return [self._find(instruction)]
            case Drop():
                self._reservations.drop(instruction.chunks, "cancelled")
            case Bury(table, key, n_losses):
                with self._sparing_others("bury_failed", table):
                    self._plan.bury(table, key, n_losses)
                    self._reservations.holders.forgive(table, [key])
            case Forgive():
                self._reservations.holders.forgive(instruction.table, instruction.keys)
            case Finish():
                return self._finish()
            case Queue():  # pragma: no cover - `_perform` took it
                raise AssertionError
        return []

    def _finish(self) -> Sequence[Event]:
        """End the run, unless others still work on its keys.

        Their chunks are not ours, and what they commit between two searches of one pass makes keys
        of a table due that was searched before. So: no chunk is in flight, nothing was announced.
        """
        is_busy = not self._core.is_full_up and self._has_ours(
            (record.table, record.keys) for record in self._reservations.chunks()
        )
        position = (
            self._position if self._position is not None else self._reservations.stream.position()
        )
        heard = self._hear(position, 0.0)
        try:
            # Behind a whole page there is more.
            has_news = not self._core.is_full_up and (
                len(heard) >= READ_LIMIT
                or self._has_ours(
                    (event.table, event.all_keys)
                    for event in heard
                    if not isinstance(event, Inserted)
                )
            )
        except Exception:
            self._position = position  # it is all heard again
            raise
        if not (is_busy or has_news):
            self._survey.end()
            self.is_finished = True
            return []
        return [Resumed(), *heard]

    def _hear(self, position: str, wait_s: float) -> Sequence[Announcement | Inserted]:
        """Return what was announced since then, and go on behind it."""
        then, heard = self._reservations.stream.read(position, wait_s=wait_s)
        ours = [self._ours(event) for event in heard]
        # Only now: if the database did not answer, it is all heard again.
        self._position = then
        for event in heard:
            if not isinstance(event, Inserted):
                self._observe(event)
        return ours

    def _ours(self, event: Announcement | Inserted) -> Announcement | Inserted:
        """Return of an announcement what matters to the run: not all keys of its tables are its.

        Other people's keys would keep it waiting for their next try, and be forgiven that workers
        died with them, since its own searches do not find them.
        """
        match event:
            case Inserted() | Freed(run=self._run) | Released(run=self._run):
                return event
            case Freed(losses=[_, *_]):
                ours = self._within(event.table, event.keys)
                pairs = [(k, n) for k, n in zip(event.keys, event.losses, strict=True) if k in ours]
                keys, losses = tuple(key for key, _ in pairs), tuple(n for _, n in pairs)
                return replace(event, keys=keys, losses=losses)
            case Released(retries=[_, *_]):
                ours = self._within(event.table, [key for key, _ in event.retries])
                return replace(event, retries=tuple(r for r in event.retries if r[0] in ours))
            case _:
                return event

    def _has_ours(self, parts: Iterable[tuple[str, Sequence[str]]]) -> bool:
        """Tell whether any key of these parts of tables is the run's."""
        found: dict[str, list[str]] = {}
        for table, keys in parts:
            found.setdefault(table, []).extend(keys)
        return any(self._within(table, keys) for table, keys in found.items())

    def _within(self, table: str, keys: Sequence[str]) -> frozenset[str]:
        """Return which of these keys are the run's."""
        if table not in self._tables or not keys:
            return frozenset()
        found: Collection[str] = ()
        with self._sparing_others("search_failed", table):
            found = self._plan.within(table, keys)
        return frozenset(found)

    def _find(self, search: Find) -> Found:
        began = self._clock()
        keys: tuple[str, ...] = ()
        big: frozenset[str] = frozenset()
        with self._sparing_others("search_failed", search.table):
            keys = self._plan.find(search)
            big = self._plan.big(search.table, keys)
        return Found(search, keys, len(keys) < search.limit, self._clock() - began, big)

    @contextmanager
    def _sparing_others(self, event: str, table: str) -> Generator[None]:
        """Keep a broken table, or key source, from stopping the others; the next pass tries again.

        Where the end is waited for, that is told instead.
        """
        try:
            yield
        except (TransientDatabaseError, FleetError):
            raise
        except Exception:
            if not self._is_endless:
                raise
            logger.exception(event, extra={"table": table})

    def _collect(self) -> None:
        """Hear the answer of the search in the background, if it is there."""
        if self._scanning is None or self._scans is None:
            return
        search = self._scanning
        try:
            found = self._scans.collect()
        except Exception:
            self._to_do.append(search)
            raise
        if found is not None:
            self._scanning = None
            self._tell([found])

    def _ours_of(self, losses: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
        ours = {table: self._within(table, [*counts]) for table, counts in losses.items()}
        return {t: {k: n for k, n in losses[t].items() if k in keys} for t, keys in ours.items()}

    def _look(self, now: float) -> None:
        """Look at the fleet."""
        sight = self._survey.look(now, self._core.wants)
        events: list[Event] = []
        if sight.is_forgotten:
            self._position = self._reservations.stream.position()
            events.append(RedisLost())
        if sight.losses is not None:
            self._core.recall(self._ours_of(sight.losses))
        if self._is_following:
            events.append(Led(sight.led))
        slots = sight.census.slots
        events.append(Surveyed(slots, sight.chunks, sight.queues, sight.rivals))
        self._next_survey = now + SURVEY_S
        self._observe(sight.census)
        self._tell(events)


class Patience:
    """Waiting for a server that does not answer: longer each time, said once."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._wait_s = MIN_RETRY_S

    def restore(self) -> None:
        """Begin anew: the servers answer."""
        if self._wait_s > MIN_RETRY_S:
            logger.warning("servers_answer_again")
        self._wait_s = MIN_RETRY_S

    def wait(self, error: Exception) -> None:
        """Wait before the next try."""
        if self._wait_s == MIN_RETRY_S:
            logger.warning("server_does_not_answer: %s", error)
        self._stopping.wait(self._wait_s)
        self._wait_s = min(MAX_RETRY_S, 2 * self._wait_s)

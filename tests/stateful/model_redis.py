"""Reservations in a dict, which keep the contract of `tests/contract/test_reservations.py` as Redis
does; simulations use them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from djq.orchestrator.holding import (
    NO_UNITS,
    NOTHING_IN_HAND,
    Census,
    ChunkRecord,
    Claim,
    Main,
    Reservation,
    Search,
    Standing,
    Units,
    main_of,
)
from djq.orchestrator.leads import EVERYTHING
from djq.orchestrator.states import Rival
from djq.orchestrator.stream import READ_LIMIT
from tests.stateful.model_memory import Cursor, ModelServer, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from djq.orchestrator.events import Announcement, Released
    from djq.orchestrator.states import Chunk


class ModelReservations(ModelServer):
    """Reservations in a dict."""

    def __init__(self, clock: Callable[[], float], lease_s: float) -> None:
        super().__init__(clock, lease_s)
        self.holders = ModelHolders(self)
        self.leads = ModelLeads(self)
        self.searches = ModelSearches(self)
        self.stream = ModelStream(self)

    @told
    def queue(self, chunks: Sequence[Chunk]) -> list[tuple[str, ...]]:
        memory = self.enter()
        answers: list[tuple[str, ...]] = []
        for chunk in chunks:
            states = {key: self.state(chunk.table, key) for key in chunk.keys}
            is_begun = memory.chunks.get(chunk.id, (None, None))[1] is not None
            accepted = tuple(
                key
                for key, state in states.items()
                if (not is_begun if state is None else state[-1] == chunk.id)
            )
            if accepted and not is_begun:
                memory.jobs.update({(chunk.table, key): ("q", chunk.id) for key in accepted})
                record = ChunkRecord(chunk.id, chunk.table, chunk.run, accepted, is_reserved=False)
                memory.chunks[chunk.id] = (record, None)
            answers.append(accepted)
        return answers

    @told
    def reserve(self, chunk: Chunk, holder: str, units: Units = NO_UNITS) -> Reservation:
        memory = self.enter()
        self.arrive(holder, chunk.id)
        none = Reservation(chunk.id, chunk.run, chunk.table, (), holder, 0, str(memory.epoch))
        if chunk.id not in memory.chunks or self.is_taken(chunk.id, holder):
            return none
        states = [(key, self.state_for(holder, chunk.table, key)) for key in chunk.keys]
        mark = ("q", chunk.id)
        granted = [key for key, state in states if state == mark or self.is_free(state, holder)]
        if not granted:
            return none
        if short := self.take_units(units, chunk.id):
            self.free_granted(chunk.id, granted, f"limit {short}")
            return replace(none, short_of=short)
        return self.grant(none, granted)

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
            record, owner = memory.chunks.get(
                r.chunk,
                (ChunkRecord(r.chunk, r.table, r.run, (), True, main_of(r.holder)), r.holder),
            )
            if owner != r.holder:
                return Standing(is_held=False)
            memory.jobs[r.table, key] = mark
            memory.chunks[r.chunk] = (replace(record, keys=(*record.keys, key)), r.holder)
            if not self.is_alive(main_of(r.holder)):
                memory.mains[main_of(r.holder)] = (None, self.clock() + self.lease_s)
        main = memory.mains.get(main_of(r.holder), (None, 0.0))[0]
        return Standing(is_held=True, is_stopping=main is not None and main.is_stopping)

    @told
    def release(self, reservation: Reservation, outcome: Released) -> None:
        memory = self.enter()
        r = reservation
        mark = ("r", r.holder, str(r.token), r.chunk)
        failed = tuple(key for key, _ in outcome.failed)
        settled = (*outcome.made, *outcome.exists, *failed, *outcome.empty)
        for key in (*settled, *outcome.unsettled):
            if memory.jobs.get((r.table, key)) == mark:
                del memory.jobs[r.table, key]
        for key in settled:
            memory.losses.pop((r.table, key), None)
        if memory.chunks.get(r.chunk, (None, None))[1] == r.holder:
            del memory.chunks[r.chunk]
            self.give_units_back(r.chunk)
        self.events.append(outcome)

    @told
    def drop(self, chunks: Iterable[str], reason: str) -> int:
        memory = self.enter()
        return sum(
            self.free_queued(chunk, reason)
            for chunk in chunks
            if memory.chunks.get(chunk, (None, ""))[1] is None
        )

    def chunks(self) -> list[ChunkRecord]:
        return [record for record, _ in self.enter().chunks.values()]


class ModelHolders:
    """Main processes in a dict."""

    def __init__(self, server: ModelServer) -> None:
        self.server = server

    @told
    def beat(self, main: Main) -> str:
        memory = self.server.enter()
        self.server.note_watch()
        memory.mains[main.id] = (main, self.server.clock() + self.server.lease_s)
        return str(memory.epoch)

    @told
    def prune(
        self,
        main: str,
        alive: Iterable[int | str],
        *,
        is_lost: bool,
        in_hand: Mapping[str, str] = NOTHING_IN_HAND,
    ) -> int:
        self.server.enter()
        kept = {f"{main}/{slot}" for slot in alive}
        reason = "its process ended"
        return self.server.free_holders(main, kept, is_lost=is_lost, reason=reason, in_hand=in_hand)

    @told
    def leave(self, main: str) -> int:
        self.server.enter()
        return self.server.free_main(main, is_lost=False, reason="worker left")

    @told
    def reap(self) -> Census:
        memory = self.server.enter()
        self.server.note_watch()
        census = replace(self.look(), epoch=str(memory.epoch))
        for main in census.silent:
            self.server.free_main(main, is_lost=True, reason="heartbeat ended")
        return census

    def look(self) -> Census:
        memory = self.server.memory
        silent = tuple(sorted(main for main in memory.mains if not self.server.is_alive(main)))
        alive = tuple(
            main
            for name, (main, _) in memory.mains.items()
            if main is not None and name not in silent
        )
        return Census(memory.epoch or "", alive, silent)

    def losses(self, table: str) -> dict[str, int]:
        counts = self.server.enter().losses
        return {key: n for (name, key), n in counts.items() if name == table}

    @told
    def forgive(self, table: str, keys: Sequence[str]) -> None:
        memory = self.server.enter()
        for key in keys:
            memory.losses.pop((table, key), None)


class ModelLeads:
    """Leads in a dict."""

    def __init__(self, server: ModelServer) -> None:
        self.server = server

    @told
    def take(self, candidate: str, tables: Sequence[str]) -> frozenset[str]:
        memory = self.server.enter()
        present = self.leaders(tables)
        mine = [table for table in tables if present.get(table, candidate) == candidate]
        memory.leads.update(
            {t: (candidate, self.server.clock() + self.server.lease_s) for t in mine}
        )
        return frozenset(mine)

    @told
    def resign(self, candidate: str, tables: Sequence[str]) -> None:
        for table, leader in self.leaders(tables).items():
            if leader == candidate:
                del self.server.memory.leads[table]

    def leaders(self, tables: Sequence[str]) -> dict[str, str]:
        leads = self.server.enter().leads
        return {t: leads[t][0] for t in tables if t in leads and leads[t][1] > self.server.clock()}

    def leader(self) -> str | None:
        return self.leaders([EVERYTHING]).get(EVERYTHING)

    @told
    def want(
        self, run: str, priority: int, n_chunks: Mapping[str, int]
    ) -> dict[str, tuple[Rival, ...]]:
        wants = self.server.enter().wants
        wants[run] = (priority, dict(n_chunks), self.server.clock() + self.server.lease_s)
        found: dict[str, tuple[Rival, ...]] = {}
        for other, (theirs, counts, until) in wants.items():
            if other != run and until > self.server.clock():
                for queue, n in counts.items():
                    found[queue] = (*found.get(queue, ()), Rival(theirs, n))
        return found


class ModelSearches:
    """Shared searches in a dict."""

    def __init__(self, server: ModelServer) -> None:
        self.server = server

    @told
    def claim(self, search: Search, chunk: str, holder: str, wanted: int) -> Claim:
        memory = self.server.enter()
        self.server.arrive(holder, chunk)
        cursor = memory.cursors.get(search.id) or Cursor(0, has_ended=True)
        has_ended = cursor.has_ended and not cursor.pool
        search = replace(search, last_round=search.last_round or cursor.round + 1)
        none = Reservation(chunk, search.run, search.table, (), holder, 0, str(memory.epoch))
        granted = self.server.held(chunk, holder)
        is_repeated = bool(granted)
        while not is_repeated and len(granted) < wanted and cursor.pool:
            state = self.server.state_for(holder, search.table, cursor.pool[0])
            is_free = self.server.is_free(state, holder)
            is_suspect = (search.table, cursor.pool[0]) in memory.losses
            if is_free and is_suspect and granted:
                break
            key = cursor.pool.pop(0)
            if is_free:
                granted.append(key)
                if is_suspect:
                    break
        held = self.server.grant(none, granted) if granted else none
        counts = {key: n for key in granted if (n := memory.losses[search.table, key])}
        if has_ended and cursor.round >= search.last_round:
            return Claim(held, search, counts, None, cursor.round, is_done=True)
        if has_ended:
            cursor = Cursor(cursor.round + 1 if cursor.round else search.last_round)
        memory.cursors[search.id] = cursor
        read_after = None
        is_low = len(cursor.pool) < 4 * wanted
        if (
            is_low
            and not cursor.has_ended
            and (cursor.reader == holder or cursor.until <= self.server.clock())
        ):
            cursor.reader, cursor.until = holder, self.server.clock() + self.server.lease_s
            read_after = cursor.after
        return Claim(held, search, counts, read_after, cursor.round, is_done=False)

    @told
    def add_page(self, claim: Claim, keys: Sequence[str], *, is_last: bool) -> bool:
        cursor = self.server.enter().cursors.get(claim.search.id, Cursor(0))
        if (cursor.reader, cursor.round) != (claim.reservation.holder, claim.round):
            return False
        cursor.pool.extend(keys)
        cursor.after = keys[-1] if keys else cursor.after
        cursor.has_ended, cursor.reader, cursor.until = is_last, "", 0.0
        return True


class ModelStream:
    """Announcements in a list."""

    def __init__(self, server: ModelServer) -> None:
        self.server = server

    def position(self) -> str:
        self.server.enter()
        return str(len(self.server.events))

    def read(self, after: str, *, wait_s: float) -> tuple[str, list[Announcement]]:
        self.server.enter()
        first = 0 if after == "0-0" else int(after)
        last = max(first, min(len(self.server.events), first + READ_LIMIT))
        return str(last), self.server.events[first:last]

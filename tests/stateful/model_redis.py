"""Reservations in a dict, which keep the contract of `tests/contract/test_reservations.py` as Redis
does; simulations use them.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from djq.errors import RedisUnavailableError
from djq.orchestrator.events import Announcement, Freed, Released
from djq.orchestrator.reservations import (
    EVERYTHING,
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
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from djq.orchestrator.states import Chunk


@dataclass
class _Cursor:
    """A search that several processes share."""

    round: int
    after: str = ""
    has_ended: bool = False
    reader: str = ""
    until: float = 0.0
    pool: list[str] = field(default_factory=list)


@dataclass
class _Memory:
    """What Redis holds."""

    epoch: str | None = None
    token: int = 0
    jobs: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    chunks: dict[str, tuple[ChunkRecord, str | None]] = field(default_factory=dict)
    mains: dict[str, tuple[Main | None, float]] = field(default_factory=dict)
    losses: Counter[tuple[str, str]] = field(default_factory=Counter)
    leads: dict[str, tuple[str, float]] = field(default_factory=dict)
    wants: dict[str, tuple[int, tuple[str, ...], float]] = field(default_factory=dict)
    units: dict[tuple[str, str], int] = field(default_factory=dict)
    cursors: dict[str, _Cursor] = field(default_factory=dict)


class ModelReservations:
    """Reservations in a dict."""

    def __init__(self, clock: Callable[[], float], lease_s: float, memory: object = None) -> None:
        self.lease_s = lease_s
        self.clock = clock
        self.is_down = False
        self.memory = memory if isinstance(memory, _Memory) else _Memory()
        self.events: list[Announcement] = []
        self._epochs = itertools.count(1)

    def flush(self) -> None:
        self.memory = _Memory()
        self.events.clear()

    def everything_free(self) -> bool:
        memory = self.memory
        return not (memory.jobs or memory.chunks or memory.losses or memory.units)

    def _enter(self) -> _Memory:
        if self.is_down:
            message = "Redis at model did not answer"
            raise RedisUnavailableError(message)
        if self.memory.epoch is None:
            self.memory.epoch = f"e{next(self._epochs)}"
        return self.memory

    def _is_alive(self, main: str) -> bool:
        return self.memory.mains.get(main, (None, -1.0))[1] > self.clock()

    def queue(self, chunks: Sequence[Chunk]) -> list[tuple[str, ...]]:
        memory = self._enter()
        answers: list[tuple[str, ...]] = []
        for chunk in chunks:
            accepted = tuple(
                key
                for key in chunk.keys
                if memory.jobs.get((chunk.table, key)) in {None, ("q", chunk.id)}
            )
            memory.jobs.update({(chunk.table, key): ("q", chunk.id) for key in accepted})
            if accepted:
                record = ChunkRecord(chunk.id, chunk.table, chunk.run, accepted, is_reserved=False)
                memory.chunks[chunk.id] = (record, None)
            answers.append(accepted)
        return answers

    def reserve(self, chunk: Chunk, holder: str, units: Units = NO_UNITS) -> Reservation:
        memory = self._enter()
        self._arrive(holder, chunk.id)
        none = Reservation(chunk.id, chunk.run, chunk.table, (), holder, 0, str(memory.epoch))
        if chunk.id not in memory.chunks:
            return none
        states = [(key, memory.jobs.get((chunk.table, key))) for key in chunk.keys]
        mark = ("q", chunk.id)
        granted = [key for key, state in states if state == mark or self._is_free(state, holder)]
        if not granted:
            return none
        if short := self._take_units(units, chunk.id):
            self._free_queued(chunk.id, f"limit {short}")
            return replace(none, short_of=short)
        return self._reserve(none, granted)

    def _arrive(self, holder: str, chunk: str) -> None:
        main = main_of(holder)
        if not self._is_alive(main):
            self.memory.mains[main] = (None, self.clock() + self.lease_s)
        for other, (_, owner) in list(self.memory.chunks.items()):
            if owner == holder and other != chunk:
                self._free_chunk(other, is_lost=False, reason="left over")

    def _is_free(self, state: tuple[str, ...] | None, holder: str) -> bool:
        if state is None:
            return True
        return state[0] == "r" and (state[1] == holder or not self._is_alive(main_of(state[1])))

    def _reserve(self, none: Reservation, keys: Sequence[str]) -> Reservation:
        memory = self.memory
        memory.token += 1
        mark = ("r", none.holder, str(memory.token), none.chunk)
        memory.jobs.update({(none.table, key): mark for key in keys})
        record = ChunkRecord(none.chunk, none.table, none.run, tuple(keys), is_reserved=True)
        memory.chunks[none.chunk] = (record, none.holder)
        return replace(none, keys=tuple(keys), token=memory.token)

    def _take_units(self, wanted: Units, chunk: str) -> str:
        for name, (n, limit) in wanted.items():
            used = sum(
                m for (which, by), m in self.memory.units.items() if which == name and by != chunk
            )
            if used + n > limit:
                return name
        self.memory.units.update({(name, chunk): n for name, (n, _) in wanted.items()})
        return ""

    def _give_units_back(self, chunk: str) -> None:
        for name, other in list(self.memory.units):
            if other == chunk:
                del self.memory.units[name, other]

    def claim(
        self, search: Search, chunk: str, holder: str, wanted: int, units: Units = NO_UNITS
    ) -> Claim:
        memory = self._enter()
        self._arrive(holder, chunk)
        cursor = memory.cursors.get(search.id) or _Cursor(0, has_ended=True)
        has_ended = cursor.has_ended and not cursor.pool
        search = replace(search, last_round=search.last_round or cursor.round + 1)
        none = Reservation(chunk, search.run, search.table, (), holder, 0, str(memory.epoch))
        short = self._take_units(units, chunk)
        granted: list[str] = []
        while len(granted) < wanted and cursor.pool and not short:
            key = cursor.pool.pop(0)
            if self._is_free(memory.jobs.get((search.table, key)), holder):
                granted.append(key)
        held = self._reserve(none, granted) if granted else replace(none, short_of=short)
        if not granted:
            self._give_units_back(chunk)
        counts = {key: n for key in granted if (n := memory.losses[search.table, key])}
        if has_ended and cursor.round >= search.last_round:
            return Claim(held, search, counts, None, cursor.round, is_done=True)
        if has_ended:
            cursor = _Cursor(cursor.round + 1 if cursor.round else search.last_round)
        memory.cursors[search.id] = cursor
        read_after = None
        is_low = len(cursor.pool) < 4 * wanted
        if is_low and not cursor.has_ended and cursor.until <= self.clock():
            cursor.reader, cursor.until = holder, self.clock() + self.lease_s
            read_after = cursor.after
        return Claim(held, search, counts, read_after, cursor.round, is_done=False)

    def add_page(self, claim: Claim, keys: Sequence[str], *, is_last: bool) -> bool:
        cursor = self._enter().cursors.get(claim.search.id, _Cursor(0))
        if (cursor.reader, cursor.round) != (claim.reservation.holder, claim.round):
            return False
        cursor.pool.extend(keys)
        cursor.after = keys[-1] if keys else cursor.after
        cursor.has_ended, cursor.reader, cursor.until = is_last, "", 0.0
        return True

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
            memory.jobs[r.table, key] = mark
            record, _ = memory.chunks.get(
                r.chunk, (ChunkRecord(r.chunk, r.table, r.run, (), is_reserved=True), r.holder)
            )
            memory.chunks[r.chunk] = (replace(record, keys=(*record.keys, key)), r.holder)
            if not self._is_alive(main_of(r.holder)):
                memory.mains[main_of(r.holder)] = (None, self.clock() + self.lease_s)
        main = memory.mains.get(main_of(r.holder), (None, 0.0))[0]
        return Standing(is_held=True, is_stopping=main is not None and main.is_stopping)

    def release(self, reservation: Reservation, outcome: Released) -> None:
        memory = self._enter()
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
            self._give_units_back(r.chunk)
        self.events.append(outcome)

    def drop(self, chunks: Iterable[str], reason: str) -> int:
        memory = self._enter()
        return sum(
            self._free_queued(chunk, reason)
            for chunk in chunks
            if memory.chunks.get(chunk, (None, ""))[1] is None
        )

    def _free_queued(self, chunk: str, reason: str) -> int:
        record, _ = self.memory.chunks.pop(chunk)
        queued = tuple(
            key for key in record.keys if self.memory.jobs.get((record.table, key)) == ("q", chunk)
        )
        for key in queued:
            del self.memory.jobs[record.table, key]
        if queued:
            self.events.append(Freed(record.table, chunk, record.run, queued, reason))
        return len(queued)

    def prune(
        self,
        main: str,
        alive: Iterable[int | str],
        *,
        is_lost: bool,
        in_hand: Mapping[str, str] = NOTHING_IN_HAND,
    ) -> int:
        self._enter()
        kept = {f"{main}/{slot}" for slot in alive}
        reason = "its process ended"
        return self._free_holders(main, kept, is_lost=is_lost, reason=reason, in_hand=in_hand)

    def _free_holders(
        self,
        main: str,
        kept: set[str],
        *,
        is_lost: bool,
        reason: str,
        in_hand: Mapping[str, str] = NOTHING_IN_HAND,
    ) -> int:
        chunks = [
            (chunk, in_hand.get(owner.rpartition("/")[2]))
            for chunk, (_, owner) in self.memory.chunks.items()
            if owner is not None and main_of(owner) == main and owner not in kept
        ]
        return sum(
            self._free_chunk(chunk, is_lost=is_lost, reason=reason, in_hand=key)
            for chunk, key in chunks
        )

    def _free_chunk(
        self, chunk: str, *, is_lost: bool, reason: str, in_hand: str | None = None
    ) -> int:
        memory = self.memory
        record, holder = memory.chunks.pop(chunk)
        self._give_units_back(chunk)
        mine = [
            key
            for key in record.keys
            if (state := memory.jobs.get((record.table, key), ()))[:1] == ("r",)
            and (state[1], state[3]) == (holder, chunk)
        ]
        for key in mine:
            del memory.jobs[record.table, key]
        is_known = in_hand in mine
        count = int(is_known or len(record.keys) == 1)
        losses: list[int | None] = []
        for key in mine:
            is_suspect = key == in_hand or not is_known
            if is_lost and is_suspect:
                memory.losses[record.table, key] += count
            losses.append(memory.losses[record.table, key] if is_suspect else None)
        if mine:
            counts = tuple(losses) if is_lost else ()
            self.events.append(Freed(record.table, chunk, record.run, tuple(mine), reason, counts))
        return len(mine)

    def _free_main(self, main: str, *, is_lost: bool, reason: str) -> int:
        n_keys = self._free_holders(main, set(), is_lost=is_lost, reason=reason)
        self.memory.mains.pop(main, None)
        return n_keys

    def forgive(self, table: str, keys: Sequence[str]) -> None:
        memory = self._enter()
        for key in keys:
            memory.losses.pop((table, key), None)

    def beat(self, main: Main) -> str:
        memory = self._enter()
        memory.mains[main.id] = (main, self.clock() + self.lease_s)
        return str(memory.epoch)

    def leave(self, main: str) -> int:
        self._enter()
        return self._free_main(main, is_lost=False, reason="worker left")

    def reap(self) -> Census:
        memory = self._enter()
        reaped = tuple(sorted(main for main in memory.mains if not self._is_alive(main)))
        for main in reaped:
            self._free_main(main, is_lost=True, reason="heartbeat ended")
        alive = tuple(main for main, _ in memory.mains.values() if main is not None)
        return Census(str(memory.epoch), alive, reaped)

    def take_leads(self, candidate: str, tables: Sequence[str]) -> frozenset[str]:
        memory = self._enter()
        present = self.leaders(tables)
        mine = [table for table in tables if present.get(table, candidate) == candidate]
        memory.leads.update({t: (candidate, self.clock() + self.lease_s) for t in mine})
        return frozenset(mine)

    def resign_leads(self, candidate: str, tables: Sequence[str]) -> None:
        for table, leader in self.leaders(tables).items():
            if leader == candidate:
                del self.memory.leads[table]

    def leaders(self, tables: Sequence[str]) -> dict[str, str]:
        leads = self._enter().leads
        return {t: leads[t][0] for t in tables if t in leads and leads[t][1] > self.clock()}

    def want(self, run: str, priority: int, queues: Iterable[str]) -> dict[str, tuple[int, ...]]:
        wants = self._enter().wants
        wants[run] = (priority, tuple(queues), self.clock() + self.lease_s)
        found: dict[str, tuple[int, ...]] = {}
        for other, (theirs, names, until) in wants.items():
            if other != run and until > self.clock():
                for name in names:
                    found[name] = (*found.get(name, ()), theirs)
        return found

    def lead(self, candidate: str) -> str:
        is_ours = bool(self.take_leads(candidate, [EVERYTHING]))
        return candidate if is_ours else self.leader() or ""

    def resign(self, candidate: str) -> None:
        self.resign_leads(candidate, [EVERYTHING])

    def leader(self) -> str | None:
        return self.leaders([EVERYTHING]).get(EVERYTHING)

    def position(self) -> str:
        self._enter()
        return str(len(self.events))

    def announcements(self, after: str, *, wait_s: float) -> tuple[str, list[Announcement]]:
        self._enter()
        first = 0 if after == "0-0" else int(after)
        return str(max(first, len(self.events))), self.events[first:]

    def chunks(self) -> list[ChunkRecord]:
        return [record for record, _ in self._enter().chunks.values()]

    def losses(self, table: str) -> dict[str, int]:
        counts = self._enter().losses
        return {key: n for (name, key), n in counts.items() if name == table}


def main_of(holder: str) -> str:
    return holder.rpartition("/")[0]

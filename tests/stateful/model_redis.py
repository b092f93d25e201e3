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
from djq.orchestrator.reservations import Census, ChunkRecord, Main, Reservation, Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from djq.orchestrator.states import Chunk


@dataclass
class _Memory:
    """What Redis holds."""

    epoch: str | None = None
    token: int = 0
    jobs: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    chunks: dict[str, tuple[ChunkRecord, str | None]] = field(default_factory=dict)
    mains: dict[str, tuple[Main | None, float]] = field(default_factory=dict)
    losses: Counter[tuple[str, str]] = field(default_factory=Counter)
    leader: tuple[str, float] | None = None


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
        return not (memory.jobs or memory.chunks or +memory.losses)

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

    def reserve(self, chunk: Chunk, holder: str) -> Reservation:
        memory = self._enter()
        main = main_of(holder)
        if not self._is_alive(main):
            memory.mains[main] = (None, self.clock() + self.lease_s)
        for other, (_, owner) in list(memory.chunks.items()):
            if owner == holder and other != chunk.id:
                self._free_chunk(other, is_lost=False, reason="left over")
        none = Reservation(chunk.id, chunk.run, chunk.table, (), holder, 0, str(memory.epoch))
        if chunk.id not in memory.chunks:
            return none
        memory.token += 1
        mark = ("r", holder, str(memory.token), chunk.id)
        granted: list[str] = []
        for key in chunk.keys:
            state = memory.jobs.get((chunk.table, key))
            if state is None or state == ("q", chunk.id):
                is_free = True
            else:
                is_free = state[0] == "r" and (
                    state[1] == holder or not self._is_alive(main_of(state[1]))
                )
            if is_free:
                memory.jobs[chunk.table, key] = mark
                granted.append(key)
        if not granted:
            return none
        record = ChunkRecord(chunk.id, chunk.table, chunk.run, tuple(granted), is_reserved=True)
        memory.chunks[chunk.id] = (record, holder)
        return replace(none, keys=tuple(granted), token=memory.token)

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
        memory.chunks.pop(r.chunk, None)
        self.events.append(outcome)

    def drop(self, chunks: Iterable[str], reason: str) -> int:
        memory = self._enter()
        n_keys = 0
        for chunk in chunks:
            record, holder = memory.chunks.get(chunk, (None, None))
            if record is None or holder is not None:
                continue
            queued = tuple(
                key for key in record.keys if memory.jobs.get((record.table, key)) == ("q", chunk)
            )
            for key in queued:
                del memory.jobs[record.table, key]
            del memory.chunks[chunk]
            if queued:
                self.events.append(Freed(record.table, chunk, record.run, queued, reason))
            n_keys += len(queued)
        return n_keys

    def prune(self, main: str, alive: Iterable[int | str], *, is_lost: bool) -> int:
        self._enter()
        kept = {f"{main}/{slot}" for slot in alive}
        return self._free_holders(main, kept, is_lost=is_lost, reason="its process ended")

    def _free_holders(self, main: str, kept: set[str], *, is_lost: bool, reason: str) -> int:
        chunks = [
            chunk
            for chunk, (_, owner) in self.memory.chunks.items()
            if owner is not None and main_of(owner) == main and owner not in kept
        ]
        return sum(self._free_chunk(chunk, is_lost=is_lost, reason=reason) for chunk in chunks)

    def _free_chunk(self, chunk: str, *, is_lost: bool, reason: str) -> int:
        memory = self.memory
        record, holder = memory.chunks.pop(chunk)
        mine = [
            key
            for key in record.keys
            if (state := memory.jobs.get((record.table, key), ()))[:1] == ("r",)
            and (state[1], state[3]) == (holder, chunk)
        ]
        losses: list[int] = []
        for key in mine:
            del memory.jobs[record.table, key]
            if is_lost:
                memory.losses[record.table, key] += 1
                losses.append(memory.losses[record.table, key])
        if mine:
            self.events.append(
                Freed(record.table, chunk, record.run, tuple(mine), reason, tuple(losses))
            )
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

    def lead(self, candidate: str) -> str:
        memory = self._enter()
        leader, until = memory.leader or (candidate, 0.0)
        if leader == candidate or until <= self.clock():
            memory.leader = (candidate, self.clock() + self.lease_s)
        return memory.leader[0] if memory.leader else candidate

    def resign(self, candidate: str) -> None:
        if self.leader() == candidate:
            self._enter().leader = None

    def leader(self) -> str | None:
        leader = self._enter().leader
        return leader[0] if leader is not None and leader[1] > self.clock() else None

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

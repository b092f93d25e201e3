"""Who makes which key: leases, tokens, heartbeats and commit announcements as Lua scripts in Redis.

A key of a table is free, *queued* by a chunk, or *reserved* by a holder with a token. A holder is
one worker process; it is alive while the heartbeat of its main process lasts. Nothing here is the
truth about results: the database is. Redis may forget everything at any moment, and the worst that
follows is that a key is computed twice and committed once.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from djq.orchestrator import events
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
    holder_id,
    new_main_id,
)
from djq.orchestrator.server import open_server

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from djq.orchestrator.server import Server
    from djq.orchestrator.states import Chunk
    from djq.settings import Settings

__all__ = [
    "EVERYTHING",
    "NOTHING_IN_HAND",
    "NO_UNITS",
    "Census",
    "ChunkRecord",
    "Claim",
    "Main",
    "Reservation",
    "Reservations",
    "Search",
    "Standing",
    "Units",
    "holder_id",
    "new_main_id",
]

#: Entries of the stream taken in one read.
READ_LIMIT = 500
#: Stands for all tables where one leads all.
EVERYTHING = "*"

_ClaimAnswer: TypeAlias = tuple[str, int, list[str], int, str, str, int, str, str, list[str]]


@dataclass(slots=True)
class Reservations:
    """The reservations of one installation.

    Every method is one round trip, and raises `RedisUnavailableError` when Redis does not answer.
    """

    server: Server
    lease_s: float
    _epoch_candidate: str = field(default_factory=lambda: secrets.token_hex(8))

    @classmethod
    def open(cls, settings: Settings) -> Reservations:
        """Return the reservations that the settings name; nothing is connected yet."""
        return cls(open_server(settings), settings.lease_s)

    # Chunks: queued by a scheduler, reserved and released by a holder.

    def queue(self, chunks: Sequence[Chunk]) -> list[tuple[str, ...]]:
        """Note that chunks are about to be sent; return per chunk the keys that it may carry.

        A key that is already queued or reserved is left out. A chunk with no key left must not be
        sent.
        """
        calls = ((c.id, c.table, c.run, self._epoch_candidate, "\n".join(c.keys)) for c in chunks)
        answers: list[list[int] | int] = self.server.call_many("queue", calls)
        return [_chosen(chunk, answer) for chunk, answer in zip(chunks, answers, strict=True)]

    def reserve(self, chunk: Chunk, holder: str, units: Units = NO_UNITS) -> Reservation:
        """Reserve the keys of a received chunk, as far as nobody else has them.

        A doubled or late message finds its chunk gone, and gets no key. What the holder still had
        from an earlier chunk is freed. If one of the units is used up, the chunk's keys are free
        again, and that is announced.
        """
        answer: tuple[str, int, list[int] | int, str] = self.server.call(
            "reserve",
            chunk.id,
            chunk.table,
            chunk.run,
            holder,
            self._epoch_candidate,
            self._lease_ms,
            json.dumps(dict(units)),
            "\n".join(chunk.keys),
        )
        epoch, token, positions, short = answer
        keys = _chosen(chunk, positions)
        return Reservation(chunk.id, chunk.run, chunk.table, keys, holder, int(token), epoch, short)

    # Searches that ordinary processes share: `populate(reserve_jobs=True)`.

    def claim(
        self, search: Search, chunk: str, holder: str, wanted: int, units: Units = NO_UNITS
    ) -> Claim:
        """Take keys of a shared search and reserve them as a chunk, in one step."""
        answer: _ClaimAnswer = self.server.call(
            "claim",
            search.id,
            search.table,
            search.run,
            holder,
            chunk,
            self._epoch_candidate,
            self._lease_ms,
            wanted,
            search.last_round,
            json.dumps(dict(units)),
        )
        epoch, token, keys, last_round, is_reader, after, page_round, is_done, short, losses = (
            answer
        )
        held = Reservation(
            chunk, search.run, search.table, tuple(keys), holder, int(token), epoch, short
        )
        return Claim(
            held,
            replace(search, last_round=int(last_round)),
            {key: int(n) for key, n in zip(keys, losses, strict=True) if n != "0"},
            read_after=after if is_reader == "1" else None,
            round=int(page_round),
            is_done=is_done == "1",
        )

    def add_page(self, claim: Claim, keys: Sequence[str], *, is_last: bool) -> bool:
        """Share the page that a claim asked to read; return whether it was still ours to read."""
        after = keys[-1] if keys else (claim.read_after or "")
        answer = self.server.call(
            "page",
            claim.search.id,
            claim.reservation.holder,
            claim.round,
            int(is_last),
            after,
            *keys,
        )
        return bool(answer)

    def holds(self, reservation: Reservation, key: str) -> Standing:
        """Tell whether the holder may commit this key.

        If Redis was flushed since the key was reserved and nobody else has it, the key is taken
        again and the answer is yes: the table's unique key is the fence, and work that is done
        should not be thrown away.
        """
        r = reservation
        answer = self.server.call(
            "holds", r.table, key, r.holder, r.token, r.chunk, r.epoch, r.run, self._lease_ms
        )
        return Standing(is_held=answer > 0, is_stopping=answer == 2)  # noqa: PLR2004 - see holds.lua

    def release(self, reservation: Reservation, outcome: events.Released) -> None:
        """Free the chunk's keys and announce what became of them."""
        settled = (
            *outcome.made,
            *outcome.exists,
            *(key for key, _ in outcome.failed),
            *outcome.empty,
        )
        r = reservation
        self.server.call(
            "release",
            r.table,
            r.holder,
            r.token,
            r.chunk,
            events.encode(outcome),
            "\n".join(settled),
            "\n".join(outcome.unsettled),
        )

    def held_by(self, holder: str) -> list[Reservation]:
        """Return what a holder has, which need not be there any more."""
        found: list[Reservation] = []
        for chunk, text in self.server.read_hash("chunks").items():
            body: dict[str, Any] = json.loads(text)
            if body.get("holder") != holder:
                continue
            table = str(body["table"])
            states = self.server.read_hash("jobs", table)
            parts = {key: states.get(key, "").split("|") for key in body["keys"]}
            mine = {k: s[2] for k, s in parts.items() if s[:2] + s[3:] == ["r", holder, chunk]}
            if mine:
                token = int(next(iter(mine.values())))
                keys, run = tuple(mine), str(body["run"])
                found.append(Reservation(chunk, run, table, keys, holder, token, epoch=""))
        return found

    def drop(self, chunks: Iterable[str], reason: str) -> int:
        """Forget chunks that nobody works on and free their keys; return the number of keys."""
        return sum(
            max(0, n) for n in self.server.call_many("drop", ((chunk, reason) for chunk in chunks))
        )

    def forgive(self, table: str, keys: Sequence[str]) -> None:
        """Forget how often these keys were lost with a dying worker."""
        if keys:
            self.server.remove_fields("losses", table, fields=keys)

    # Main processes.

    def beat(self, main: Main) -> str:
        """Renew the lease of a main process for all its holders; return the epoch."""
        info = json.dumps(asdict(main), separators=(",", ":"))
        return str(self.server.call("beat", main.id, info, self._lease_ms, self._epoch_candidate))

    def prune(
        self,
        main: str,
        alive: Iterable[int | str],
        *,
        is_lost: bool,
        in_hand: Mapping[str, str] = NOTHING_IN_HAND,
    ) -> int:
        """Free what a main process's holders have, but for the slots alive; return how many keys.

        is_lost counts the key that a process had in hand when it died, by slot in `in_hand`: it
        may be what killed it. Where that is not known, a key that was alone in its chunk is counted
        and the keys of a chunk of several are noted with a count of 0.
        """
        slots = sorted(str(slot) for slot in alive)
        pairs = [text for pair in in_hand.items() for text in pair]
        return int(self.server.call("prune", main, int(is_lost), len(slots), *slots, *pairs))

    def leave(self, main: str) -> int:
        """End a main process in good order: what it holds goes back, uncounted; return how many."""
        return int(self.server.call("leave", main))

    def reap(self) -> Census:
        """Free what dead main processes hold, and tell who is alive."""
        epoch, reaped, alive = self.server.call("reap", self._epoch_candidate)
        return Census(epoch, tuple(_main(text) for text in alive), tuple(reaped))

    # Schedulers.

    def take_leads(self, candidate: str, tables: Sequence[str]) -> frozenset[str]:
        """Take or renew the lead of tables for one lease; return those that `candidate` leads."""
        answer: list[int] = self.server.call("lead", candidate, self._lease_ms, *tables)
        return frozenset(tables[i] for i in answer)

    def resign_leads(self, candidate: str, tables: Sequence[str]) -> None:
        """Give the lead of these tables up, where it is ours."""
        self.server.call("resign", candidate, *tables)

    def leaders(self, tables: Sequence[str]) -> dict[str, str]:
        """Return who leads each of these tables; those that nobody leads are left out."""
        found = self.server.read_texts([("lead", table) for table in tables])
        return {t: who for t, who in zip(tables, found, strict=True) if who is not None}

    def want(self, run: str, priority: int, queues: Iterable[str]) -> dict[str, tuple[int, ...]]:
        """Say what queues a run has something for; return the priorities of the others by queue.

        Said again before a lease is over, or it is forgotten.
        """
        wanted = "\n".join(sorted(queues))
        others: list[list[str]] = self.server.call("want", run, self._lease_ms, priority, wanted)
        found: dict[str, tuple[int, ...]] = {}
        for other, *names in others:
            for name in names:
                found[name] = (*found.get(name, ()), int(other))
        return found

    # One lead for everything, until all schedulers lead by table.

    def lead(self, candidate: str) -> str:
        """Take or renew the lead for one lease; return who leads: `candidate` if it is us."""
        if self.take_leads(candidate, [EVERYTHING]):
            return candidate
        return self.leader() or ""

    def resign(self, candidate: str) -> None:
        """Give the lead up, if it is ours."""
        self.resign_leads(candidate, [EVERYTHING])

    def leader(self) -> str | None:
        """Return who leads, or None."""
        return self.leaders([EVERYTHING]).get(EVERYTHING)

    # What is going on.

    def position(self) -> str:
        """Return the stream's present end, to read announcements from here on."""
        return self.server.last_id("events")

    def announcements(
        self, after: str, *, wait_s: float
    ) -> tuple[str, list[events.Announcement | events.Inserted]]:
        """Wait for announcements after a position; return the position after them, and them."""
        entries = self.server.read_stream("events", after, wait_s=wait_s, limit=READ_LIMIT)
        decoded = (events.decode(fields["e"]) for _, fields in entries)
        return (entries[-1][0] if entries else after), [
            event for event in decoded if event is not None
        ]

    def chunks(self) -> list[ChunkRecord]:
        """Return all chunks in flight: their number is bounded by the schedulers."""
        records = self.server.read_hash("chunks")
        return [_record(chunk, json.loads(text)) for chunk, text in records.items()]

    def losses(self, table: str) -> dict[str, int]:
        """Return the keys of a table that dying workers took along, and how often."""
        counts = self.server.read_hash("losses", table)
        return {key: int(n) for key, n in counts.items()}

    @property
    def _lease_ms(self) -> int:
        return max(1, int(self.lease_s * 1000))


def _chosen(chunk: Chunk, positions: list[int] | int) -> tuple[str, ...]:
    """Return the keys that a script chose by position; -1 stands for all."""
    if isinstance(positions, int):
        return chunk.keys
    return tuple(chunk.keys[i] for i in positions)


def _main(text: str) -> Main:
    info: dict[str, Any] = json.loads(text)
    known = {name: info[name] for name in ("host", "pid", "slots", "is_stopping") if name in info}
    tables, queues = (tuple(info.get(name, ())) for name in ("tables", "queues"))
    return Main(id=str(info.get("id", "")), tables=tables, queues=queues, **known)


def _record(chunk: str, body: Mapping[str, Any]) -> ChunkRecord:
    return ChunkRecord(chunk, body["table"], body["run"], tuple(body["keys"]), "holder" in body)

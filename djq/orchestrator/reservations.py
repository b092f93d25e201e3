"""Who makes which key: leases and tokens as Lua scripts in Redis.

A key of a table is free, *queued* by a chunk, or *reserved* by a holder with a token. A holder is
one worker process; it is alive while the heartbeat of its main process lasts. Nothing here is the
truth about results: the database is. Redis may forget everything at any moment, and the worst that
follows is that a key is computed twice and committed once.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from djq.orchestrator import events
from djq.orchestrator.holders import Holders
from djq.orchestrator.holding import (
    NO_UNITS,
    ChunkRecord,
    Reservation,
    Standing,
    Units,
    main_of,
)
from djq.orchestrator.leads import Leads
from djq.orchestrator.searches import Searches
from djq.orchestrator.server import open_server
from djq.orchestrator.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from djq.orchestrator.server import Server
    from djq.orchestrator.states import Chunk
    from djq.settings import Settings


class Reservations:
    """The chunks and keys of one installation; holders, leads, searches and stream beside them.

    A chunk is queued by a scheduler, reserved and released by a holder. Every method is one round
    trip, and raises `RedisUnavailableError` when Redis does not answer.

    Parameters
    ----------
    lease_s
        What a holder has is kept so long after its last heartbeat [s].
    """

    def __init__(self, server: Server, lease_s: float) -> None:
        self.server = server
        self.lease_s = lease_s
        self._lease_ms = max(1, int(lease_s * 1000))
        self._new_epoch = secrets.token_hex(8)
        self.holders = Holders(server, self._lease_ms, self._new_epoch)
        self.leads = Leads(server, self._lease_ms)
        self.searches = Searches(server, self._lease_ms, self._new_epoch)
        self.stream = Stream(server)

    @classmethod
    def open(cls, settings: Settings) -> Reservations:
        """Return the reservations that the settings name; nothing is connected yet."""
        return cls(open_server(settings), settings.lease_s)

    def queue(self, chunks: Sequence[Chunk]) -> list[tuple[str, ...]]:
        """Note that chunks are about to be sent; return per chunk the keys that it may carry.

        A key that is already queued or reserved is left out. A chunk with no key left must not be
        sent.
        """
        calls = ((c.id, c.table, c.run, self._new_epoch, "\n".join(c.keys)) for c in chunks)
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
            self._new_epoch,
            self._lease_ms,
            json.dumps(dict(units)),
            "\n".join(chunk.keys),
        )
        epoch, token, positions, short = answer
        keys = _chosen(chunk, positions)
        return Reservation(chunk.id, chunk.run, chunk.table, keys, holder, int(token), epoch, short)

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
            body, ids = _body(text)
            if body.get("holder") != holder:
                continue
            table = str(body["table"])
            states = self.server.read_hash("jobs", table)
            parts = {key: states.get(key, "").split("|") for key in ids}
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

    def chunks(self) -> list[ChunkRecord]:
        """Return all chunks in flight: their number is bounded by the schedulers."""
        records = self.server.read_hash("chunks")
        return [_record(chunk, *_body(text)) for chunk, text in records.items()]


def _chosen(chunk: Chunk, positions: list[int] | int) -> tuple[str, ...]:
    """Return the keys that a script chose by position; -1 stands for all."""
    if isinstance(positions, int):
        return chunk.keys
    return tuple(chunk.keys[i] for i in positions)


def _body(text: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what is kept of a chunk, and its keys; see common.lua."""
    first, _, rest = text.partition("\n")
    return json.loads(first), tuple(filter(None, rest.split("\n")))


def _record(chunk: str, body: Mapping[str, Any], keys: tuple[str, ...]) -> ChunkRecord:
    main = main_of(body.get("holder", ""))
    return ChunkRecord(chunk, body["table"], body["run"], keys, "holder" in body, main)

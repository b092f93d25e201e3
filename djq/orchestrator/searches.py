"""Searches that ordinary processes share: `populate(reserve_jobs=True)`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from djq.orchestrator.holding import Claim, Reservation, Search

if TYPE_CHECKING:
    from collections.abc import Sequence

    from djq.orchestrator.server import Server

_ClaimAnswer: TypeAlias = tuple[str, int, list[str], int, str, str, int, str, list[str]]


@dataclass(frozen=True, slots=True)
class Searches:
    """The shared searches of one installation: one process reads a page, all take keys of it.

    Every method is one round trip, and raises `RedisUnavailableError` when Redis does not answer.
    """

    server: Server
    lease_ms: int
    #: Of a Redis that remembers none.
    new_epoch: str

    def claim(self, search: Search, chunk: str, holder: str, wanted: int) -> Claim:
        """Take keys of a shared search and reserve them as a chunk, in one step."""
        answer: _ClaimAnswer = self.server.call(
            "claim",
            search.id,
            search.table,
            search.run,
            holder,
            chunk,
            self.new_epoch,
            self.lease_ms,
            wanted,
            search.last_round,
        )
        epoch, token, keys, last_round, is_reader, after, page_round, is_done, losses = answer
        held = Reservation(chunk, search.run, search.table, tuple(keys), holder, int(token), epoch)
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

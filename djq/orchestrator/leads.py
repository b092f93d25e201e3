"""Who schedules what: the lead of each table, and what each run wants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from djq.orchestrator.states import Rival

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from djq.orchestrator.server import Server

#: Stands for all tables: the daemon that has this lead is the one that people are shown.
EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class Leads:
    """The leads of one installation: each table's is one scheduler's for one lease.

    Every method is one round trip, and raises `RedisUnavailableError` when Redis does not answer.
    """

    server: Server
    lease_ms: int

    def take(self, candidate: str, tables: Sequence[str]) -> frozenset[str]:
        """Take or renew the lead of tables for one lease; return those that `candidate` leads."""
        answer: list[int] = self.server.call("lead", candidate, self.lease_ms, *tables)
        return frozenset(tables[i] for i in answer)

    def resign(self, candidate: str, tables: Sequence[str]) -> None:
        """Give the lead of these tables up, where it is ours."""
        self.server.call("resign", candidate, *tables)

    def leaders(self, tables: Sequence[str]) -> dict[str, str]:
        """Return who leads each of these tables; those that nobody leads are left out."""
        found = self.server.read_texts([("lead", table) for table in tables])
        return {t: who for t, who in zip(tables, found, strict=True) if who is not None}

    def leader(self) -> str | None:
        """Return who leads everything, or None."""
        return self.leaders([EVERYTHING]).get(EVERYTHING)

    def want(
        self, run: str, priority: int, n_chunks: Mapping[str, int]
    ) -> dict[str, tuple[Rival, ...]]:
        """Say how many chunks of each queue a run wants; return what the others want, by queue.

        Said again before a lease is over, or it is forgotten.
        """
        # No queue has a space in its name.
        wanted = "\n".join(f"{queue} {n}" for queue, n in sorted(n_chunks.items()) if n)
        others: list[list[str]] = self.server.call("want", run, self.lease_ms, priority, wanted)
        found: dict[str, tuple[Rival, ...]] = {}
        for other, *texts in others:
            for queue, n in map(str.split, texts):
                found[queue] = (*found.get(queue, ()), Rival(int(other), int(n)))
        return found

"""Who schedules what: the lead of each table, and what each run wants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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

    def want(self, run: str, priority: int, queues: Iterable[str]) -> dict[str, tuple[int, ...]]:
        """Say what queues a run has something for; return the priorities of the others by queue.

        Said again before a lease is over, or it is forgotten.
        """
        wanted = "\n".join(sorted(queues))
        others: list[list[str]] = self.server.call("want", run, self.lease_ms, priority, wanted)
        found: dict[str, tuple[int, ...]] = {}
        for other, *names in others:
            for name in names:
                found[name] = (*found.get(name, ()), int(other))
        return found

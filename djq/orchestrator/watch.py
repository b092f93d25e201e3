"""What a run tells its owner: how far the tables are, what failed, and that nobody works."""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from djq.populate import plan
from djq.populate.display import TableProgress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from djq.definition.acceptance import Value
    from djq.orchestrator.holding import Census, ChunkRecord
    from djq.populate.autopopulate import AutoPopulate

logger = logging.getLogger("djq.run")

#: Counting may take a tenth of the time, and happens at most this often [s].
COUNT_PACE, MIN_COUNT_S = 10.0, 0.4
#: A fleet without a worker for the tables is reported after this time, and then this often [s].
LONELY_S, LONELY_AGAIN_S = 5.0, 60.0


@dataclass(slots=True)
class Counter:
    """Counts of keys by table, counted anew at a pace tied to what counting costs."""

    tables: Mapping[str, type[AutoPopulate]]
    restrictions: Sequence[Value]
    _started: float = field(default_factory=time.monotonic)
    _rows: list[TableProgress] = field(default_factory=list[TableProgress])
    _made_before: dict[str, int] = field(default_factory=dict[str, int])
    _next: float = 0.0

    def rows(self, chunks: Sequence[ChunkRecord], *, is_last: bool = False) -> list[TableProgress]:
        """Return the state of each table; `chunks` are those in flight."""
        began = time.monotonic()
        if began >= self._next or is_last:
            running = self._running(chunks)
            self._rows = [self._row(name, running.get(name, 0)) for name in self.tables]
            now = time.monotonic()
            self._next = now + max(MIN_COUNT_S, COUNT_PACE * (now - began))
        return self._rows

    def _running(self, chunks: Sequence[ChunkRecord]) -> dict[str, int]:
        running: dict[str, int] = {}
        for chunk in chunks:
            if chunk.is_reserved:
                running[chunk.table] = running.get(chunk.table, 0) + len(chunk.keys)
        return running

    def _row(self, name: str, n_running: int) -> TableProgress:
        counts = plan.progress(self.tables[name], self.restrictions)
        return TableProgress(
            table=name,
            total=counts.total - counts.ignored,
            made=counts.made,
            failed=counts.errors + counts.empty,
            # A chunk's keys are released together: some of them may be made already.
            running=min(n_running, counts.due),
            seconds=time.monotonic() - self._started,
            made_before=self._made_before.setdefault(name, counts.made),
        )


@dataclass(slots=True)
class Company:
    """Whether any worker can make the tables; says what to do if none can."""

    tables: Mapping[str, type[AutoPopulate]]
    _alone_since: float | None = None
    _next: float = LONELY_S

    def look(self, census: Census, now: float) -> None:
        """Note who is alive."""
        able = [main for main in census.mains if main.slots and set(main.tables) & set(self.tables)]
        if able:
            self._alone_since, self._next = None, LONELY_S
            return
        self._alone_since = now if self._alone_since is None else self._alone_since
        if now - self._alone_since >= self._next:
            self._next += LONELY_AGAIN_S
            logger.warning("%s", self._advice(census))

    def _advice(self, census: Census) -> str:
        modules = " ".join(dict.fromkeys(_module(table) for table in self.tables.values()))
        names = ", ".join(self.tables)
        has_others = any(main.slots for main in census.mains)
        others = " (workers run, but without these tables)" if has_others else ""
        return (
            f"no worker makes {names}{others}; still waiting. Start one with "
            f'"djq worker {modules}", or the whole local stack with "djq up {modules}"'
        )


def _module(table: type[AutoPopulate]) -> str:
    """Return the name by which a worker would import a table's module."""
    if table.__module__ != "__main__":
        return table.__module__
    main = sys.modules["__main__"]
    if main.__spec__ is not None:
        return main.__spec__.name
    file = getattr(main, "__file__", None)
    return Path(file).stem if file else "MODULE"

"""The database of the simulation."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from djq.orchestrator.states import Place

if TYPE_CHECKING:
    from djq.orchestrator.states import Find


@dataclass
class World:
    """A pipeline `Scan -> Spot -> Spot2 (two per scan) -> Total (one per pair of scans)`.

    The database of the simulation: which rows there are, how often each was committed, and which
    keys failed. A key whose scan is in `bad` raises; one in `deadly` kills its worker.
    """

    scans: set[int] = field(default_factory=set)
    bad: set[int] = field(default_factory=set)
    deadly: set[int] = field(default_factory=set)
    rows: dict[str, set[str]] = field(
        default_factory=lambda: {"Spot": set(), "Twin": set(), "Total": set()}
    )
    errors: dict[str, set[str]] = field(
        default_factory=lambda: {"Spot": set(), "Twin": set(), "Total": set()}
    )
    commits: Counter[tuple[str, str]] = field(default_factory=Counter)
    n_searches: int = 0

    places = (
        Place("Spot", 0),
        Place("Twin", 1, ("Spot",)),
        Place("Total", 2, ("Twin",)),
    )

    def keys(self, table: str) -> list[str]:
        """All keys that there should be now, in order."""
        if table == "Spot":
            return [f"[{scan}]" for scan in sorted(self.scans)]
        if table == "Twin":
            spots = sorted(int(key[1:-1]) for key in self.rows["Spot"])
            return [f"[{spot},{side}]" for spot in spots for side in (0, 1)]
        twins = self.rows["Twin"]
        pairs = sorted({int(key[1:-1].split(",")[0]) // 2 for key in twins})
        return [
            f"[{pair}]"
            for pair in pairs
            if all(f"[{2 * pair + a},{b}]" in twins for a in (0, 1) for b in (0, 1))
        ]

    def due(self, table: str) -> list[str]:
        done = self.rows[table] | self.errors[table]
        return [key for key in self.keys(table) if key not in done]

    def scan_of(self, table: str, key: str) -> int:
        first = int(key[1:-1].split(",", maxsplit=1)[0])
        return 2 * first if table == "Total" else first

    def commit(self, table: str, key: str) -> bool:
        """Insert a row; False: the unique key says that it is there."""
        if key in self.rows[table]:
            return False
        self.rows[table].add(key)
        self.commits[table, key] += 1
        return True

    # The plan of the loop.

    def find(self, search: Find) -> tuple[str, ...]:
        self.n_searches += 1
        due = self.due(search.table)
        if search.parent is not None:
            shared = {self._shared(search, key, search.parent) for key in search.among}
            due = [key for key in due if self._shared(search, key, search.table) in shared]
        if search.after is not None:
            order = [order_of(key) for key in due]
            due = [key for key, at in zip(due, order, strict=True) if at > order_of(search.after)]
        return tuple(due[: search.limit])

    def _shared(self, search: Find, key: str, table: str) -> str:
        """The part of a key that a table and its parent share."""
        if search.table == search.parent:
            return key
        if search.table == "Total":
            scan = self.scan_of(table, key)
            return str(scan // 2)
        return str(self.scan_of(table, key))

    def bury(self, table: str, key: str, n_losses: int) -> None:
        self.errors[table].add(key)


def order_of(key: str) -> tuple[int, ...]:
    return tuple(int(part) for part in key[1:-1].split(","))

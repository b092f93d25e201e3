"""The database of the simulation."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from djq.errors import UnreachableError
from djq.orchestrator.states import Place

if TYPE_CHECKING:
    from djq.orchestrator.states import Find

PLACES = (Place("Spot", 0), Place("Twin", 1, ("Spot",)), Place("Total", 2, ("Twin",)))
TABLES = tuple(place.table for place in PLACES)


@dataclass
class World:
    """A pipeline `Scan -> Spot -> Twin (two per scan) -> Total (one per pair of scans)`.

    Which rows there are, how often each was committed, and which keys failed. A key whose scan is
    in `bad` raises; one in `deadly` kills its worker.
    """

    scans: set[int] = field(default_factory=set)
    bad: set[int] = field(default_factory=set)
    deadly: set[int] = field(default_factory=set)
    rows: dict[str, set[str]] = field(default_factory=lambda: {table: set() for table in TABLES})
    errors: dict[str, set[str]] = field(default_factory=lambda: {table: set() for table in TABLES})
    commits: Counter[tuple[str, str]] = field(default_factory=Counter)
    places: tuple[Place, ...] = PLACES
    is_down: bool = False
    #: The next COMMIT is done, and nobody hears of it.
    is_deaf: bool = False
    #: COMMITs of sessions that were cut off: they lock their rows until the server decides.
    undecided: set[tuple[str, str]] = field(default_factory=set)
    _due: dict[str, list[str]] = field(default_factory=dict)

    def insert(self, scan: int) -> None:
        self.scans.add(scan)
        self._due.clear()

    def keys(self, table: str) -> list[str]:
        """All keys that there should be now, in order."""
        if table == "Spot":
            return [f"[{scan}]" for scan in sorted(self.scans)]
        if table == "Twin":
            spots = sorted(numbers(key)[0] for key in self.rows["Spot"])
            return [f"[{spot},{side}]" for spot in spots for side in (0, 1)]
        twins = self.rows["Twin"]
        pairs = sorted({numbers(key)[0] // 2 for key in twins})
        return [
            f"[{pair}]"
            for pair in pairs
            if all(f"[{2 * pair + a},{b}]" in twins for a in (0, 1) for b in (0, 1))
        ]

    def due(self, table: str) -> list[str]:
        if table not in self._due:
            done = self.rows[table] | self.errors[table]
            self._due[table] = [key for key in self.keys(table) if key not in done]
        return self._due[table]

    def is_bad(self, table: str, key: str) -> bool:
        return scan_of(table, key) in self.bad

    def is_deadly(self, table: str, key: str) -> bool:
        return scan_of(table, key) in self.deadly

    # What sessions do.

    def ask(self) -> None:
        """Be there, or not."""
        if self.is_down:
            message = "the database does not answer"
            raise UnreachableError(message)

    def commit(self, table: str, key: str) -> bool:
        """Insert a row; False: the unique key says that it is there."""
        self.ask()
        if key in self.rows[table]:
            return False
        self.rows[table].add(key)
        self._due.clear()
        self.commits[table, key] += 1
        if self.is_deaf:
            self.is_deaf = False
            message = "the connection was lost during COMMIT"
            raise UnreachableError(message)
        return True

    def decide(self, *, is_done: bool) -> None:
        """End the COMMITs of sessions that were cut off."""
        undecided, self.undecided = self.undecided, set()
        self.is_deaf = False
        for table, key in sorted(undecided):
            if is_done:
                self.commit(table, key)

    def fail(self, table: str, key: str) -> None:
        self.ask()
        self.errors[table].add(key)
        self._due.clear()

    # The plan of the loop.

    def find(self, search: Find) -> tuple[str, ...]:
        self.ask()
        due = self.due(search.table)
        if search.parent is not None:
            shared = {_shared(search, key, search.parent) for key in search.among}
            due = [key for key in due if _shared(search, key, search.table) in shared]
        if search.after is not None:
            after = numbers(search.after)
            due = [key for key in due if numbers(key) > after]
        return tuple(due[: search.limit])

    def big(self, table: str, keys: tuple[str, ...]) -> frozenset[str]:
        del table, keys
        return frozenset()

    def bury(self, table: str, key: str, n_losses: int) -> None:
        del n_losses
        self.fail(table, key)


@cache
def numbers(key: str) -> tuple[int, ...]:
    return tuple(int(part) for part in key[1:-1].split(","))


def scan_of(table: str, key: str) -> int:
    first = numbers(key)[0]
    return 2 * first if table == "Total" else first


def _shared(search: Find, key: str, table: str) -> str | int:
    """The part of a key that a table and its parent share."""
    if search.table == search.parent:
        return key
    scan = scan_of(table, key)
    return scan // 2 if search.table == "Total" else scan

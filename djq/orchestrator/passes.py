"""When whole tables are searched; pure."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from djq.orchestrator.states import Found
    from djq.orchestrator.tablestate import TableState

#: A full pass begins at most this often [s], and takes at most one part in 20 of the time.
MIN_PASS_S = 2.0
PASS_PACE = 20.0
#: A table of which new keys were announced, but not which, is searched at once; but again only
#: after so many times the time that a search takes: rows may come for hours.
REST_PACE = 2.0


class Passes:
    """Searches of all tables from their first keys to their last.

    Parameters
    ----------
    tables
        In the order in which they are searched.
    """

    def __init__(self, tables: Collection[TableState]) -> None:
        self._tables = tables
        self.is_open = False
        #: Whether one shall begin now.
        self.is_wanted = True
        #: Keys to be made that the present or last pass found.
        self.n_found = 0
        self._next = 0.0

    @property
    def wakes_at(self) -> float:
        """When the next search begins by time alone."""
        if not self.is_open:
            return self._next
        return min((t.next_scan for t in self._tables if not t.is_scanning), default=inf)

    def is_due(self, now: float) -> bool:
        """Tell whether a pass shall begin."""
        return not self.is_open and (self.is_wanted or now >= self._next)

    def begin(self) -> None:
        """Search all tables."""
        self.is_wanted, self.n_found = False, 0
        for table in self._tables:
            table.next_scan = inf
            table.scan()
        self.is_open = any(table.is_scanning for table in self._tables)

    def abandon(self) -> None:
        """Begin anew."""
        self.is_open, self.is_wanted = False, True

    def search_again(self, now: float) -> None:
        """Search tables once more while the pass waits for others, whose keys keep it busy."""
        for table in self._tables:
            if now >= table.next_scan and not table.is_scanning:
                table.next_scan = inf
                table.scan()

    def note(self, table: TableState, event: Found, n_due: int, now: float) -> None:
        """Take note of a page."""
        self.n_found += n_due
        table.scan_s += event.seconds
        if table.is_scanning:
            return
        table.last_scan_s = table.scan_s
        table.rested_at = now + REST_PACE * table.scan_s
        cost = sum(each.last_scan_s for each in self._tables)
        soonest = now + max(MIN_PASS_S, PASS_PACE * cost)
        if any(each.is_scanning for each in self._tables):
            table.next_scan = soonest
        elif self.is_open:
            self.is_open, self._next = False, soonest

"""How much at a time: keys of a chunk, keys of a search, chunks that a run wants; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

    from djq.orchestrator.budget import Budget
    from djq.orchestrator.tablestate import TableState

#: Keys of one search: soon to be queued, so that they are still due when they are.
MIN_PAGE, MAX_PAGE = 50, 5_000


class Portions:
    """How much of a table goes out, or is searched, at a time.

    Parameters
    ----------
    budget
        What may be in flight.
    chunk_s
        A chunk should take about this long, where its table does not say [s].
    """

    def __init__(self, budget: Budget, chunk_s: float) -> None:
        self._budget = budget
        self._chunk_s = chunk_s

    def chunk(self, table: TableState) -> int:
        """Return how many keys the next chunk of a table takes."""
        place = table.place
        chunk_s = self._chunk_s if place.chunk_s is None else place.chunk_s
        return table.chunk_size(chunk_s, self._budget.slots_of(place.queue))

    def page(self, table: TableState) -> int:
        """Return how many keys the next search of a table asks for."""
        if table.is_led:
            return 1
        wanted = 2 * self._budget.limit(table.place.queue) * self.chunk(table)
        # In steps: a statement is built anew for each limit, which takes longer than asking it.
        n_doublings = (max(0, wanted - 1) // MIN_PAGE).bit_length()
        return min(MAX_PAGE, MIN_PAGE << n_doublings)

    def needs_more(self, table: TableState) -> bool:
        """Tell whether less is ready than will be wanted while a page is searched."""
        return not table.ready or 2 * len(table.ready) <= self.page(table)

    def wants(self, tables: Iterable[TableState], now: float, most: int) -> dict[str, int]:
        """Return how many chunks of each queue the tables have in flight, or would with more room.

        What waits for something else, such as a licence, keeps no other run from a queue. At most
        `most` more.
        """
        found: Counter[str] = self._budget.n_chunks
        for table in tables:
            if table.waits_until > now:
                continue
            for keys, place in ((table.ready, table.place), (table.big, table.big_place)):
                n_chunks = min(len(keys), most, self._budget.room_in_units(place))
                found[place.queue] += max(0, n_chunks)
        return dict(+found)

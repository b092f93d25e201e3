"""How many chunks may be in flight: per queue, and by what is limited on the whole fleet; pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from djq.orchestrator.states import Surveyed

if TYPE_CHECKING:
    from djq.orchestrator.states import Chunk, Place

#: Chunks in flight: enough that no slot waits for the scheduler, few enough that order still
#: matters.
CHUNKS_PER_SLOT = 4
MIN_CHUNKS = 4


class Budget:
    """What a run may have in flight.

    Each queue has room of its own: a full one stops no other. Runs that want the same queue share
    it: a higher priority goes first, equals take equal parts.

    Parameters
    ----------
    priority
        Of the run.
    """

    def __init__(self, priority: int) -> None:
        self._priority = priority
        self._limits: dict[str, int] = {}
        self._n_chunks: Counter[str] = Counter()
        #: Limited resource -> units that the chunks in flight need.
        self._n_units: Counter[str] = Counter()
        self._places: dict[str, Place] = {}
        self.in_flight: dict[str, Chunk] = {}
        self.slots = 1
        self._survey = Surveyed(1, frozenset())

    def note(self, event: Surveyed) -> None:
        """Take note of the fleet's size and of other runs."""
        self._survey = event
        self.slots = max(1, event.slots)
        self._limits.clear()

    def take(self, chunk: Chunk, place: Place) -> None:
        """Note that a chunk is in flight."""
        self.in_flight[chunk.id] = chunk
        self._places[chunk.id] = place
        self._n_chunks[place.queue] += 1
        for name, (units, _) in place.units.items():
            self._n_units[name] += units

    def give_back(self, chunk_id: str) -> Chunk | None:
        """Take a chunk out of the flight and return it; None if it is none of ours."""
        chunk = self.in_flight.pop(chunk_id, None)
        if chunk is None:
            return None
        place = self._places.pop(chunk_id)
        self._n_chunks[place.queue] -= 1
        for name, (units, _) in place.units.items():
            self._n_units[name] -= units
        return chunk

    def slots_of(self, queue: str) -> int:
        """Return how many chunks of a queue can be worked on at the same time, at least 1."""
        known = self._survey.queues
        return max(1, known.get(queue, 0)) if known else self.slots

    def room(self, place: Place) -> int:
        """Return how many more chunks of a table may be in flight."""
        room = self.limit(place.queue) - self._n_chunks[place.queue]
        for name, (units, limit) in place.units.items():
            # One more than can be worked on: it is there when a unit comes back.
            room = min(room, limit // units + 1 - self._n_units[name] // units)
        return room

    def limit(self, queue: str) -> int:
        """Return how many chunks of this run may be in flight on a queue."""
        if queue not in self._limits:
            self._limits[queue] = self._share(queue)
        return self._limits[queue]

    def _share(self, queue: str) -> int:
        """Return how many chunks this run may have on a queue, beside the other runs."""
        whole = max(MIN_CHUNKS, CHUNKS_PER_SLOT * self.slots_of(queue))
        rivals = self._survey.rivals.get(queue, ())
        if any(priority > self._priority for priority in rivals):
            return 0
        n_equals = sum(priority == self._priority for priority in rivals)
        return max(1, whole // (1 + n_equals))

"""How many chunks may be in flight: per queue, and by what is limited on the whole fleet; pure."""

from __future__ import annotations

from collections import Counter
from math import ceil
from typing import TYPE_CHECKING

from djq.orchestrator.states import Surveyed

if TYPE_CHECKING:
    from djq.orchestrator.states import Chunk, Place

#: Chunks in flight: enough that no slot waits for the scheduler, few enough that order still
#: matters.
CHUNKS_PER_SLOT = 4
MIN_CHUNKS = 4
#: More than any queue takes.
MAX_CHUNKS = 1_000_000


class Budget:
    """What a run may have in flight.

    Each queue has room of its own: a full one stops no other. Runs that want the same queue share
    it: a higher priority goes first, the slots that it leaves idle are for the others, and equals
    take equal parts.

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

    @property
    def n_chunks(self) -> Counter[str]:
        """How many chunks are in flight, by queue."""
        return +self._n_chunks

    def room(self, place: Place) -> int:
        """Return how many more chunks of a table may be in flight."""
        return min(self.limit(place.queue) - self._n_chunks[place.queue], self.room_in_units(place))

    def room_in_units(self, place: Place) -> int:
        """Return how many more chunks of a table could be in flight if its queue had room."""
        room = MAX_CHUNKS
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
        slots, rivals = self.slots_of(queue), self._survey.rivals.get(queue, ())
        n_sharing = 1 + sum(rival.priority == self._priority for rival in rivals)
        n_ahead = sum(rival.n_chunks for rival in rivals if rival.priority > self._priority)
        if n_ahead:
            # Nothing of ours shall wait in front of what comes next of theirs.
            return ceil(max(0, slots - n_ahead) / n_sharing)
        return max(1, max(MIN_CHUNKS, CHUNKS_PER_SLOT * slots) // n_sharing)

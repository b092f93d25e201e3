"""What the scheduler's core knows of one table."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import islice
from math import ceil, inf
from typing import TYPE_CHECKING

from djq.orchestrator.states import Find
from djq.populate.failures import MAX_LOSSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from djq.orchestrator.events import Inserted, Released
    from djq.orchestrator.states import Found, Place

MAX_KEYS_PER_CHUNK = 1_000
#: Smaller shares of the rest would cost more than they save: a message takes about 5 ms [s].
MIN_CHUNK_S = 0.1
#: Keys of one table that one search among them may name, and that wait for one; above, a pass is
#: cheaper.
HINTS_PER_SEARCH, MAX_HINTS = 1_000, 10_000
#: A table whose keys come back untouched again waits this long, doubling [s].
MIN_BACKOFF_S, MAX_BACKOFF_S = 0.1, 30.0
#: Failed keys of a table that are remembered, and such that are to be tried again.
MAX_FAILED = 100_000
#: The times of those beyond are known to so much [s]: then the whole table is searched.
RESCAN_S = 10.0
#: A key that is to be tried again is searched so much later: its time in the database is rounded
#: [s].
RETRY_SLACK_S = 0.2
#: Weight of the newest chunk in the estimate of seconds per key.
NEWEST = 0.3


@dataclass(slots=True)
class Probe:
    """A search among keys of a parent, page by page."""

    parent: str
    keys: tuple[str, ...]
    after: str | None = None
    #: Which of the table's own keys turned out to be due.
    due: set[str] = field(default_factory=set[str])


@dataclass(slots=True)
class TableState:
    """What the core knows of one table."""

    place: Place
    #: Found and not queued yet.
    ready: deque[str] = field(default_factory=deque[str])
    #: The same, for the big queue.
    big: deque[str] = field(default_factory=deque[str])
    #: Ready or in flight.
    known: set[str] = field(default_factory=set[str])
    losses: dict[str, int] = field(default_factory=dict[str, int])
    #: Keys that failed, and until when they are left alone though they seem due.
    failed: dict[str, float] = field(default_factory=dict[str, float])
    #: Parent -> its new keys, in the order of their coming.
    hints: dict[str, dict[str, None]] = field(default_factory=dict[str, dict[str, None]])
    #: When keys are to be tried again: a heap.
    retries: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    #: When it is searched for keys that are to be tried again and are too many to be remembered.
    rescans: set[float] = field(default_factory=set[float])
    probe: Probe | None = None
    is_scanning: bool = False
    after: str | None = None
    #: What the present scan has cost, and the last one did [s].
    scan_s: float = 0.0
    last_scan_s: float = 0.0
    #: When a long pass may search the table once more.
    next_scan: float = inf
    #: It shall be searched once more, but not before it has rested from the last time.
    is_wanted: bool = False
    rested_at: float = 0.0
    #: Another scheduler queues what is due; is it of no interest then?
    is_led: bool = False
    is_ignored: bool = False
    seconds_per_key: float | None = None
    #: Keys that came back untouched since the last one was tried, and how many chunks did.
    came_back: set[str] = field(default_factory=set[str])
    n_came_back: int = 0
    n_fruitless: int = 0
    waits_until: float = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to search and nothing to queue."""
        has_work = self.ready or self.big or self.hints or self.probe
        return not (has_work or self.is_scanning or self.is_wanted)

    @property
    def has_retries(self) -> bool:
        """Whether keys that failed are to be tried again."""
        return bool(self.retries or self.rescans)

    @property
    def wakes_at(self) -> float:
        """When time alone makes `wake` do something."""
        soonest = min(self.rescans, default=inf)
        if self.retries:
            soonest = min(soonest, self.retries[0][0])
        if self.is_wanted and not self.is_scanning:
            soonest = min(soonest, self.rested_at)
        return soonest

    @property
    def big_place(self) -> Place:
        """Where its keys go that ran out of memory."""
        return replace(self.place, queue=self.place.big_queue or self.place.queue)

    def hint(self, parent: str, keys: Iterable[str]) -> None:
        """Note that keys of a parent, or of this table itself, can have made keys due."""
        if self.is_ignored:
            return
        self.hints.setdefault(parent, {}).update(dict.fromkeys(keys))
        if sum(map(len, self.hints.values())) > MAX_HINTS:
            self.hints.clear()
            self.is_wanted = True

    def hear(self, event: Inserted) -> None:
        """Note that rows were inserted into a table that can make keys of this one due."""
        if self.is_led or event.table not in self.place.sources:
            return
        if event.keys is None or not self.place.sources[event.table]:
            self.is_wanted = True
        else:
            self.hint(event.table, event.keys)

    def drop_ready(self) -> None:
        """Forget what was found and not queued."""
        for keys in (self.ready, self.big):
            self.known.difference_update(keys)
            keys.clear()

    def wake(self, now: float) -> None:
        """Begin the searches whose time has come."""
        if self.rescans and min(self.rescans) <= now:
            self.rescans = {at for at in self.rescans if at > now}
            self.is_wanted = True
        if self.is_wanted and not self.is_scanning and self.rested_at <= now:
            self.scan()
        while self.retries and self.retries[0][0] <= now:
            self.hint(self.place.table, [heappop(self.retries)[1]])

    def scan(self) -> None:
        """Search the whole table, from its first key."""
        self.is_scanning, self.after, self.scan_s = not self.is_ignored, None, 0.0
        self.is_wanted = False

    def chunk_size(self, chunk_s: float, slots: int) -> int:
        """Return how many keys take about `chunk_s`; one as long as that is not known."""
        if self.seconds_per_key is None:
            return 1
        seconds = max(self.seconds_per_key, 1e-6)
        size = min(MAX_KEYS_PER_CHUNK, int(chunk_s / seconds))
        if not (self.is_scanning or self.hints or self.probe):
            # Near the end the rest is shared out, so that no slot works on a long last chunk alone.
            share = ceil(len(self.ready) / slots)
            size = min(size, max(share, int(MIN_CHUNK_S / seconds)))
        return max(1, size)

    def take(self, size: int) -> tuple[str, ...]:
        """Take the next keys; one that a dying worker had in hand travels alone."""
        if not self.losses:
            return tuple([self.ready.popleft() for _ in range(min(size, len(self.ready)))])
        keys = [self.ready.popleft()]
        if keys[0] not in self.losses:
            while len(keys) < size and self.ready and self.ready[0] not in self.losses:
                keys.append(self.ready.popleft())
        return tuple(keys)

    def next_probe(self, limit: int) -> Find | None:
        """Return the next search among keys; None if there are none."""
        if self.probe is None and self.hints:
            parent, keys = next(iter(self.hints.items()))
            taken = tuple(islice(keys, HINTS_PER_SEARCH))
            for key in taken:
                del keys[key]
            if not keys:
                del self.hints[parent]
            self.probe = Probe(parent, taken)
        if self.probe is None:
            return None
        probe = self.probe
        return Find(self.place.table, limit, probe.after, probe.parent, probe.keys)

    def expects(self, search: Find) -> bool:
        """Whether this is still the next search: a scan may have begun anew meanwhile."""
        if search.is_scan:
            return self.is_scanning and self.after == search.after
        return self.probe is not None and self.probe.keys == search.among

    def found(self, event: Found, now: float) -> int:
        """Note the answer to a search; return how many of its keys are to be made."""
        due: Sequence[str] = event.keys
        if self.failed:
            due = [key for key in due if self.failed.get(key, 0.0) <= now]
        new = [key for key in due if key not in self.known]
        self.ready.extend([key for key in new if key not in event.big] if event.big else new)
        self.big.extend([key for key in new if key in event.big] if event.big else ())
        self.known.update(new)
        last = event.keys[-1] if event.keys else None
        if event.search.is_scan:
            self.after = last
            self.is_scanning = not event.is_exhausted
        elif self.probe is not None:
            self.probe.after = last
            self.probe.due.update(event.keys)
            if event.is_exhausted:
                self.probe = None
        return len(due)

    def take_doomed(self, blocked_until: float) -> dict[str, int]:
        """Take out what is ready and cost too many workers; return how many.

        Only now, that the key was found due: the last of them may have made it before it died.
        """
        if not self.losses:
            return {}
        ready = (*self.ready, *self.big)
        found = {k: self.losses[k] for k in ready if self.losses.get(k, 0) >= MAX_LOSSES}
        for key in found:
            (self.ready if key in self.ready else self.big).remove(key)
            self.known.remove(key)
            del self.losses[key]
            self.failed[key] = blocked_until
        return found

    def settled_losses(self, probe: Probe) -> tuple[str, ...]:
        """Forget and return what a search among lost keys, now at its end, did not find due.

        A worker may die between its commit and its release, and nobody will ever release its keys.
        """
        if probe.parent != self.place.table:
            return ()
        settled = tuple(key for key in probe.keys if key in self.losses and key not in probe.due)
        for key in settled:
            del self.losses[key]
        return settled

    def look_on(self, event: Found) -> int:
        """Note the answer to the last search without taking its keys; return how many came."""
        # A search among a few keys does not answer for the table: the pass goes on.
        self.is_scanning = self.is_scanning and not event.search.is_scan
        self.probe = None
        self.hints.clear()
        return len(event.keys)

    def settle(self, event: Released, now: float, blocked_until: float) -> None:
        """Note what was tried; what failed is left alone for a while.

        Its record in the database says so, too, but only to code of the version that wrote it: a
        scheduler of another version would send it out again and again.
        """
        if self.losses or self.failed:
            for key in (*event.made, *event.exists):
                self.losses.pop(key, None)
                self.failed.pop(key, None)
        again = {key: now + wait + RETRY_SLACK_S for key, wait in event.retries}
        for key, at in again.items():
            if len(self.retries) < MAX_FAILED:
                heappush(self.retries, (at, key))
            else:
                self.rescans.add(RESCAN_S * ceil(at / RESCAN_S))
        for key in (*(key for key, _ in event.failed), *event.empty):
            self.losses.pop(key, None)
            self._set_aside(key)
            if len(self.failed) < MAX_FAILED:
                self.failed[key] = again.get(key, blocked_until)

    def _set_aside(self, key: str) -> None:
        """Forget that a key is ready: another scheduler's worker saw it fail meanwhile."""
        if key in self.known and key in self.ready:
            self.ready.remove(key)
            self.known.remove(key)

    def learn(self, event: Released) -> None:
        """Note how long keys take."""
        self.came_back.clear()
        self.n_came_back = self.n_fruitless = 0
        self.waits_until = 0.0
        newest = event.seconds / event.n_tried
        before = newest if self.seconds_per_key is None else self.seconds_per_key
        self.seconds_per_key = before + NEWEST * (newest - before)

    def come_back(self, keys: Iterable[str], now: float, n_tolerated: int) -> None:
        """Note that nothing came of the keys of a chunk: made already, given back or lost.

        They may go out again at once, as when a worker ends. If they come back once more, or one
        chunk after the other does, that would be a busy loop.
        """
        keys = set(keys)
        is_again = not keys.isdisjoint(self.came_back)
        if len(self.came_back) < MAX_FAILED:
            self.came_back |= keys
        self.n_came_back += 1
        # Once per wait: all chunks that were in flight come back when the database is away.
        if now >= self.waits_until and (is_again or self.n_came_back > n_tolerated):
            wait = min(MAX_BACKOFF_S, MIN_BACKOFF_S * 2**self.n_fruitless)
            self.n_fruitless = min(self.n_fruitless + 1, 16)
            self.waits_until = now + wait

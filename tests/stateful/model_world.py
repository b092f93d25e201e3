"""The database of the simulation."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cache
from math import inf
from typing import TYPE_CHECKING, Literal

from djq.errors import UnreachableError
from djq.orchestrator.states import DEFAULT_QUEUE, Place
from djq.populate.failures import JobError, planned
from djq.populate.options import PopulateOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from djq.orchestrator.states import Find
    from djq.populate.failures import Cause

BIG = "djq.big"
#: Of every table.
OPTIONS = PopulateOptions(max_retries=1, backoff_s=3.0, big_queue=BIG)
#: Of keys that a worker makes: the queue is that which brought them.
HERE, THERE = (PopulateOptions(queue=q).over(OPTIONS) for q in (DEFAULT_QUEUE, BIG))
#: Name on the server of the table that people insert into.
SCAN = "scan"
PLACES = (
    Place("Spot", 0, sources={SCAN: True}, big_queue=BIG),
    Place("Twin", 1, ("Spot",), sources={"spot": True}, big_queue=BIG),
    Place("Total", 2, ("Twin",), sources={"twin": True}, big_queue=BIG),
)
TABLES = tuple(place.table for place in PLACES)

#: What becomes of a key: it raises; takes its process along; raises once; takes too long; needs
#: more memory than its queue has; or than any has.
Fate = Literal["bad", "deadly", "flaky", "slow", "hungry", "huge"]
HOPELESS = frozenset({"bad", "deadly", "slow", "huge"})
EPOCH = dt.datetime(2000, 1, 1)  # noqa: DTZ001 - as databases tell it


@dataclass
class World:
    """A pipeline `Scan -> Spot -> Twin (two per scan) -> Total (one per pair of scans)`.

    Which rows there are, how often each was committed, what is recorded of keys that failed, and
    the runs that are stored.
    """

    scans: set[int] = field(default_factory=set)
    #: By scan.
    fates: Mapping[int, Fate] = field(default_factory=dict[int, "Fate"])
    clock: Callable[[], float] = lambda: 0.0
    rows: dict[str, set[str]] = field(default_factory=lambda: {table: set() for table in TABLES})
    records: dict[str, dict[str, Record]] = field(
        default_factory=lambda: {table: {} for table in TABLES}
    )
    commits: Counter[tuple[str, str]] = field(default_factory=Counter)
    runs: dict[str, StoredRun] = field(default_factory=dict)
    places: tuple[Place, ...] = PLACES
    is_down: bool = False
    #: The next COMMIT is done, and nobody hears of it.
    is_deaf: bool = False
    #: COMMITs of sessions that were cut off: they lock their rows until the server decides.
    undecided: set[tuple[str, str]] = field(default_factory=set)
    #: What is due, and until when that is so.
    _due: dict[str, tuple[list[str], float]] = field(default_factory=dict)

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
        now = self.clock()
        found, until = self._due.get(table, ([], -inf))
        if now >= until:
            rows, records = self.rows[table], self.records[table]
            found = [
                key
                for key in self.keys(table)
                if key not in rows and (key not in records or records[key].due_at <= now)
            ]
            later = (record.due_at for record in records.values() if record.due_at > now)
            self._due[table] = (found, min(later, default=inf))
        return found

    def last_retry(self) -> float:
        """When the last key is to be tried again, of those that are not made."""
        return max(
            (
                record.due_at
                for table in TABLES
                for key, record in self.records[table].items()
                if key not in self.rows[table] and record.due_at < inf
            ),
            default=-inf,
        )

    def fate(self, table: str, key: str) -> Fate | None:
        return self.fates.get(scan_of(table, key))

    def inbox(self, table: str) -> set[str]:
        """Keys that are not tried again by themselves."""
        return {key for key, record in self.records[table].items() if record.due_at == inf}

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

    def fail(
        self, table: str, key: str, cause: Cause, options: PopulateOptions = OPTIONS
    ) -> float | None:
        """Record a failure; return after how long the key is tried again, None: it is not."""
        self.ask()
        known = self.records[table].get(key)
        error = JobError(cause, "", cause, cause=cause)
        before = None if known is None else {"attempt": known.attempt, "queue": known.queue}
        error, queue = planned(error, before, options, self.date())
        due_at = inf if error.retry_at is None else (error.retry_at - EPOCH).total_seconds()
        self.records[table][key] = Record(error.attempt, due_at, queue)
        self._due.clear()
        return error.retry_after_s

    def date(self) -> dt.datetime:
        return EPOCH + dt.timedelta(seconds=self.clock())

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

    def within(self, table: str, keys: Sequence[str]) -> Sequence[str]:
        del table
        return keys

    def big(self, table: str, keys: tuple[str, ...]) -> frozenset[str]:
        records = self.records[table]
        return frozenset(key for key in keys if key in records and records[key].queue is not None)

    def bury(self, table: str, key: str, n_losses: int) -> None:
        del n_losses
        self.ask()
        self.records[table][key] = Record(1, inf)
        self._due.clear()


@dataclass(frozen=True)
class Record:
    """What is known of a key that failed."""

    attempt: int
    #: When it is tried again; infinite: never.
    due_at: float
    queue: str | None = None


@dataclass(frozen=True)
class StoredRun:
    """The row of a run."""

    status: str = "running"
    is_continuous: bool = False
    has_options: bool = False

    @property
    def is_open(self) -> bool:
        return self.status in {"running", "cancelling"}

    def with_status(self, status: str) -> StoredRun:
        return replace(self, status=status) if self.is_open else self


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

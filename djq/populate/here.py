"""`populate()` in this process: by itself, or beside others that it shares the keys with."""

from __future__ import annotations

import hashlib
import pkgutil
import signal
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from djq.errors import MakeError
from djq.populate import plan
from djq.populate.chunks import MANY_KEYS, make_chunk
from djq.populate.display import Display, TableProgress
from djq.populate.ends import stop_on_sigterm
from djq.populate.failures import MAX_LOSSES, JobError
from djq.populate.keys import from_key_id, from_key_ids, key_id
from djq.populate.make import Outcome
from djq.populate.reservations import Settlement
from djq.populate.slots import MAIN_SLOT
from djq.populate.tenure import Tenure
from djq.populate.version import code_version

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from djq.definition.acceptance import Value
    from djq.populate.autopopulate import AutoPopulate
    from djq.populate.keys import Key
    from djq.populate.reservations import Claims, Taken

#: Keys that are listed at a time: enough to make the query's cost small, few enough to hold.
PAGE_KEYS = 500
#: Where this layer reaches the fleet's reservations, by name.
OPEN_CLAIMS = "djq.orchestrator.claims:open_claims"
#: Keys of one chunk: as the fleet's, so that neither takes more than its share at a time.
MAX_CHUNK_KEYS = 1_000
#: Another process reads the next page; it is asked again after [s].
WAIT_S = 0.02


@dataclass(frozen=True, slots=True)
class Call:
    """What one call of `populate` asks for."""

    table: type[AutoPopulate]
    restrictions: Sequence[Value] = ()
    suppress_errors: bool = False
    return_exception_objects: bool = False
    max_calls: int | None = None
    make_kwargs: Mapping[str, Value] = field(default_factory=dict[str, Any])
    #: Try keys again that failed before.
    retries: bool = True

    def due(self, limit: int, after: Key | None) -> list[str]:
        """Return the ids of due keys behind one, in the order of the primary key."""
        found = plan.due_keys(
            self.table,
            limit=limit,
            restrictions=self.restrictions,
            after=after,
            retries=self.retries,
            # A fleet's big queue has room for them.
            is_here=not self.retries,
        )
        return [key_id(self.table.job_heading, key) for key in found]

    @property
    def search(self) -> str:
        """What is equal for calls that look for the same keys of the same table."""
        wanted = plan.due(self.table, self.restrictions, retries=self.retries)
        text = f"{wanted.make_sql()}\n{wanted.node!r}"
        digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        return f"{self.table.spec.display_name}:{digest}"


def count(
    call: Call, outcomes: Generator[Outcome], display: Display | None = None
) -> dict[str, Any]:
    """Consume the outcomes of a call, and return what `populate` returns.

    Raises
    ------
    Exception
        What the first `make` that failed raised, unless the call suppresses errors.
    """
    jobs = call.table().jobs
    had_records = bool(jobs & {"status": ["error", "empty"]})
    if had_records and call.retries:
        jobs.forget_torn(call.table())
    tally = Tally(call, display)
    try:
        with closing(outcomes):
            for outcome in outcomes:
                tally.note(outcome)
    finally:
        if had_records:
            jobs.forget_made(call.table())
    return {"success_count": tally.n_made, "error_list": tally.errors}


class Tally:
    """The outcomes of a call so far."""

    def __init__(self, call: Call, display: Display | None) -> None:
        self.n_made = 0
        self.errors: list[tuple[Key, Any]] = []
        self._call = call
        self._display = display
        self._started = time.monotonic()
        # Counting all keys of a big table takes longer than making some: only to be shown.
        self._before = None if display is None else plan.progress(call.table, call.restrictions)

    def note(self, outcome: Outcome) -> None:
        """Count one outcome."""
        if outcome.status == "made":
            self.n_made += 1
        elif outcome.error is not None:
            self._fail(outcome.key, outcome.error)
        if self._display is not None and self._before is not None:
            row = TableProgress(
                table=self._call.table.spec.display_name,
                total=self._before.total,
                made=self._before.made + self.n_made,
                made_before=self._before.made,
                failed=len(self.errors),
                seconds=time.monotonic() - self._started,
            )
            self._display.show([row])

    def _fail(self, key: Key, error: JobError) -> None:
        # From another process come texts.
        exception = error.exception or MakeError(error.message)
        if not self._call.suppress_errors:
            exception.add_note(f"in {self._call.table.spec.display_name}.make({key!r})")
            raise exception
        shown = exception if self._call.return_exception_objects else error.message
        self.errors.append((key, shown))


def alone(call: Call) -> Generator[Outcome]:
    """Make due keys page by page; each key comes up once, whatever becomes of it."""
    after: Key | None = None
    left = call.max_calls
    page = MANY_KEYS if call.table.maker.has_many else PAGE_KEYS
    while left is None or left > 0:
        size = page if left is None else min(page, left)
        keys = plan.due_keys(
            call.table,
            limit=size,
            restrictions=call.restrictions,
            after=after,
            retries=call.retries,
        )
        yield from make_chunk(call.table, keys, make_kwargs=call.make_kwargs)
        if len(keys) < size:
            return
        after = keys[-1]
        left = None if left is None else left - len(keys)


def shared(call: Call, claims: Claims) -> Generator[Outcome]:
    """Make keys as far as no other process has them."""
    pace = Pace(call.table.schema.connection.settings.chunk_s)
    left = call.max_calls
    while left is None or left > 0:
        taken = claims.take(MAIN_SLOT, pace.n_keys if left is None else min(pace.n_keys, left))
        share_page(call, claims, taken)
        if not taken.keys:
            if taken.is_done:
                return
            if taken.read_after is None:
                time.sleep(WAIT_S)
            continue
        settlement = Settlement(taken)
        try:
            yield from _make(call, claims, settlement)
        finally:
            claims.release(settlement)
        pace.learn(settlement)
        left = None if left is None else left - settlement.n_tried


def share_page(call: Call, claims: Claims, taken: Taken) -> None:
    """Read the page of due keys that `take` asked for, if it did."""
    if taken.read_after is None:
        return
    heading = call.table.job_heading
    after = from_key_id(heading, taken.read_after) if taken.read_after else None
    ids = call.due(PAGE_KEYS, after)
    claims.share(taken, ids, is_last=len(ids) < PAGE_KEYS)


def _make(call: Call, claims: Claims, settlement: Settlement) -> Iterator[Outcome]:
    taken = settlement.taken
    table, heading = call.table, call.table.job_heading
    for key, outcome in bury(call, taken):
        settlement.note(key, outcome)
        yield outcome
    ids = losses_bearable(taken)
    chunk_s = table.schema.connection.settings.chunk_s
    tenure = Tenure(lambda key: claims.holds(taken, key), chunk_s)
    begun = iter(ids)

    def is_late() -> bool:
        # Asked before each key. At least one is tried, however late it is.
        if settlement.n_tried and tenure.is_late:
            return True
        if not table.maker.has_many:
            claims.begin(taken, next(begun))
        return False

    for outcome in make_chunk(
        table,
        from_key_ids(heading, ids),
        holds=lambda key: tenure.holds(key_id(heading, key)),
        should_stop=is_late,
        worker=taken.worker,
        make_kwargs=call.make_kwargs,
    ):
        settlement.note(key_id(heading, outcome.key), outcome)
        yield outcome


def losses_bearable(taken: Taken) -> list[str]:
    """Return the keys that may be tried: those that killed few processes so far."""
    return [key for key in taken.keys if taken.losses.get(key, 0) < MAX_LOSSES]


def bury(call: Call, taken: Taken) -> Iterator[tuple[str, Outcome]]:
    """Record an error for keys that killed their processes."""
    for key, n_losses in taken.losses.items():
        if n_losses >= MAX_LOSSES:
            found = from_key_id(call.table.job_heading, key)
            error = JobError.of_losses(found, n_losses)
            version = code_version(call.table)
            call.table().jobs.record(found, "error", error=error, version=version)
            yield key, Outcome(found, "failed", error=error)


class Pace:
    """How many keys a chunk should have, so that it takes about `chunk_s`."""

    def __init__(self, chunk_s: float) -> None:
        self.n_keys = 1
        self._chunk_s = chunk_s

    def learn(self, settlement: Settlement) -> None:
        """Learn from a chunk; at most four times as many keys as before."""
        if settlement.n_tried:
            fitting = self._chunk_s * settlement.n_tried / max(settlement.seconds, 1e-6)
            self.n_keys = int(max(1, min(fitting, 4 * self.n_keys, MAX_CHUNK_KEYS)))


@contextmanager
def claims_of(call: Call) -> Generator[Claims]:
    """Open the fleet's reservations for a call.

    Raises
    ------
    RedisUnavailableError
        None is configured or it does not answer.
    """
    open_claims = pkgutil.resolve_name(OPEN_CLAIMS)
    settings = call.table.schema.connection.settings
    claims: Claims = open_claims(settings, call.table.spec.display_name, call.search)
    with closing(claims):
        yield claims


@contextmanager
def ended_by_sigterm() -> Generator[None]:
    """Let SIGTERM end the block as `sys.exit` does, so that keys in hand go back."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    stop_on_sigterm()
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

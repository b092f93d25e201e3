"""A run: watch, wait for or cancel the making of a part of the pipeline, from anywhere."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any, cast

from djq.errors import FleetError, RedisUnavailableError, UsageError
from djq.orchestrator.driving import Driver, end_abandoned
from djq.orchestrator.loop import WAIT_S
from djq.orchestrator.watch import Counter
from djq.orchestrator.work import lasting, opened, work_of
from djq.populate.arguments import check_seconds
from djq.populate.display import open_display
from djq.populate.runs import RunStore, find_run
from djq.tables.connection import Connection, conn

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from djq.orchestrator.holding import ChunkRecord
    from djq.orchestrator.reservations import Reservations
    from djq.orchestrator.work import Work
    from djq.populate.display import TableProgress
    from djq.populate.keys import Key
    from djq.populate.options import PopulateOptions
    from djq.populate.runs import RunRecord, RunStatus

logger = logging.getLogger("djq.run")

#: Progress is shown this often [s].
SHOW_S = 0.5


class Run:
    """One request to make what is due: `dj.submit` begins one, `dj.runs` and `Run.of` find it."""

    def __init__(
        self,
        record: RunRecord,
        connection: Connection,
        store: RunStore | None,
        work: Work | None = None,
    ) -> None:
        #: Unique; chunks and messages carry it.
        self.id: str = record.id
        self._record = record
        self._connection = connection
        self._store = store
        self._given = work
        self._driver: Driver | None = None
        self._counter: Counter | None = None

    @classmethod
    def of(cls, id: str, *, connection: Connection | None = None) -> Run:  # noqa: A002 - its name
        """Return the run of an id, whichever process submitted it.

        Raises
        ------
        UsageError
            There is none; the message names those that are near.
        """
        place = connection or conn()
        store, record = find_run(place, id)
        return cls(record, place, store)

    def __repr__(self) -> str:
        """Return the id, tables and state, as they were last seen."""
        record = self._record
        place = f"{record.user}@{record.host} ({record.pid})"
        words = [f"{record.status}, since {record.created:%Y-%m-%d %H:%M:%S} UTC by {place}"]
        words += ["continuous"] if record.is_continuous else []
        if record.restrictions is None and record.is_open:
            words.append("only that process can drive it")
        if record.n_made is not None:
            words.append(f"{record.n_made:,} made, {record.n_failed or 0:,} failed")
        words += [record.message] if record.message else []
        return f"Run({self.id!r}: {', '.join(record.tables)}; {'; '.join(words)})"

    def summary(self) -> dict[str, Any]:
        """Return what a list shows of it, as it was last seen."""
        record = self._record
        return {
            "run": self.id,
            "status": record.status,
            "tables": self.tables,
            "is_continuous": record.is_continuous,
            "created": f"{record.created:%Y-%m-%d %H:%M:%S}",
            "finished": record.finished and f"{record.finished:%Y-%m-%d %H:%M:%S}",
            "by": f"{record.user}@{record.host}",
            "pid": record.pid,
            "made": record.n_made,
            "failed": record.n_failed,
            "message": record.message,
        }

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of its tables, level by level."""
        return tuple(self._record.tables)

    @property
    def created(self) -> dt.datetime:
        """When it was submitted: UTC, by the clock of the database."""
        return self._record.created

    @property
    def options(self) -> PopulateOptions | None:
        """Its own options, over those of the tables."""
        return self._record.options

    @property
    def is_continuous(self) -> bool:
        """Whether it goes on until it is cancelled."""
        return self._record.is_continuous

    @property
    def status(self) -> RunStatus:
        """How it stands: running, cancelling, done, cancelled or failed; asked of the database."""
        if self._store is None:
            return "running" if self._driver is None else self._driver.status
        if self._record.is_open:
            self._record = self._store.read(self.id) or self._record
        return self._record.status

    @property
    def is_finished(self) -> bool:
        """Whether it is over: nothing is due and nothing in flight, or it was cancelled."""
        return self._is_over or self.status in {"done", "cancelled", "failed"}

    @property
    def _is_over(self) -> bool:
        return self._driver is not None and self._driver.finished.is_set()

    @property
    def n_made(self) -> int:
        """Keys of its tables that were made since it began, by whomever; counted when asked.

        The rows tell it by the clocks of the workers.
        """
        counted = self._record.n_made if self.status in {"done", "cancelled"} else None
        return self._work().n_made() if counted is None else counted

    def progress(self) -> list[TableProgress]:
        """Return the state of each table; counted anew at a pace tied to what counting costs."""
        with lasting(self._connection.settings) as reservations:
            return self._rows(reservations)

    def errors(self) -> list[tuple[str, Key, str]]:
        """Return table, key and message of each key that failed since the run began.

        Keys that were made or forgotten since are left out.
        """
        return self._work().failures(self.created)

    def start(self) -> None:
        """Drive the run in a thread of this process, unless another one does; again after Ctrl-C.

        Raises
        ------
        RedisUnavailableError
            None is configured or it does not answer.
        UsageError
            Its tables are not here, or its restrictions are known to its own process only.
        """
        if self.is_finished or (self._driver is not None and self._driver.is_alive):
            return
        work = self._work()
        with opened(self._connection.settings) as reservations:
            reservations.server.ping()
        self._driver = Driver(work, self._store)
        self._driver.start()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the run is over, at most `timeout` [s]; return whether it is.

        If nobody drives the run any more, this process does meanwhile. Ctrl-C leaves it: what is
        queued will be made, the rest waits for another `wait`.

        Raises
        ------
        UsageError
            The time is no number.
        DatabaseError
            A table cannot be searched.
        FleetError
            The run failed in another process.
        """
        return self._follow(check_seconds("wait", timeout), None)

    def watch(self) -> None:
        """Show progress until the run is over; Ctrl-C leaves it, as in `wait`."""
        with lasting(self._connection.settings) as reservations, open_display() as display:
            self._follow(None, lambda: display.show(self._rows(reservations)))

    def cancel(self, timeout: float = 0.0) -> None:
        """Queue nothing more and take back what no worker has begun; keys in hand are finished.

        Any process may do it; the one that drives the run hears it within a second. If it was
        killed just now, that is known when its lease is over: who waits for the end, at most
        `timeout` [s], ends the run then.
        """
        timeout = check_seconds("cancel", timeout) or 0.0
        if self._store is not None:
            self._store.cancel(self.id)
        if self._driver is not None and self._driver.is_alive:
            self._driver.cancel()
        elif self._store is not None and not self.is_finished:
            with opened(self._connection.settings) as reservations:
                end_abandoned(reservations, self._store, self.id)
        elif not self.is_finished:
            self.start()
            cast("Driver", self._driver).cancel()
        if timeout and not self.is_finished:
            self._look_on(_in(timeout))

    def detach(self) -> None:
        """Leave the run, as Ctrl-C does: what is queued will be made; `wait` goes on with it."""
        if self._driver is not None:
            self._driver.stop()

    # What the verbs share.

    def _follow(self, timeout: float | None, show: Callable[[], None] | None) -> bool:
        """Wait for the run's end; drive it meanwhile if that is needed and possible."""
        if self.is_finished:
            self._raise_error()
            return True
        deadline = inf if timeout is None else time.monotonic() + timeout
        was_driving = self._driver is not None and self._driver.is_alive
        try:
            if not self._may_drive():
                return self._look_on(deadline)
            self.start()
            if show is not None:
                show()
            while show is not None and not self._has_ended(min(deadline, _in(SHOW_S))):
                show()
            is_over = self._has_ended(deadline)
            if show is not None and self.status != "failed":
                show()
        except KeyboardInterrupt:
            self.detach()
            raise
        finally:
            if not (was_driving or self._is_submitter):
                self.detach()
        self._raise_error()
        return is_over

    @property
    def _is_submitter(self) -> bool:
        return self._given is not None

    def _has_ended(self, until: float) -> bool:
        if self._driver is None:  # it was over before
            return True
        return self._driver.finished.wait(
            None if until == inf else max(0.0, until - time.monotonic())
        )

    def _may_drive(self) -> bool:
        """Tell whether this process can drive the run, or need not; say why not."""
        if self._given is not None:
            return True
        try:
            self._work()
        except UsageError as error:
            logger.warning("run_only_watched: %s", error)
            return False
        return True

    def _look_on(self, deadline: float) -> bool:
        """Wait for a run that only others can drive."""
        pause = threading.Event()
        with lasting(self._connection.settings) as reservations:
            while not self.is_finished and time.monotonic() < deadline:
                if self._store is not None and self.status == "cancelling":
                    end_abandoned(reservations(), self._store, self.id)
                pause.wait(min(WAIT_S, max(0.0, deadline - time.monotonic())))
        self._raise_error()
        return self.is_finished

    def _raise_error(self) -> None:
        if self._driver is not None and self._driver.finished.is_set():
            self._driver.join()
            if self._driver.error is not None:
                raise self._driver.error
        if self._store is not None and self.is_finished and self._record.status == "failed":
            # Not on the host of the record: that is where it was submitted.
            message = f"the run {self.id} failed: {self._record.message}"
            raise FleetError(message)

    def _work(self) -> Work:
        """Return the run with its classes.

        Raises
        ------
        UsageError
            They are not here, or its restrictions are not.
        """
        return work_of(self._record) if self._given is None else self._given

    def _rows(self, reservations: Callable[[], Reservations]) -> list[TableProgress]:
        work = self._work()
        if self._counter is None:
            self._counter = Counter(work.tables, work.restrictions)
        chunks: list[ChunkRecord] = []
        with suppress(RedisUnavailableError):
            chunks = reservations().chunks()
        return self._counter.rows(chunks, is_last=self.is_finished)


def _in(seconds: float) -> float:
    return time.monotonic() + seconds

"""Runs: `submit` a part of the pipeline, and watch, wait for or cancel its making."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from djq.errors import (
    FleetError,
    MakeError,
    RedisUnavailableError,
    TransientDatabaseError,
    UsageError,
)
from djq.orchestrator.app import producer_app
from djq.orchestrator.dispatch import CeleryDispatcher
from djq.orchestrator.events import Freed, Released
from djq.orchestrator.fleet import load_fleet
from djq.orchestrator.loop import WAIT_S, Loop, Patience
from djq.orchestrator.planning import DatabasePlan, by_level
from djq.orchestrator.reservations import Reservations
from djq.orchestrator.routing import route
from djq.orchestrator.scans import BackgroundScans
from djq.orchestrator.scheduler import SCHEDULER_PREFIX
from djq.orchestrator.states import Limits
from djq.orchestrator.watch import Company, Counter, messages
from djq.populate import plan
from djq.populate.autopopulate import AutoPopulate
from djq.populate.display import open_display
from djq.populate.pipeline import collect
from djq.tables.schema import Schema

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from djq.definition.acceptance import Value
    from djq.orchestrator.events import Announcement
    from djq.orchestrator.reservations import Census, ChunkRecord
    from djq.populate.display import TableProgress
    from djq.populate.keys import Key

logger = logging.getLogger("djq.run")

#: Progress is shown this often [s].
SHOW_S = 0.5


def submit(*what: type[AutoPopulate] | Schema, restrictions: Sequence[Value] = ()) -> Run:
    """Have the fleet make whatever is due, level by level; return at once.

    This process finds and queues what is due, in a thread, until everything is made or failed,
    unless `djq scheduler` runs for all these tables: then it only looks on. A script that ends
    before its run does stays until the run is done; Ctrl-C leaves it (`Run.wait` goes on).

    Parameters
    ----------
    what
        Tables, and schemas for all of their tables.
    restrictions
        Conditions on the keys of every table; all must hold.

    Raises
    ------
    RedisUnavailableError
        None is configured or it does not answer.
    ConfigError
        A table needs what no queue of `fleet.toml` has.
    UsageError
        Nothing to make was named.
    """
    run = Run(_tables(what), restrictions)
    run.start()
    return run


def populate_distributed(
    *,
    tables: Sequence[type[AutoPopulate]],
    restrictions: Sequence[Value] = (),
    suppress_errors: bool = False,
    max_calls: int | None = None,
    display_progress: bool = False,
) -> dict[str, Any]:
    """Make due keys on the fleet and wait: `populate(distributed=True)`.

    Keys that failed before are tried again, as by `populate()` here.

    Raises
    ------
    MakeError
        A `make` raised, and `suppress_errors` is not set; all other keys were made before.
    RedisUnavailableError
        None is configured or it does not answer.
    """
    run = Run(_tables(tables), restrictions, max_keys=max_calls)
    run.start(retries=True)
    if display_progress:
        run.watch()
    else:
        run.wait()
    errors = run.errors()
    if errors and not suppress_errors:
        table, key, message = errors[0]
        more = f" ({len(errors)} keys failed)" if len(errors) > 1 else ""
        text = f"{table}.make({key!r}) on the fleet: {message}{more}; tracebacks are in jobs.errors"
        raise MakeError(text)
    return {
        "success_count": run.n_made,
        "error_list": [(key, message) for _, key, message in errors],
    }


class Run:
    """One request to make what is due, driven by a thread of this process."""

    def __init__(
        self,
        tables: Mapping[str, type[AutoPopulate]],
        restrictions: Sequence[Value] = (),
        *,
        max_keys: int | None = None,
    ) -> None:
        #: Unique; chunks and messages carry it.
        self.id: str = f"r-{secrets.token_hex(4)}"
        #: Keys made so far, for this run or by the scheduler meanwhile.
        self.n_made: int = 0
        self._tables = dict(tables)
        self._connection = next(iter(self._tables.values())).schema.connection
        self._settings = self._connection.settings
        self._restrictions = restrictions
        self._fleet = load_fleet(self._settings)
        for name, table in self._tables.items():
            route(name, table.populate_options, self._fleet)
        self._max_keys = max_keys
        self._failed: dict[str, list[str]] = {}
        self._thread: threading.Thread | None = None
        self._n_threads = 0
        self._counter = Counter(self._tables, restrictions)
        self._company = Company(self._tables)
        self._finished = threading.Event()
        self._stopping = threading.Event()
        self._cancelling = threading.Event()
        self._error: BaseException | None = None

    def __repr__(self) -> str:
        """Return the id, tables and state."""
        state = "finished" if self.is_finished else "running" if self._thread else "detached"
        return f"Run({self.id!r}: {', '.join(self._tables)}; {state})"

    @property
    def is_finished(self) -> bool:
        """Whether nothing is due and nothing in flight any more."""
        return self._finished.is_set()

    def start(self, *, retries: bool = False) -> None:
        """Begin, or go on after Ctrl-C; `retries` forgets earlier errors of the keys first.

        Raises
        ------
        RedisUnavailableError
            None is configured or it does not answer.
        """
        if self.is_finished or self._thread is not None:
            return
        with self._open() as reservations:
            reservations.server.ping()
        if retries:
            self._forget_errors()
        self._stopping.clear()
        self._n_threads += 1
        self._thread = threading.Thread(target=self._drive, name=f"djq-run-{self.id}")
        self._thread.start()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the run is finished, at most `timeout` [s]; return whether it is.

        Ctrl-C leaves the run: what is queued will be made, the rest waits for another `wait`.

        Raises
        ------
        DatabaseError
            A table cannot be searched.
        """
        self.start()
        try:
            self._finished.wait(timeout)
        except KeyboardInterrupt:
            self.detach()
            raise
        return self._settle()

    def watch(self) -> None:
        """Show progress until the run is finished; Ctrl-C leaves it, as in `wait`."""
        self.start()
        try:
            with open_display() as display:
                display.show(self.progress())
                while not self._finished.wait(SHOW_S):
                    display.show(self.progress())
                display.show(self.progress())
        except KeyboardInterrupt:
            self.detach()
            raise
        self._settle()

    def cancel(self) -> None:
        """Queue nothing more and take back what no worker has begun; keys in hand are finished."""
        self._cancelling.set()
        self.start()

    def detach(self) -> None:
        """Leave the run, as Ctrl-C does: what is queued will be made; `wait` goes on with it."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def progress(self) -> list[TableProgress]:
        """Return the state of each table; counted anew at a pace tied to what counting costs."""
        return self._counter.rows(self._chunks(), is_last=self.is_finished)

    def errors(self) -> list[tuple[str, Key, str]]:
        """Return table, key and message of each key that failed in this run."""
        return [
            (name, key, message)
            for name, ids in self._failed.items()
            for key, message in messages(self._tables[name], ids)
        ]

    # The thread.

    def _drive(self) -> None:
        try:
            with self._loop() as loop:
                self._turn_until_done(loop)
        except BaseException as error:  # noqa: BLE001 - raised by whoever waits
            self._error = error
            self._finished.set()
        finally:
            self._connection.close()

    def _turn_until_done(self, loop: Loop) -> None:
        patience = Patience(self._stopping)
        while not self._stopping.is_set():
            try:
                if self._cancelling.is_set():
                    loop.cancel()
                    self._cancelling.clear()
                loop.turn(WAIT_S)
                patience.restore()
            except (FleetError, TransientDatabaseError) as error:
                patience.wait(error)
            if loop.is_finished:
                self._finished.set()
                return

    @contextmanager
    def _loop(self) -> Generator[Loop]:
        due = DatabasePlan(self._tables, self._restrictions, self._fleet)
        dispatcher = CeleryDispatcher(producer_app(self._settings), due.show, self._fleet.queues)
        scans = BackgroundScans(self._connection.close)
        with self._open() as reservations, closing(dispatcher), closing(scans):
            yield Loop(
                f"{self.id}.{self._n_threads}",
                due,
                reservations,
                dispatcher,
                Limits(chunk_s=self._settings.chunk_s, max_keys=self._max_keys),
                scans=scans,
                observe=self._hear,
            )

    def _hear(self, event: Announcement | Census) -> None:
        if isinstance(event, Released):
            is_ours = event.run.partition(".")[0] == self.id
            if event.table in self._tables and (is_ours or event.run.startswith(SCHEDULER_PREFIX)):
                self.n_made += len(event.made)
                failed = [key for key, _ in event.failed]
                self._failed.setdefault(event.table, []).extend([*failed, *event.empty])
        elif isinstance(event, Freed):
            logger.info("freed: %s keys of %s: %s", len(event.keys), event.table, event.reason)
        else:
            self._company.look(event, time.monotonic())

    # The caller's side.

    def _settle(self) -> bool:
        if not self.is_finished:
            return False
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            raise self._error
        return True

    @contextmanager
    def _open(self) -> Generator[Reservations]:
        reservations = Reservations.open(self._settings)
        try:
            yield reservations
        finally:
            reservations.server.close()

    def _chunks(self) -> list[ChunkRecord]:
        with suppress(RedisUnavailableError), self._open() as reservations:
            return reservations.chunks()
        return []

    def _forget_errors(self) -> None:
        for table in self._tables.values():
            due = plan.key_source(table, self._restrictions)
            table().jobs.retry({"status": ["error", "empty"]}, due)


def _tables(what: Sequence[object]) -> dict[str, type[AutoPopulate]]:
    """Return the auto-populated tables that were named, level by level.

    Raises
    ------
    UsageError
        There is none, or something else was named.
    """
    tables: dict[str, type[AutoPopulate]] = {}
    for item in what:
        if isinstance(item, Schema):
            tables |= collect([item])
        elif isinstance(item, type) and issubclass(item, AutoPopulate):
            tables[item.spec.display_name] = item
        else:
            message = f"cannot make {item!r}: name Computed or Imported tables, or schemas"
            raise UsageError(message)
    if not tables:
        message = "nothing to make: name at least one Computed or Imported table, or its schema"
        raise UsageError(message)
    return by_level(tables)

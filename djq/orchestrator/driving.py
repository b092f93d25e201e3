"""Driving a run: finding and queuing what is due for it, in a thread; one process at a time."""

from __future__ import annotations

import json
import logging
import os
import platform
import secrets
import threading
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import TYPE_CHECKING

from djq.errors import DjqError, FleetError, RedisUnavailableError, TransientDatabaseError
from djq.orchestrator.app import producer_app
from djq.orchestrator.dispatch import CeleryDispatcher
from djq.orchestrator.events import Freed, Released
from djq.orchestrator.fleet import load_fleet
from djq.orchestrator.loop import WAIT_S, Loop, Patience
from djq.orchestrator.planning import DatabasePlan
from djq.orchestrator.scans import BackgroundScans
from djq.orchestrator.states import Limits
from djq.orchestrator.watch import Company
from djq.orchestrator.work import opened

if TYPE_CHECKING:
    from collections.abc import Generator

    from djq.orchestrator.events import Announcement
    from djq.orchestrator.holding import Census
    from djq.orchestrator.reservations import Reservations
    from djq.orchestrator.work import Work
    from djq.populate.runs import RunStatus, RunStore

logger = logging.getLogger("djq.run")

#: The record of a run is read this often [s]: a cancel is heard that late.
LOOK_S = 1.0
#: The lead of a run is renewed so often; two renewals may be lost.
RENEWALS_PER_LEASE = 3


def lead_name(run_id: str) -> str:
    """Return the name of a run's lead, which is no table's."""
    return f"run:{run_id}"


def run_of(name: str) -> str:
    """Return the run that a loop's or a chunk's run belongs to: each drive has a name of its own.

    Its chunks' names begin with it, and must not be those of an earlier drive.
    """
    return name.partition(".")[0]


class Driver:
    """Makes a run go on, unless another process does: then it waits for the run's end, or its turn.

    Parameters
    ----------
    work
        The run.
    store
        Where it is stored; None: nobody else knows it.
    name
        Of the thread.
    is_leaving
        End as soon as another process drives the run.
    """

    def __init__(
        self, work: Work, store: RunStore | None, *, name: str = "", is_leaving: bool = False
    ) -> None:
        #: Set when the run is over, however it ended.
        self.finished = threading.Event()
        #: How it stands, as far as it is known here.
        self.status: RunStatus = "running"
        #: What ended it, if that was an error here.
        self.error: BaseException | None = None
        self._work = work
        self._store = store
        self._connection = work.connection
        self._settings = self._connection.settings
        self._is_leaving = is_leaving
        self._id = work.record.id
        self._candidate = json.dumps(
            {"id": secrets.token_hex(4), "host": platform.node(), "pid": os.getpid()}
        )
        self._company = Company(work.tables)
        self._stopping = threading.Event()
        self._cancelling = threading.Event()
        self._leads = store is None
        self._next_lead = self._next_look = 0.0
        self._is_told = False
        self._thread = threading.Thread(target=self._run, name=name or f"djq-run-{self._id}")

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Leave the run to others; what is queued will be made. Its thread has ended then."""
        self._stopping.set()
        self.join()

    def join(self) -> None:
        """Wait for the end of its thread."""
        if self._thread.ident is not None:
            self._thread.join()

    def cancel(self) -> None:
        """Queue nothing more, and take back what no worker has begun."""
        self._cancelling.set()

    # The thread.

    def _run(self) -> None:
        try:
            with opened(self._settings) as reservations, ExitStack() as stack:
                stack.callback(self._resign, reservations)
                self._go_on(reservations)
        except BaseException as error:  # noqa: BLE001 - raised by whoever waits
            self.error = error
            self._note_failure(error)
            self._finish("failed")
        finally:
            self._connection.database.close()

    def _go_on(self, reservations: Reservations) -> None:
        patience = Patience(self._stopping)
        while not (self._stopping.is_set() or self.finished.is_set()):
            try:
                self._look(reservations)
                if self._leads and not self.finished.is_set():
                    self._drive(reservations)
                elif self._is_leaving:
                    return
                else:
                    self._stopping.wait(WAIT_S)
                patience.restore()
            except (FleetError, TransientDatabaseError) as error:
                patience.wait(error)

    def _drive(self, reservations: Reservations) -> None:
        """Turn until the run is over, we shall stop, or another leads."""
        with self._loop() as loop:
            patience = Patience(self._stopping)
            while self._leads and not (self._stopping.is_set() or self.finished.is_set()):
                try:
                    self._look(reservations, loop)
                    if not loop.is_finished:
                        loop.turn(WAIT_S)
                    if loop.is_finished:
                        self._end("cancelled" if self._is_told else "done")
                    patience.restore()
                except (FleetError, TransientDatabaseError) as error:
                    patience.wait(error)

    def _look(self, reservations: Reservations, loop: Loop | None = None) -> None:
        """Renew the lead, and read whether the run is to go on."""
        now = time.monotonic()
        if self._store is not None and now >= self._next_lead:
            self._leads = bool(reservations.leads.take(self._candidate, [lead_name(self._id)]))
            self._next_lead = now + reservations.lease_s / RENEWALS_PER_LEASE
        if now >= self._next_look:
            self._read_record()
            # Of a run that another process has ended, nothing more is queued.
            is_follower = self._is_yielding and self._work.record.is_continuous
            if loop is not None and is_follower and not self.finished.is_set():
                names = list(self._work.tables)
                loop.lead(frozenset(names) - frozenset(reservations.leads.leaders(names)))
            self._next_look = now + LOOK_S
        if loop is not None and self._cancelling.is_set() and not self._is_told:
            loop.cancel()
            # What an earlier driver queued is not the loop's.
            drop_waiting(reservations, self._id)
            self._is_told = True

    def _read_record(self) -> None:
        if self._store is None:
            return
        record = self._store.read(self._id)
        if record is None:  # somebody dropped the schema, or deleted the row
            self._cancelling.set()
        elif not record.is_open:
            self._finish(record.status)
        elif record.status == "cancelling":
            self._cancelling.set()

    @property
    def _is_yielding(self) -> bool:
        # Whoever leads the tables knows nothing of a run's options and of how many keys it wants.
        return self._work.record.options is None and self._work.max_keys is None

    @contextmanager
    def _loop(self) -> Generator[Loop]:
        self._is_told = False
        record, fleet = self._work.record, load_fleet(self._settings)
        options = record.options
        due = DatabasePlan(self._work.tables, self._work.restrictions, fleet, options)
        app = producer_app(self._settings)
        dispatcher = CeleryDispatcher(app, due.show, fleet.queues, options)
        scans = BackgroundScans(self._connection.database.close)
        limits = Limits(
            chunk_s=self._settings.chunk_s,
            max_keys=self._work.max_keys,
            is_endless=record.is_continuous,
            priority=0 if options is None else options.priority,
            is_yielding=self._is_yielding,
        )
        with opened(self._settings) as own, closing(dispatcher), closing(scans):
            name = f"{self._id}.{secrets.token_hex(3)}"
            yield Loop(name, due, own, dispatcher, limits, scans=scans, observe=self._hear)

    def _hear(self, event: Announcement | Census) -> None:
        if isinstance(event, Freed):
            logger.info("freed: %s keys of %s: %s", len(event.keys), event.table, event.reason)
        elif not isinstance(event, Released):
            self._company.look(event, time.monotonic())

    def _end(self, status: RunStatus) -> None:
        if self._store is not None:
            n_made, n_failed = self._work.n_made(), self._work.n_failed()
            self._store.end(self._id, status, n_made=n_made, n_failed=n_failed)
        self._finish(status)

    def _finish(self, status: RunStatus) -> None:
        self.status = status
        self.finished.set()

    def _note_failure(self, error: BaseException) -> None:
        # Where the interpreter ends, or another process drives on, the run goes on.
        if self._store is None or not self._leads or not isinstance(error, Exception):
            return
        with suppress(DjqError):
            self._store.end(self._id, "failed", message=f"{type(error).__name__}: {error}")

    def _resign(self, reservations: Reservations) -> None:
        if self._store is None or not self._leads:
            return
        with suppress(RedisUnavailableError):
            reservations.leads.resign(self._candidate, [lead_name(self._id)])


def drop_waiting(reservations: Reservations, run_id: str) -> None:
    """Take the chunks of a run back that no worker has begun, whoever queued them."""
    chunks = [chunk.id for chunk in reservations.chunks() if run_of(chunk.run) == run_id]
    reservations.drop(chunks, "cancelled")


def end_abandoned(reservations: Reservations, store: RunStore, run_id: str) -> bool:
    """End a cancelled run that nobody drives; tell whether that was so."""
    candidate = json.dumps({"id": secrets.token_hex(4)})
    lead = [lead_name(run_id)]
    if not reservations.leads.take(candidate, lead):
        return False
    try:
        drop_waiting(reservations, run_id)
        store.end(run_id, "cancelled")
    finally:
        reservations.leads.resign(candidate, lead)
    return True

"""The hard limits of a worker's pool: processes that take too much are killed, their keys recorded.

The main process kills; it must not wait for a database, so it forks one that does. Until that has
recorded the key, the reservation stays: nobody makes the key again before its record says so.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from djq.errors import FleetError
from djq.orchestrator.events import MESSAGE_LENGTH, Released
from djq.orchestrator.holding import holder_id
from djq.populate.keys import from_key_id, from_key_ids, key_id
from djq.populate.make import Assignment, blame
from djq.populate.options import PopulateOptions
from djq.populate.overruns import Watch
from djq.populate.plan import made_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from djq.orchestrator.holding import Reservation
    from djq.orchestrator.reservations import Reservations
    from djq.populate.autopopulate import AutoPopulate
    from djq.populate.make import Outcome
    from djq.populate.overruns import Overrun

logger = logging.getLogger("djq.worker")

#: How often a key is tried to be recorded; then its process counts as one that just died.
MAX_TRIES = 5
#: Wait before the next try [s].
RETRY_S = 2.0
#: A try may take so long [s]; it waits for locks, for a database that restarts, and for Redis. One
#: that takes longer waits for an answer that does not come.
RECORD_S = 30.0


@dataclass(slots=True)
class _Recorder:
    """The process that records one key."""

    overrun: Overrun | None
    note: str
    pid: int | None = None
    n_tries: int = 0
    next_try: float = 0.0
    #: When it is killed.
    deadline: float = 0.0


class Guard:
    """Keeps the limits of the processes of one pool.

    Parameters
    ----------
    main
        Identity of the main process.
    tables
        By their names.
    reserve
        Returns reservations over connections of the process that calls it.
    """

    def __init__(
        self,
        main: str,
        tables: Mapping[str, type[AutoPopulate]],
        reserve: Callable[[], Reservations],
    ) -> None:
        self._main = main
        self._tables = tables
        self._reserve = reserve
        self._watch = Watch(main)
        self._alive: set[int] = set()
        #: By the process that died.
        self._recorders: dict[int, _Recorder] = {}

    @property
    def settling(self) -> set[int]:
        """Processes that are dead, and whose keys are not to be freed yet."""
        return set(self._recorders)

    def say_unguarded(self, *, is_threaded: bool) -> None:
        """Say which limits nobody keeps where makes run in the worker's own process."""
        for name, table in self._tables.items():
            options = table.populate_options
            unkept = [
                *(["soft_time_limit_s"] if is_threaded and options.soft_time_limit_s else []),
                *(["time_limit_s"] if is_threaded and options.time_limit_s else []),
                *(["memory_bytes"] if options.memory_bytes else []),
            ]
            if unkept:
                logger.warning(
                    "limit_not_kept: %s of %s: this worker's pool has no processes of its own "
                    "that could be killed; the pool prefork has",
                    " and ".join(unkept),
                    name,
                )

    def look(self, alive: set[int]) -> set[int]:
        """Kill what takes too much; return the processes whose keys are not to be freed yet."""
        dead = {str(pid) for pid in self._alive - alive}
        self._alive = set(alive)
        for slot, (overrun, hand) in self._watch.autopsy(dead).items():
            self._recorders[int(slot)] = _Recorder(overrun, hand.note if hand else "")
        self._watch.look((str(pid), pid) for pid in alive)
        for pid, recorder in list(self._recorders.items()):
            if self._has_ended(recorder, pid):
                del self._recorders[pid]
        return self.settling

    def _has_ended(self, recorder: _Recorder, dead: int) -> bool:
        """Start the process that records, look how it ended, start another one."""
        if recorder.pid is not None:
            try:
                ended, status = os.waitpid(recorder.pid, os.WNOHANG)
            except ChildProcessError:  # somebody waits for all children of this process
                return True
            if not ended:
                self._bound(recorder)
                return False
            if status == 0:
                return True
            recorder.pid = None
        if recorder.n_tries >= MAX_TRIES:
            logger.error("record_failed: what process %d had in hand is tried again", dead)
            return True
        if time.monotonic() >= recorder.next_try:
            recorder.n_tries += 1
            recorder.next_try = time.monotonic() + RETRY_S
            recorder.deadline = time.monotonic() + RECORD_S
            with suppress(OSError):  # no room for a process now
                recorder.pid = self._fork(recorder, dead)
        return False

    @staticmethod
    def _bound(recorder: _Recorder) -> None:
        """Kill the process that records if it takes too long; the next look sees that."""
        if recorder.pid is not None and time.monotonic() > recorder.deadline:
            logger.warning("record_late: not done after %g s", RECORD_S)
            os.kill(recorder.pid, signal.SIGKILL)

    def _fork(self, recorder: _Recorder, dead: int) -> int:
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            # The pool's handlers are not meant for it; the terminal's Ctrl-C neither.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            self.settle(dead, recorder.overrun, recorder.note)
            status = 0
        except Exception:
            logger.exception("record_failed")
        finally:
            # Nothing of the main process's is to be finalized here.
            os._exit(status)

    def settle(self, dead: int, overrun: Overrun | None, note: str = "") -> None:
        """Record the key that a dead process was killed for, and free what it held.

        Raises
        ------
        FleetError
            It could not be recorded now.
        RedisUnavailableError
            Redis did not answer.
        """
        reservations = self._reserve()
        for held in reservations.held_by(holder_id(self._main, dead)):
            blamed = "" if overrun is None else overrun.key
            # Of several keys that were in hand together, any may be it: they are tried one by one.
            if overrun is None or blamed in held.keys:
                reservations.release(held, self._outcome(held, overrun, note))

    def _outcome(self, held: Reservation, overrun: Overrun | None, note: str) -> Released:
        table = self._tables[held.table]
        heading = table.job_heading
        rest = [key for key in held.keys if overrun is None or key != overrun.key]
        # What it committed and did not tell; nobody else can have made keys that it held.
        found = made_keys(table, from_key_ids(heading, rest))
        made = {key_id(heading, key) for key in found}
        blamed = None if overrun is None else self._blame(held, overrun, note)
        status = None if blamed is None else blamed.status
        error = None if blamed is None else blamed.error
        key = "" if overrun is None else overrun.key
        retry_s = None if error is None else error.retry_after_s
        message = "" if error is None else error.message[:MESSAGE_LENGTH]
        return Released(
            held.table,
            held.chunk,
            held.run,
            made=tuple(key for key in rest if key in made),
            exists=(key,) if status == "exists" else (),
            failed=((key, message),) if status == "failed" else (),
            retries=((key, retry_s),) if retry_s is not None else (),
            returned=tuple(key for key in rest if key not in made),
            seconds=0.0 if overrun is None else overrun.seconds,
            worker=held.holder,
        )

    def _blame(self, held: Reservation, overrun: Overrun, note: str) -> Outcome:
        table = self._tables[held.table]
        key = from_key_id(table.job_heading, overrun.key)
        options = PopulateOptions.from_json(json.loads(note)) if note else None
        assignment = Assignment(table, worker=held.holder, options=options)
        outcome = blame(assignment, key, overrun)
        if outcome.status == "lost":
            message = f"the failure of {held.table} {overrun.key} could not be recorded"
            raise FleetError(message)
        return outcome

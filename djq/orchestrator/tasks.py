"""One thin Celery task per table: reserve a chunk, make its keys, release it."""

from __future__ import annotations

import json
import logging
import multiprocessing
from collections import Counter
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from celery.exceptions import TaskPredicate, WorkerShutdown, WorkerTerminate

from djq.orchestrator.dispatch import plain_name
from djq.orchestrator.events import MESSAGE_LENGTH, Released
from djq.orchestrator.fleet import load_fleet
from djq.orchestrator.holding import NO_UNITS
from djq.orchestrator.routing import route
from djq.orchestrator.states import DEFAULT_QUEUE, Chunk
from djq.populate.chunks import make_chunk
from djq.populate.ends import CHILD, USERS, Host, mark_signals, own_forks
from djq.populate.failures import raisable
from djq.populate.keys import from_key_id, key_id, wire_ids
from djq.populate.options import PopulateOptions
from djq.populate.slots import SEVERAL
from djq.populate.tenure import Tenure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from celery import Celery

    from djq.definition.acceptance import Value
    from djq.orchestrator.holding import Reservation, Units
    from djq.orchestrator.workplace import Workplace
    from djq.populate.autopopulate import AutoPopulate
    from djq.populate.failures import JobError
    from djq.populate.keys import Key
    from djq.populate.make import Outcome

logger = logging.getLogger("djq.worker")

NO_UNITS_AT_ALL: Mapping[str, Units] = MappingProxyType({})


def add_tasks(
    app: Celery,
    tables: Mapping[str, type[AutoPopulate]],
    workplace: Workplace,
    units: Mapping[str, Units] = NO_UNITS_AT_ALL,
) -> None:
    """Register a task per table, under the table's name; `units` are what its chunks take."""
    for name, table in tables.items():
        app.task(name=name)(_task(app, table, workplace, units.get(name, NO_UNITS)))


def _task(
    app: Celery, table: type[AutoPopulate], workplace: Workplace, units: Units
) -> Callable[..., str]:
    def make(
        *,
        run: str,
        table: str,
        chunk: str,
        keys: list[list[Any]],
        options: dict[str, Any] | None = None,
    ) -> str:
        found = Chunk(chunk, run, table, tuple(wire_ids(keys)), _queue(app))
        return work(cls, found, workplace, units, options)

    cls = table
    return make


def _queue(app: Celery) -> str:
    """Return the queue that brought the message in hand."""
    info: dict[str, Any] = cast("Any", app).current_task.request.delivery_info or {}
    return plain_name(app, str(info.get("routing_key", DEFAULT_QUEUE)))


def work(
    table: type[AutoPopulate],
    chunk: Chunk,
    workplace: Workplace,
    units: Units = NO_UNITS,
    options: Mapping[str, Value] | None = None,
) -> str:
    """Make a chunk's keys as far as they are free; return a line about it for Flower.

    Parameters
    ----------
    units
        What chunks of the table take of what is limited.
    options
        Of the run, as JSON; None: it has none, and the table's hold.

    Raises
    ------
    Exception
        What the first `make` that failed raised: the task fails, though other keys were made. Or
        this worker cannot make the chunk, which goes back.
    """
    try:
        terms = _terms(table, chunk, workplace, units, options)
    except Exception as reason:
        workplace.give_back(chunk.id, str(reason)[:MESSAGE_LENGTH])
        raise
    reservation = workplace.reserve(chunk, terms.units)
    if reservation.short_of:
        return f"given back: all units of {reservation.short_of} are in use"
    if not reservation.keys:
        return "nothing to do: made, or in other hands"
    visit = _Visit(table, reservation, workplace, terms.options, terms.memory_bytes)
    try:
        visit.make()
    finally:
        workplace.release(reservation, visit.released())
    error = None if visit.first_error is None else raisable(visit.first_error, TaskPredicate)
    if error is not None:
        error.add_note(f"djq: {visit.summary()} in this chunk")
        raise error
    return visit.summary()


@dataclass(frozen=True, slots=True)
class _Terms:
    """On what terms a chunk is made."""

    options: PopulateOptions
    #: What it takes of what is limited.
    units: Units
    #: What the process may hold.
    memory_bytes: int | None


def _terms(
    table: type[AutoPopulate],
    chunk: Chunk,
    workplace: Workplace,
    units: Units,
    of_run: Mapping[str, Value] | None,
) -> _Terms:
    """Return the terms of a chunk.

    Raises
    ------
    UsageError
        The run has an option that is unknown here.
    ConfigError
        `fleet.toml` is wrong, or does not have what the chunk takes.
    """
    options = table.populate_options
    if of_run is not None:
        options = PopulateOptions.from_json(of_run).over(options)
        units = route(chunk.table, options, load_fleet(workplace.settings)).units
    memory_bytes = _memory(options, chunk.queue, workplace)
    # Whether a key that runs out of memory may go to the big queue depends on where it was.
    return _Terms(PopulateOptions(queue=chunk.queue).over(options), units, memory_bytes)


def _memory(options: PopulateOptions, queue: str, workplace: Workplace) -> int | None:
    """Return how much the process may hold; on the big queue, what a slot there has."""
    if queue != options.big_queue or queue == options.queue:
        return options.memory_bytes
    plan = load_fleet(workplace.settings).queues.get(queue)
    return None if plan is None else plan.memory


def _host(workplace: Workplace) -> Host:
    """Return what ends a worker's process; all else that a make raises is an error of its key."""
    if workplace.is_pooled:
        mark_signals()
        # A make may start processes. Celery's would be ended with this one, and may have none.
        multiprocessing.current_process().daemon = False
        return CHILD
    if not workplace.is_of_users:  # no worker at all
        return USERS
    own_forks()
    return Host(is_killable=False, ends=(*CHILD.ends, WorkerShutdown, WorkerTerminate))


@dataclass(slots=True)
class _Visit:
    """One chunk in the hands of one holder."""

    table: type[AutoPopulate]
    reservation: Reservation
    workplace: Workplace
    options: PopulateOptions
    #: What the process may hold.
    memory_bytes: int | None = None
    first_error: JobError | None = None
    is_stopping: bool = False
    _groups: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    _failed: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    _retries: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    _seconds: float = 0.0
    #: At least one key is tried, however late it is: otherwise a slow start would never end.
    _n_done: int = 0
    _n_begun: int = 0
    _tenure: Tenure = field(init=False)

    def __post_init__(self) -> None:
        self._tenure = Tenure(self._ask, self.workplace.settings.chunk_s)

    def make(self) -> None:
        heading = self.table.job_heading
        self.workplace.say(json.dumps(self.options.to_json()))
        keys = [from_key_id(heading, key) for key in self.reservation.keys]
        for outcome in make_chunk(
            self.table,
            keys,
            holds=self._holds,
            should_stop=self._should_stop,
            worker=self.reservation.holder,
            options=self.options,
            host=_host(self.workplace),
        ):
            self._note(outcome)

    def released(self) -> Released:
        """Return what became of the keys; those without an outcome were not touched."""
        groups = self._groups
        settled = {key for keys in groups.values() for key in keys}
        settled.update(key for key, _ in self._failed)
        untouched = [key for key in self.reservation.keys if key not in settled]
        r = self.reservation
        return Released(
            r.table,
            r.chunk,
            r.run,
            made=tuple(groups.get("made", ())),
            exists=tuple(groups.get("exists", ())),
            failed=tuple(self._failed),
            retries=tuple(self._retries),
            empty=tuple(groups.get("empty", ())),
            returned=(*groups.get("returned", ()), *untouched),
            lost=tuple(groups.get("lost", ())),
            seconds=self._seconds,
            worker=r.holder,
        )

    def summary(self) -> str:
        """Return the counts: `made=48 exists=1 failed=0`."""
        counts = Counter({group: len(keys) for group, keys in self._groups.items()})
        counts["failed"] = len(self._failed)
        shown = ("made", "exists", "failed")
        rest = [name for name in ("empty", "lost", "returned") if counts[name]]
        return " ".join(f"{name}={counts[name]}" for name in (*shown, *rest))

    def _note(self, outcome: Outcome) -> None:
        key = key_id(self.table.job_heading, outcome.key)
        self._n_done += 1
        if outcome.status in ("made", "failed", "empty"):
            self._seconds += outcome.seconds
        if outcome.error is not None:
            self.first_error = self.first_error or outcome.error
            logger.error(
                "make_failed: %s %s: %s", self.reservation.table, key, outcome.error.message
            )
        if outcome.status == "failed":
            message = outcome.error.message if outcome.error is not None else ""
            self._failed.append((key, message[:MESSAGE_LENGTH]))
            if outcome.error is not None and outcome.error.retry_after_s is not None:
                self._retries.append((key, outcome.error.retry_after_s))
        else:
            self._groups.setdefault(outcome.status, []).append(key)

    def _should_stop(self) -> bool:
        # What commits nothing asks nothing, and must hear of a shutdown all the same.
        if self._n_done > 0 and not self.is_stopping:
            self._tenure.holds(self.reservation.keys[0])
        if self.is_stopping or (self._n_done > 0 and self._tenure.is_late):
            return True
        self._begin()
        return False

    def _begin(self) -> None:
        """Tell the main process which key is begun, and what it may take."""
        keys = self.reservation.keys
        n_keys = len(keys) if self.table.maker.has_many else 1
        limit_s = self.options.time_limit_s
        self.workplace.begin(
            keys[self._n_begun % len(keys)] if n_keys == 1 else SEVERAL,
            time_limit_s=None if limit_s is None else limit_s * n_keys,
            memory_bytes=self.memory_bytes,
        )
        self._n_begun += 1

    def _holds(self, key: Key | Mapping[str, Any]) -> bool:
        return self._tenure.holds(key_id(self.table.job_heading, key))

    def _ask(self, name: str) -> bool:
        """Return whether a key is still ours; hear whether the worker stops."""
        standing = self.workplace.holds(self.reservation, name)
        self.is_stopping = standing.is_stopping
        return standing.is_held

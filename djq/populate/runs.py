"""Stored runs: what was asked for, how it stands, and what came of it; no Redis here."""

from __future__ import annotations

import datetime as dt
import difflib
import functools
import logging
import os
import platform
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from djq.algebra.nodes import Relation
from djq.definition.attributes import Attribute, AttributeType, CoreType
from djq.definition.heading import Heading
from djq.definition.spec import TableName, TableSpec, Tier
from djq.errors import AccessError, MissingTableError, UsageError
from djq.hints import suggest
from djq.populate import plan, restrictions
from djq.populate.jobs import user_name
from djq.populate.options import PopulateOptions
from djq.tables.accepting import utc_now
from djq.tables.encode import RowEncoder
from djq.tables.query import Query

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from djq.definition.acceptance import Value
    from djq.populate.autopopulate import AutoPopulate
    from djq.tables.connection import Connection
    from djq.tables.schema import Schema

logger = logging.getLogger("djq.run")

RunStatus: TypeAlias = Literal["running", "cancelling", "done", "cancelled", "failed"]

#: Hidden, like job records: DataJoint and listings leave out what begins with a tilde.
RUNS = "~djq_runs"
STATUSES: tuple[RunStatus, ...] = ("running", "cancelling", "done", "cancelled", "failed")
#: The run goes on.
OPEN: tuple[RunStatus, ...] = ("running", "cancelling")
#: Runs that ended longer ago are forgotten when another one is stored [days].
KEPT_DAYS = 90
#: Ids that an error message lists.
SHOWN_IDS = 5
#: Characters of a message that are kept.
MESSAGE_LENGTH = 2047

_TIME = CoreType("datetime", (3,))


def _optional(name: str, type_: AttributeType, comment: str) -> Attribute:
    return Attribute(name, type_, nullable=True, default=None, comment=comment)


_HEADING = Heading(
    (
        Attribute("run_id", CoreType("varchar", (16,)), in_key=True),
        Attribute("status", CoreType("enum", STATUSES), comment="how it stands"),
        Attribute("tables", CoreType("json"), comment="[name, module:class] each"),
        _optional("restrictions", CoreType("json"), "null: only its process has them"),
        _optional("options", CoreType("json"), "over those of the tables"),
        Attribute("is_continuous", CoreType("bool"), comment="goes on until it is cancelled"),
        Attribute("created", _TIME, comment="UTC, by the clock of the database"),
        _optional("finished", _TIME, "UTC, by the clock of the database"),
        Attribute("user", CoreType("varchar", (255,)), comment="who asked for it"),
        Attribute("host", CoreType("varchar", (255,)), comment="where"),
        Attribute("pid", CoreType("int64"), comment="process"),
        Attribute("made_before", CoreType("json"), comment="rows of tables without provenance"),
        _optional("n_made", CoreType("int64"), "keys, when it ended"),
        _optional("n_failed", CoreType("int64"), "keys, when it ended"),
        _optional("message", CoreType("varchar", (MESSAGE_LENGTH,)), "what ended it"),
    )
)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What is stored of a run."""

    id: str
    #: Display name of each table -> where its class is, as `module:qualified name`.
    tables: Mapping[str, str]
    #: By the clock of the database, naive UTC, in whole milliseconds.
    created: dt.datetime
    #: As JSON; None: one of them has no such form, and only its process can drive the run.
    restrictions: Sequence[Any] | None = ()
    options: PopulateOptions | None = None
    is_continuous: bool = False
    #: Made keys, when it was stored, of tables whose rows do not tell when they were made.
    made_before: Mapping[str, int] = field(default_factory=dict[str, int])
    status: RunStatus = "running"
    finished: dt.datetime | None = None
    user: str = ""
    host: str = ""
    pid: int = 0
    n_made: int | None = None
    n_failed: int | None = None
    message: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self.status in OPEN


def new_record(
    run_id: str,
    tables: Mapping[str, type[AutoPopulate]],
    conditions: Sequence[Value],
    *,
    options: PopulateOptions | None = None,
    is_continuous: bool = False,
) -> RunRecord:
    """Return the record of a run that begins now."""
    database = next(iter(tables.values())).schema.connection.database
    time = database.clock()
    return RunRecord(
        run_id,
        {name: f"{t.__module__}:{t.__qualname__}" for name, t in tables.items()},
        time.replace(microsecond=time.microsecond // 1000 * 1000),
        restrictions=restrictions.to_json(conditions),
        options=options,
        is_continuous=is_continuous,
        made_before={n: _count(t, conditions) for n, t in tables.items() if not _tells_when(t)},
        user=user_name(),
        host=platform.node(),
        pid=os.getpid(),
    )


def _count(table: type[AutoPopulate], conditions: Sequence[Value]) -> int:
    return len(plan.key_source(table, conditions) & table())


def _tells_when(table: type[AutoPopulate]) -> bool:
    return "completed_time" in table().jobs.completed.heading


def n_made_since(
    table: type[AutoPopulate],
    conditions: Sequence[Value],
    since: dt.datetime,
    made_before: int | None = None,
) -> int:
    """Count the keys that meet the conditions and were made since a time, by whomever.

    The rows tell it, by the clocks of the workers; where they do not, what is more than before.
    """
    if not _tells_when(table):
        return max(0, _count(table, conditions) - (made_before or 0))
    found = table().jobs.completed & _since(since)
    return len(found & plan.key_source(table, conditions) if conditions else found)


def failed_since(
    table: type[AutoPopulate], conditions: Sequence[Value], since: dt.datetime | None
) -> Query:
    """Return the job records of keys that failed since a time, or ever, and were not made later."""
    if since is None:
        return table().jobs.failed & plan.key_source(table, conditions)
    found = table().jobs.failed & _since(since)
    return found & plan.key_source(table, conditions) if conditions else found


def _since(time: dt.datetime) -> str:
    return f"completed_time >= '{time:%Y-%m-%d %H:%M:%S.%f}'"


class RunStore:
    """The runs that are stored in one schema.

    Parameters
    ----------
    connection
        Where it is.
    schema
        Its name.
    """

    def __init__(self, connection: Connection, schema: str) -> None:
        self.connection = connection
        self.schema = schema
        self._spec = TableSpec(
            name=TableName(schema, RUNS),
            class_name=RUNS,
            tier=Tier.JOB,
            heading=_HEADING,
            comment="runs of djq",
        )

    @classmethod
    def everywhere(cls, connection: Connection) -> list[RunStore]:
        """Return the stores of a server."""
        return [cls(connection, name) for name in connection.catalog.schemas_with(RUNS)]

    @property
    def _rows(self) -> Query:
        return Query(Relation(self._spec.name, self._spec.heading), self.connection)

    def add(self, record: RunRecord, schema: Schema) -> bool:
        """Store a new run; False: the user may not create the table for it."""
        try:
            schema.create(self._spec, {})
            self._insert(record)
        except (AccessError, MissingTableError) as error:
            logger.warning("run_not_stored: only this process knows %s: %s", record.id, error)
            return False
        long_ago = record.created - dt.timedelta(days=KEPT_DAYS)
        old = self._rows & f"finished < '{long_ago:%Y-%m-%d %H:%M:%S}'"
        self.connection.database.delete(old.node)
        return True

    def _insert(self, record: RunRecord) -> None:
        row = {
            "run_id": record.id,
            "status": record.status,
            # As pairs: MySQL puts the names of a JSON object into an order of its own.
            "tables": [list(pair) for pair in record.tables.items()],
            "restrictions": None if record.restrictions is None else list(record.restrictions),
            "options": None if record.options is None else record.options.to_json(),
            "is_continuous": record.is_continuous,
            "created": record.created,
            "user": record.user,
            "host": record.host,
            "pid": record.pid,
            "made_before": dict(record.made_before),
        }
        encoded = RowEncoder.of(self._spec, self.connection).encode(row, 1, utc_now())
        self.connection.database.insert(self._spec, [encoded])

    def read(self, run_id: str) -> RunRecord | None:
        """Return a run as it stands now."""
        found = [_record(row) for row in self._read({"run_id": run_id})]
        return found[0] if found else None

    def all(self, statuses: Sequence[RunStatus] = STATUSES) -> list[RunRecord]:
        """Return the runs in these states that this version can read."""
        found: list[RunRecord] = []
        for row in self._read({"status": list(statuses)}):
            try:
                found.append(_record(row))
            except UsageError as error:
                _warn_once(str(error))
        return found

    def _read(self, condition: Mapping[str, Value]) -> list[dict[str, Any]]:
        try:
            return (self._rows & condition).to_dicts()
        except MissingTableError:
            return []

    def cancel(self, run_id: str) -> None:
        """Ask whoever drives a run to end it."""
        self._change(run_id, ("running",), {"status": "cancelling"})

    def end(
        self,
        run_id: str,
        status: RunStatus,
        *,
        n_made: int | None = None,
        n_failed: int | None = None,
        message: str | None = None,
    ) -> None:
        """Write how a run ended, unless that is known."""
        changes: dict[str, Value] = {
            "status": status,
            "finished": self.connection.database.clock(),
            "n_made": n_made,
            "n_failed": n_failed,
            "message": message and message[:MESSAGE_LENGTH],
        }
        self._change(run_id, OPEN, changes)

    def _change(
        self, run_id: str, present: Sequence[RunStatus], changes: Mapping[str, Value]
    ) -> None:
        encoded = RowEncoder.of(self._spec, self.connection).encode_some(dict(changes), 1)
        rows = self._rows & {"run_id": run_id} & {"status": list(present)}
        self.connection.database.update_where(rows.node, encoded)


def find_run(connection: Connection, run_id: object) -> tuple[RunStore, RunRecord]:
    """Return a run by its id, and where it is stored.

    Raises
    ------
    UsageError
        There is none; the message names those that are near, or the last ones.
    """
    stores = RunStore.everywhere(connection)
    for store in stores:
        record = store.read(run_id) if isinstance(run_id, str) else None
        if record is not None:
            return store, record
    known = [record.id for record in newest_first(r for s in stores for r in s.all())]
    near = difflib.get_close_matches(str(run_id), known, n=3)
    if near:
        hint = f"Did you mean {' or '.join(near)}?"
    elif known:
        hint = f"The last ones: {', '.join(known[:SHOWN_IDS])}."
    else:
        hint = "None is stored there: dj.submit(schema) begins one."
    message = f'no run "{run_id}" in {connection.database.address}. {hint}'
    raise UsageError(message)


def newest_first(records: Iterable[RunRecord]) -> list[RunRecord]:
    """Return runs in the order in which lists show them."""
    return sorted(records, key=lambda r: (r.created, r.id), reverse=True)


def check_status(status: object) -> tuple[RunStatus, ...]:
    """Return the states that a user asks for: one, or several; None: all.

    Raises
    ------
    UsageError
        There is no such state.
    """
    if status is None:
        return STATUSES
    several = isinstance(status, list | tuple | set | frozenset)
    wanted = list(cast("Iterable[object]", status)) if several else [status]
    for one in wanted:
        if one not in STATUSES:
            message = f'no run has the status "{one}". {suggest(str(one), STATUSES)}'
            raise UsageError(message)
    return tuple(cast("list[RunStatus]", wanted))


@functools.lru_cache(maxsize=SHOWN_IDS)
def _warn_once(message: str) -> None:
    """Warn, but not each time that a scheduler looks."""
    logger.warning("run_not_read: %s", message)


def _record(row: Mapping[str, Any]) -> RunRecord:
    """Return a run.

    Raises
    ------
    UsageError
        It has options that this version does not know.
    """
    options = row["options"]
    try:
        options = None if options is None else PopulateOptions.from_json(options)
    except UsageError as error:
        message = (
            f"the run {row['run_id']} has options that this version of djq cannot read: {error} "
            "Look at it with the version that submitted it"
        )
        raise UsageError(message) from error
    return RunRecord(
        id=row["run_id"],
        tables=dict(row["tables"]),
        created=row["created"],
        restrictions=row["restrictions"],
        options=options,
        is_continuous=bool(row["is_continuous"]),
        made_before=row["made_before"],
        status=row["status"],
        finished=row["finished"],
        user=row["user"],
        host=row["host"],
        pid=row["pid"],
        n_made=row["n_made"],
        n_failed=row["n_failed"],
        message=row["message"],
    )

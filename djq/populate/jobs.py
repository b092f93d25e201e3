"""Durable records of errors, ignored and empty keys; `Table.jobs`."""

from __future__ import annotations

import datetime as dt
import functools
import getpass
import os
import platform
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, cast

from djq.algebra.conditions import materialized, read_mapping
from djq.algebra.expressions import Call, Name, both, either
from djq.algebra.forms import Not
from djq.algebra.nodes import Relation
from djq.algebra.operators import restrict
from djq.definition.heading import Heading
from djq.errors import DuplicateError, RowError
from djq.populate import inbox, plan
from djq.populate.census import take_census
from djq.populate.failures import planned
from djq.populate.heeding import check_heeded, check_keys
from djq.populate.records import jobs_spec
from djq.sql.verify import as_present
from djq.tables.encode import RowEncoder
from djq.tables.query import Query

if TYPE_CHECKING:
    from collections.abc import Sequence

    from djq.definition.acceptance import Value
    from djq.definition.spec import TableSpec
    from djq.populate.autopopulate import AutoPopulate
    from djq.populate.failures import JobError
    from djq.populate.keys import Key
    from djq.populate.options import PopulateOptions
    from djq.sql.statements import Duplicates

Status: TypeAlias = Literal["error", "ignore", "empty", "success"]

#: A key with one of these is not tried again by itself.
BLOCKING: tuple[Status, ...] = ("error", "ignore", "empty")
#: A key with one of these was tried in vain.
FAILED: tuple[Status, ...] = ("error", "empty")

_SCHEDULED = Name("scheduled_time")
#: What was made in part: its row is there, and it is an error all the same.
_TORN = {"status": "error", "cause": "torn"}
#: DataJoint's names of what is known of a success -> the columns of its row.
_COMPLETED = {
    "reserved_time": "_job_start_time",
    "duration": "_job_duration",
    "version": "_job_version",
    "host": "_job_host",
    "worker": "_job_worker",
    "attempt": "_job_attempt",
}
_ENDED = "_job_start_time + interval cast(round(_job_duration * 1000000) as signed) microsecond"


class Jobs(Query):
    """The durable job records of one table: a query like any other, and a few verbs."""

    def __init__(self, table: AutoPopulate) -> None:
        self.table: type[AutoPopulate] = type(table)
        self.spec: TableSpec = jobs_spec(table.spec, table.job_heading)
        super().__init__(Relation(self.spec.name, self.spec.heading), table.connection)

    @property
    def errors(self) -> Self:
        """Keys whose make raised, with message, traceback, last lines of its log, fingerprint."""
        return self.failed & {"status": "error"}

    @property
    def empty(self) -> Self:
        """Keys whose make returned without inserting."""
        return self.failed & {"status": "empty"}

    @property
    def failed(self) -> Self:
        """Both; a key that was made since has no error any more, unless it was made in part."""
        return self & {"status": list(FAILED)} & [_TORN, Not(self.table().proj())]

    @property
    def torn(self) -> Self:
        """Keys whose make committed a part of its result, until `retry`."""
        return self & _TORN

    @property
    def ignored(self) -> Self:
        """Keys that somebody decided not to make."""
        return self & {"status": "ignore"}

    @property
    def redirected(self) -> Self:
        """Keys that are to be tried again on another queue than the table's."""
        is_elsewhere = Call("not", (Call("is null", (Name("queue"),)),))
        return self.over(restrict(self.failed.node, is_elsewhere))

    @property
    def pending(self) -> Query:
        """Keys to make now: computed from the tables, so it is never out of date."""
        return plan.due(self.table)

    @property
    def completed(self) -> Query:
        """Keys that are made, with when and where: of rows that djq made, their hidden columns."""
        if plan.is_coarse(self.table):
            return self & {"status": "success"}
        spec = as_present(self.connection.database, self.table.spec)
        heading = Heading((*spec.heading, *spec.hidden))
        made = Query(Relation(spec.name, heading), self.connection)
        known = {n: old for n, old in _COMPLETED.items() if old in heading}
        if "_job_start_time" in heading and "_job_duration" in heading:
            known["completed_time"] = _ENDED
        return made.proj(*self.table.spec.heading.names, **known)

    @property
    def reserved(self) -> Query:
        """Keys that are being made on the fleet or by `reserve_jobs`; none without Redis."""
        census = take_census(self.connection.settings)
        ids = census.reserved.get(self.table.spec.display_name, ())
        return plan.keys_of_ids(self.table, ids)

    def progress(self) -> dict[str, int]:
        """Count the keys by status, as DataJoint names them, and in `total`."""
        found = plan.progress(self.table)
        return {
            "pending": found.due,
            "reserved": len(self.reserved),
            "success": found.made,
            "error": found.errors,
            "empty": found.empty,
            "ignore": found.ignored,
            "total": found.total,
        }

    def refresh(self, *restrictions: Value, **_: Value) -> dict[str, int]:
        """Forget records of keys that are made or no longer wanted; return counts.

        Nothing else is ever out of date. Takes DataJoint's arguments, and needs none.
        """
        left = functools.reduce(lambda found, c: found & c, restrictions, self)
        removed = left.forget_made(self.table()) + self._delete(left - plan.key_source(self.table))
        return {"added": 0, "removed": removed, "orphaned": 0, "re_pended": 0}

    def delete(self, **_: Value) -> int:
        """Forget the records that are left of restrictions, as `retry` does; return how many."""
        return self.retry()

    def blocking(self, version: str) -> Query:
        """Keys that are not due: ignored, torn, or failed under this very version of the code.

        A failed key that is to be tried again is due when its time has come, by the clock of the
        database: those of workers differ.
        """
        failed = {"status": list(FAILED), "version": version}
        waits = either(Call("is null", (_SCHEDULED,)), Call(">", (_SCHEDULED, Call("utc now"))))
        is_ignored = read_mapping({"status": "ignore"}, self.heading)
        is_failed = both(read_mapping(failed, self.heading), waits)
        is_torn = read_mapping(_TORN, self.heading)
        return self.over(restrict(self.node, either(is_ignored, is_torn, is_failed)))

    @property
    def lasting(self) -> Query:
        """Keys that nobody makes before `retry`, even where failed keys are tried again."""
        return self & [{"status": "ignore"}, _TORN]

    def record(
        self,
        key: Mapping[str, Value],
        status: Status,
        *,
        error: JobError | None = None,
        seconds: float | None = None,
        version: str | None = None,
    ) -> None:
        """Write what became of a key, over what was there."""
        self._insert(
            key,
            status,
            error=error,
            seconds=seconds,
            version=version,
            duplicates="replace",
            # What failed since some time is asked for by this clock.
            now=self.connection.database.clock() if error else None,
        )

    def fail(
        self,
        key: Mapping[str, Value],
        error: JobError,
        *,
        options: PopulateOptions,
        seconds: float,
        version: str,
    ) -> JobError:
        """Write that a key failed, and when it is tried again; return the error with both.

        What somebody ignored meanwhile stays so.
        """
        mine = self & {name: key[name] for name in self.spec.heading.primary_key}
        database = self.connection.database

        def write() -> JobError:
            database.hold()
            found = mine.proj("status", "version", "attempt", "queue").to_dicts()
            known = next((r for r in found if r["status"] in FAILED), None)
            is_same = known is not None and known["version"] == version
            now = database.clock()
            failed, queue = planned(error, known if is_same else None, options, now)
            if found:
                self._delete(mine - {"status": "ignore"})
            status: Status = "empty" if error.cause == "empty" else "error"
            self._insert(
                key,
                status,
                error=failed,
                seconds=seconds,
                version=version,
                duplicates="refuse",
                queue=queue,
                now=now,
            )
            return failed

        try:
            return database.atomically(write)
        except DuplicateError:  # somebody ignored it, or saw it fail, at this very moment
            return error

    def _insert(
        self,
        key: Mapping[str, Value],
        status: Status,
        *,
        duplicates: Duplicates,
        error: JobError | None = None,
        seconds: float | None = None,
        version: str | None = None,
        queue: str | None = None,
        now: dt.datetime | None = None,
    ) -> None:
        """Insert a record; `now` is the database's time, None: that of this process will do."""
        now = now or dt.datetime.now(dt.UTC).replace(tzinfo=None)
        row: dict[str, Any] = {
            **{n: key[n] for n in self.spec.heading.primary_key if n in key},
            "status": status,
            "created_time": now,
            "completed_time": now,
            "duration": seconds,
            "error_message": error.message if error else None,
            "error_stack": error.traceback if error else None,
            "error_log": (error.log or None) if error else None,
            "fingerprint": error.fingerprint if error else None,
            "cause": error.cause if error else None,
            "attempt": error.attempt if error else None,
            "scheduled_time": error.retry_at if error else None,
            "queue": queue,
            "user": user_name(),
            "host": platform.node(),
            "pid": os.getpid(),
            "version": version,
        }
        encoded = RowEncoder.of(self.spec, self.connection).encode(row, 1, now)
        self.connection.database.insert(self.spec, [encoded], duplicates=duplicates)

    def ignore(self, key: Value) -> int:
        """Do not make this key until `retry`; or all keys that meet a condition. Return how many.

        A mapping is a key, and has all of its attributes. Anything else is a condition:
        `jobs.ignore("session > 7")`, `jobs.ignore(Session & "rig = 2")`. Only keys of `key_source`
        that are not made are set aside: of a key that is made or unknown it returns 0.

        Raises
        ------
        RowError
            A mapping lacks an attribute of the key.
        QueryError
            A condition has no attribute of the keys.
        """
        if isinstance(key, Mapping):
            wanted: Value = self._whole(cast("Mapping[str, Value]", key))
        else:
            wanted = materialized(key)
            check_keys(self.table, [wanted])
        keys = (plan.key_source(self.table, [wanted]) - self.table()).keys()
        for one in keys:
            self.record(one, "ignore")
        return len(keys)

    def retry(self, *restrictions: Value) -> int:
        """Forget the records that match, so that their keys are due again; return how many.

        These are errors, empty and ignored keys: records of what is done stay.

        Raises
        ------
        QueryError
            A restriction has no attribute of the records.
        """
        return self._delete((self & {"status": list(BLOCKING)}).restrict(*restrictions))

    def forget_made(self, made: Query) -> int:
        """Forget the failures of keys that are made by now; a part of a result is not made."""
        return self._delete(self & {"status": list(FAILED)} & Not(_TORN) & made.proj())

    def forget_torn(self, made: Query) -> int:
        """Forget that keys were made in part whose rows were deleted since."""
        return self._delete(self.torn - made.proj())

    def complete(self, key: Mapping[str, Value]) -> None:
        """Record, in the open transaction, that the key is made.

        Where a make inserts several rows their keys cannot tell two results apart: this record is
        the fence.

        Raises
        ------
        DuplicateError
            Somebody else made the key.
        """
        self._insert(key, "success", duplicates="refuse")

    def clear(self, keys: Sequence[Mapping[str, Value]], made: Query) -> None:
        """Make way for `complete`: forget what is known of keys that have no rows in `made`.

        A record goes only as it was seen: the one that another process writes meanwhile stays.
        """
        known = self & {"status": ["success", *FAILED]} & [dict(key) for key in keys]
        seen = (known - made.proj()).proj("created_time").to_dicts()
        if seen:
            self._delete(self & seen)

    def _whole(self, key: Mapping[str, Value]) -> Key:
        names = self.spec.heading.primary_key
        missing = [n for n in names if key.get(n) is None]
        if missing:
            message = (
                f'{self._describe()}: the key {dict(key)!r} lacks attribute "{missing[0]}". A '
                f"mapping is a whole key ({', '.join(names)}); other conditions are given as text"
            )
            raise RowError(message)
        return {n: key[n] for n in names}

    def _delete(self, which: Query) -> int:
        check_heeded(which, self._describe(), "such a restriction leaves all records")
        return self.connection.database.delete(which.node)

    def groups(self, *restrictions: Value) -> list[dict[str, Any]]:
        """Return the failures by cause, most frequent first; see `inbox.groups`."""
        return inbox.groups(self, *restrictions)

    def _describe(self) -> str:
        return f"the jobs of {self.table.spec.display_name}"


@functools.lru_cache(maxsize=1)
def user_name() -> str:
    """Return who runs this process; the number of a container's user without a name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid()) if hasattr(os, "getuid") else ""

"""Durable records of errors, ignored and empty keys; `Table.jobs`."""

from __future__ import annotations

import datetime as dt
import getpass
import os
import platform
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from djq.algebra.nodes import Relation
from djq.definition.attributes import Attribute, CodecType, CoreType
from djq.definition.heading import Heading
from djq.definition.spec import TableName, TableSpec, Tier
from djq.tables.encode import RowEncoder
from djq.tables.query import Query

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from djq.definition.acceptance import Value
    from djq.populate.failures import JobError
    from djq.sql.statements import Duplicates
    from djq.tables.connection import Connection

Status: TypeAlias = Literal["error", "ignore", "empty", "success"]

#: DataJoint's statuses, and `empty`: make returned without inserting.
STATUSES = ("pending", "reserved", "success", "error", "ignore", "empty")
#: A key with one of these is not tried again by itself.
BLOCKING: tuple[Status, ...] = ("error", "ignore", "empty")
#: A key with one of these was tried in vain.
FAILED: tuple[Status, ...] = ("error", "empty")

_TIME = CoreType("datetime", (3,))


def _optional(name: str, type_: CoreType | CodecType, comment: str) -> Attribute:
    return Attribute(name, type_, nullable=True, default=None, comment=comment)


#: The columns of DataJoint's job tables, with `attempt`, `token` and `fingerprint` added.
_RECORD = (
    Attribute("status", CoreType("enum", STATUSES), comment="what became of the key"),
    _optional("priority", CoreType("int8"), "lower is more urgent"),
    _optional("created_time", _TIME, "UTC"),
    _optional("scheduled_time", _TIME, "not before, UTC"),
    _optional("reserved_time", _TIME, "UTC"),
    _optional("completed_time", _TIME, "UTC"),
    _optional("duration", CoreType("float64"), "s"),
    _optional("error_message", CoreType("varchar", (2047,)), "type and text of the exception"),
    _optional("error_stack", CodecType("blob"), "traceback"),
    _optional("user", CoreType("varchar", (255,)), "who ran the worker"),
    _optional("host", CoreType("varchar", (255,)), "where it ran"),
    _optional("pid", CoreType("int64"), "process"),
    _optional("connection_id", CoreType("int64"), "of the database session"),
    _optional("version", CoreType("varchar", (255,)), "of the code"),
    _optional("attempt", CoreType("int32"), "how many times it was tried"),
    _optional("token", CoreType("varchar", (64,)), "of the reservation"),
    _optional("fingerprint", CoreType("varchar", (255,)), "equal for equal causes"),
)
#: Names that the key of a table with jobs cannot have.
RECORD_NAMES = frozenset(a.name for a in _RECORD)


@lru_cache(maxsize=1024)
def jobs_spec(spec: TableSpec, job_heading: Heading) -> TableSpec:
    """Return the spec of a table's job records: `~~detection` for `__detection`.

    `job_heading` has the attributes that identify a job.
    """
    base = spec.name.table.removeprefix(spec.tier.value)
    key = [replace(a, comment="", is_auto=False) for a in job_heading]
    return TableSpec(
        name=TableName(spec.name.schema, f"{Tier.JOB.value}{base}"),
        class_name=f"{spec.class_name}.jobs",
        tier=Tier.JOB,
        heading=Heading((*key, *_RECORD)),
        comment=f"jobs of {spec.name.table}",
    )


class Jobs(Query):
    """The durable job records of one table: a query like any other, and a few verbs."""

    def __init__(self, spec: TableSpec, job_heading: Heading, connection: Connection) -> None:
        self.spec: TableSpec = jobs_spec(spec, job_heading)
        self._display_name = spec.display_name
        super().__init__(Relation(self.spec.name, self.spec.heading), connection)

    @property
    def errors(self) -> Query:
        """Keys whose make raised, with message, traceback and fingerprint."""
        return self & {"status": "error"}

    @property
    def ignored(self) -> Query:
        """Keys that somebody decided not to make."""
        return self & {"status": "ignore"}

    @property
    def empty(self) -> Query:
        """Keys whose make returned without inserting."""
        return self & {"status": "empty"}

    def blocking(self, version: str) -> Query:
        """Keys that are not due: ignored, or failed under this very version of the code."""
        return self & [
            {"status": "ignore"},
            {"status": ["error", "empty"], "version": version},
        ]

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
            key, status, error=error, seconds=seconds, version=version, duplicates="replace"
        )

    def _insert(
        self,
        key: Mapping[str, Value],
        status: Status,
        *,
        duplicates: Duplicates,
        error: JobError | None = None,
        seconds: float | None = None,
        version: str | None = None,
    ) -> None:
        now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
        row: dict[str, Any] = {
            **{n: key[n] for n in self.spec.heading.primary_key if n in key},
            "status": status,
            "created_time": now,
            "completed_time": now,
            "duration": seconds,
            "error_message": error.message if error else None,
            "error_stack": error.traceback if error else None,
            "fingerprint": error.fingerprint if error else None,
            "user": _user(),
            "host": platform.node(),
            "pid": os.getpid(),
            "version": version,
        }
        encoded = RowEncoder.of(self.spec, self.connection).encode(row, 1, now)
        self.connection.database.insert(self.spec, [encoded], duplicates=duplicates)

    def ignore(self, key: Mapping[str, Value]) -> None:
        """Do not make this key until `retry`."""
        self.record(key, "ignore")

    def retry(self, *restrictions: Value) -> int:
        """Forget the records that match, so that their keys are due again; return how many."""
        return self._delete(self.restrict(*restrictions) if restrictions else self)

    def forget_made(self, made: Query) -> int:
        """Forget the failures of keys that are made by now."""
        return self._delete(self & {"status": list(FAILED)} & made.proj())

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

    def _delete(self, which: Query) -> int:
        return self.connection.database.delete(which.node)

    def groups(self) -> Sequence[dict[str, Any]]:
        """Return the errors by cause, most frequent first: fingerprint, count, message, last."""
        groups: dict[str, dict[str, Any]] = {}
        for row in self.errors.proj("fingerprint", "error_message", "completed_time"):
            name = row["fingerprint"] or ""
            group = groups.setdefault(
                name, {"fingerprint": name, "count": 0, "message": row["error_message"]}
            )
            group["count"] += 1
            group["last"] = row["completed_time"]
        return sorted(groups.values(), key=lambda g: -int(g["count"]))

    def _describe(self) -> str:
        return f"the jobs of {self._display_name}"


@lru_cache(maxsize=1)
def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return str(os.getuid()) if hasattr(os, "getuid") else ""

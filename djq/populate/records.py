"""The tables of job records: `~~detection` beside `__detection`."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from djq.definition.attributes import Attribute, CodecType, CoreType
from djq.definition.heading import Heading
from djq.definition.spec import TableName, TableSpec, Tier
from djq.populate.failures import CAUSES

#: DataJoint's statuses, and `empty`: make returned without inserting.
STATUSES = ("pending", "reserved", "success", "error", "ignore", "empty")

_TIME = CoreType("datetime", (3,))


def _optional(name: str, type_: CoreType | CodecType, comment: str) -> Attribute:
    return Attribute(name, type_, nullable=True, default=None, comment=comment)


#: The columns of DataJoint's job tables, with those from `attempt` on added.
RECORD = (
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
    _optional("cause", CoreType("enum", CAUSES), "the kind of error"),
    _optional("queue", CoreType("varchar", (64,)), "of the next try, if not the table's"),
    _optional("error_log", CodecType("blob"), "the last lines that make wrote"),
)
#: Names that the key of a table with jobs cannot have.
RECORD_NAMES = frozenset(a.name for a in RECORD)


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
        heading=Heading((*key, *RECORD)),
        comment=f"jobs of {spec.name.table}",
    )

"""Failures by their cause: what the error inbox shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from djq.tables.universal import U

if TYPE_CHECKING:
    from djq.definition.acceptance import Value
    from djq.populate.jobs import Jobs

#: What tells groups apart.
_BY = ("fingerprint", "status", "cause")


def groups(jobs: Jobs, *restrictions: Value) -> list[dict[str, Any]]:
    """Return failures by cause, most frequent first.

    The database counts them; of each group one key is read whole. A group has `table`,
    `fingerprint`, `status`, `cause`, `count`, `last` (when, UTC), and of its first key `example`
    (the key), `message`, `traceback`, `log`, `attempt` and `retry_at`.
    """
    failed = jobs.failed.restrict(*restrictions)
    counted = U(*_BY).aggr(failed.proj(*_BY, "completed_time"), n="count(*)", at=_LAST).to_dicts()
    found = [_group(jobs, failed & {n: row[n] for n in _BY}, row) for row in counted]
    return sorted((g for g in found if g), key=lambda g: (-g["count"], g["fingerprint"]))


_LAST = "max(completed_time)"


def _group(jobs: Jobs, failed: Value, row: dict[str, Any]) -> dict[str, Any]:
    first = failed.head(1)
    if not first:  # made or retried since they were counted
        return {}
    key = {name: first[0][name] for name in jobs.primary_key}
    return {
        "table": jobs.table.spec.display_name,
        "fingerprint": row["fingerprint"] or row["status"],
        "status": row["status"],
        "cause": row["cause"],
        "count": int(row["n"]),
        "message": first[0]["error_message"],
        "example": key,
        "last": row["at"],
        "traceback": first[0]["error_stack"],
        "log": first[0]["error_log"],
        "attempt": first[0]["attempt"],
        "retry_at": first[0]["scheduled_time"],
    }

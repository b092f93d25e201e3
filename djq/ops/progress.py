"""Counts of keys by table and state, as the verbs show them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from djq.ops.output import show_grid
from djq.ops.status import Status
from djq.populate import plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from djq.populate.autopopulate import AutoPopulate
    from djq.populate.plan import Progress
    from djq.populate.planning import TablePlan

COLUMNS = ("total", "made", "due", "errors", "empty", "ignored")


def count(
    tables: Iterable[type[AutoPopulate]], restrictions: Sequence[Any] = ()
) -> dict[str, Progress]:
    """Return the counts of each table by its display name, in the given order."""
    return {t.spec.display_name: plan.progress(t, restrictions) for t in tables}


def as_rows(counts: dict[str, Progress]) -> list[dict[str, Any]]:
    """Return the counts as JSON holds them."""
    return [{"table": name, **asdict(progress)} for name, progress in counts.items()]


def show(counts: dict[str, Progress]) -> None:
    """Write one line per table."""
    show_grid(
        ("table", *COLUMNS),
        [(name, *(getattr(p, column) for column in COLUMNS)) for name, p in counts.items()],
    )


def status_of(counts: Mapping[str, Progress | TablePlan]) -> Status:
    """Return how a verb ends that leaves the tables like this."""
    if any(found.errors or found.empty for found in counts.values()):
        return Status.ERRORS
    if any(found.due or getattr(found, "retrying", 0) for found in counts.values()):
        return Status.WORK_REMAINS
    return Status.DONE

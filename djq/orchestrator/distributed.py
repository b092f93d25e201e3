"""`populate(distributed=True)`: a run that one call waits for, and nobody else needs to know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from djq.errors import MakeError
from djq.orchestrator.run import Run
from djq.orchestrator.work import new_work, tables_of
from djq.populate import plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from djq.definition.acceptance import Value
    from djq.orchestrator.work import Work
    from djq.populate.autopopulate import AutoPopulate


def populate_distributed(
    *,
    tables: Sequence[type[AutoPopulate]],
    restrictions: Sequence[Value] = (),
    suppress_errors: bool = False,
    return_exception_objects: bool = False,
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
    work = new_work(tables_of(tables), restrictions, max_keys=max_calls)
    _forget_errors(work)
    known = work.failures(None)
    run = Run(work.record, work.connection, None, work)
    run.start()
    if display_progress:
        run.watch()
    else:
        run.wait()
    # All others are new, whatever the clocks of the workers say.
    errors = [error for error in work.failures(None) if error not in known]
    if errors and not suppress_errors:
        table, key, message = errors[0]
        more = f" ({len(errors)} keys failed)" if len(errors) > 1 else ""
        text = f"{table}.make({key!r}) on the fleet: {message}{more}; tracebacks are in jobs.errors"
        raise MakeError(text)
    return {
        "success_count": run.n_made,
        "error_list": [
            (key, MakeError(message) if return_exception_objects else message)
            for _, key, message in errors
        ],
    }


def _forget_errors(work: Work) -> None:
    for table in work.tables.values():
        # What was made in part has a row, and stays an error.
        due = plan.key_source(table, work.restrictions) - table()
        table().jobs.retry({"status": ["error", "empty"]}, due)

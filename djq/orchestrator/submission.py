"""Runs as the user begins and lists them: `dj.submit` and `dj.runs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from djq.errors import UsageError
from djq.orchestrator.run import Run
from djq.orchestrator.work import new_work, tables_of
from djq.populate.arguments import check_flag
from djq.populate.heeding import check_keys, listed
from djq.populate.options import PopulateOptions
from djq.populate.runs import RunStore, check_status, newest_first
from djq.tables.connection import Connection, conn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from djq.definition.acceptance import Value
    from djq.populate.autopopulate import AutoPopulate
    from djq.populate.runs import RunStatus
    from djq.tables.schema import Schema


def submit(
    *what: type[AutoPopulate] | Schema,
    restrictions: Value = (),
    options: PopulateOptions | None = None,
    continuous: bool = False,
) -> Run:
    """Have the fleet make whatever is due, level by level; return at once.

    This process finds and queues what is due, in a thread, until everything is made or failed. The
    run is stored: if the process ends before, whoever waits for the run goes on with it, or a
    scheduler of its tables. Where a scheduler runs for the tables, it queues what is due, and this
    process only looks on; unless the run has options of its own. A script that ends before its run
    does stays until the run is done; Ctrl-C leaves it.

    Parameters
    ----------
    what
        Tables, and schemas for all of their tables.
    restrictions
        A condition on the keys of every table, or several; all must hold. Those that are queries
        are not stored: then only this process can drive the run.
    options
        How the keys are made, over the options of the tables. Its priority is that of the run among
        runs.
    continuous
        Go on with whatever becomes due, until the run is cancelled.

    Raises
    ------
    RedisUnavailableError
        None is configured or it does not answer.
    ConfigError
        A table needs what no queue of `fleet.toml` has.
    UsageError
        Nothing to make was named, an option is something else, or a transaction is open.
    QueryError
        A restriction cannot be read, or says nothing of the keys of one of the tables.
    """
    _check_options(options)
    continuous = check_flag("submit", "continuous", continuous)
    conditions = listed(restrictions)
    tables = tables_of(what)
    for table in tables.values():
        check_keys(table, conditions)
    work = new_work(tables, conditions, options=options, is_continuous=continuous)
    if work.connection.in_transaction:
        message = (
            "submit cannot run inside a transaction: nobody else would see the run. "
            "Call it behind the block"
        )
        raise UsageError(message)
    schema = next(iter(tables.values())).schema
    store = RunStore(work.connection, schema.name)
    is_stored = store.add(work.record, schema)
    run = Run(work.record, work.connection, store if is_stored else None, work)
    run.start()
    return run


def runs(
    status: RunStatus | Sequence[RunStatus] | None = None, *, connection: Connection | None = None
) -> list[Run]:
    """Return the runs that are stored in the database, newest first.

    Parameters
    ----------
    status
        Only those that are `"running"`, `"cancelling"`, `"done"`, `"cancelled"` or `"failed"`, or
        one of several of these.
    connection
        The database; None: the default connection.

    Raises
    ------
    UsageError
        There is no such status.
    """
    wanted = check_status(status)
    place = connection or conn()
    stores = RunStore.everywhere(place)
    found = {record.id: (store, record) for store in stores for record in store.all(wanted)}
    records = newest_first(record for _, record in found.values())
    return [Run(record, place, found[record.id][0]) for record in records]


def _check_options(options: object) -> None:
    if options is not None and not isinstance(options, PopulateOptions):
        message = f"submit(options={options!r}): write options=dj.PopulateOptions(priority=5)"
        raise UsageError(message)

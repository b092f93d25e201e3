"""One key in one transaction, and a chunk of keys one after the other."""

from __future__ import annotations

import datetime as dt
import os
import platform
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from djq.definition.acceptance import Value
from djq.errors import (
    DuplicateError,
    LeaseLostError,
    NothingInsertedError,
    StoreUnavailableError,
    TransientDatabaseError,
)
from djq.populate import plan
from djq.populate.failures import JobError
from djq.populate.version import code_version
from djq.tables.insert import show_key
from djq.tables.making import Making, making

if TYPE_CHECKING:
    from djq.populate.autopopulate import AutoPopulate
    from djq.populate.keys import Key

Status: TypeAlias = Literal["made", "exists", "failed", "empty", "lost", "returned"]
Holds: TypeAlias = Callable[[Mapping[str, Value]], bool]

#: How often a key is tried when the database or the store stumbles.
MAX_TRIES = 5
#: Wait before the second try; doubled for each further one, with jitter [s].
BACKOFF_S = 0.1

TRANSIENT = (TransientDatabaseError, StoreUnavailableError)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one key.

    `made` committed; `exists` was there already; `failed` and `empty` are recorded in the jobs;
    `lost` belongs to somebody else by now; `returned` was not touched.
    """

    key: Key
    status: Status
    seconds: float = 0.0
    error: JobError | None = None


def _always(_: Mapping[str, Value]) -> bool:
    return True


def _never() -> bool:
    return False


def make_chunk(
    table: type[AutoPopulate],
    keys: Sequence[Mapping[str, Value]],
    *,
    holds: Holds = _always,
    should_stop: Callable[[], bool] = _never,
    worker: str = "",
) -> Iterator[Outcome]:
    """Make keys one after the other, each in a transaction of its own.

    Parameters
    ----------
    keys
        Which of them are made already is asked once, for all.
    holds
        Asked right before each COMMIT: is this key still ours? If not, it is rolled back.
    should_stop
        Asked between keys: if true, the remaining keys come out as `returned`.
    worker
        Name of the worker, for the rows' provenance.
    """
    names = table.job_heading.primary_key
    made = {tuple(k[n] for n in names) for k in plan.made_keys(table, keys)}
    missing = [k for k in keys if tuple(k[n] for n in names) not in made]
    if missing and plan.is_coarse(table):
        table().jobs.clear(missing, table())
    for given in keys:
        key = dict(given)
        if should_stop():
            yield Outcome(key, "returned")
        elif tuple(key[n] for n in names) in made:
            yield Outcome(key, "exists")
        else:
            yield make_key(table, key, holds=holds, worker=worker)


def make_key(
    table: type[AutoPopulate], key: Key, *, holds: Holds = _always, worker: str = ""
) -> Outcome:
    """Make one key: everything that its `make` inserts is committed together, or nothing.

    The table's primary key is the fence: whoever commits first wins, and the other's work is
    dropped. Only `KeyboardInterrupt` and `SystemExit` come out as exceptions; they leave no trace.
    """
    started = time.monotonic()
    tries = 0
    while True:
        tries += 1
        try:
            _commit(table, key, holds, worker)
            return Outcome(key, "made", time.monotonic() - started)
        except LeaseLostError:
            return Outcome(key, "lost", time.monotonic() - started)
        except TRANSIENT as error:
            if tries >= MAX_TRIES:
                return _fail(table, key, error, started)
            # Jitter keeps workers that collided from colliding again.
            time.sleep(BACKOFF_S * 2 ** (tries - 1) * random.uniform(0.5, 1.5))  # noqa: S311
        except Exception as error:  # noqa: BLE001 - what the user's code raises belongs to its key
            if plan.made_keys(table, [key]):  # by somebody else, which may be why it was raised
                return Outcome(key, "exists", time.monotonic() - started)
            return _fail(table, key, error, started)


def _commit(table: type[AutoPopulate], key: Key, holds: Holds, worker: str) -> None:
    instance = table()
    names = table.job_heading.primary_key
    call = Making(
        table.spec.name,
        names,
        frozenset([tuple(key[n] for n in names)]),
        _provenance(table, worker),
        is_whole=not plan.is_coarse(table),
    )
    with instance.connection.transaction, making(call):
        instance.make(dict(key))
        if not call.is_done:
            _check_made(table, key, is_ours=bool(call.inserted))
        if plan.is_coarse(table):
            instance.jobs.complete(key)
        if not holds(key):
            message = f"{table.spec.display_name} {show_key(key)}: the reservation moved on"
            raise LeaseLostError(message)


def _check_made(table: type[AutoPopulate], key: Key, *, is_ours: bool) -> None:
    """Ask whether the row is there though no insert told so: parts alone may have been inserted.

    Raises
    ------
    NothingInsertedError
        It is not there.
    DuplicateError
        It is not of this transaction.
    """
    if not plan.made_keys(table, [key]):
        message = (
            f"{table.spec.display_name}.make inserted nothing for {show_key(key)}: "
            "call self.insert1({**key, ...}) in it, or leave such keys out of key_source"
        )
        raise NothingInsertedError(message)
    if is_ours or plan.is_coarse(table):  # then its record tells two results apart
        return
    if table().connection.database.is_committed((table() & key).node):
        message = f"{table.spec.display_name} {show_key(key)}: somebody else made it meanwhile"
        raise DuplicateError(message)


def _provenance(table: type[AutoPopulate], worker: str) -> dict[str, Value]:
    return {
        "_job_start_time": dt.datetime.now(dt.UTC).replace(tzinfo=None),
        "_job_version": code_version(table),
        "_job_host": platform.node(),
        "_job_worker": worker or f"pid {os.getpid()}",
    }


def _fail(table: type[AutoPopulate], key: Key, exception: Exception, started: float) -> Outcome:
    """Record the failure, outside of the transaction that was rolled back."""
    seconds = time.monotonic() - started
    error = JobError.of(exception)
    status: Literal["empty", "failed"] = (
        "empty" if isinstance(exception, NothingInsertedError) else "failed"
    )
    table().jobs.record(
        key,
        "empty" if status == "empty" else "error",
        error=error,
        seconds=seconds,
        version=code_version(table),
    )
    return Outcome(key, status, seconds, error)

"""One key in one transaction: tried again where that helps, and recorded where it failed."""

from __future__ import annotations

import logging
import os
import platform
import random
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from djq.definition.acceptance import Value
from djq.errors import (
    DjqError,
    DuplicateError,
    InputsChangedError,
    LeaseLostError,
    NothingInsertedError,
    StoreUnavailableError,
    TransactionEndedError,
    TransientDatabaseError,
)
from djq.populate import alarm, memory, plan, tails
from djq.populate.ends import USERS, Host
from djq.populate.failures import JobError
from djq.populate.git import commit_of
from djq.populate.overruns import shown
from djq.populate.version import code_version
from djq.tables.accepting import utc_now
from djq.tables.insert import show_key
from djq.tables.making import Making, making, values_of

if TYPE_CHECKING:
    from djq.populate.autopopulate import AutoPopulate
    from djq.populate.keys import Key
    from djq.populate.options import PopulateOptions
    from djq.populate.overruns import Overrun
    from djq.tables.making import KeyValues

logger = logging.getLogger("djq.make")

Status: TypeAlias = Literal["made", "exists", "failed", "empty", "lost", "returned"]
Holds: TypeAlias = Callable[[Mapping[str, Value]], bool]

#: How often a key is tried when the database or the store stumbles, or its inputs change.
MAX_TRIES = 5
#: Wait before the second try; doubled for each further one, with jitter [s].
BACKOFF_S = 0.1

TRANSIENT = (TransientDatabaseError, StoreUnavailableError, InputsChangedError)


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


def always(_: Mapping[str, Value]) -> bool:
    """Say that a key is ours, where nobody else asks for it."""
    return True


@dataclass(frozen=True, slots=True)
class Assignment:
    """What all keys of a chunk have in common: their table, and who makes them how."""

    table: type[AutoPopulate]
    #: Asked right before each COMMIT: is this key still ours? If not, it is rolled back.
    holds: Holds = always
    #: Further arguments for each call of make.
    kwargs: Mapping[str, Value] = field(default_factory=dict[str, Value])
    #: Name of the worker, for the rows' provenance; empty: made beside no others, by this process.
    worker: str = ""
    #: Of the run, over those of the class; None: those of the class.
    options: PopulateOptions | None = None
    #: The process.
    host: Host = USERS
    #: Whether rows of several keys are one job.
    is_coarse: bool = field(init=False)
    #: Reads the values that tell a job of the table from its others.
    values: Callable[[Mapping[str, Value]], KeyValues] = field(init=False)
    _provenance: Mapping[str, Value] = field(init=False)
    #: After so long a make is interrupted [s].
    _soft_s: float | None = field(init=False)

    def __post_init__(self) -> None:
        """Ask once what is the same for every key."""
        options = self.options or self.table.populate_options
        soft_s = alarm.soft_limit_s(options, is_killable=self.host.is_killable)
        object.__setattr__(self, "_soft_s", soft_s)
        if soft_s is not None and not alarm.is_possible():
            alarm.say_impossible(self.table.spec.display_name)
        object.__setattr__(self, "is_coarse", plan.is_coarse(self.table))
        object.__setattr__(self, "values", values_of(self.table.job_heading.primary_key))
        provenance = {
            "_job_version": code_version(self.table),
            "_job_commit": commit_of(self.table),
            "_job_host": platform.node(),
            "_job_worker": self.worker or f"pid {os.getpid()}",
        }
        object.__setattr__(self, "_provenance", provenance)

    def limited(self, keys: Sequence[Key], started: float) -> AbstractContextManager[None]:
        """Return a block that raises `TimeLimitError` once these keys took too long."""
        if self._soft_s is None:
            return nullcontext()
        limit_s = self._soft_s * len(keys)
        what = show_key(keys[0]) if len(keys) == 1 else f"{len(keys)} keys"

        def explain() -> str:
            name = f"{self.table.spec.display_name}.{self.table.maker.name}"
            return (
                f"{name} takes longer than {limit_s:g} s for {what}: make it quicker, or raise "
                "soft_time_limit_s (or time_limit_s) of its populate_options"
            )

        return alarm.until(started + limit_s, explain)

    def making(self, keys: Sequence[Key], attempt: int, *, may_insert: bool = True) -> Making:
        """Return a new call of make."""
        return Making(
            self.table.spec.name,
            self.table.job_heading.primary_key,
            self.values,
            frozenset(map(self.values, keys)),
            {**self._provenance, "_job_start_time": utc_now(), "_job_attempt": attempt},
            is_whole=not self.is_coarse,
            may_insert=may_insert,
            is_announced=bool(self.worker),  # by its release
            measure=memory.peak_bytes,
        )


class Patience:
    """How often something was tried, and whether it is worth another time."""

    def __init__(self) -> None:
        self.tries = 0

    def try_again(self) -> bool:
        """Wait a little and say yes, or say no."""
        if self.tries >= MAX_TRIES:
            return False
        # Jitter keeps workers that collided from colliding again.
        time.sleep(BACKOFF_S * 2 ** (self.tries - 1) * random.uniform(0.5, 1.5))  # noqa: S311
        return True


def make_key(assignment: Assignment, key: Key) -> Outcome:
    """Make one key: everything that its `make` inserts is committed together, or nothing.

    The table's primary key is the fence: whoever commits first wins, and the other's work is
    dropped. Only what ends this process comes out as an exception; it leaves no trace.
    """
    table = assignment.table
    started = time.monotonic()
    memory.begin()
    tails.begin()
    instance = table()
    work = table.maker.work(instance, key, assignment.kwargs)
    patience = Patience()
    while True:
        patience.tries += 1
        try:
            if work.needs_preparing:
                call = assignment.making([key], patience.tries, may_insert=False)
                with making(call), assignment.limited([key], started):
                    work.prepare()
            call = assignment.making([key], patience.tries)
            call.started = started
            with telling_torn(assignment, [key]), instance.connection.transaction, making(call):
                # Not around the rest: a COMMIT that is interrupted is neither done nor undone.
                with assignment.limited([key], started):
                    work.insert()
                _check(assignment, key, call)
            return Outcome(key, "made", time.monotonic() - started)
        except LeaseLostError:
            return Outcome(key, "lost", time.monotonic() - started)
        except BaseException as error:
            if isinstance(error, assignment.host.ends):
                raise
            # What the user's code raises belongs to its key.
            if isinstance(error, TRANSIENT) and patience.try_again():
                continue
            return fail(assignment, key, error, started)
        finally:
            memory.end(time.monotonic() - started)


@contextmanager
def telling_torn(assignment: Assignment, keys: Sequence[Key]) -> Generator[None]:
    """Let a make that ended its transaction fail for that, though it raised what is no error.

    What ends this process goes on: then the keys are recorded here, since half a result may be
    committed, and would count as made.

    Raises
    ------
    TransactionEndedError
        The block left by a `SystemExit` or the like, and that does not end this process.
    """
    started = time.monotonic()
    try:
        yield
    except Exception:
        raise
    except BaseException as error:
        ended_by = error.__cause__
        if not isinstance(ended_by, TransactionEndedError):
            raise
        if not isinstance(error, assignment.host.ends):
            raise ended_by from error
        for key in keys:
            fail(assignment, key, ended_by, started)
        raise


def _check(assignment: Assignment, key: Key, call: Making) -> None:
    """Let the transaction go only if it made this key, and the key is still ours."""
    table = assignment.table
    if not call.is_done:
        check_made(assignment, key, is_ours=bool(call.inserted))
    if assignment.is_coarse:
        table().jobs.complete(key)
    if not assignment.holds(key):
        message = f"{table.spec.display_name} {show_key(key)}: the reservation moved on"
        raise LeaseLostError(message)


def check_made(assignment: Assignment, key: Key, *, is_ours: bool) -> None:
    """Ask whether the row is there though no insert told so: parts alone may have been inserted.

    Raises
    ------
    NothingInsertedError
        It is not there.
    DuplicateError
        It is not of this transaction.
    """
    table = assignment.table
    if not plan.made_keys(table, [key]):
        raise nothing_inserted(table, key)
    if is_ours or assignment.is_coarse:  # then its record tells two results apart
        return
    if table().connection.database.is_committed((table() & key).node):
        message = f"{table.spec.display_name} {show_key(key)}: somebody else made it meanwhile"
        raise DuplicateError(message)


def nothing_inserted(table: type[AutoPopulate], key: Key) -> NothingInsertedError:
    """Return the error of a make that left its key without a row."""
    name = table.maker.name
    message = (
        f"{table.spec.display_name}.{name} inserted nothing for {show_key(key)}: "
        "call self.insert1({**key, ...}) in it, or leave such keys out of key_source"
    )
    return NothingInsertedError(message)


def blame(assignment: Assignment, key: Key, overrun: Overrun) -> Outcome:
    """Record the failure of a key whose process was killed for what it took."""
    error = overrun.error(f"{assignment.table.spec.display_name} {show_key(key)}")
    return fail(assignment, key, error, time.monotonic() - overrun.seconds)


def torn(error: JobError, table: type[AutoPopulate]) -> JobError:
    """Return the error of a make that committed a part of its result, with what to do."""
    name = table.spec.class_name
    advice = (
        "Its row is there, perhaps without what belongs to it: delete it and call "
        f"{name}.jobs.retry(key) to have it made anew, or retry alone to keep it as it is"
    )
    exception = error.exception
    if exception is not None and advice not in getattr(exception, "__notes__", ()):
        exception.add_note(advice)  # where it is raised
    # Not cut off: the statement that the message names is shortened.
    return replace(error, message=f"{error.message}. {advice}", cause="torn")


def fail(assignment: Assignment, key: Key, exception: BaseException, started: float) -> Outcome:
    """Record the failure, outside of the transaction that was rolled back.

    Where that fails, too, the key is lost to this process, and due as before.
    """
    table = assignment.table
    seconds = time.monotonic() - started
    error = JobError.of(exception, tails.text())
    if isinstance(exception, MemoryError) and (peak := memory.peak_bytes()) is not None:
        error = replace(error, message=f"{error.message} (its process held {shown(peak)} at most)")
    try:
        if plan.made_keys(table, [key]):
            if not isinstance(exception, TransactionEndedError):
                # By somebody else, which may be why it was raised.
                return Outcome(key, "exists", seconds)
            error = torn(error, table)
        recorded = table().jobs.fail(
            key,
            error,
            options=assignment.options or table.populate_options,
            seconds=seconds,
            version=code_version(table),
        )
    except DjqError as failure:
        logger.error(  # noqa: TRY400 - the error that matters is the other one
            "record_failed: %s %s: %s; %s", table.spec.display_name, key, error.message, failure
        )
        return Outcome(key, "lost", seconds, error)
    return Outcome(key, "empty" if error.cause == "empty" else "failed", seconds, recorded)

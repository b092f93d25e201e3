"""A chunk of keys: which of them are made already, and the others one by one or all at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeAlias

from djq.errors import DuplicateError, LeaseLostError, NothingInsertedError, TransactionEndedError
from djq.populate import memory, plan, tails
from djq.populate.ends import USERS
from djq.populate.make import (
    TRANSIENT,
    Assignment,
    Holds,
    Outcome,
    Patience,
    always,
    fail,
    make_key,
    nothing_inserted,
    telling_torn,
)
from djq.tables.making import making

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from djq.definition.acceptance import Value
    from djq.populate.autopopulate import AutoPopulate
    from djq.populate.ends import Host
    from djq.populate.keys import Key
    from djq.populate.options import PopulateOptions

Stop: TypeAlias = "Callable[[], bool]"

#: Keys that one call of make_many gets at most.
MANY_KEYS = 2_000


def _never() -> bool:
    return False


def make_chunk(
    table: type[AutoPopulate],
    keys: Sequence[Mapping[str, Value]],
    *,
    holds: Holds = always,
    should_stop: Stop = _never,
    worker: str = "",
    make_kwargs: Mapping[str, Value] | None = None,
    options: PopulateOptions | None = None,
    host: Host = USERS,
) -> Iterator[Outcome]:
    """Make keys one after the other, each in a transaction of its own; or all in one.

    Parameters
    ----------
    keys
        Which of them are made already is asked once, for all.
    holds
        Asked right before each COMMIT: is this key still ours? If not, it is rolled back.
    should_stop
        Asked between transactions: if true, the remaining keys come out as `returned`.
    worker
        Name of the worker, for the rows' provenance.
    make_kwargs
        Further arguments for each call of make.
    options
        How they are made; None: as the class says.
    host
        The process: whether another one kills it when a key takes longer than its hard limit,
        which otherwise is a soft one; and what ends it, and is no error of a key.
    """
    assignment = Assignment(table, holds, dict(make_kwargs or {}), worker, options, host)
    with tails.listening():
        yield from _make_all(assignment, keys, should_stop)


def _make_all(
    assignment: Assignment, keys: Sequence[Mapping[str, Value]], should_stop: Stop
) -> Iterator[Outcome]:
    table, values = assignment.table, assignment.values
    made = {values(k) for k in plan.made_keys(table, keys)}
    missing = [dict(k) for k in keys if values(k) not in made]
    if missing and assignment.is_coarse:
        table().jobs.clear(missing, table())
    if table.maker.has_many:
        yield from (Outcome(dict(k), "exists") for k in keys if values(k) in made)
        for start in range(0, len(missing), MANY_KEYS):
            yield from _make_many(assignment, missing[start : start + MANY_KEYS], should_stop)
        return
    for given in keys:
        key = dict(given)
        if should_stop():
            yield Outcome(key, "returned")
        elif values(key) in made:
            yield Outcome(key, "exists")
        else:
            yield make_key(assignment, key)


def _make_many(assignment: Assignment, keys: Sequence[Key], should_stop: Stop) -> Iterator[Outcome]:
    """Make many keys in one transaction; where that fails, in smaller ones down to single keys."""
    waiting = [list(keys)]
    while waiting:
        group = waiting.pop()
        if should_stop():
            yield from (Outcome(key, "returned") for key in group)
            continue
        started = time.monotonic()
        outcomes: list[Outcome] = []
        try:
            outcomes = _commit_insistently(assignment, group)
        except (NothingInsertedError, TransactionEndedError) as error:
            yield from (fail(assignment, key, error, started) for key in group)
        except LeaseLostError:
            held = [assignment.holds(key) for key in group]
            outcomes = [
                Outcome(key, "returned" if is_held else "lost")
                for key, is_held in zip(group, held, strict=True)
            ]
        except BaseException as error:
            if isinstance(error, assignment.host.ends):
                raise
            # What the user's code raises belongs to its keys.
            made = _values_made(assignment, group)
            yield from (Outcome(k, "exists") for k in group if assignment.values(k) in made)
            rest = [k for k in group if assignment.values(k) not in made]
            if made and rest:  # by somebody else, which may be why it was raised
                waiting.append(rest)
            elif len(rest) == 1 and assignment.table.maker.form is None:
                yield fail(assignment, rest[0], error, started)
            elif assignment.table.maker.form is not None:
                yield from _one_by_one(assignment, rest, should_stop)
            else:
                half = len(rest) // 2
                waiting += [part for part in (rest[half:], rest[:half]) if part]
        yield from outcomes


def _one_by_one(
    assignment: Assignment, keys: Sequence[Key], should_stop: Stop
) -> Iterator[Outcome]:
    for key in keys:
        yield Outcome(key, "returned") if should_stop() else make_key(assignment, key)


def _values_made(assignment: Assignment, keys: Sequence[Key]) -> set[tuple[Value, ...]]:
    return {assignment.values(k) for k in plan.made_keys(assignment.table, keys)}


def _commit_insistently(assignment: Assignment, keys: Sequence[Key]) -> list[Outcome]:
    patience = Patience()
    while True:
        patience.tries += 1
        try:
            return _commit(assignment, keys, patience.tries)
        except TRANSIENT:
            if not patience.try_again():
                raise


def _commit(assignment: Assignment, keys: Sequence[Key], attempt: int) -> list[Outcome]:
    """Call make_many once, and commit the keys that it made; the others are empty."""
    table = assignment.table
    instance = table()
    memory.begin()
    tails.begin()
    call = assignment.making(keys, attempt)
    work = table.maker.work_on_many(instance, keys, assignment.kwargs)
    with telling_torn(assignment, keys), instance.connection.transaction, making(call):
        with assignment.limited(keys, call.started):
            work.insert()
        made = call.inserted
        if not call.is_done:
            made = _made_here(assignment, keys, call.inserted)
        if assignment.is_coarse:
            for key in keys:
                if assignment.values(key) in made:
                    instance.jobs.complete(key)
        if not all(assignment.holds(key) for key in keys):
            message = f"{table.spec.display_name}: the reservation of {len(keys)} keys moved on"
            raise LeaseLostError(message)
    seconds = (time.monotonic() - call.started) / len(keys)
    memory.end(seconds * len(keys))
    return [
        Outcome(key, "made", seconds)
        if assignment.values(key) in made
        else fail(assignment, key, nothing_inserted(table, key), call.started)
        for key in keys
    ]


def _made_here(
    assignment: Assignment, keys: Sequence[Key], inserted: set[tuple[Value, ...]]
) -> set[tuple[Value, ...]]:
    """Return which keys have a row of this transaction, as the database sees it.

    Raises
    ------
    NothingInsertedError
        None has one.
    DuplicateError
        Somebody else committed one that this transaction added parts to.
    """
    table = assignment.table
    made = _values_made(assignment, keys)
    others = [k for k in keys if assignment.values(k) in made - inserted]
    if others and not assignment.is_coarse:
        rows = table() & [dict(k) for k in others]
        if table().connection.database.is_committed(rows.node):
            message = f"{table.spec.display_name}: somebody else made some of the keys meanwhile"
            raise DuplicateError(message)
    if not made:  # what it inserted elsewhere is rolled back, too
        raise nothing_inserted(table, keys[0])
    return made

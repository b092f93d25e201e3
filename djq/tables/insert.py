"""Validate, encode, store objects, insert rows."""

from __future__ import annotations

import datetime as dt
from itertools import islice
from typing import TYPE_CHECKING

from djq.algebra.expressions import Call, Literal, Name
from djq.algebra.nodes import Projection, Relation, Restriction
from djq.definition.spec import AUTO_TIERS, ForeignKey, TableSpec
from djq.errors import BrokenReferenceError, DuplicateError, UsageError
from djq.sql.dialects import ROWS_PER_INSERT
from djq.tables.making import Making, current

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from djq.definition.acceptance import Value
    from djq.tables.connection import Connection
    from djq.tables.encode import RowEncoder

#: Keys that an error message looks up to say which row was wrong.
EXPLAINED_ROWS = 1_000


def insert_rows(
    encoder: RowEncoder,
    connection: Connection,
    rows: Iterable[Value],
    *,
    skip_duplicates: bool = False,
    ignore_extra_fields: bool = False,
) -> int:
    """Insert rows in a transaction of their own, or in the one that is open; return how many.

    Objects go into their stores before the rows that refer to them are sent. Every row is checked
    before any of its chunk is sent, so that a wrong row changes nothing.
    """
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    call = current()
    hidden = _hidden_values(encoder.spec, call)
    encoded = (
        {**encoder.encode(row, i, now, ignore_extra_fields=ignore_extra_fields), **hidden}
        for i, row in enumerate(rows, 1)
    )
    first = list(islice(encoded, ROWS_PER_INSERT))
    if len(first) < ROWS_PER_INSERT:
        n_rows = _send(encoder.spec, connection, first, skip_duplicates=skip_duplicates)
    elif connection.in_transaction:
        n_rows = _send_all(encoder.spec, connection, first, encoded, skip_duplicates)
    else:
        with connection.transaction:
            n_rows = _send_all(encoder.spec, connection, first, encoded, skip_duplicates)
    if call is not None and call.table in (encoder.spec.name, encoder.spec.master):
        call.n_inserted += n_rows
    return n_rows


def _send_all(
    spec: TableSpec,
    connection: Connection,
    first: list[dict[str, Value]],
    rest: Iterator[dict[str, Value]],
    skip_duplicates: bool,
) -> int:
    n_rows = 0
    chunk = first
    while chunk:
        n_rows += _send(spec, connection, chunk, skip_duplicates=skip_duplicates)
        chunk = list(islice(rest, ROWS_PER_INSERT))
    return n_rows


def _hidden_values(spec: TableSpec, call: Making | None) -> dict[str, Value]:
    """Return the provenance that every row of this insert carries, in the INSERT itself."""
    if not spec.hidden:
        return {}
    values = call.hidden_values() if call is not None and call.table == spec.name else {}
    return {a.name: values.get(a.name) for a in spec.hidden}


def check_direct_insert(spec: TableSpec, *, allowed: bool) -> None:
    """Refuse rows for a computed table that do not come from its `make`."""
    owner = spec.master or spec.name
    is_auto = spec.tier in AUTO_TIERS
    call = current()
    if not is_auto or allowed or (call is not None and call.table == owner):
        return
    message = (
        f"{spec.display_name} is filled by make: call populate(), or insert with "
        "allow_direct_insert=True if you must"
    )
    raise UsageError(message)


def _send(
    spec: TableSpec,
    connection: Connection,
    rows: list[dict[str, Value]],
    *,
    skip_duplicates: bool,
) -> int:
    if not rows:
        return 0
    try:
        connection.database.insert(spec, rows, duplicates="skip" if skip_duplicates else "refuse")
    except DuplicateError as error:
        raise DuplicateError(_explain_duplicate(spec, connection, rows, error)) from error
    except BrokenReferenceError as error:
        raise BrokenReferenceError(_explain_reference(spec, connection, rows, error)) from error
    return len(rows)


def _explain_duplicate(
    spec: TableSpec, connection: Connection, rows: list[dict[str, Value]], error: Exception
) -> str:
    key = spec.heading.primary_key
    keys = [tuple(row[n] for n in key) for row in rows[:EXPLAINED_ROWS]]
    repeated = next((k for i, k in enumerate(keys) if k in keys[:i]), None)
    if repeated is not None:
        shown, where = dict(zip(key, repeated, strict=True)), "twice among the rows to insert"
    else:
        taken = _present(connection, Relation(spec.name, spec.heading), key, keys)
        found = next((k for k in keys if k in taken), None)
        if found is None:
            return f"{spec.display_name}: a unique index has these values already ({error})"
        shown, where = dict(zip(key, found, strict=True)), "in the table already"
    return (
        f"{spec.display_name}: the key {show_key(shown)} is {where}. "
        "skip_duplicates=True keeps the rows that are there"
    )


def _explain_reference(
    spec: TableSpec, connection: Connection, rows: list[dict[str, Value]], error: Exception
) -> str:
    for key in spec.foreign_keys:
        missing = _missing_parent(key, spec, connection, rows[:EXPLAINED_ROWS])
        if missing is not None:
            return (
                f"{spec.display_name}: {show_key(missing)} is not in {key.parent}, "
                "which it refers to. Insert it there first"
            )
    return f"{spec.display_name}: {error}"


def _missing_parent(
    key: ForeignKey, spec: TableSpec, connection: Connection, rows: list[dict[str, Value]]
) -> dict[str, Value] | None:
    mine = [m for m, _ in key.columns]
    theirs = tuple(t for _, t in key.columns)
    wanted = [tuple(row[m] for m in mine) for row in rows]
    wanted = [w for w in wanted if None not in w]
    heading = spec.heading.project({t: m for m, t in key.columns})
    present = _present(connection, Relation(key.parent, heading), theirs, wanted)
    for values in wanted:
        if values not in present:
            return dict(zip(theirs, values, strict=True))
    return None


def _present(
    connection: Connection,
    relation: Relation,
    names: tuple[str, ...],
    wanted: list[tuple[Value, ...]],
) -> set[tuple[Value, ...]]:
    """Return which of the wanted values are in a table, by one query."""
    if not wanted:
        return set()
    left = Call("tuple", tuple(Name(n) for n in names))
    options = [Call("tuple", tuple(Literal(v) for v in values)) for values in wanted]
    columns = tuple((n, Name(n)) for n in names)
    heading = relation.heading.project({n: n for n in names})
    node = Projection(Restriction(relation, Call("in", (left, *options))), columns, heading)
    return set(connection.database.fetch(node))


def show_key(key: dict[str, Value]) -> str:
    """Return a key as people read it: `subject=12 session=3`."""
    return " ".join(f"{name}={value}" for name, value in key.items())

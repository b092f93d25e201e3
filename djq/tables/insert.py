"""Validate, encode, store objects, insert rows."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import islice
from typing import TYPE_CHECKING

from djq.algebra.expressions import Call, Literal, Name
from djq.algebra.nodes import Projection, Relation, Restriction
from djq.definition.spec import AUTO_TIERS, ForeignKey, TableSpec
from djq.errors import BrokenReferenceError, DuplicateError, RowError, UsageError
from djq.sql.dialects import ROWS_PER_INSERT
from djq.tables.making import Making, current

if TYPE_CHECKING:
    from djq.definition.acceptance import Value
    from djq.sql.statements import Duplicates
    from djq.tables.connection import Connection
    from djq.tables.encode import RowEncoder

#: Keys that one query of an error message looks up, to say which row was wrong.
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
    if isinstance(rows, Mapping | str) or not hasattr(rows, "__iter__"):
        message = (
            f"{encoder.spec.display_name}: insert takes many rows, not {rows!r}; "
            "insert1 takes one row"
        )
        raise RowError(message)
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    call = current()
    hidden = _hidden_values(encoder.spec, call)
    encoded: Iterator[dict[str, Value]] = (
        {**encoder.encode(row, i, now, ignore_extra_fields=ignore_extra_fields), **hidden}
        for i, row in enumerate(rows, 1)
    )
    if call is not None and call.table == encoder.spec.name:
        encoded = _noted(encoded, call)
    return _send(encoder.spec, connection, encoded, "skip" if skip_duplicates else "refuse")


def _noted(rows: Iterator[dict[str, Value]], call: Making) -> Iterator[dict[str, Value]]:
    for row in rows:
        call.note(row)
        yield row


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
    spec: TableSpec, connection: Connection, rows: Iterator[dict[str, Value]], mode: Duplicates
) -> int:
    """Send rows chunk by chunk, all or none of them; return how many."""
    n_rows = 0
    chunk = list(islice(rows, ROWS_PER_INSERT))
    is_one = len(chunk) < ROWS_PER_INSERT or connection.in_transaction
    try:
        # The error is explained behind the transaction: inside, the rows before look taken.
        with nullcontext() if is_one else connection.transaction:
            while chunk:
                connection.database.insert(spec, chunk, duplicates=mode)
                n_rows += len(chunk)
                chunk = list(islice(rows, ROWS_PER_INSERT))
    except DuplicateError as error:
        raise DuplicateError(_explain_duplicate(spec, connection, chunk, error)) from error
    except BrokenReferenceError as error:
        raise BrokenReferenceError(_explain_reference(spec, connection, chunk, error)) from error
    return n_rows


def _explain_duplicate(
    spec: TableSpec, connection: Connection, rows: list[dict[str, Value]], error: Exception
) -> str:
    names = spec.heading.primary_key
    keys = [tuple(row[n] for n in names) for row in rows]
    repeated = next((k for k, n in Counter(keys).items() if n > 1), None)
    taken = next(_present(connection, Relation(spec.name, spec.heading), names, keys), None)
    if taken is not None:
        what = f"the key {_shown(names, taken)} is in the table already"
    elif repeated is not None:
        what = f"the key {_shown(names, repeated)} is twice among the rows to insert"
    elif any(i.is_unique for i in spec.indexes):
        return f"{spec.display_name}: a unique index has these values already ({error})"
    else:
        what = f"a key is twice among the rows to insert ({error})"
    return f"{spec.display_name}: {what}. skip_duplicates=True keeps the rows that are there"


def _explain_reference(
    spec: TableSpec, connection: Connection, rows: list[dict[str, Value]], error: Exception
) -> str:
    for key in spec.foreign_keys:
        missing = _missing_parent(key, spec, connection, rows)
        if missing is not None:
            return (
                f"{spec.display_name}: {missing} is not in {key.parent}, "
                "which it refers to. Insert it there first"
            )
    return f"{spec.display_name}: {error}"


def _missing_parent(
    key: ForeignKey, spec: TableSpec, connection: Connection, rows: list[dict[str, Value]]
) -> str | None:
    mine = [m for m, _ in key.columns]
    theirs = tuple(t for _, t in key.columns)
    referred = dict.fromkeys(tuple(row[m] for m in mine) for row in rows)
    wanted = [values for values in referred if None not in values]
    heading = spec.heading.project({t: m for m, t in key.columns})
    present = set(_present(connection, Relation(key.parent, heading), theirs, wanted))
    missing = next((values for values in wanted if values not in present), None)
    return None if missing is None else _shown(theirs, missing)


def _present(
    connection: Connection,
    relation: Relation,
    names: tuple[str, ...],
    wanted: Sequence[tuple[Value, ...]],
) -> Iterator[tuple[Value, ...]]:
    """Iterate over those of the wanted values that are in a table."""
    left = Call("tuple", tuple(Name(n) for n in names))
    columns = tuple((n, Name(n)) for n in names)
    heading = relation.heading.project({n: n for n in names})
    for start in range(0, len(wanted), EXPLAINED_ROWS):
        options = [
            Call("tuple", tuple(Literal(v) for v in values))
            for values in wanted[start : start + EXPLAINED_ROWS]
        ]
        restriction = Restriction(relation, Call("in", (left, *options)))
        yield from connection.database.fetch(Projection(restriction, columns, heading))


def _shown(names: Sequence[str], values: Sequence[Value]) -> str:
    return show_key(dict(zip(names, values, strict=True)))


def show_key(key: dict[str, Value]) -> str:
    """Return a key as people read it: `subject=12 session=3`."""
    return " ".join(f"{name}={value}" for name, value in key.items())

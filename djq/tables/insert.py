"""Validate, encode, store objects, insert rows."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from djq.definition.spec import AUTO_TIERS, TableSpec
from djq.errors import IntegrityError, UsageError
from djq.tables.accepting import utc_now
from djq.tables.announcing import announce
from djq.tables.explain import Refused, explain, show_key
from djq.tables.intake import default_chunk, read
from djq.tables.making import Making, current_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from djq.definition.acceptance import Value
    from djq.sql.statements import Duplicates
    from djq.tables.connection import Connection
    from djq.tables.encode import RowEncoder
    from djq.tables.gather import Chunk

__all__ = ["Options", "check_direct_insert", "insert_one", "insert_rows", "show_key"]


@dataclass(frozen=True, slots=True)
class Options:
    """How rows are inserted."""

    #: What becomes of rows whose key is taken.
    mode: Duplicates = "refuse"
    ignore_extra_fields: bool = False
    #: Rows that are committed together; None: all.
    chunk_size: int | None = None

    @classmethod
    def of(
        cls,
        *,
        replace: bool = False,
        skip_duplicates: bool = False,
        ignore_extra_fields: bool = False,
        chunk_size: int | None = None,
    ) -> Options:
        """Return the options, checked."""
        if replace and skip_duplicates:
            message = (
                "replace=True overwrites rows whose key is taken, skip_duplicates=True leaves them "
                "alone: choose one"
            )
            raise UsageError(message)
        if chunk_size is not None and (type(chunk_size) is not int or chunk_size < 1):
            message = f"chunk_size={chunk_size!r}: it is a number of rows, 1 or more"
            raise UsageError(message)
        mode: Duplicates = "replace" if replace else "skip" if skip_duplicates else "refuse"
        return cls(mode, ignore_extra_fields, chunk_size)


def insert_rows(encoder: RowEncoder, connection: Connection, rows: Value, options: Options) -> int:
    """Insert rows in a transaction of their own, or in the one that is open; return how many.

    Objects go into their stores before the rows that refer to them are sent. Every row is checked
    before any of its chunk is sent, so that a wrong row changes nothing.
    """
    spec = encoder.spec
    size = options.chunk_size or default_chunk(spec)
    chunks = read(rows, spec, size, ignore_extra_fields=options.ignore_extra_fields)
    begun = utc_now()
    chunk, following = next(chunks, None), next(chunks, None)
    n_rows = 0
    refused: Refused | None = None
    # One chunk is all or nothing by itself, and others are committed one by one where asked.
    is_simple = options.chunk_size is not None or following is None
    try:
        # The error is explained behind the transaction: inside, the rows before look taken.
        with nullcontext() if is_simple else connection.transaction:
            while chunk is not None:
                refused = _complete(encoder, connection, chunk, begun, options.mode)
                _send(refused, chunk.n, options.mode, is_undone=not is_simple)
                if connection.announcer.is_on:
                    announce(connection, spec, refused.columns)
                n_rows += chunk.n
                chunk, following = following, next(chunks, None)
    except IntegrityError as error:
        if refused is None:
            raise
        raise explain(error, refused) from error
    return n_rows


def insert_one(encoder: RowEncoder, connection: Connection, row: Value, options: Options) -> None:
    """Insert one row: the quick way for a `make`."""
    spec = encoder.spec
    encoded = encoder.encode(row, 1, ignore_extra_fields=options.ignore_extra_fields)
    call = current_of(spec.name)
    if spec.hidden:
        encoded.update(_hidden_values(spec, call))
    mode = options.mode
    if mode != "refuse" and call is not None and call.is_first(encoded):
        mode = "refuse"
    try:
        connection.database.insert(spec, (encoded,), duplicates=mode)
    except IntegrityError as error:
        columns = {name: (value,) for name, value in encoded.items()}
        raise explain(error, Refused(spec, connection, columns, None, mode)) from error
    if call is not None and (forget := call.note(encoded)) is not None:
        connection.database.on_undo(forget)
    if connection.announcer.is_on:
        announce(connection, spec, {name: (encoded[name],) for name in spec.heading.primary_key})


def _complete(
    encoder: RowEncoder,
    connection: Connection,
    chunk: Chunk,
    begun: dt.datetime,
    mode: Duplicates,
) -> Refused:
    """Return all columns of the rows, hidden ones too, ready to be sent."""
    spec = encoder.spec
    columns = encoder.encode_chunk(chunk, begun)
    for name, value in _hidden_values(spec, current_of(spec.name)).items():
        columns[name] = [value] * chunk.n
    return Refused(spec, connection, columns, chunk.first, mode)


def _send(rows: Refused, n: int, mode: Duplicates, *, is_undone: bool) -> None:
    """Insert complete rows; all of them or none."""
    spec, database = rows.spec, rows.connection.database
    call = current_of(spec.name)
    firsts = call.firsts(rows.columns, n) if call is not None and mode != "refuse" else []
    if firsts:
        with rows.connection.transaction:
            database.insert_columns(spec, _chosen(rows.columns, firsts))
            rest = sorted(set(range(n)).difference(firsts))
            if rest:
                database.insert_columns(spec, _chosen(rows.columns, rest), duplicates=mode)
    else:
        database.insert_columns(spec, rows.columns, duplicates=mode, is_undone=is_undone)
    if call is not None and (forget := call.note_all(rows.columns, n)) is not None:
        database.on_undo(forget)


def _chosen(
    columns: Mapping[str, Sequence[Value]], places: Sequence[int]
) -> dict[str, Sequence[Value]]:
    return {name: [values[i] for i in places] for name, values in columns.items()}


def _hidden_values(spec: TableSpec, call: Making | None) -> dict[str, Value]:
    """Return the provenance that every row of this insert carries, in the INSERT itself."""
    if not spec.hidden:
        return {}
    values = call.hidden_values() if call is not None else {}
    # What djq does not know has its default: the hidden key of a table of one row.
    return {a.name: values.get(a.name, a.default if a.in_key else None) for a in spec.hidden}


def check_direct_insert(spec: TableSpec, *, allowed: bool) -> None:
    """Refuse rows for a computed table that do not come from its `make`."""
    if allowed or spec.tier not in AUTO_TIERS:
        return
    call = current_of(spec.master or spec.name)
    if call is not None and call.may_insert:
        return
    if call is not None:
        message = (
            f"{spec.display_name}: there is no transaction yet while make fetches and computes: "
            "insert in make_insert, or behind the last yield of a generator"
        )
        raise UsageError(message)
    message = (
        f"{spec.display_name} is filled by make: call populate(), or insert with "
        "allow_direct_insert=True if you must"
    )
    raise UsageError(message)

"""Rows of a query → rows of a table: on the server where both are there and mean the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from djq.algebra.expressions import Literal, Name
from djq.algebra.nodes import Node, Projection
from djq.definition.heading import Heading
from djq.errors import IntegrityError, RowError
from djq.tables.announcing import announce
from djq.tables.gather import unknown
from djq.tables.insert import Options, insert_rows
from djq.tables.making import current_of
from djq.tables.query import Query

if TYPE_CHECKING:
    from collections.abc import Mapping

    from djq.algebra.expressions import Expression
    from djq.definition.acceptance import Value
    from djq.definition.attributes import Attribute
    from djq.definition.spec import TableSpec
    from djq.tables.connection import Connection
    from djq.tables.encode import RowEncoder

#: Defaults of these types are the same in SQL.
_SIMPLE = (bool, int, float, str, type(None))


def as_query(rows: Value) -> Query | None:
    """Return the query or table that `rows` is, None if it is something else."""
    if isinstance(rows, type) and issubclass(rows, Query):
        return rows()  # type: ignore[call-arg] # table classes need nothing
    return rows if isinstance(rows, Query) else None


def insert_query(
    encoder: RowEncoder, connection: Connection, query: Query, options: Options
) -> None:
    """Insert the rows of a query; its attributes are matched by name.

    On one connection it is one INSERT … SELECT, if no value needs a look: types are the same, and
    nothing that may be null goes where null is refused. Otherwise the rows come and go.

    Raises
    ------
    RowError
        The query has an attribute that the table has not, or lacks one without a default.
    """
    spec = encoder.spec
    _check_names(spec, query.heading, options)
    if query.connection.database is connection.database and options.chunk_size is None:
        node = _transferable(spec, query)
        if node is not None:
            try:
                connection.database.insert_from(spec, node, duplicates=options.mode)
            except IntegrityError:
                pass  # nothing was written; row by row it is known which one it is about
            else:
                if connection.announcer.is_on:
                    announce(connection, spec, None)
                return
    shown = [n for n in query.heading.names if n in spec.heading]
    options = Options(options.mode, ignore_extra_fields=True, chunk_size=options.chunk_size)
    insert_rows(encoder, connection, query.proj(*shown), options)


def _check_names(spec: TableSpec, given: Heading, options: Options) -> None:
    others = [n for n in given.names if n not in spec.heading]
    if others and not options.ignore_extra_fields:
        message = (
            f"{spec.display_name}: {unknown(others[0], spec)}. "
            "Leave it out of the query with proj(), or use ignore_extra_fields=True"
        )
        raise RowError(message)
    lacking = [a.name for a in spec.heading if not a.has_default and a.name not in given]
    if lacking:
        message = (
            f'{spec.display_name}: the query has no "{lacking[0]}", which has no default. '
            f"It has: {', '.join(given.names)}. Rename or compute it with proj()"
        )
        raise RowError(message)


def _transferable(spec: TableSpec, query: Query) -> Node | None:
    """Return the query with the table's attributes, None if values need a look on their way."""
    if spec.hidden or current_of(spec.name) is not None:
        return None
    given: Mapping[str, Attribute] = query.heading.by_name
    columns: list[tuple[str, Expression]] = []
    shown: list[Attribute] = []
    for mine in spec.heading:
        theirs = given.get(mine.name)
        if theirs is not None:
            is_same = theirs.type == mine.type and theirs.type is not None
            if not is_same or (theirs.nullable and not mine.nullable):
                return None
            columns.append((mine.name, Name(mine.name)))
            shown.append(mine)
        elif not mine.is_auto:
            if not isinstance(mine.default, _SIMPLE):
                return None
            columns.append((mine.name, Literal(mine.default)))
            shown.append(mine)
    return Projection(query.node, tuple(columns), Heading(tuple(shown)))

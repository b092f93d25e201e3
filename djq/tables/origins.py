"""Where a query's value comes from: the table, and for messages the row."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from djq.algebra.expressions import Call, Literal, Name
from djq.algebra.nodes import Restriction
from djq.algebra.ordering import at_most
from djq.algebra.origin import keyed, origin
from djq.objects.rowplace import RowPlace
from djq.sql.packets import is_large

if TYPE_CHECKING:
    from collections.abc import Sequence

    from djq.algebra.nodes import Node
    from djq.definition.acceptance import Value
    from djq.tables.connection import Connection


def column_of(node: Node, name: str) -> tuple[str, str, str]:
    """Return schema, table and name of a query's attribute, as far as it is of one table."""
    found = origin(node, name)
    return ("", "", name) if found is None else (found[0].schema, found[0].table, found[1])


def place_of(query: Node, name: str, row: Sequence[Any], connection: Connection) -> RowPlace:
    """Return the place of a value of a row, which is as the database returned it."""
    schema, table, attribute = column_of(query, name)
    values = dict(zip(query.heading.names, row, strict=True))
    key = _key_of(query, name, values[name], connection)
    key = key or {n: values[n] for n in query.heading.primary_key}
    return RowPlace(f"{schema}.{table}" if schema else table, attribute, key)


def _key_of(query: Node, name: str, value: Value, connection: Connection) -> dict[str, Value]:
    """Return the key of the first row that holds the value, if the query left the key out.

    Empty: it did not, there is no such row any more, or it cannot be asked for without harm. It is
    one question, in the transaction that is open or over a connection of its own: streams go on.
    """
    rows = keyed(query, name)
    key = rows.heading.primary_key
    if set(key) <= set(query.heading.primary_key):
        return {}
    if connection.in_transaction and is_large((value,)):
        return {}  # a server that takes no such statement would end the transaction
    if isinstance(value, bytes):  # they are compared where they are
        rows = at_most(Restriction(rows, Call("=", (Name(name), Literal(value)))), 1)
    at = rows.heading.names.index(name)
    with suppress(Exception), closing(connection.database.stream(rows)) as found:
        for row in found:
            if row[at] == value:
                return dict(zip(key, row, strict=False))
    return {}

"""`RowSource`: a query and where its rows are; how its rows come from there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from djq.tables.classwise import on_class_too, seen_on_class_too
from djq.tables.decode import decode_columns, decode_rows, decoded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from djq.algebra.nodes import Node
    from djq.definition.heading import Heading
    from djq.tables.connection import Connection
    from djq.tables.shapes import Column, Row


class RowSource:
    """A set of rows, described and not yet fetched."""

    def __init__(self, node: Node, connection: Connection) -> None:
        self._node = node
        self._connection = connection

    @property
    def node(self) -> Node:
        """The query's tree."""
        return self._node

    @seen_on_class_too
    def connection(self) -> Connection:
        """Return where the rows are."""
        found: Connection = self._connection
        return found

    @seen_on_class_too
    def heading(self) -> Heading:
        """Return the attributes of the rows."""
        return self.node.heading

    @seen_on_class_too
    def primary_key(self) -> list[str]:
        """Return the names that identify a row."""
        return list(self.heading.primary_key)

    def __len__(self) -> int:
        """Return how many rows there are."""
        return self.connection.database.count(self.node)

    def __bool__(self) -> bool:
        """Tell whether there is any row."""
        return self.connection.database.exists(self.node)

    def __iter__(self) -> Iterator[Row]:
        """Iterate over the rows as dicts, without holding them all.

        Inside a transaction they are read at once, since only its own connection sees what it
        wrote.
        """
        node, connection = self.node, self.connection
        names = node.heading.names
        for row in decoded(connection.database.stream(node), node, connection):
            yield dict(zip(names, row, strict=True))

    @on_class_too
    def make_sql(self) -> str:
        """Return the query's SQL, with its values as placeholders."""
        return self.connection.database.sql(self.node)

    def _rows(self, node: Node, *, squeeze: bool = False) -> list[Row]:
        connection = self.connection
        rows = connection.database.fetch(node)
        return decode_rows(rows, node, connection, squeeze=squeeze)

    def _columns(self, node: Node, *, squeeze: bool = False) -> list[Column]:
        connection = self.connection
        columns = connection.database.fetch_columns(node)
        return decode_columns(columns, node, connection, squeeze=squeeze)

    def _describe(self) -> str:
        return "the query"

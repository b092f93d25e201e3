"""`Fetchable`: a query's rows, counted, fetched in many shapes, and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from djq.algebra import operators, ordering
from djq.errors import QueryError
from djq.sql.conditions import read_text
from djq.tables.classwise import on_class_too, seen_on_class_too
from djq.tables.decode import decoder
from djq.tables.preview import preview

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from djq.algebra.nodes import Node
    from djq.definition.acceptance import Value
    from djq.definition.heading import Heading
    from djq.tables.connection import Connection

Row = dict[str, Any]


class Fetchable:
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
        """Iterate over the rows as dicts, without holding them all."""
        decode = decoder(self.heading, self.connection)
        for row in self.connection.database.stream(self.node):
            yield decode(row)

    def _fetch_rows(self, node: Node) -> list[Row]:
        decode = decoder(node.heading, self.connection)
        return [decode(row) for row in self.connection.database.fetch(node)]

    def _ordered(
        self, order_by: Sequence[str] | str | None, limit: int | None, offset: int
    ) -> Node:
        if order_by is None and limit is None and offset == 0:
            return self.node
        return ordering.order(self.node, order_by, limit=limit, offset=offset)

    @on_class_too
    def to_dicts(
        self,
        order_by: Sequence[str] | str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Row]:
        """Return the rows as a list of dicts."""
        return self._fetch_rows(self._ordered(order_by, limit, offset))

    @on_class_too
    def keys(
        self,
        order_by: Sequence[str] | str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Row]:
        """Return the primary keys as a list of dicts."""
        node = self._ordered(order_by, limit, offset)
        return self._fetch_rows(operators.project(node, (), {}, read_text))

    @on_class_too
    def fetch1(self, *attributes: str) -> Value:
        """Return the one row there is: a dict, or the values of the named attributes.

        One name gives its value, several give a tuple; `"KEY"` is the primary key as a dict.

        Raises
        ------
        QueryError
            There is no row, or more than one.
        """
        rows = self._fetch_rows(self._top(self._narrowed(attributes), 2))
        if len(rows) != 1:
            count = "no row" if not rows else f"{len(self)} rows"
            message = (
                f"fetch1 needs exactly one row, and {self._describe()} has {count}: restrict it"
            )
            raise QueryError(message)
        row = rows[0]
        if not attributes:
            return row
        values = tuple(self._pick(row, a) for a in attributes)
        return values[0] if len(attributes) == 1 else values

    def _top(self, node: Node, limit: int) -> Node:
        return ordering.order(node, None, limit=limit)

    def _narrowed(self, attributes: Sequence[str]) -> Node:
        """Return the node without attributes that were not asked for: objects are not loaded."""
        if not attributes:
            return self.node
        wanted = [a for a in attributes if a != "KEY"]
        for name in wanted:
            self.heading[name]
        return operators.project(self.node, wanted, {}, read_text)

    def _pick(self, row: Row, name: str) -> Value:
        return {n: row[n] for n in self.heading.primary_key} if name == "KEY" else row[name]

    @on_class_too
    def fetch(
        self,
        *attributes: str,
        as_dict: bool = False,
        order_by: Sequence[str] | str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> Value:
        """Return the rows in the shapes of DataJoint 0.14.

        Without names: a structured array, or a list of dicts with `as_dict`. With one name: an
        array of its values; with several: a list of arrays. `"KEY"` gives the primary keys as a
        list of dicts.
        """
        node = self._narrowed(attributes)
        if order_by is not None or limit is not None or offset:
            full = ordering.order(self.node, order_by, limit=limit, offset=offset)
            wanted = [a for a in attributes if a != "KEY"]
            node = operators.project(full, wanted, {}, read_text) if attributes else full
        rows = self._fetch_rows(node)
        if as_dict:
            names = [n for a in attributes for n in (self.primary_key if a == "KEY" else [a])]
            return [{n: row[n] for n in names} for row in rows] if attributes else rows
        if not attributes:
            return _structured(rows, self.heading)
        columns = [
            [self._pick(row, a) for row in rows] if a == "KEY" else _array([row[a] for row in rows])
            for a in attributes
        ]
        return columns[0] if len(columns) == 1 else columns

    @on_class_too
    def make_sql(self) -> str:
        """Return the query's SQL, with its values as placeholders."""
        return self.connection.database.sql(self.node)

    def _describe(self) -> str:
        return "the query"

    def __repr__(self) -> str:
        """Return the first rows as a table."""
        names = self.heading.names
        shown = [n for n in names if not self.heading[n].is_encoded]
        settings = self.connection.settings
        node = operators.project(self.node, shown, {}, read_text)
        rows = self._fetch_rows(ordering.order(node, None, limit=settings.display_limit))
        width = settings.display_width
        return preview(names, rows, total=len(self), heading=self.heading, width=width)


def _array(values: list[Any]) -> np.ndarray[Any, Any]:
    """Return the values as an array: of numbers where they are, of objects otherwise."""
    if values and all(type(v) in {int, float, bool} for v in values):
        return np.array(values)
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


def _structured(rows: list[Row], heading: Heading) -> np.ndarray[Any, Any]:
    columns = {n: _array([row[n] for row in rows]) for n in heading.names}
    found = np.empty(len(rows), dtype=[(n, c.dtype) for n, c in columns.items()])
    for name, column in columns.items():
        found[name] = column
    return found

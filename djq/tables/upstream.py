"""`self.upstream`: the tables that a make's rows come from, restricted to its key."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, TypeVar, overload

from djq.algebra.equality import is_listed
from djq.algebra.expressions import Expression, either
from djq.algebra.nodes import Node, Relation, Restriction
from djq.algebra.tracing import contributed, rows_of, table_of
from djq.definition.graph import ancestors
from djq.definition.names import is_hidden, quoted
from djq.definition.spec import TableName, TableSpec
from djq.errors import QueryError, UsageError
from djq.sql.reflect import reflect
from djq.tables.free import FreeTable, parse_full_name
from djq.tables.making import current_of
from djq.tables.query import Query

if TYPE_CHECKING:
    from djq.tables.making import Making
    from djq.tables.table import Table

T = TypeVar("T", bound="Table")


class Upstream:
    """The ancestors of a table, each with the rows that the key in hand refers to.

    `self.upstream[Session]` are the sessions behind the key, by whichever way of references within
    the key. In a `make_many` they are those of any of its keys.
    """

    def __init__(self, table: Table, call: Making) -> None:
        self._connection = table.connection
        self._name = table.display_name
        self._rows = _rows(table, call)

    @overload
    def __getitem__(self, table: type[T] | T) -> T: ...

    @overload
    def __getitem__(self, table: object) -> Query: ...

    def __getitem__(self, table: object) -> Query:
        """Return a table by its class, an instance, or its full name.

        Raises
        ------
        QueryError
            The key refers to no rows of it.
        """
        found: object = table() if inspect.isclass(table) else table
        if isinstance(found, str):
            name = parse_full_name(found)
            found = FreeTable(self._connection, quoted(name)) if name in self._rows else found
        spec: object = getattr(found, "spec", None)
        condition = self._rows.get(spec.name) if isinstance(spec, TableSpec) else None
        if condition is None or not isinstance(found, Query):
            known = ", ".join(map(str, sorted(self._rows))) or "none"
            message = f"{table!r} is not an ancestor of {self._name} by its key. Ancestors: {known}"
            raise QueryError(message)
        return found.over(Restriction(found.node, condition))

    def __repr__(self) -> str:
        """Return the tables' names."""
        return f"<upstream of {self._name}: {', '.join(map(str, sorted(self._rows)))}>"


def upstream_of(table: Table) -> Upstream:
    """Return the ancestors of a table for the key in hand; found out once per call of make.

    Raises
    ------
    UsageError
        This code does not run in the table's make.
    """
    call = current_of(table.spec.name)
    if call is None:
        message = (
            f"self.upstream is for the code of {table.spec.class_name}'s make, where there is a "
            "key. Elsewhere dj.Diagram.trace(query) tells where rows came from"
        )
        raise UsageError(message)
    if not isinstance(call.upstream, Upstream):
        call.upstream = Upstream(table, call)
    return call.upstream


def _rows(table: Table, call: Making) -> dict[TableName, Expression]:
    """Return the ancestors with the conditions on their rows."""
    database = table.connection.database
    edges = [
        r
        for r in database.catalog.references()
        if not is_hidden(r.child.table) and not is_hidden(r.parent.table)
    ]
    parents: dict[TableName, list[TableName]] = {}
    for edge in edges:
        parents.setdefault(edge.child, []).append(edge.parent)
    found: dict[TableName, dict[Expression, None]] = {}
    for seed in _seeds(table, call):
        relation = table_of(seed)
        above = ancestors(relation.name, parents)
        relations = {n: _relation(table, n) for n in above} | {relation.name: relation}
        for name, node in contributed(seed, edges, relations).items():
            found.setdefault(name, {})[rows_of(node)[1]] = None
    return {name: either(*conditions) for name, conditions in found.items()}


def _seeds(table: Table, call: Making) -> list[Node]:
    """Return the tables that the key refers to, each with the rows that it names."""
    found: list[Node] = []
    for reference in table.spec.foreign_keys:
        theirs = dict(reference.columns)
        known = [(i, theirs[n]) for i, n in enumerate(call.names) if n in theirs]
        if not known:
            continue
        rows = {tuple(key[i] for i, _ in known) for key in call.keys}
        condition = is_listed([their for _, their in known], rows)
        found.append(Restriction(_relation(table, reference.parent), condition))
    return found


def _relation(table: Table, name: TableName) -> Relation:
    spec = table.parent_specs.get(name)
    if spec is None:
        spec = reflect(table.connection.database, name, with_indexes=False)
    return Relation(name, spec.heading)

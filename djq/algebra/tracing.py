"""Which rows other rows came from, and which belong to all of several: along foreign keys.

`cascade.py` asks what hangs on given rows by any way; here `contributed` looks up (a row counts if
any way leads to it), and `belonging` looks down (a row counts if all ways lead to it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from djq.algebra.carrying import referring
from djq.algebra.expressions import TRUE, Expression, Matches, Name, both, either
from djq.algebra.nodes import Node, Projection, Relation, Restriction, Top
from djq.definition.graph import ancestors, levels
from djq.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from djq.algebra.carrying import Edge
    from djq.definition.spec import TableName


@dataclass(frozen=True, slots=True)
class _Way:
    """The rows of a table whose attributes equal those of some row of `source`, pair by pair."""

    source: Node
    #: The source's attribute, the table's.
    pairs: tuple[tuple[str, str], ...]

    @property
    def condition(self) -> Expression:
        columns = tuple((its, Name(old)) for old, its in self.pairs)
        heading = self.source.heading.project({its: old for old, its in self.pairs})
        return Matches(Projection(self.source, columns, heading), tuple(n for n, _ in columns))

    def further(self, edge: Edge) -> _Way | None:
        """Return the way on to the edge's parent, if this one knows what the edge carries."""
        known = {its: old for old, its in self.pairs}
        if not all(mine in known for mine, _ in edge.columns):
            return None
        return _Way(self.source, tuple((known[mine], theirs) for mine, theirs in edge.columns))


def table_of(query: Node) -> Relation:
    """Return the one table whose rows a query selects.

    Raises
    ------
    QueryError
        The rows are not those of one table: joined, aggregated or without their key.
    """
    node = query
    while not isinstance(node, Relation):
        if isinstance(node, Projection):
            kept = {new for new, old in node.columns if old == Name(new)}
            if not kept.issuperset(node.source.heading.primary_key):
                message = "the query renames attributes of its table's key: leave out this .proj()"
                raise QueryError(message)
        elif not isinstance(node, Restriction | Top):
            what = {"Aggregation": "an aggregation"}.get(type(node).__name__, "a join")
            message = (
                f"the query is {what}, not rows of one table: "
                "restrict a table by it, as in Table & query"
            )
            raise QueryError(message)
        node = node.source
    return node


def rows_of(query: Node) -> tuple[Relation, Expression]:
    """Return the table of a query and the condition that its rows are among the query's."""
    table = table_of(query)
    node, condition = unrestricted(query)
    if isinstance(node, Relation):
        return table, condition
    return table, Matches(query, table.heading.primary_key)


def unrestricted(node: Node) -> tuple[Node, Expression]:
    """Return what a query restricts, and by what altogether."""
    conditions: list[Expression] = []
    while isinstance(node, Restriction):
        conditions.append(node.condition)
        node = node.source
    return node, both(*reversed(conditions))


def contributed(
    query: Node, edges: Sequence[Edge], relations: Mapping[TableName, Relation]
) -> dict[TableName, Node]:
    """Return the query's table and its ancestors, each with the rows that the query's came from.

    `relations` has at least all ancestors. References of a table to itself are not followed.
    """
    table, condition = rows_of(query)
    seed: Node = table if condition == TRUE else Restriction(table, condition)
    found: dict[TableName, Node] = {table.name: seed}
    ways: dict[TableName, dict[_Way, None]] = {}
    its = _by_child(edges)
    parents = {name: [e.parent for e in its_edges] for name, its_edges in its.items()}
    above = ancestors(table.name, parents)
    within = {n: [p for p in parents.get(n, ()) if p in above] for n in sorted(above)}
    order = [n for level in reversed(levels(within)) for n in level]
    for name in (table.name, *order):
        if name != table.name:
            conditions = [way.condition for way in ways[name]]
            found[name] = Restriction(relations[name], either(*conditions))
        for edge in its.get(name, ()):
            onward = ways.setdefault(edge.parent, {})
            onward.update(dict.fromkeys(_onward(edge, found[name], ways.get(name, {}))))
    return found


def _onward(edge: Edge, rows: Node, ways: Mapping[_Way, None]) -> list[_Way]:
    """Return how to get from a table's rows to its parent's: past the table where that is exact."""
    further = [way.further(edge) for way in ways]
    found = [way for way in further if way is not None]
    return found if found and len(found) == len(further) else [*found, _Way(rows, edge.columns)]


def belonging(
    query: Node, edges: Sequence[Edge], relations: Mapping[TableName, Relation]
) -> dict[TableName, Expression]:
    """Return the query's table and those of `relations` below it, with conditions on their rows.

    A row belongs to the query's rows if everything that it refers to among these tables does.
    """
    table, condition = rows_of(query)
    found: dict[TableName, Expression] = {table.name: condition}
    its = {n: es for n, es in _by_child(edges).items() if n in relations}
    parents = {n: [e.parent for e in its.get(n, ())] for n in relations}
    for name in (n for level in levels(parents) for n in level if n != table.name):
        conditions = [
            referring(e, relations[e.parent], found[e.parent])
            for e in its.get(name, ())
            if e.parent in found
        ]
        if conditions:
            found[name] = both(*conditions)
    return found


def _by_child(edges: Sequence[Edge]) -> dict[TableName, list[Edge]]:
    found: dict[TableName, list[Edge]] = {}
    for edge in edges:
        if edge.child != edge.parent:
            found.setdefault(edge.child, []).append(edge)
    return found

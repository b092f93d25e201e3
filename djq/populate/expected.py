"""Keys that there will be once all tables before are made: key sources in terms of key sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from djq.algebra.expressions import Call, Expression, Matches, names_in
from djq.algebra.nodes import Grouping, Join, Node, Projection, Relation, Restriction, Union
from djq.definition.heading import Heading
from djq.populate.levels import master_or_self, relations
from djq.populate.plan import is_coarse, key_source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from djq.definition.acceptance import Value
    from djq.definition.spec import TableName
    from djq.populate.autopopulate import AutoPopulate


def expected(
    table: type[AutoPopulate],
    makers: Mapping[TableName, type[AutoPopulate]],
    restrictions: Sequence[Value] = (),
) -> Node | None:
    """Return the keys that a table will have when all that it depends on is made.

    Wherever the key source reads keys of an auto-populated table, that table's own key source is
    read in its place. None: nobody knows before these are made, since it reads more than keys -
    rows of parts, computed values, numbers of rows.

    Parameters
    ----------
    makers
        The auto-populated tables by the names of their tables.
    restrictions
        Conditions on the keys; all must hold.
    """
    node = key_source(table, restrictions).node
    try:
        return _Replacement(makers, (table.spec.name,)).node(node, frozenset())
    except _UnknownError:
        return None


class _UnknownError(Exception):
    """The key source reads more than the keys of a table that is not made yet."""


class _Replacement:
    """One walk down a key source; `above` are the tables whose key sources it is within."""

    def __init__(
        self, makers: Mapping[TableName, type[AutoPopulate]], above: tuple[TableName, ...]
    ) -> None:
        self.makers = makers
        self.above = above

    def node(self, node: Node, wanted: frozenset[str]) -> Node:
        """Return the node with key sources for tables; `wanted` are read besides its key."""
        if not any(master_or_self(name) in self.makers for name in relations(node)):
            return node
        names = wanted | frozenset(node.heading.primary_key)
        found: Node
        match node:
            case Relation():
                found = self._relation(node, names)
            case Restriction():
                source = self.node(node.source, names.union(names_in(node.condition)))
                found = Restriction(source, self._condition(node.condition))
            case Projection():
                found = self._projection(node, names)
            case Join():
                found = self._join(node, names)
            case Union():
                left, right = self.node(node.left, names), self.node(node.right, names)
                found = Union(left, right, _kept(node.heading, names))
            case Grouping(computed=()):
                source = self.node(node.source, frozenset(node.by))
                found = Grouping(source, node.by, (), node.heading)
            case _:
                raise _UnknownError
        return found

    def _relation(self, node: Relation, names: frozenset[str]) -> Node:
        maker = self.makers.get(node.name)
        if node.name in self.above:  # a table that refers to itself: as far as it is
            return node
        if maker is None or is_coarse(maker) or not names <= set(maker.job_heading.names):
            raise _UnknownError
        inner = _Replacement(self.makers, (*self.above, node.name))
        return inner.node(key_source(maker).node, frozenset())

    def _projection(self, node: Projection, names: frozenset[str]) -> Node:
        columns = tuple((n, e) for n, e in node.columns if n in names)
        read = frozenset(n for _, e in columns for n in names_in(e))
        return Projection(self.node(node.source, read), columns, _kept(node.heading, names))

    def _join(self, node: Join, names: frozenset[str]) -> Node:
        left, right = (
            self.node(side, names.intersection(side.heading.names).union(node.on))
            for side in (node.left, node.right)
        )
        heading = left.heading.join(right.heading, left=node.is_left)
        return Join(left, right, node.on, node.is_left, heading)

    def _condition(self, condition: Expression) -> Expression:
        match condition:
            case Matches():
                names = frozenset(condition.names)
                return Matches(self.node(condition.query, names), condition.names)
            case Call():
                return Call(condition.function, tuple(map(self._condition, condition.arguments)))
            case _:
                return condition


def _kept(heading: Heading, names: frozenset[str]) -> Heading:
    return Heading(tuple(a for a in heading if a.name in names))

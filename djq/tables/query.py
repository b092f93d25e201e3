"""`Query`: an expression bound to a connection, and the operators that combine them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Self

from djq.algebra import operators
from djq.algebra.conditions import ConditionReader, Not, materialized, unheeded
from djq.algebra.expressions import both
from djq.errors import QueryError
from djq.sql.conditions import read_text
from djq.tables.classwise import on_class_too
from djq.tables.fetching import Fetchable

if TYPE_CHECKING:
    from djq.algebra.nodes import Node
    from djq.definition.acceptance import Value
    from djq.tables.connection import Connection

CONDITIONS = ConditionReader(read_text)

#: What people try on joins and projections.
TABLE_VERBS = frozenset({"alter", "delete", "delete_quick", "drop", "insert", "insert1", "update1"})


class Query(Fetchable):
    """A set of rows, described and not yet fetched; immutable.

    Operators return new queries: `&` and `-` restrict, `*` joins, `proj` and `aggr` choose, rename
    and compute attributes. Nothing is asked of the database before rows are needed.
    """

    def __init__(self, node: Node, connection: Connection) -> None:
        super().__init__(node, connection)
        #: Names of restrictions that restrict nothing, since none is an attribute.
        self.unheeded: tuple[str, ...] = ()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Value:
            """Say of a table's verb that it is none of an expression's."""
            message = f"{type(self).__name__!r} object has no attribute {name!r}"
            if name in TABLE_VERBS:
                message = (
                    f"{name} is for the rows of one table: {self._describe()} is an expression. "
                    f"Restrict a table by it, as in (Table & query).{name}(...)"
                )
            raise AttributeError(message)

    def _with(self, node: Node) -> Query:
        return Query(node, self.connection)

    def over(self, node: Node) -> Self:
        """Return this very query over other rows: a restricted table keeps its class's methods."""
        found = copy.copy(self)
        found._node = node  # noqa: SLF001 - its own
        return found

    def _restricted(self, *conditions: Value) -> Self:
        kept = [materialized(c) for c in conditions]
        read = [CONDITIONS.read(c, self.heading) for c in kept]
        found = self.over(operators.restrict(self.node, both(*read)))
        found.unheeded = (*self.unheeded, *(n for c in kept for n in unheeded(c, self.heading)))
        return found

    def __and__(self, condition: Value) -> Self:
        """Return the rows for which the condition holds.

        A condition is a mapping, SQL text, another query (rows with a match), a list of conditions
        (any of them), `dj.AndList` (all of them), `dj.Not` or a bool.
        """
        return self._restricted(condition)

    def __sub__(self, condition: Value) -> Self:
        """Return the rows for which the condition does not hold; the same forms as for `&`."""
        return self._restricted(Not(condition))

    def __contains__(self, row: Value) -> bool:
        """Tell whether a row with these values is in the query."""
        return bool(self._restricted(row))

    def __mul__(self, other: Query | type[Query]) -> Query:
        """Return the natural join on all shared attributes."""
        return self.join(other)

    @on_class_too
    def join(self, other: Query | type[Query], *, left: bool = False) -> Query:
        """Return the natural join; with `left` also the rows of this side that have no match."""
        node = _as_query(other).node
        return self._with(operators.join(self.node, node, is_left=left))

    @on_class_too
    def restrict(self, *conditions: Value) -> Query:
        """Return the rows for which all conditions hold."""
        return self._restricted(*conditions)

    @on_class_too
    def proj(self, /, *attributes: Value, **computed: str) -> Query:
        """Return the same rows with the key, the named attributes, and renamed or computed ones.

        `...` is all secondary attributes, `"-name"` leaves one out, `new="old"` renames,
        `new="a + b"` computes.
        """
        node = operators.project(self.node, attributes, computed, read_text)
        return self._with(node)

    @on_class_too
    def aggr(
        self,
        other: Query | type[Query],
        /,
        *attributes: Value,
        exclude_nonmatching: bool = False,
        **computed: str,
    ) -> Query:
        """Return this query's rows with values computed over the matching rows of `other`.

        `count(*)` counts matching rows: 0 where there are none.
        """
        node = operators.aggregate(
            self.node,
            _as_query(other).node,
            attributes,
            computed,
            read_text,
            keeps_empty=not exclude_nonmatching,
        )
        return self._with(node)


def _as_query(other: object) -> Query:
    found = other() if isinstance(other, type) else other
    if isinstance(found, Query):
        return found
    message = f"{other!r} is not a table or query"
    raise QueryError(message)

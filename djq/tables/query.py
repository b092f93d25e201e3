"""`Query`: an expression bound to a connection, and the operators that combine them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Self, TypeAlias

from djq.algebra import aggregating, operators, ordering
from djq.algebra.conditions import ConditionReader, materialized, unheeded
from djq.algebra.forms import AndList, Not, Top, Universal
from djq.algebra.nodes import TOO_DEEP
from djq.errors import QueryError
from djq.sql.conditions import text_reader
from djq.tables.classwise import on_class_too
from djq.tables.fetching import Fetchable

if TYPE_CHECKING:
    from djq.algebra.nodes import Node
    from djq.definition.acceptance import Value
    from djq.tables.connection import Connection

#: What stands on the right side of an operator.
Operand: TypeAlias = "Query | type[Query] | Universal"


@functools.lru_cache(maxsize=64)
def _reader(functions: tuple[str, ...], checks_lineage: bool) -> ConditionReader:
    return ConditionReader(text_reader(functions), checks_lineage)


def reader_of(connection: Connection, *, checks_lineage: bool = True) -> ConditionReader:
    """Return what reads conditions, with the functions that the settings allow."""
    return _reader(connection.settings.functions, checks_lineage)


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
        found = object.__new__(type(self))  # as copy.copy does, in a tenth of its time
        found.__dict__.update(self.__dict__, _node=node)
        return found

    def _restricted(self, condition: Value, *, semantic_check: bool = True) -> Self:
        if not isinstance(condition, dict | str):  # these are met most often
            if isinstance(condition, Top):
                top = condition
                node = ordering.order(self.node, top.order_by, limit=top.limit, offset=top.offset)
                return self.over(node)
            if isinstance(condition, AndList) and any(isinstance(c, Top) for c in condition):
                return functools.reduce(lambda found, c: found & c, condition, self)
            condition = materialized(condition)
        node = self.node
        reader = reader_of(self.connection, checks_lineage=semantic_check)
        try:
            read = reader.read(condition, node.heading)
        except RecursionError:
            raise QueryError(TOO_DEEP) from None
        found = self.over(operators.restrict(node, read))
        found.unheeded = (*self.unheeded, *unheeded(condition, node.heading))
        return found

    def __and__(self, condition: Value) -> Self:
        """Return the rows for which the condition holds.

        A condition is a mapping, SQL text, another query (rows with a match), a list, data frame
        or array of these (any of them), `dj.AndList` (all of them), `dj.Not`, `dj.Top` or a bool.
        """
        return self._restricted(condition)

    def __sub__(self, condition: Value) -> Self:
        """Return the rows for which the condition does not hold; the same forms as for `&`."""
        return self._restricted(Not(condition))

    def __contains__(self, row: Value) -> bool:
        """Tell whether a row with these values is in the query."""
        return bool(self._restricted(row))

    def __neg__(self) -> Not:
        """Return the complement, to restrict by: `A & -B` is `A - B`."""
        return Not(self)

    def __mul__(self, other: Operand) -> Query:
        """Return the natural join on all shared attributes."""
        return self.join(other)

    def __add__(self, other: Operand) -> Query:
        """Return the rows of both, which have the same key; what a side lacks is null.

        A row on both sides comes once, with the attributes of both.
        """
        return self._with(operators.unite(self.node, as_query(other).node))

    def __matmul__(self, other: Operand) -> Query:
        """Refuse DataJoint's older join by names alone."""
        message = "@ joined by names alone: write A.join(B, semantic_check=False)"
        raise QueryError(message)

    def __xor__(self, other: Operand) -> Query:
        """Refuse DataJoint's older restriction by names alone."""
        message = "^ restricted by names alone: write A.restrict(B, semantic_check=False)"
        raise QueryError(message)

    @on_class_too
    def join(self, other: Operand, semantic_check: bool = True, *, left: bool = False) -> Query:
        """Return the natural join.

        Parameters
        ----------
        semantic_check
            Refuse to match attributes of different origin; False: match by names alone.
        left
            Keep rows of this side that have no match, with nulls; the other side's key must be
            among this side's attributes.
        """
        if isinstance(other, Universal):
            return self._with(operators.promote(self.node, other.names))
        node = operators.join(
            self.node, as_query(other).node, is_left=left, checks_lineage=semantic_check
        )
        return self._with(node)

    @on_class_too
    def extend(self, other: Operand, semantic_check: bool = True) -> Query:
        """Return the same rows with the attributes of `other` added, null where it has no match."""
        return self.join(other, semantic_check, left=True)

    @on_class_too
    def restrict(self, *conditions: Value, semantic_check: bool = True) -> Query:
        """Return the rows for which all conditions hold.

        With `semantic_check=False` queries are matched by names, of whatever origin.
        """
        found: Query = self
        for condition in conditions:
            found = found._restricted(condition, semantic_check=semantic_check)
        return found

    @on_class_too
    def proj(self, /, *attributes: Value, **computed: str) -> Query:
        """Return the same rows with the key, the named attributes, and renamed or computed ones.

        `...` is all secondary attributes, `"-name"` leaves one out, `new="old"` renames,
        `new="a + b"` computes.
        """
        read = reader_of(self.connection).read_text
        node = operators.project(self.node, attributes, computed, read)
        return self._with(node)

    @on_class_too
    def aggr(
        self,
        other: Operand,
        /,
        *attributes: Value,
        exclude_nonmatching: bool = False,
        keep_all_rows: bool | None = None,
        **computed: str,
    ) -> Query:
        """Return this query's rows with values computed over the matching rows of `other`.

        `count(*)` counts matching rows: 0 where there are none. `exclude_nonmatching` leaves rows
        without a match out; `keep_all_rows` is DataJoint's older word for the contrary.
        """
        if keep_all_rows is not None:
            exclude_nonmatching = not keep_all_rows
        node = aggregating.aggregate(
            self.node,
            as_query(other).node,
            attributes,
            computed,
            reader_of(self.connection).read_text,
            keeps_empty=not exclude_nonmatching,
        )
        return self._with(node)


def as_query(other: Value) -> Query:
    """Return a query, or the instance of a table's class."""
    found = other() if isinstance(other, type) else other
    if isinstance(found, Query):
        return found
    message = f"{other!r} is not a table or query"
    raise QueryError(message)

"""`U`: all values that attributes could have; to find distinct values, and totals."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from djq.algebra import aggregating, operators
from djq.algebra.forms import Universal
from djq.errors import QueryError
from djq.tables.query import Query, as_query, reader_of

if TYPE_CHECKING:
    from djq.tables.query import Operand


class U(Universal):
    """All values that the named attributes could have.

    `dj.U("a", "b") & T` are their distinct values in `T`; `dj.U("a").aggr(T, n="count(*)")`
    computes over the rows of each; `dj.U().aggr(T, n="count(*)")` over all rows, in one.
    """

    __slots__ = ()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            """Say that there are no rows to fetch or to choose from."""
            message = f"dj.U has no {name!r}, and no rows: write (dj.U(...) & Table).{name}"
            raise AttributeError(message)

    def __and__(self, other: Operand) -> Query:
        """Return the distinct values of these attributes, which are the key of the result."""
        query = as_query(other)
        return Query(operators.distinct(query.node, self.names), query.connection)

    def aggr(self, other: Operand, /, **computed: str) -> Query:
        """Return one row for all rows of `other` with equal values of these attributes.

        Without attributes it is one row, also over no rows at all.
        """
        query = as_query(other)
        read = reader_of(query.connection).read_text
        node = aggregating.aggregate_by(query.node, self.names, computed, read)
        return Query(node, query.connection)

    def __mul__(self, other: Operand) -> Query:
        """Return the rows of `other` with these attributes in their key, too."""
        return as_query(other).join(self)

    def join(self, other: Operand) -> Query:
        """Return the rows of `other` with these attributes in their key, too."""
        return self * other

    def __sub__(self, other: object) -> NoReturn:
        """Refuse: what is left is without end."""
        message = (
            "dj.U is without end: nothing can be subtracted from it. Write (dj.U(...) & A) - B"
        )
        raise QueryError(message)

    def __add__(self, other: object) -> NoReturn:
        """Refuse: the union is without end."""
        message = "dj.U is without end: write (dj.U(...) & A) + (dj.U(...) & B)"
        raise QueryError(message)

"""The shape of a query: its tree without its values, and the values in order.

Queries of one shape share one SQL text. A pipeline asks the same few shapes a million times, so
that building SQL is paid once and looking the shape up costs some microseconds.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

from djq.algebra.expressions import (
    Call,
    Expression,
    Listed,
    Literal,
    Matches,
    Name,
    Parameter,
)
from djq.algebra.nodes import (
    Aggregation,
    Grouping,
    Join,
    Node,
    Projection,
    Relation,
    Restriction,
    Top,
    Union,
)
from djq.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from djq.definition.acceptance import Value

Shape: TypeAlias = Any

#: Longer lists of rows are not padded: SQLite may take 32,766 values (its default for
#: SQLITE_MAX_VARIABLE_NUMBER), and a list that fits must not become one that does not.
MAX_PADDED = 4_096
#: Tables that a statement reads; servers plan for minutes over more, and in gigabytes.
MAX_TABLES = 400
TOO_LARGE = (
    f"the query reads more than {MAX_TABLES} tables: what stands in it twice counts twice. Keep a "
    "part of it as a table, or as a list of keys: A & B.keys()"
)


class Values(list["Value"]):
    """The values of a query, in order; and how many tables it reads."""

    n_tables = 0
    #: So many values are of `Listed` rows, whose number says nothing about how often it is met.
    n_listed = 0


def shape_of(node: Node, values: Values) -> Shape:
    """Return the shape of a query, and append its values to `values`.

    Raises
    ------
    QueryError
        It reads too many tables, such as one that was joined with itself again and again.
    """
    found: Shape
    match node:
        case Relation():
            found = node
            values.n_tables += 1
            if values.n_tables > MAX_TABLES:
                raise QueryError(TOO_LARGE)
        case Restriction():
            found = ("&", shape_of(node.source, values), _shape(node.condition, values))
        case Projection():
            source = shape_of(node.source, values)
            found = ("proj", source, *((n, _shape(e, values)) for n, e in node.columns))
        case Join():
            left = shape_of(node.left, values)
            found = ("*", left, shape_of(node.right, values), node.on, node.is_left)
        case Aggregation():
            sides = (shape_of(node.group, values), shape_of(node.detail, values))
            computed = tuple((n, _shape(e, values)) for n, e in node.computed)
            found = ("aggr", *sides, node.on, node.shown, computed, node.keeps_empty)
        case Grouping():
            source = shape_of(node.source, values)
            computed = tuple((n, _shape(e, values)) for n, e in node.computed)
            found = ("group", source, node.by, computed)
        case Union():
            left = shape_of(node.left, values)
            found = ("+", left, shape_of(node.right, values))
        case Top():
            found = ("top", shape_of(node.source, values), node.order, node.limit, node.offset)
    return found


def _shape(expression: Expression, values: Values) -> Shape:
    match expression:
        case Name():
            return expression.attribute
        case Literal():
            if expression.value is None or isinstance(expression.value, bool):
                return (expression.value,)  # written into the statement, as NULL, TRUE or FALSE
            values.append(expression.value)
            return expression.value.__class__
        case Call():
            return (expression.function, *[_shape(a, values) for a in expression.arguments])
        case Matches():
            return ("matches", shape_of(expression.query, values), expression.names)
        case Listed():
            return _shape_listed(expression, values)
        case Parameter():
            message = "a shape is taken before values are replaced by parameters"
            raise AssertionError(message)


def _shape_listed(listed: Listed, values: Values) -> Shape:
    """Append the rows' values, the last row repeated as often as `padded_to` says."""
    rows, n_rows = listed.rows, len(listed.rows)
    size = padded_to(n_rows)
    flat = tuple(chain.from_iterable(rows))
    values.extend(flat)
    values.extend(rows[-1] * (size - n_rows))
    values.n_listed += size * len(listed.names)
    kinds = [tuple(dict.fromkeys(map(type, column))) for column in zip(*rows, strict=True)]
    # Values of several classes may need each its own parameter.
    mixed = (n_rows, *map(type, flat)) if any(len(kind) > 1 for kind in kinds) else None
    return ("listed", listed.names, size, *kinds, mixed)


def padded_to(n_rows: int) -> int:
    """Return how many rows a statement for `n_rows` listed ones takes: a power of two, or all."""
    return n_rows if n_rows > MAX_PADDED else 1 << (n_rows - 1).bit_length()


class Parametrizer:
    """Replaces the values of a tree by numbered parameters, in the order of `shape_of`."""

    def __init__(self) -> None:
        self._count = 0

    def node(self, node: Node) -> Node:
        """Return the query with parameters."""
        found: Node
        match node:
            case Relation():
                found = node
            case Restriction():
                source = self.node(node.source)
                found = Restriction(source, self._expression(node.condition))
            case Projection():
                source = self.node(node.source)
                columns = tuple((n, self._expression(e)) for n, e in node.columns)
                found = Projection(source, columns, node.heading)
            case Join():
                left = self.node(node.left)
                found = Join(left, self.node(node.right), node.on, node.is_left, node.heading)
            case Aggregation():
                found = self._aggregation(node)
            case Grouping():
                source = self.node(node.source)
                computed = tuple((n, self._expression(e)) for n, e in node.computed)
                found = Grouping(source, node.by, computed, node.heading)
            case Union():
                left = self.node(node.left)
                found = Union(left, self.node(node.right), node.heading)
            case Top():
                found = Top(self.node(node.source), node.order, node.limit, node.offset)
        return found

    def _aggregation(self, node: Aggregation) -> Aggregation:
        group, detail = self.node(node.group), self.node(node.detail)
        return Aggregation(
            group=group,
            detail=detail,
            on=node.on,
            shown=node.shown,
            computed=tuple((n, self._expression(e)) for n, e in node.computed),
            keeps_empty=node.keeps_empty,
            heading=node.heading,
        )

    def _expression(self, expression: Expression) -> Expression:
        match expression:
            case Literal():
                if expression.value is None or isinstance(expression.value, bool):
                    return expression
                self._count += 1
                return Parameter(self._count - 1, expression.value)
            case Call():
                arguments = tuple(self._expression(a) for a in expression.arguments)
                return Call(expression.function, arguments)
            case Matches():
                return Matches(self.node(expression.query), expression.names)
            case Listed():
                return expression.spelled(self._listed(expression.rows))
            case _:
                return expression

    def _listed(self, rows: Sequence[Sequence[Value]]) -> Iterator[list[Expression]]:
        for i in range(padded_to(len(rows))):
            row = rows[min(i, len(rows) - 1)]
            yield [Parameter(self._count + j, value) for j, value in enumerate(row)]
            self._count += len(row)

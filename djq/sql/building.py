"""Expressions → SQL, within the statement that asks for them; what every compilation needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from djq.algebra.expressions import (
    AGGREGATES,
    TRUE,
    Call,
    Expression,
    Listed,
    Literal,
    Matches,
    Name,
    Parameter,
)
from djq.errors import QueryError
from djq.sql.comparing import COMPARISONS, literal, pattern_of, typed
from djq.sql.functions import BUILDERS, Column
from djq.sql.selection import ONE, Selection, labelled, where_known
from djq.sql.shapes import MAX_TABLES, TOO_LARGE

if TYPE_CHECKING:
    from djq.algebra.nodes import Node
    from djq.sql.dialects import Dialect


#: Calls that are null where one of their arguments is.
_STRICT = COMPARISONS - {"<=>", "in", "between"} | {"+", "-", "*", "/", "%", "div", "negative"}


class Builder(ABC):
    """Builds the expressions of one statement; it names each table's occurrence."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._seen: Counter[str] = Counter()

    @abstractmethod
    def compile(self, node: Node) -> Selection:
        """Return the selection of a node."""

    def _name(self, base: str) -> str:
        self._seen[base] += 1
        if self._seen.total() > 2 * MAX_TABLES:  # with subqueries, and sides of unions
            raise QueryError(TOO_LARGE)
        return base if self._seen[base] == 1 else f"{base}_{self._seen[base]}"

    def _wrap(
        self, selection: Selection, node: Node, shown: tuple[str, ...] | None = None
    ) -> Selection:
        """Return a selection from a selection, in the same order."""
        names = shown or node.heading.names
        columns = {n: selection.columns[n] for n in names}
        order: list[tuple[str, bool]] = []
        for i, (column, is_down) in enumerate([] if shown else selection.order):
            known = (n for n, c in columns.items() if c is column)
            name = next(known, f"order {i}")  # no attribute has such a name
            columns[name] = column
            order.append((name, is_down))
        if not selection.is_window:
            selection.order = []
        inner = selection.statement(labelled(columns)).subquery(self._name("q"))
        kept: list[tuple[Column, bool]] = [(inner.c[n], is_down) for n, is_down in order]
        return Selection(inner, {n: inner.c[n] for n in names}, order=kept)

    def expression(
        self, expression: Expression, columns: dict[str, Column], counted: Column | None = None
    ) -> Column:
        """Return the SQL of an expression; `counted` is null in a left join's lonely rows."""
        match expression:
            case Name():
                return columns[expression.attribute]
            case Literal() | Parameter():
                return literal(expression)
            case Matches():
                return self._matches(expression, columns)
            case Listed():
                return self._call(expression.spelled(), columns, counted)
            case Call(function="count", arguments=()):
                return sa.func.count(counted) if counted is not None else sa.func.count()
            case Call():
                return self._call(expression, columns, counted)

    def _call(self, call: Call, columns: dict[str, Column], counted: Column | None) -> Column:
        """Build a call; values that are compared with an attribute are sent as its type asks."""
        pattern = pattern_of(call) if call.function in COMPARISONS else None
        arguments: list[Column] = []
        for argument in call.arguments:
            found: Expression | Column = argument
            if pattern is not None:
                found = typed(argument, pattern, columns)
            if isinstance(found, sa.ColumnElement):
                arguments.append(found)
            else:
                arguments.append(self.expression(found, columns, counted))
        if (
            counted is not None
            and call.function in AGGREGATES
            and not _is_strict(call.arguments[0])
        ):
            arguments[0] = where_known(counted, arguments[0])
        return BUILDERS[call.function](self.dialect, arguments)

    def _matches(self, matches: Matches, columns: dict[str, Column]) -> Column:
        other = self.compile(matches.query)
        if not other.is_flat:
            other = self._wrap(other, matches.query)
        on = [equal(columns[n], other.columns[n]) for n in matches.names]
        inner: sa.Select[Any] = sa.select(ONE).select_from(other.source).where(*other.where, *on)
        # Only the outer query's own tables are correlated; the inner one lists its sources itself.
        return sa.exists(inner.correlate_except(*_tables(other.source)))


def _is_strict(expression: Expression) -> bool:
    """Tell whether an expression is surely null where all of its attributes are."""
    if isinstance(expression, Call):
        return expression.function in _STRICT and any(map(_is_strict, expression.arguments))
    return isinstance(expression, Name)


def _tables(source: sa.FromClause) -> list[sa.FromClause]:
    """Return the tables that a FROM lists."""
    if isinstance(source, sa.Join):
        return [source, *_tables(source.left), *_tables(source.right)]
    return [source]


def conjuncts(condition: Expression) -> list[Expression]:
    """Return the conditions that all must hold."""
    if condition == TRUE:
        return []
    if isinstance(condition, Call) and condition.function == "and":
        return [c for a in condition.arguments for c in conjuncts(a)]
    return [condition]


def equal(left: Column, right: Column) -> Column:
    """Return the equality of two columns."""
    found: Column = left == right
    return found

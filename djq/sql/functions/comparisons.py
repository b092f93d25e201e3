"""Comparisons, of values that compare alike on every database."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import BindParameter, Null

from djq.errors import QueryError
from djq.sql.columntypes import Float32
from djq.sql.functions.base import (
    Build,
    Column,
    Function,
    apart,
    embedded,
    exact,
    native,
    text_of,
    word,
)
from djq.sql.functions.logic import as_moments, united
from djq.sql.kinds import (
    BOOLEAN,
    NUMBERS,
    Kind,
    common_kind,
    expect,
    kinds_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from djq.sql.dialects import Dialect

_TEXT = frozenset({Kind.TEXT})
#: The other side of a comparison with NULL, which SQLAlchemy would make an IS NULL.
_NULL = word("NULL", sa.types.NULLTYPE)


def _alike(dialect: Dialect, columns: Sequence[Column]) -> list[Column]:
    """Return what is compared, as values of one kind."""
    tuples = [c for c in columns if isinstance(c, sa.Tuple)]
    if tuples:
        return list(columns)
    kind = common_kind(columns, "a comparison")
    if kind is Kind.JSON:
        message = (
            "JSON is not compared as a whole: name a value within it, as in attribute.path = 5"
        )
        raise QueryError(message)
    columns = [apart(c) for c in columns]
    if not dialect.is_sqlite:
        return list(columns)
    if kind in NUMBERS and not _is_one_float32(columns):
        return [exact(c) for c in columns]
    return as_moments(columns, kind)


def _is_one_float32(columns: Sequence[Column]) -> bool:
    """Tell whether all are of a float32's type, the values included."""
    return all(isinstance(c.type, Float32) for c in columns)


def _binary(apply: Callable[[Column, Column], Any]) -> Build:
    def build(dialect: Dialect, arguments: Sequence[Column]) -> Column:
        left, right = (_NULL if isinstance(a, Null) else a for a in _alike(dialect, arguments))
        if isinstance(left, BindParameter):  # SQLAlchemy's own types come from the left
            left = sa.type_coerce(left, left.type)
        found: Column = apply(left, right)
        return found

    return build


def _same(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    left, right = _alike(dialect, arguments)
    return left.is_not_distinct_from(right)


def _in(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    first, *options = _alike(dialect, arguments)
    if dialect.is_sqlite and isinstance(first, sa.Tuple) and len(first.clauses) > 1:
        # SQLite looks up the rows of a SELECT in an index, and would scan for a list of tuples.
        names = (f"column{i + 1}" for i in range(len(first.clauses)))  # as SQLite calls them
        columns: list[sa.ColumnClause[Any]] = [sa.column(n) for n in names]
        rows = [tuple(o.clauses) for o in options if isinstance(o, sa.Tuple)]
        return first.in_(sa.select(sa.values(*columns).data(rows)))
    return first.in_(options)


def _between(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    value, low, high = (_NULL if isinstance(a, Null) else a for a in _alike(dialect, arguments))
    found = sa.between(value, low, high)
    found.type = BOOLEAN  # SQLAlchemy has none for it
    return found


def _tuple(_: Dialect, arguments: Sequence[Column]) -> Column:
    return sa.tuple_(*arguments)


def _like(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    """Match with a backslash as escape, as MySQL does by default."""
    value, pattern = text_of(dialect, arguments[0], "LIKE"), arguments[1]
    expect(pattern, _TEXT, "LIKE")
    if dialect.is_sqlite and not isinstance(pattern, BindParameter):
        return embedded("like", value, pattern, type_=BOOLEAN)
    if isinstance(pattern, Null):
        pattern = _NULL
    return value.like(pattern, escape="\\" if dialect.is_sqlite else None)


def _regexp(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    value, pattern = text_of(dialect, arguments[0], "REGEXP"), arguments[1]
    expect(pattern, _TEXT, "REGEXP")
    if dialect.is_sqlite:
        return embedded("regexp", value, pattern, type_=BOOLEAN)
    found: Column = _in_characters(value).op("REGEXP", is_comparison=True)(_in_characters(pattern))
    return found


def _in_characters(column: Column) -> Column:
    """Return text; what MySQL computes of nothing but NULL would be bytes, without a pattern."""
    has_null = any(isinstance(part, Null) for part in visitors.iterate(column))
    return sa.cast(column, sa.CHAR()) if has_null and not isinstance(column, Null) else column


def _extreme(name: str, sqlite: str) -> Build:
    def build(dialect: Dialect, arguments: Sequence[Column]) -> Column:
        values, type_ = united(dialect, arguments, name)
        return native(sqlite if dialect.is_sqlite else name, *values, type_=type_)

    return build


def _field(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    kind = common_kind(arguments, "FIELD")
    if kinds_of(arguments) - NUMBERS - _TEXT:
        expect(arguments[0], NUMBERS | _TEXT, "FIELD")
        message = f"FIELD takes text or numbers, not {kind.value}"
        raise QueryError(message)
    if dialect.is_sqlite:
        return embedded("field", *map(exact, arguments), type_=sa.Integer())
    return native("field", *arguments, type_=sa.Integer())


OPERATORS: dict[str, Function] = {
    "=": Function(_binary(operator.eq), 2, 2),
    "!=": Function(_binary(operator.ne), 2, 2),
    "<": Function(_binary(operator.lt), 2, 2),
    "<=": Function(_binary(operator.le), 2, 2),
    ">": Function(_binary(operator.gt), 2, 2),
    ">=": Function(_binary(operator.ge), 2, 2),
    "<=>": Function(_same, 2, 2),
    "in": Function(_in, 2, None),
    "between": Function(_between, 3, 3),
    "tuple": Function(_tuple, 1, None),
    "like": Function(_like, 2, 2),
    "regexp": Function(_regexp, 2, 2),
}
FUNCTIONS: dict[str, Function] = {
    "field": Function(_field, 2, None),
    "greatest": Function(_extreme("greatest", "max"), 2, None),
    "least": Function(_extreme("least", "min"), 2, None),
}

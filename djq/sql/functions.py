"""Operators and pure functions: the name in an expression → SQL of the database in use.

This list is what text conditions may call. Everything on it computes from its arguments alone.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.sql.elements import Grouping

from djq.sql.dialects import Dialect

Column: TypeAlias = sa.ColumnElement[Any]

#: Conditions that stand side by side without parentheses.
MAX_FLAT = 200
Build: TypeAlias = Callable[[Dialect, Sequence[Column]], Column]


def _binary(apply: Callable[[Column, Column], Any]) -> Build:
    def build(_: Dialect, arguments: Sequence[Column]) -> Column:
        built: Column = functools.reduce(apply, arguments)
        return built

    return build


def _many(combine: Callable[..., Column], name: str) -> Build:
    """Combine many conditions in a tree of two levels: SQLite refuses a depth of 1000."""

    def build(_: Dialect, arguments: Sequence[Column]) -> Column:
        if len(arguments) <= MAX_FLAT:
            return combine(*arguments)
        size = max(MAX_FLAT, -(-len(arguments) // MAX_FLAT))
        starts = range(0, len(arguments), size)
        parts: list[Column] = [Grouping(combine(*arguments[i : i + size])) for i in starts]
        # SQLAlchemy would flatten its own operator again.
        return functools.reduce(lambda a, b: a.op(name, is_comparison=True)(b), parts)

    return build


def _plain(name: str) -> Build:
    def build(_: Dialect, arguments: Sequence[Column]) -> Column:
        return getattr(sa.func, name)(*arguments)  # type: ignore[no-any-return] # built by name

    return build


def _renamed(name: str, sqlite: str) -> Build:
    def build(dialect: Dialect, arguments: Sequence[Column]) -> Column:
        return _plain(sqlite if dialect.is_sqlite else name)(dialect, arguments)

    return build


def _in(_: Dialect, arguments: Sequence[Column]) -> Column:
    first, *options = arguments
    return first.in_(options)


def _between(_: Dialect, arguments: Sequence[Column]) -> Column:
    value, low, high = arguments
    return sa.between(value, low, high)


def _case(_: Dialect, arguments: Sequence[Column]) -> Column:
    """Conditions and values in turn; a last one without a partner is the ELSE."""
    pairs = [(arguments[i], arguments[i + 1]) for i in range(0, len(arguments) - 1, 2)]
    if len(arguments) % 2:
        return sa.case(*pairs, else_=arguments[-1])
    return sa.case(*pairs)


def _divide(_: Dialect, arguments: Sequence[Column]) -> Column:
    """Divide as MySQL does: whole numbers have fractions, and by zero is NULL."""
    left, right = arguments
    return left * sa.literal_column("1e0") / sa.func.nullif(right, 0)


def _average(_: Dialect, arguments: Sequence[Column]) -> Column:
    """Average as float64: MySQL would keep four digits behind the point for whole numbers."""
    return sa.func.avg(arguments[0] * sa.literal_column("1e0"))


def _count_distinct(_: Dialect, arguments: Sequence[Column]) -> Column:
    return sa.func.count(sa.distinct(arguments[0]))


def _concat(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    if not dialect.is_sqlite:
        return sa.func.concat(*arguments)
    texts = [sa.cast(a, sa.Text) for a in arguments]
    return functools.reduce(lambda a, b: a.concat(b), texts)


def _like(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    """Match with a backslash as escape, as MySQL does by default."""
    return arguments[0].like(arguments[1], escape="\\" if dialect.is_sqlite else None)


def _negative(_: Dialect, arguments: Sequence[Column]) -> Column:
    return -arguments[0]


def _not(_: Dialect, arguments: Sequence[Column]) -> Column:
    return sa.not_(arguments[0])


def _is_null(_: Dialect, arguments: Sequence[Column]) -> Column:
    return arguments[0].is_(sa.null())


def _is_not_true(_: Dialect, arguments: Sequence[Column]) -> Column:
    return (
        sa.or_(arguments[0], sa.false())
        .self_group()
        .op("IS NOT", is_comparison=True)(sa.literal_column("TRUE"))
    )


def _tuple(_: Dialect, arguments: Sequence[Column]) -> Column:
    return sa.tuple_(*arguments)


#: What has a notation of its own in text.
OPERATORS: dict[str, Build] = {
    "and": _many(sa.and_, "AND"),
    "or": _many(sa.or_, "OR"),
    "not": _not,
    "=": _binary(operator.eq),
    "!=": _binary(operator.ne),
    "<": _binary(operator.lt),
    "<=": _binary(operator.le),
    ">": _binary(operator.gt),
    ">=": _binary(operator.ge),
    "<=>": _binary(lambda a, b: a.is_not_distinct_from(b)),
    "+": _binary(operator.add),
    "-": _binary(operator.sub),
    "*": _binary(operator.mul),
    "/": _divide,
    "%": _binary(operator.mod),
    "negative": _negative,
    "is null": _is_null,
    "is not true": _is_not_true,
    "in": _in,
    "between": _between,
    "like": _like,
    "case": _case,
    "tuple": _tuple,
    "count distinct": _count_distinct,
}

#: What text may call, by its name in lower case.
FUNCTIONS: dict[str, Build] = {
    "avg": _average,
    "concat": _concat,
    "if": _case,
    "greatest": _renamed("greatest", "max"),
    "least": _renamed("least", "min"),
    "char_length": _renamed("char_length", "length"),
    **{
        name: _plain(name)
        for name in (
            *("abs", "coalesce", "count", "ifnull", "lower", "max", "min", "nullif"),
            *("round", "sum", "trim", "upper"),
        )
    },
}

#: Function → how many arguments it takes, at least and at most (None: any number).
ARGUMENTS: dict[str, tuple[int, int | None]] = {
    **dict.fromkeys(FUNCTIONS, (1, 1)),
    **dict.fromkeys(("coalesce", "greatest", "least"), (2, None)),
    "concat": (1, None),
    "count": (0, 1),
    "count distinct": (1, 1),
    "if": (3, 3),
    "ifnull": (2, 2),
    "nullif": (2, 2),
    "round": (1, 2),
}

#: Everything that a `Call` may name.
BUILDERS: dict[str, Build] = {**OPERATORS, **FUNCTIONS}

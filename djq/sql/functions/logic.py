"""Conditions, and values that depend on conditions."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import Grouping

from djq.errors import QueryError
from djq.sql.columntypes import Float32
from djq.sql.functions.base import Build, Column, Function, apart, embedded, exact, word
from djq.sql.kinds import BOOLEAN, NUMBERS, OPEN, REAL, TYPES, Kind, common_kind, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from djq.sql.dialects import Dialect

#: Conditions that stand side by side without parentheses.
MAX_FLAT = 200
_ZERO = word("0", sa.Integer())


def truth(dialect: Dialect, column: Column) -> Column:
    """Return a value as a condition: numbers other than 0 are true, and text that begins so."""
    kind = kind_of(column)
    if kind in NUMBERS or kind in OPEN:
        return column
    if kind is Kind.TEXT:
        return number_of(dialect, column) != _ZERO
    message = f"{kind.value} is no condition: compare it, as in x = ... or x IS NOT NULL"
    raise QueryError(message)


def number_of(dialect: Dialect, column: Column) -> Column:
    """Return the number that text begins with."""
    if dialect.is_sqlite:
        return embedded("leading_number", column, type_=REAL)
    # A word of an ENUM, not its number.
    column = dialect.ordered(column)
    return sa.type_coerce(column.op("+")(word("0e0")), REAL)


def _many(combine: Callable[..., Column], name: str) -> Build:
    """Combine many conditions in a tree of two levels: SQLite refuses a depth of 1000."""

    def build(dialect: Dialect, arguments: Sequence[Column]) -> Column:
        arguments = [truth(dialect, a) for a in arguments]
        if len(arguments) <= MAX_FLAT:
            return combine(*arguments)
        size = max(MAX_FLAT, -(-len(arguments) // MAX_FLAT))
        starts = range(0, len(arguments), size)
        parts: list[Column] = [Grouping(combine(*arguments[i : i + size])) for i in starts]
        # SQLAlchemy would flatten its own operator again.
        return functools.reduce(lambda a, b: a.op(name, is_comparison=True)(b), parts)

    return build


def grouped(conditions: Sequence[Column]) -> Sequence[Column]:
    """Return many conditions as few, which are and-ed without a depth that SQLite refuses."""
    if len(conditions) <= MAX_FLAT:
        return conditions
    size = max(MAX_FLAT, -(-len(conditions) // MAX_FLAT))
    starts = range(0, len(conditions), size)
    return [Grouping(sa.and_(*conditions[i : i + size])) for i in starts]


def _xor(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    left, right = (Grouping(_is_true(dialect, [a], "IS TRUE")) for a in arguments)
    different = left.op("<>", is_comparison=True)(right)
    conditions = [Grouping(truth(dialect, a)) for a in arguments]
    unknown = sa.or_(*(c.is_(sa.null()) for c in conditions))
    return sa.type_coerce(sa.case((unknown, sa.null()), else_=different), BOOLEAN)


def _not(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    found = sa.not_(truth(dialect, arguments[0]))
    return found if isinstance(found.type, sa.Boolean) else sa.type_coerce(found, BOOLEAN)


def _is_null(_: Dialect, arguments: Sequence[Column]) -> Column:
    return apart(arguments[0]).is_(sa.null())


def _is_true(dialect: Dialect, arguments: Sequence[Column], words: str) -> Column:
    condition = Grouping(truth(dialect, arguments[0]))
    operator, _, value = words.rpartition(" ")
    found: Column = condition.op(operator, is_comparison=True)(word(value))
    return found


def _is(words: str) -> Build:
    def build(dialect: Dialect, arguments: Sequence[Column]) -> Column:
        return _is_true(dialect, arguments, words)

    return build


def united(
    dialect: Dialect, columns: Sequence[Column], what: str
) -> tuple[list[Column], sa.types.TypeEngine[Any]]:
    """Return values of one kind, and the type of what is chosen among them."""
    kind = common_kind(columns, what)
    if dialect.is_sqlite:
        columns = as_moments(columns, kind)
    types = [c.type for c in columns if kind_of(c) not in OPEN]
    if len({repr(t) for t in types}) == 1:
        return list(columns), types[0]
    if kind in NUMBERS:
        columns = [exact(c) if dialect.is_sqlite else _double(c) for c in columns]
    return list(columns), TYPES[kind]


def _double(column: Column) -> Column:
    """Return a float32 as a float64: of what is chosen MySQL would show the digits of a float32."""
    return column + word("0e0") if isinstance(column.type, Float32) else column


def as_moments(columns: Sequence[Column], kind: Kind) -> list[Column]:
    """Return dates among datetimes as SQLite's text of the day's first moment."""
    if kind is not Kind.DATETIME:
        return list(columns)
    return [
        embedded("datetime", c, type_=TYPES[kind]) if kind_of(c) is Kind.DATE else c
        for c in columns
    ]


def _case(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    """Conditions and values in turn; a last one without a partner is the ELSE."""
    n = len(arguments) // 2
    conditions = [truth(dialect, arguments[2 * i]) for i in range(n)]
    chosen = [arguments[2 * i + 1] for i in range(n)]
    chosen += arguments[2 * n :]
    values, type_ = united(dialect, chosen, "CASE")
    pairs = list(zip(conditions, values, strict=False))
    found = sa.case(*pairs, else_=values[-1]) if len(values) > n else sa.case(*pairs)
    return sa.type_coerce(found, type_)


def _coalesce(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    values, type_ = united(dialect, arguments, "COALESCE")
    if len(values) == 1:
        return values[0]
    return sa.type_coerce(sa.func.coalesce(*values), type_)


def _nullif(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    values, _ = united(dialect, arguments, "NULLIF")
    return sa.type_coerce(sa.func.nullif(*values), arguments[0].type)


OPERATORS: dict[str, Function] = {
    "and": Function(_many(sa.and_, "AND"), 1, None),
    "or": Function(_many(sa.or_, "OR"), 1, None),
    "xor": Function(_xor, 2, 2),
    "not": Function(_not),
    "is null": Function(_is_null),
    "is true": Function(_is("IS TRUE")),
    "is false": Function(_is("IS FALSE")),
    "is not true": Function(_is("IS NOT TRUE")),
    "is not false": Function(_is("IS NOT FALSE")),
    "case": Function(_case, 2, None),
}
FUNCTIONS: dict[str, Function] = {
    "coalesce": Function(_coalesce, 2, None),
    "if": Function(_case, 3, 3),
    "isnull": Function(_is_null),
    "nullif": Function(_nullif, 2, 2),
}

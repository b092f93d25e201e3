"""What functions and operators are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import BindParameter, Grouping
from sqlalchemy.sql.functions import Function as SqlFunction
from sqlalchemy.sql.functions import FunctionElement

from djq.errors import QueryError
from djq.sql.columntypes import Float32
from djq.sql.dialects import Dialect
from djq.sql.kinds import INTEGER, NUMBERS, TEXT, Kind, expect, kind_of

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import SQLCompiler

Column: TypeAlias = sa.ColumnElement[Any]
Build: TypeAlias = Callable[[Dialect, Sequence[Column]], Column]

#: Names of what djq registers with SQLite begin with it.
PREFIX = "djq_"
_TEXT = frozenset({Kind.TEXT})
_INTEGER = frozenset({Kind.INTEGER})


@dataclass(frozen=True, slots=True)
class Function:
    """How a function is built, and how many arguments it takes (None: any number)."""

    build: Build
    least: int = 1
    most: int | None = 1


def native(name: str, *arguments: Any, type_: Any) -> Column:  # noqa: ANN401 - SQLAlchemy's own
    """Return a call of a function that the database has."""
    # Not `sa.func`, which knows some of them, and their types, in its own way.
    return SqlFunction(name, *arguments, type_=type_)


def embedded(name: str, *arguments: Any, type_: Any) -> Column:  # noqa: ANN401
    """Return a call of a function that djq registered with SQLite."""
    return native(PREFIX + name, *arguments, type_=type_)


def word(text: str, type_: sa.types.TypeEngine[Any] = sa.types.NULLTYPE) -> Column:
    """Return a word of SQL, never of a user."""
    return sa.literal_column(text, type_)


class Phrase(sa.ColumnElement[Any]):
    """Expressions and words side by side, as in `LEADING 'x' FROM y`, without parentheses."""

    inherit_cache = False

    def __init__(self, *parts: Column | str) -> None:
        self.parts = [word(p) if isinstance(p, str) else p for p in parts]
        self.type = sa.types.NULLTYPE


@compiles(Phrase)
def _write(phrase: Phrase, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return " ".join(compiler.process(part, **options) for part in phrase.parts)


#: What stands beside an operator without parentheses, though it is a condition.
_CLOSED = (sa.ColumnClause, BindParameter, sa.Case, sa.Cast, FunctionElement, Grouping)


def apart(column: Column) -> Column:
    """Return a condition in parentheses, which SQLAlchemy leaves out beside some operators."""
    inner: Any = column
    while isinstance(inner, sa.TypeCoerce):
        inner = inner.clause
    if isinstance(column.type, sa.Boolean) and not isinstance(inner, _CLOSED):
        return sa.type_coerce(Grouping(inner), column.type)
    return column


def numbers(dialect: Dialect, columns: Sequence[Column], what: str) -> list[Column]:
    """Return numbers to compute with; a float32 of SQLite as the float64 that others see."""
    for column in columns:
        expect(column, NUMBERS, what)
    columns = [apart(c) for c in columns]
    counted = [sa.type_coerce(c, INTEGER) if isinstance(c.type, sa.Boolean) else c for c in columns]
    return [exact(c) for c in counted] if dialect.is_sqlite else counted


def exact(column: Column) -> Column:
    """Return what MySQL computes with for a float32, which SQLite keeps in its shortest form."""
    if isinstance(column.type, Float32):
        return embedded("single", column, type_=sa.Double())
    return column


def integers(columns: Sequence[Column], what: str) -> None:
    """Refuse what is not a whole number."""
    for column in columns:
        expect(column, _INTEGER, what)


def text_of(dialect: Dialect, column: Column, what: str) -> Column:
    """Return a value as text: what MySQL's CAST AS CHAR gives, where all databases can."""
    kind = kind_of(column)
    if kind in {Kind.DATE, Kind.DATETIME, Kind.TIME}:
        return _moment_text(dialect, column, kind)
    if kind in NUMBERS:
        return _digits(dialect, column, what)
    expect(column, _TEXT, what)
    return column


def _digits(dialect: Dialect, column: Column, what: str) -> Column:
    """Return the digits of a whole number, or of a decimal whose scale is known."""
    size: tuple[int, int] | None = getattr(column.type, "digits", None)
    is_whole = kind_of(column) is Kind.INTEGER
    if not is_whole and (kind_of(column) is Kind.FLOAT or size is None):
        message = (
            f"{what} takes text, and databases write the digits of this number differently: "
            "say how many, as in CAST(x AS DECIMAL(20, 3))"
        )
        raise QueryError(message)
    if not dialect.is_sqlite:
        return sa.type_coerce(sa.cast(column, sa.CHAR()), TEXT)
    if is_whole or size is None:
        return sa.cast(column, sa.Text())
    return embedded("decimal_text", column, word(str(size[1])), type_=TEXT)


def _moment_text(dialect: Dialect, column: Column, kind: Kind) -> Column:
    """Return ISO text, with microseconds where there are any."""
    if dialect.is_sqlite:
        return embedded(f"{kind.name.lower()}_text", column, type_=TEXT)
    plain = sa.type_coerce(sa.cast(column, sa.CHAR()), TEXT)
    if kind is Kind.DATE:
        return plain
    if kind is Kind.TIME:
        whole = native("time_format", column, sa.literal("%H:%i:%s"), type_=TEXT)
        parts = native("time_format", column, sa.literal("%H:%i:%s.%f"), type_=TEXT)
    else:
        whole = native("date_format", column, sa.literal("%Y-%m-%d %H:%i:%s"), type_=TEXT)
        parts = native("date_format", column, sa.literal("%Y-%m-%d %H:%i:%s.%f"), type_=TEXT)
    is_whole = native("microsecond", column, type_=sa.Integer()) == 0
    return sa.case((is_whole, whole), else_=parts)

"""What kind of value a column or expression has: known before a database is asked.

SQLite gives every value a type of its own and compares what others convert. Knowing the kinds is
what makes the same text mean the same everywhere, or be refused.
"""

from __future__ import annotations

import datetime as dt
import decimal
from enum import Enum
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.sql.elements import Null
from sqlalchemy.types import TypeDecorator, TypeEngine

from djq.definition.acceptance import ACCEPT
from djq.errors import QueryError
from djq.sql.columntypes import BinaryUuid, Duration, ExactDecimal, Float32, Timestamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from djq.definition.acceptance import Value


class Kind(Enum):
    """A kind of values; the words are those of messages."""

    NULL = "NULL"
    UNKNOWN = "of unknown type"
    INTEGER = "a whole number"
    DECIMAL = "a decimal"
    FLOAT = "a number"
    TEXT = "text"
    DATE = "a date"
    DATETIME = "a datetime"
    TIME = "a time"
    BYTES = "bytes"
    UUID = "a UUID"
    JSON = "JSON"


NUMBERS = frozenset({Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT})
MOMENTS = frozenset({Kind.DATE, Kind.DATETIME})
#: They fit everything.
OPEN = frozenset({Kind.NULL, Kind.UNKNOWN})


class Real(TypeDecorator[float]):
    """A computed float64."""

    impl = sa.Double
    cache_ok = True

    def process_result_value(self, value: Value, dialect: sa.Dialect) -> float | None:
        """Return a float, also where SQLite kept a whole number."""
        del dialect
        return None if value is None else float(value)


class AnyDecimal(TypeDecorator[decimal.Decimal]):
    """A computed decimal of any scale; SQLite keeps the float with the same digits."""

    impl = sa.Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[Any]:
        """Return a float for SQLite, whose numbers are binary."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.Double())
        return dialect.type_descriptor(self.impl_instance)

    def process_bind_param(self, value: Value, dialect: sa.Dialect) -> Value:
        """Send a float to SQLite."""
        return float(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Value, dialect: sa.Dialect) -> decimal.Decimal | None:
        """Return the decimal that the digits show."""
        del dialect
        return None if value is None else decimal.Decimal(str(value))


class WrittenMoment(TypeDecorator[dt.datetime]):
    """A date or datetime that was given as text, beside one that was computed."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: Value, dialect: sa.Dialect) -> Value:
        """Send a datetime.

        Raises
        ------
        QueryError
            The text is none.
        """
        del dialect
        try:
            return ACCEPT["datetime"](value, (6,))
        except ValueError as error:
            message = f"cannot compare a date or datetime with {value!r}: {error}"
            raise QueryError(message) from error


INTEGER, REAL, DECIMAL, TEXT = sa.Integer(), Real(), AnyDecimal(), sa.Text()
BOOLEAN = sa.Boolean(create_constraint=False)
DATE, DATETIME, TIME, JSON, BYTES = sa.Date(), sa.DateTime(), Duration(6), sa.JSON(), sa.BLOB()

TYPES: dict[Kind, TypeEngine[Any]] = {
    Kind.NULL: sa.types.NULLTYPE,
    Kind.UNKNOWN: sa.types.NULLTYPE,
    Kind.INTEGER: INTEGER,
    Kind.DECIMAL: DECIMAL,
    Kind.FLOAT: REAL,
    Kind.TEXT: TEXT,
    Kind.DATE: DATE,
    Kind.DATETIME: DATETIME,
    Kind.TIME: TIME,
    Kind.BYTES: BYTES,
    Kind.UUID: BinaryUuid(),
    Kind.JSON: JSON,
}

#: The first that fits is the kind: subclasses stand before their bases.
_KINDS: tuple[tuple[Kind, tuple[type[Any], ...]], ...] = (
    (Kind.FLOAT, (Float32, Real)),
    (Kind.DECIMAL, (ExactDecimal, AnyDecimal)),
    (Kind.UUID, (BinaryUuid,)),
    (Kind.TIME, (Duration, sa.Time)),
    (Kind.DATETIME, (Timestamp, WrittenMoment, sa.DateTime)),
    (Kind.DATE, (sa.Date,)),
    (Kind.INTEGER, (sa.Boolean, sa.Integer, mysql.YEAR)),
    (Kind.FLOAT, (sa.Float,)),
    (Kind.DECIMAL, (sa.Numeric,)),
    (Kind.TEXT, (sa.String, sa.Enum)),
    (Kind.JSON, (sa.JSON,)),
    (Kind.BYTES, (sa.types._Binary,)),  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
)


def kind_of(column: sa.ColumnElement[Any]) -> Kind:
    """Return the kind of a column's values."""
    type_ = column.type
    for kind, classes in _KINDS:
        if isinstance(type_, classes):
            return kind
    return Kind.NULL if isinstance(column, Null) else Kind.UNKNOWN


def kinds_of(columns: Sequence[sa.ColumnElement[Any]]) -> set[Kind]:
    """Return the kinds of columns, without those that fit everything."""
    return {kind_of(c) for c in columns} - OPEN


def common_kind(columns: Sequence[sa.ColumnElement[Any]], what: str) -> Kind:
    """Return the one kind that values of all columns have in common.

    Raises
    ------
    QueryError
        They have none: databases would convert them, each in its own way.
    """
    kinds = kinds_of(columns)
    if not kinds:
        return Kind.UNKNOWN if Kind.UNKNOWN in map(kind_of, columns) else Kind.NULL
    if len(kinds) == 1:
        return kinds.pop()
    if kinds <= NUMBERS:
        return Kind.FLOAT if Kind.FLOAT in kinds else Kind.DECIMAL
    if kinds <= MOMENTS:
        return Kind.DATETIME
    words = " and ".join(sorted(k.value for k in kinds))
    message = f"{what} takes values of one kind, not {words}: convert one of them, {_advice(kinds)}"
    raise QueryError(message)


def _advice(kinds: set[Kind]) -> str:
    if Kind.TEXT in kinds and kinds & NUMBERS:
        return "as in CAST(text AS DECIMAL(10, 2)), or write numbers without and text with quotes"
    if Kind.TEXT in kinds and kinds & {Kind.DATE, Kind.DATETIME, Kind.TIME}:
        return "as in CAST(text AS DATETIME)"
    if Kind.DATETIME in kinds and Kind.TIME in kinds:
        return "as in TIME(datetime)"
    if Kind.JSON in kinds:
        return "as in attribute.path:signed"
    return "with CAST(... AS ...)"


def expect(column: sa.ColumnElement[Any], kinds: frozenset[Kind], what: str) -> None:
    """Refuse a column of another kind.

    Raises
    ------
    QueryError
        The message says which kinds `what` takes, and which it got.
    """
    kind = kind_of(column)
    if kind not in kinds and kind not in OPEN:
        wanted = " or ".join(k.value for k in Kind if k in kinds)
        message = f"{what} takes {wanted}, not {kind.value}: {_advice({kind, *kinds})}"
        raise QueryError(message)

"""Aggregates: one value from many rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import UnaryExpression

from djq.sql.functions.base import (
    Build,
    Column,
    Function,
    Phrase,
    embedded,
    exact,
    integers,
    native,
    numbers,
    text_of,
    word,
)
from djq.sql.kinds import DECIMAL, INTEGER, REAL, TEXT, TYPES, Kind, expect, kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from djq.sql.dialects import Dialect

_ORDERED = frozenset(Kind) - {Kind.JSON, Kind.BYTES}


def _count(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    del dialect
    return native("count", *arguments, type_=INTEGER)


def _count_distinct(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    if len(arguments) == 1:
        return native("count", sa.distinct(arguments[0]), type_=INTEGER)
    if dialect.is_sqlite:
        counted = embedded("count_distinct", *arguments, type_=INTEGER)
        return native("coalesce", counted, word("0"), type_=INTEGER)  # of no rows it is not asked
    inside = Phrase("DISTINCT", arguments[0])
    return native("count", inside, *arguments[1:], type_=INTEGER)


def _sum(dialect: Dialect, arguments: Sequence[Column], *, distinct: bool = False) -> Column:
    (value,) = numbers(dialect, arguments, "SUM")
    kind = kind_of(value)
    what = sa.distinct(value) if distinct else value
    if kind is Kind.DECIMAL and dialect.is_sqlite:
        return embedded("sum_decimal", what, type_=DECIMAL)
    return native("sum", what, type_=TYPES[kind])


def _sum_distinct(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    return _sum(dialect, arguments, distinct=True)


def _average(dialect: Dialect, arguments: Sequence[Column], *, distinct: bool = False) -> Column:
    """Average as float64: MySQL would keep four digits behind the point for whole numbers."""
    (value,) = numbers(dialect, arguments, "AVG")
    real = value * word("1e0")
    return native("avg", sa.distinct(real) if distinct else real, type_=REAL)


def _average_distinct(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    return _average(dialect, arguments, distinct=True)


def _extreme(name: str) -> Build:
    def build(dialect: Dialect, arguments: Sequence[Column]) -> Column:
        del dialect
        expect(arguments[0], _ORDERED, name.upper())
        return native(name, arguments[0], type_=arguments[0].type)

    return build


def _spread(name: str) -> Build:
    def build(dialect: Dialect, arguments: Sequence[Column]) -> Column:
        values = numbers(dialect, arguments, name.upper())
        if dialect.is_sqlite:
            return embedded(name, *values, type_=REAL)
        # As float64: MariaDB would keep four digits behind the point for whole numbers. It would
        # also find every spread NULL in HAVING, unless something is computed from it.
        found = native(name, values[0] * word("1e0"), type_=REAL)
        return sa.type_coerce(found + word("0e0"), REAL)

    return build


def _bits(name: str) -> Build:
    def build(dialect: Dialect, arguments: Sequence[Column]) -> Column:
        integers(arguments, name.upper())
        if dialect.is_sqlite:
            none = word("-1" if name == "bit_and" else "0")  # of no rows it is not asked
            return native(
                "coalesce", embedded(name, *arguments, type_=INTEGER), none, type_=INTEGER
            )
        found = native(name, *arguments, type_=INTEGER)
        return native("convert", Phrase(found, ", SIGNED"), type_=INTEGER)

    return build


def _group_concat(*, distinct: bool) -> Build:
    """Return GROUP_CONCAT of a value, a separator and keys; without keys texts are ordered."""

    def build(dialect: Dialect, arguments: Sequence[Column]) -> Column:
        text = text_of(dialect, arguments[0], "GROUP_CONCAT")
        separator, keys = arguments[1], arguments[2:]
        if dialect.is_sqlite:
            flag = word(str(int(distinct)))
            order = [part for key in keys for part in _embedded_key(key)]
            return embedded("group_concat", text, separator, flag, *order, type_=TEXT)
        parts: list[Column | str] = []
        for key in keys or [dialect.ordered(text).asc()]:
            parts += [key, ","]
        head = ["DISTINCT", text] if distinct else [text]
        inside = Phrase(*head, "ORDER BY", *parts[:-1], "SEPARATOR", separator)
        return native("group_concat", inside, type_=TEXT)

    return build


def _embedded_key(key: Column) -> tuple[Column, Column]:
    """Return a key and whether it is descending."""
    if not isinstance(key, UnaryExpression):
        return key, word("0")
    is_descending = key.modifier is operators.desc_op
    return exact(key.element), word(str(int(is_descending)))


def _direction(*, descending: bool) -> Build:
    def build(dialect: Dialect, arguments: Sequence[Column]) -> Column:
        column = dialect.ordered(arguments[0])
        return column.desc() if descending else column.asc()

    return build


FUNCTIONS: dict[str, Function] = {
    "avg": Function(_average),
    "bit_and": Function(_bits("bit_and")),
    "bit_or": Function(_bits("bit_or")),
    "bit_xor": Function(_bits("bit_xor")),
    "count": Function(_count, 0, 1),
    "max": Function(_extreme("max")),
    "min": Function(_extreme("min")),
    "stddev_pop": Function(_spread("stddev_pop")),
    "stddev_samp": Function(_spread("stddev_samp")),
    "sum": Function(_sum),
    "var_pop": Function(_spread("var_pop")),
    "var_samp": Function(_spread("var_samp")),
}
OPERATORS: dict[str, Function] = {
    "ascending": Function(_direction(descending=False)),
    "descending": Function(_direction(descending=True)),
    "group_concat": Function(_group_concat(distinct=False), 2, None),
    "group_concat distinct": Function(_group_concat(distinct=True), 2, None),
    "avg distinct": Function(_average_distinct),
    "count distinct": Function(_count_distinct, 1, None),
    "sum distinct": Function(_sum_distinct),
}

"""Arithmetic and functions of numbers."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from djq.sql.functions.base import (
    Build,
    Column,
    Function,
    Phrase,
    apart,
    embedded,
    integers,
    native,
    numbers,
    word,
)
from djq.sql.kinds import DECIMAL, INTEGER, REAL, TYPES, Kind, common_kind, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from djq.sql.dialects import Dialect


def _arithmetic(
    apply: Callable[[Column, Column], Any], sign: str, whole: str, decimal: str
) -> Build:
    def build(dialect: Dialect, arguments: Sequence[Column]) -> Column:
        left, right = numbers(dialect, arguments, sign)
        kind = common_kind((left, right), sign)
        if kind is Kind.DECIMAL and dialect.is_sqlite:
            return embedded(decimal, left, right, type_=DECIMAL)
        if kind is Kind.INTEGER and dialect.is_sqlite:
            return embedded(whole, left, right, type_=INTEGER)
        return sa.type_coerce(apply(left, right), TYPES[kind])

    return build


def _divide(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    """Divide as floats: whole numbers have fractions, and by zero is NULL."""
    left, right = numbers(dialect, arguments, "/")
    found = left * word("1e0") / sa.func.nullif(right, word("0"))
    return sa.type_coerce(found, REAL)


def _whole_division(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    left, right = numbers(dialect, arguments, "DIV")
    if not dialect.is_sqlite:
        return sa.type_coerce(left.op("DIV", precedence=8)(right), INTEGER)
    return embedded("div", left, right, type_=INTEGER)


def _modulo(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    left, right = numbers(dialect, arguments, "MOD")
    kind = common_kind((left, right), "MOD")
    if not dialect.is_sqlite or kind is Kind.INTEGER:
        found = left % right
        if kind is Kind.DECIMAL and dialect.backend == "mariadb":
            found += word("0")  # of -1 % 0.5 it makes a zero that is less than 0
        return sa.type_coerce(found, TYPES[kind])
    name = "decimal_mod" if kind is Kind.DECIMAL else "float_mod"
    return embedded(name, left, right, type_=TYPES[kind])


def _negative(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    (value,) = numbers(dialect, arguments, "-")
    if dialect.is_sqlite and kind_of(value) is Kind.INTEGER:
        return embedded("minus", word("0"), value, type_=INTEGER)
    return sa.type_coerce(-value, _plain_type(value))


def _plain_type(column: Column) -> sa.types.TypeEngine[Any]:
    return TYPES[kind_of(column)]


def _absolute(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    (value,) = numbers(dialect, arguments, "ABS")
    return native("abs", value, type_=_plain_type(value))


def _sign(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    (value,) = numbers(dialect, arguments, "SIGN")
    if not dialect.is_sqlite:
        return native("sign", value, type_=INTEGER)
    zero = word("0")
    return sa.type_coerce(
        sa.case((value > zero, 1), (value < zero, -1), (value == zero, 0)), INTEGER
    )


def _rounded(name: str, sqlite: str) -> Build:
    """Halves of decimals away from zero, of floats to even, as MySQL does."""

    def build(dialect: Dialect, arguments: Sequence[Column]) -> Column:
        value, *digits = numbers(dialect, arguments, name.upper())
        integers(digits, f"{name.upper()}(x, digits)")
        kind = kind_of(value)
        if not dialect.is_sqlite:
            return native(name, value, *digits, type_=TYPES[kind])
        way = "float" if kind is Kind.FLOAT else "exact"
        n = digits[0] if digits else word("0")
        return embedded(f"{sqlite}_{way}", value, n, type_=TYPES[kind])

    return build


def _whole(name: str, sqlite: str) -> Build:
    def build(dialect: Dialect, arguments: Sequence[Column]) -> Column:
        (value,) = numbers(dialect, arguments, name.upper())
        kind = kind_of(value)
        type_ = REAL if kind is Kind.FLOAT else INTEGER
        if dialect.is_sqlite:
            return embedded(sqlite, value, type_=type_)
        return native(name, value, type_=type_)

    return build


def _real(name: str) -> Build:
    """Return a function of floats."""

    def build(dialect: Dialect, arguments: Sequence[Column]) -> Column:
        values = numbers(dialect, arguments, name.upper())
        if dialect.is_sqlite:
            return embedded(name, *values, type_=REAL)
        return native(name, *values, type_=REAL)

    return build


def _atan(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    return _real("atan2" if len(arguments) > 1 else "atan")(dialect, arguments)


def _pi(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    del dialect, arguments
    # Not PI(), of which MySQL shows six digits.
    return word("3.141592653589793e0", REAL)


def _bits(sign: str, sqlite: str | None = None) -> Build:
    """Return an operator on 64 bits with a sign; MySQL's have none."""

    def build(dialect: Dialect, arguments: Sequence[Column]) -> Column:
        integers(arguments, sign)
        if dialect.is_sqlite and sqlite is not None:
            return embedded(sqlite, *arguments, type_=INTEGER)
        left, right = map(apart, arguments)
        # On servers `^` binds more than `*` does, the others less than `+`.
        found = left.op(sign, precedence=15 if sign == "^" else 6)(right)
        return sa.type_coerce(found if dialect.is_sqlite else _signed(found), INTEGER)

    return build


def _signed(column: Column) -> Column:
    return native("convert", Phrase(column, ", SIGNED"), type_=INTEGER)


def _complement(_: Dialect, arguments: Sequence[Column]) -> Column:
    integers(arguments, "~")
    found = word("-1", INTEGER) - apart(arguments[0])
    return sa.type_coerce(found, INTEGER)


OPERATORS: dict[str, Function] = {
    "+": Function(_arithmetic(operator.add, "+", "plus", "add"), 2, 2),
    "-": Function(_arithmetic(operator.sub, "-", "minus", "subtract"), 2, 2),
    "*": Function(_arithmetic(operator.mul, "*", "times", "multiply"), 2, 2),
    "/": Function(_divide, 2, 2),
    "%": Function(_modulo, 2, 2),
    "div": Function(_whole_division, 2, 2),
    "negative": Function(_negative),
    "&": Function(_bits("&"), 2, 2),
    "|": Function(_bits("|"), 2, 2),
    "^": Function(_bits("^", "xor"), 2, 2),
    "<<": Function(_bits("<<", "shift_left"), 2, 2),
    ">>": Function(_bits(">>", "shift_right"), 2, 2),
    "~": Function(_complement),
}
FUNCTIONS: dict[str, Function] = {
    "abs": Function(_absolute),
    "acos": Function(_real("acos")),
    "asin": Function(_real("asin")),
    "atan": Function(_atan, 1, 2),
    "atan2": Function(_real("atan2"), 2, 2),
    "ceil": Function(_whole("ceiling", "ceil")),
    "cos": Function(_real("cos")),
    "degrees": Function(_real("degrees")),
    "exp": Function(_real("exp")),
    "floor": Function(_whole("floor", "floor")),
    "ln": Function(_real("log")),
    "log": Function(_real("log"), 1, 2),
    "log10": Function(_real("log10")),
    "log2": Function(_real("log2")),
    "mod": Function(_modulo, 2, 2),
    "pi": Function(_pi, 0, 0),
    "pow": Function(_real("pow"), 2, 2),
    "radians": Function(_real("radians")),
    "round": Function(_rounded("round", "round"), 1, 2),
    "sign": Function(_sign),
    "sin": Function(_real("sin")),
    "sqrt": Function(_real("sqrt")),
    "tan": Function(_real("tan")),
    "truncate": Function(_rounded("truncate", "truncate"), 2, 2),
}

"""CAST and CONVERT: text is read as a date, time or number where it is one, else it is null."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.sql.elements import BindParameter

from djq.sql.columntypes import ExactDecimal
from djq.sql.embedded.times import ISO_PATTERN, TIME_PATTERN
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
from djq.sql.kinds import (
    DATE,
    DATETIME,
    INTEGER,
    MOMENTS,
    NUMBERS,
    REAL,
    TEXT,
    TIME,
    Kind,
    Real,
    expect,
    kind_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from djq.sql.dialects import Dialect

_TEXT = frozenset({Kind.TEXT})
_INTEGER_PATTERN = r"^[ ]*[-+]?[0-9]{1,18}[ ]*$"
_NUMBER_PATTERN = r"^[ ]*[-+]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][-+]?[0-9]{1,2})?[ ]*$"
_DECIMAL = re.compile(r"cast decimal\((\d+),(\d+)\)\Z")
_CHAR = re.compile(r"cast char\((\d+)\)\Z")
#: As MySQL limits them.
MAX_DIGITS, MAX_SCALE = 65, 30


def _only(pattern: str, text: Column, found: Column) -> Column:
    """Return `found` where text has a pattern; null elsewhere, where databases would guess."""
    matches = text.op("REGEXP", is_comparison=True)(word(f"'{pattern}'"))
    return sa.type_coerce(sa.case((matches, found)), found.type)


_MOMENTS: dict[str, sa.types.TypeEngine[Any]] = {"date": DATE, "datetime": DATETIME, "time": TIME}


def _moment(dialect: Dialect, column: Column, name: str) -> Column:
    """Return text as a date, datetime or time."""
    type_ = _MOMENTS[name]
    if dialect.is_sqlite:
        return embedded(f"read_{name}", column, type_=type_)
    pattern = TIME_PATTERN if name == "time" else ISO_PATTERN
    server: dict[str, sa.types.TypeEngine[Any]] = {
        "date": sa.Date(),
        "datetime": mysql.DATETIME(fsp=6),
        "time": mysql.TIME(fsp=6),
    }
    cast: Column = sa.type_coerce(sa.cast(column, server[name]), type_)
    return _only(f"^{pattern}$", column, cast)


def _is_given(column: Column, kind: Kind) -> bool:
    """Tell whether it is a value that was read already."""
    return isinstance(column, BindParameter) and kind_of(column) is kind


def _date(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    (value,) = arguments
    expect(value, MOMENTS | _TEXT, "CAST(x AS DATE)")
    if kind_of(value) is Kind.TEXT:
        return _moment(dialect, value, "date")
    if dialect.is_sqlite:
        return value if _is_given(value, Kind.DATE) else embedded("date", value, type_=DATE)
    return sa.cast(value, sa.Date())


def _datetime(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    (value,) = arguments
    expect(value, MOMENTS | _TEXT, "CAST(x AS DATETIME)")
    if kind_of(value) is Kind.TEXT:
        return _moment(dialect, value, "datetime")
    if dialect.is_sqlite:
        return (
            value
            if _is_given(value, Kind.DATETIME)
            else embedded("datetime", value, type_=DATETIME)
        )
    return sa.type_coerce(sa.cast(value, mysql.DATETIME(fsp=6)), DATETIME)


def _time(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    (value,) = arguments
    expect(value, MOMENTS | _TEXT | {Kind.TIME}, "CAST(x AS TIME)")
    kind = kind_of(value)
    if kind is Kind.TEXT:
        return _moment(dialect, value, "time")
    if kind is Kind.TIME and not _is_given(value, Kind.TIME):
        return value
    if dialect.is_sqlite:
        return value if kind is Kind.TIME else embedded("time", value, type_=TIME)
    return sa.type_coerce(sa.cast(value, mysql.TIME(fsp=6)), TIME)


def _number(value: Column, what: str) -> Column:
    """Return a number, or text that may be one."""
    expect(value, NUMBERS | _TEXT, what)
    return sa.type_coerce(apart(value), INTEGER) if isinstance(value.type, sa.Boolean) else value


def _signed(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    value = _number(arguments[0], "CAST(x AS SIGNED)")
    kind = kind_of(value)
    if not dialect.is_sqlite:
        # MySQL rounds a decimal that IF, CASE and the like chose beside floats as a decimal.
        number = value + word("0e0") if isinstance(value.type, Real) else value
        found: Column = sa.type_coerce(sa.cast(number, mysql.BIGINT()), INTEGER)
        if kind is Kind.TEXT:
            return _only(_INTEGER_PATTERN, value, found)
        # Beyond, servers differ in what is nearest, and so does one server from place to place.
        fits = value.between(word("-9.2e18"), word("9.2e18"))
        return found if kind is Kind.INTEGER else sa.type_coerce(sa.case((fits, found)), INTEGER)
    if kind is Kind.TEXT:
        whole = sa.type_coerce(sa.cast(value, sa.Integer()), INTEGER)
        pattern = word(f"'{_INTEGER_PATTERN}'")
        return sa.case((embedded("regexp", value, pattern, type_=INTEGER) == 1, whole))
    name = "decimal_to_integer" if kind is Kind.DECIMAL else "to_integer"
    return embedded(name, exact(value), type_=INTEGER)


def _unsigned(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    """Return a whole number without a sign; a negative one would be 2⁶⁴ more on MySQL: null."""
    found = _signed(dialect, arguments)
    return sa.type_coerce(sa.case((found >= word("0"), found)), INTEGER)


def _double(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    value = _number(arguments[0], "CAST(x AS DOUBLE)")
    if kind_of(value) is not Kind.TEXT:
        if dialect.is_sqlite:
            return sa.type_coerce(sa.cast(exact(value), sa.Double()), REAL)
        return sa.type_coerce(value + word("0e0"), REAL)
    pattern = word(f"'{_NUMBER_PATTERN}'")
    if dialect.is_sqlite:
        found = embedded("leading_number", value, type_=REAL)
        return sa.case((embedded("regexp", value, pattern, type_=INTEGER) == 1, found))
    number = sa.type_coerce(value.op("+")(word("0e0")), REAL)
    return _only(_NUMBER_PATTERN, value, number)


def _decimal(digits: int, scale: int) -> Build:
    def build(dialect: Dialect, arguments: Sequence[Column]) -> Column:
        value = _number(arguments[0], "CAST(x AS DECIMAL)")
        type_ = ExactDecimal(digits, scale)
        if kind_of(value) is Kind.TEXT:
            value = _double(dialect, [value])
        if dialect.is_sqlite:
            size = [word(str(n)) for n in (digits, scale)]
            return embedded("to_decimal", exact(value), *size, type_=type_)
        return sa.type_coerce(sa.cast(value, mysql.DECIMAL(digits, scale)), type_)

    return build


def _char(length: int | None = None) -> Build:
    def build(dialect: Dialect, arguments: Sequence[Column]) -> Column:
        text = text_of(dialect, arguments[0], "CAST(x AS CHAR)")
        if length is None:
            return text
        size = word(str(length))
        return (embedded if dialect.is_sqlite else native)("left", text, size, type_=TEXT)

    return build


OPERATORS: dict[str, Function] = {
    "cast char": Function(_char()),
    "cast date": Function(_date),
    "cast datetime": Function(_datetime),
    "cast double": Function(_double),
    "cast signed": Function(_signed),
    "cast time": Function(_time),
    "cast unsigned": Function(_unsigned),
}


def sized(name: str) -> Function | None:
    """Return the cast to a type with a size, such as `cast decimal(10,2)`."""
    if match := _DECIMAL.match(name):
        return Function(_decimal(int(match[1]), int(match[2])))
    if match := _CHAR.match(name):
        return Function(_char(int(match[1])))
    return None

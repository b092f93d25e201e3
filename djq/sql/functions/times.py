"""Functions of dates, datetimes and times; all of them in UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from djq.errors import QueryError
from djq.sql.functions.base import Build, Column, Function, embedded, integers, native, word
from djq.sql.functions.logic import as_moments
from djq.sql.kinds import (
    DATE,
    DATETIME,
    DECIMAL,
    INTEGER,
    MOMENTS,
    TEXT,
    TIME,
    TYPES,
    Kind,
    expect,
    kind_of,
    kinds_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from djq.sql.dialects import Dialect

_CLOCKED = frozenset({Kind.DATE, Kind.DATETIME, Kind.TIME})
_EPOCH = word("CAST('1970-01-01 00:00:00' AS DATETIME)", DATETIME)
#: Units of intervals; MySQL's compound ones are refused.
UNITS = ("microsecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year")
_OF_DATES = frozenset({"day", "week", "month", "quarter", "year"})
#: Parts of a date or datetime, and those that a time has, too.
_PARTS = ("year", "quarter", "month", "day", "dayofweek", "weekday", "dayofyear", "week")
_CLOCK_PARTS = ("hour", "minute", "second", "microsecond")


def _part(name: str, kinds: frozenset[Kind] = MOMENTS) -> Build:
    def build(dialect: Dialect, arguments: Sequence[Column]) -> Column:
        expect(arguments[0], kinds, name.upper())
        if dialect.is_sqlite:
            words = word(f"'{name}'")
            return embedded("part", arguments[0], words, type_=INTEGER)
        return native(name, arguments[0], type_=INTEGER)

    return build


def _date(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    expect(arguments[0], MOMENTS, "DATE")
    if dialect.is_sqlite:
        return embedded("date", arguments[0], type_=DATE)
    return native("date", arguments[0], type_=DATE)


def _time(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    expect(arguments[0], _CLOCKED, "TIME")
    if kind_of(arguments[0]) is Kind.TIME:
        return arguments[0]
    if dialect.is_sqlite:
        return embedded("time", arguments[0], type_=TIME)
    return native("time", arguments[0], type_=TIME)


def _named(name: str) -> Build:
    def build(dialect: Dialect, arguments: Sequence[Column]) -> Column:
        expect(arguments[0], MOMENTS, name.upper())
        type_ = DATE if name == "last_day" else TEXT
        if dialect.is_sqlite:
            return embedded(name, arguments[0], type_=type_)
        return native(name, arguments[0], type_=type_)

    return build


def _date_format(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    expect(arguments[0], MOMENTS, "DATE_FORMAT")
    expect(arguments[1], frozenset({Kind.TEXT}), "DATE_FORMAT")
    if dialect.is_sqlite:
        return embedded("date_format", *arguments, type_=TEXT)
    return native("date_format", *arguments, type_=TEXT)


def _datediff(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    for argument in arguments:
        expect(argument, MOMENTS, "DATEDIFF")
    if dialect.is_sqlite:
        return embedded("datediff", *arguments, type_=INTEGER)
    return native("datediff", *arguments, type_=INTEGER)


def _timediff(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    for argument in arguments:
        expect(argument, frozenset({Kind.DATETIME, Kind.TIME}), "TIMEDIFF")
    if len(kinds_of(arguments)) > 1:
        message = "TIMEDIFF takes two datetimes or two times, not one of each"
        raise QueryError(message)
    if dialect.is_sqlite:
        return embedded("timediff", *arguments, type_=TIME)
    found = native("timediff", *arguments, type_=TIME)
    if dialect.backend != "mariadb":
        return found
    # Its longest time is almost a second longer.
    low, high = (word(f"CAST('{sign}838:59:59' AS TIME(6))") for sign in ("-", ""))
    return native("greatest", native("least", found, high, type_=TIME), low, type_=TIME)


def _added(unit: str, sign: int) -> Build:
    """Return what adds an interval: `arguments` are the moment and how many units."""

    def build(dialect: Dialect, arguments: Sequence[Column]) -> Column:
        at, n = arguments
        expect(at, MOMENTS, "INTERVAL")
        integers([n], f"INTERVAL … {unit.upper()}")
        is_date = kind_of(at) is Kind.DATE and unit in _OF_DATES
        type_ = TYPES[kind_of(at)] if is_date else DATETIME
        whole = sa.type_coerce(n, INTEGER)  # of a bool there is no minus
        count = n if sign > 0 else -whole
        if dialect.is_sqlite:
            return embedded("added", at, count, word(f"'{unit}'"), type_=type_)
        return native("timestampadd", word(unit.upper()), count, at, type_=type_)

    return build


def _difference(unit: str) -> Build:
    def build(dialect: Dialect, arguments: Sequence[Column]) -> Column:
        for argument in arguments:
            expect(argument, MOMENTS, "TIMESTAMPDIFF")
        if dialect.is_sqlite:
            values = [word(f"'{unit}'"), *as_moments(arguments, Kind.DATETIME)]
            return embedded("difference", *values, type_=INTEGER)
        return native("timestampdiff", word(unit.upper()), *arguments, type_=INTEGER)

    return build


def _unix_timestamp(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    """Return seconds, also of times that MySQL's own function does not reach."""
    expect(arguments[0], MOMENTS, "UNIX_TIMESTAMP")
    if dialect.is_sqlite:
        return embedded("unix_timestamp", arguments[0], type_=DECIMAL)
    micros = native("timestampdiff", word("MICROSECOND"), _EPOCH, arguments[0], type_=INTEGER)
    return sa.type_coerce(micros * word("0.000001"), DECIMAL)


def _from_unixtime(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    integers(arguments, "FROM_UNIXTIME")
    (n,) = arguments
    if dialect.is_sqlite:
        return embedded("from_unixtime", n, type_=DATETIME)
    found = native("timestampadd", word("SECOND"), n, _EPOCH, type_=DATETIME)
    return sa.type_coerce(sa.case((n >= word("0"), found)), DATETIME)


def _now(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    del arguments
    if dialect.is_sqlite:
        words = "strftime('%Y-%m-%d %H:%M:%S.000000', 'now')"
        return word(words.replace("%", "%"), DATETIME)
    return native("now", type_=DATETIME)


def _utc_now(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    """Return the time of the database, in fractions of a second."""
    del arguments
    if dialect.is_sqlite:
        return word("strftime('%Y-%m-%d %H:%M:%f000', 'now')", DATETIME)
    return native("utc_timestamp", word("6"), type_=DATETIME)


def _today(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    del arguments
    if dialect.is_sqlite:
        return native("date", word("'now'"), type_=DATE)
    return native("curdate", type_=DATE)


def _clock(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    del arguments
    if dialect.is_sqlite:
        return embedded("time", _now(dialect, ()), type_=TIME)
    return native("curtime", type_=TIME)


FUNCTIONS: dict[str, Function] = {
    **{name: Function(_part(name)) for name in (*_PARTS, "weekofyear")},
    **{name: Function(_part(name, _CLOCKED)) for name in _CLOCK_PARTS},
    "curdate": Function(_today, 0, 0),
    "curtime": Function(_clock, 0, 0),
    "date": Function(_date),
    "date_format": Function(_date_format, 2, 2),
    "datediff": Function(_datediff, 2, 2),
    "dayname": Function(_named("dayname")),
    "from_unixtime": Function(_from_unixtime),
    "last_day": Function(_named("last_day")),
    "monthname": Function(_named("monthname")),
    "now": Function(_now, 0, 0),
    "time": Function(_time),
    "timediff": Function(_timediff, 2, 2),
    "unix_timestamp": Function(_unix_timestamp),
}
OPERATORS: dict[str, Function] = {
    "utc now": Function(_utc_now, 0, 0),
    **{f"add {unit}": Function(_added(unit, 1), 2, 2) for unit in UNITS},
    **{f"subtract {unit}": Function(_added(unit, -1), 2, 2) for unit in UNITS},
    **{f"timestampdiff {unit}": Function(_difference(unit), 2, 2) for unit in UNITS},
}
#: Functions whose text arguments are read as dates and times, and as which.
MOMENT_ARGUMENTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys((*_PARTS, "weekofyear", "date", "dayname", "monthname"), ("datetime",)),
    **dict.fromkeys((*_CLOCK_PARTS, "time"), ("time or datetime",)),
    **dict.fromkeys(("date_format", "last_day", "unix_timestamp"), ("datetime",)),
    "datediff": ("datetime", "datetime"),
    "timediff": ("time or datetime", "time or datetime"),
    **dict.fromkeys(OPERATORS, ("datetime",)),
    **{f"timestampdiff {unit}": ("datetime", "datetime") for unit in UNITS},
}

"""Dates and times as MySQL computes with them, for SQLite.

A date is ISO text, a datetime ISO text with six digits behind the point, a time an integer [µs].
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from typing import TYPE_CHECKING

from djq.definition.native import time_us

if TYPE_CHECKING:
    from collections.abc import Callable

    from djq.definition.acceptance import Value

SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US
#: The longest TIME of MySQL [µs].
LONGEST_US = (838 * 3_600 + 59 * 60 + 59) * SECOND_US
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - naive UTC, as all datetimes of rows
_UNITS_US = {
    "microsecond": 1,
    "second": SECOND_US,
    "minute": 60 * SECOND_US,
    "hour": HOUR_US,
    "day": 24 * HOUR_US,
    "week": 7 * 24 * HOUR_US,
}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def moment(value: str) -> dt.datetime:
    """Return a date or datetime of SQLite."""
    return dt.datetime.fromisoformat(value)


def written(value: dt.datetime) -> str:
    """Return a datetime as SQLite keeps it."""
    return value.isoformat(sep=" ", timespec="microseconds")


def part(value: Value, name: str) -> int:
    """Return a part of a date, a datetime or a time."""
    if isinstance(value, int):
        return _part_of_time(abs(value), name)
    return int(_PARTS[name](moment(value)))


def _part_of_time(micros: int, name: str) -> int:
    seconds, micro = divmod(micros, SECOND_US)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return {"hour": hour, "minute": minute, "second": second, "microsecond": micro}[name]


def week_0(at: dt.datetime) -> int:
    """Return WEEK(x): weeks begin on Sundays, the first Sunday begins week 1."""
    return int(at.strftime("%U"))


_PARTS: dict[str, Callable[[dt.datetime], int]] = {
    "year": lambda at: at.year,
    "quarter": lambda at: (at.month + 2) // 3,
    "month": lambda at: at.month,
    "day": lambda at: at.day,
    "hour": lambda at: at.hour,
    "minute": lambda at: at.minute,
    "second": lambda at: at.second,
    "microsecond": lambda at: at.microsecond,
    "dayofweek": lambda at: at.isoweekday() % 7 + 1,
    "weekday": lambda at: at.weekday(),
    "dayofyear": lambda at: at.timetuple().tm_yday,
    "week": week_0,
    "weekofyear": lambda at: at.isocalendar()[1],
}


def added(value: str, n: int, unit: str) -> str | None:
    """Return a date or datetime plus an interval; null outside of MySQL's years."""
    at = moment(value)
    is_date = len(value) == 10 and unit in {"day", "week", *_MONTHS}  # noqa: PLR2004
    try:
        if unit in _MONTHS:
            months = at.year * 12 + at.month - 1 + n * _MONTHS[unit]
            year, month = divmod(months, 12)
            day = min(at.day, calendar.monthrange(year, month + 1)[1])
            at = at.replace(year=year, month=month + 1, day=day)
        else:
            at += dt.timedelta(microseconds=n * _UNITS_US[unit])
    except (OverflowError, ValueError, IndexError):
        return None
    return at.date().isoformat() if is_date else written(at)


def difference(unit: str, start: str, end: str) -> int:
    """Return TIMESTAMPDIFF: whole units, towards zero."""
    first, last = moment(start), moment(end)
    sign = 1
    if last < first:
        first, last, sign = last, first, -1
    if unit not in _MONTHS:
        micros = (last - first) // dt.timedelta(microseconds=1)
        return sign * (micros // _UNITS_US[unit])
    months = (last.year - first.year) * 12 + last.month - first.month
    if (last.day, last.time()) < (first.day, first.time()):
        months -= 1
    return sign * (months // _MONTHS[unit])


def datediff(end: str, start: str) -> int:
    """Return the days between two dates."""
    return (moment(end).date() - moment(start).date()).days


def timediff(end: Value, start: Value) -> int:
    """Return the time between two datetimes or times, as far as a TIME reaches."""
    micros: int
    if isinstance(end, int):
        micros = end - start
    else:
        micros = (moment(end) - moment(start)) // dt.timedelta(microseconds=1)
    return max(-LONGEST_US, min(micros, LONGEST_US))


def time_of(value: str) -> int:
    """Return the time of a datetime's day."""
    at = moment(value)
    return (at - at.replace(hour=0, minute=0, second=0, microsecond=0)) // dt.timedelta(
        microseconds=1
    )


def unix_timestamp(value: str) -> Value:
    """Return the seconds since 1970."""
    micros = (moment(value) - _EPOCH) // dt.timedelta(microseconds=1)
    return micros // SECOND_US if micros % SECOND_US == 0 else micros / SECOND_US


def last_day(value: str) -> str:
    """Return the last date of a month."""
    at = moment(value)
    return at.replace(day=calendar.monthrange(at.year, at.month)[1]).date().isoformat()


def date_text(value: str) -> str:
    """Return a date as text."""
    return value


def datetime_text(value: str) -> str:
    """Return a datetime as text, with microseconds where there are any."""
    return moment(value).isoformat(sep=" ")


def time_text(value: int) -> str:
    """Return a time as text, with microseconds where there are any."""
    seconds, micro = divmod(abs(value), SECOND_US)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    fraction = f".{micro:06}" if micro else ""
    return f"{'-' if value < 0 else ''}{hour:02}:{minute:02}:{second:02}{fraction}"


def read_date(text: str) -> str | None:
    """Return the date that ISO text begins with; null if it is none."""
    at = read_datetime(text)
    return at[:10] if at else None


def read_datetime(text: str) -> str | None:
    """Return the datetime of ISO text; null if it is none."""
    if not ISO.fullmatch(text):
        return None
    try:
        return written(moment(text))
    except ValueError:
        return None


#: What is read as a datetime, on every database.
ISO_PATTERN = r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?)?"
ISO = re.compile(ISO_PATTERN)
TIME_PATTERN = r"-?[0-9]{1,3}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?"
_TIME = re.compile(TIME_PATTERN)


def read_time(text: str) -> int | None:
    """Return the time of text like `-12:30:01.5` [µs]; null if it is none."""
    if not _TIME.fullmatch(text):
        return None
    try:
        return time_us(text)
    except ValueError:
        return None


def formatted(value: str, pattern: str) -> str:
    """Return DATE_FORMAT."""
    at = moment(value)

    def piece(match: re.Match[str]) -> str:
        write = _FORMATS.get(match[1])
        return match[1] if write is None else write(at)

    return re.sub(r"%(.)", piece, pattern, flags=re.DOTALL)


def _suffix(day: int) -> str:
    is_teen = 11 <= day <= 13  # noqa: PLR2004
    return "th" if is_teen else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


def _half(at: dt.datetime) -> str:
    return "PM" if at.hour >= 12 else "AM"  # noqa: PLR2004 - noon


def _twelve(at: dt.datetime) -> int:
    return at.hour % 12 or 12


_FORMATS: dict[str, Callable[[dt.datetime], str]] = {
    "a": lambda at: calendar.day_abbr[at.weekday()],
    "b": lambda at: calendar.month_abbr[at.month],
    "c": lambda at: str(at.month),
    "D": lambda at: f"{at.day}{_suffix(at.day)}",
    "d": lambda at: f"{at.day:02}",
    "e": lambda at: str(at.day),
    "f": lambda at: f"{at.microsecond:06}",
    "H": lambda at: f"{at.hour:02}",
    "h": lambda at: f"{_twelve(at):02}",
    "I": lambda at: f"{_twelve(at):02}",
    "i": lambda at: f"{at.minute:02}",
    "j": lambda at: f"{at.timetuple().tm_yday:03}",
    "k": lambda at: str(at.hour),
    "l": lambda at: str(_twelve(at)),
    "M": lambda at: calendar.month_name[at.month],
    "m": lambda at: f"{at.month:02}",
    "p": _half,
    "r": lambda at: f"{_twelve(at):02}:{at.minute:02}:{at.second:02} {_half(at)}",
    "S": lambda at: f"{at.second:02}",
    "s": lambda at: f"{at.second:02}",
    "T": lambda at: f"{at.hour:02}:{at.minute:02}:{at.second:02}",
    "U": lambda at: at.strftime("%U"),
    "u": lambda at: f"{_week_1(at):02}",
    "V": lambda at: f"{(_sunday(at).timetuple().tm_yday + 6) // 7:02}",
    "v": lambda at: f"{at.isocalendar()[1]:02}",
    "W": lambda at: calendar.day_name[at.weekday()],
    "w": lambda at: str(at.isoweekday() % 7),
    "X": lambda at: f"{_sunday(at).year:04}",
    "x": lambda at: f"{at.isocalendar()[0]:04}",
    "Y": lambda at: f"{at.year:04}",
    "y": lambda at: f"{at.year % 100:02}",
}


def _sunday(at: dt.datetime) -> dt.datetime:
    """Return the Sunday that begins the week."""
    return at - dt.timedelta(days=at.isoweekday() % 7)


def _week_1(at: dt.datetime) -> int:
    """Return WEEK(x, 1): weeks begin on Mondays, week 1 has more than three days of the year."""
    year, week, _ = at.isocalendar()
    if year < at.year:
        return 0
    if year > at.year:
        return 53
    return week


def _date(x: Value) -> Value:
    return x[:10]


def _datetime(x: Value) -> Value:
    return written(moment(x))


def _from_unixtime(n: Value) -> Value:
    return added(written(_EPOCH), n, "second") if n >= 0 else None


def _dayname(x: Value) -> Value:
    return formatted(x, "%W")


def _monthname(x: Value) -> Value:
    return formatted(x, "%M")


FUNCTIONS: dict[str, tuple[int, Callable[..., Value]]] = {
    "part": (2, part),
    "date": (1, _date),
    "datetime": (1, _datetime),
    "time": (1, time_of),
    "date_text": (1, date_text),
    "datetime_text": (1, datetime_text),
    "time_text": (1, time_text),
    "added": (3, added),
    "difference": (3, difference),
    "datediff": (2, datediff),
    "timediff": (2, timediff),
    "unix_timestamp": (1, unix_timestamp),
    "from_unixtime": (1, _from_unixtime),
    "last_day": (1, last_day),
    "date_format": (2, formatted),
    "dayname": (1, _dayname),
    "monthname": (1, _monthname),
    "read_date": (1, read_date),
    "read_datetime": (1, read_datetime),
    "read_time": (1, read_time),
}

"""Operators and functions: the name in an expression → SQL of the database in use.

`FUNCTIONS` is what text may call. Everything on it computes from its arguments alone, and from the
time of day.
"""

from __future__ import annotations

from functools import lru_cache

import sqlalchemy as sa

from djq.sql.functions import (
    aggregates,
    casts,
    comparisons,
    jsons,
    logic,
    numbers,
    texts,
    times,
)
from djq.sql.functions.base import Build, Column, Function

__all__ = ["ALIASES", "BUILDERS", "FUNCTIONS", "OPERATORS", "OWN", "Build", "Column", "Function"]

_MODULES = (aggregates, casts, comparisons, jsons, logic, numbers, texts, times)

#: What has a notation of its own in text.
OPERATORS: dict[str, Function] = {n: f for m in _MODULES for n, f in m.OPERATORS.items()}

#: What text may call, by its name in lower case.
FUNCTIONS: dict[str, Function] = {
    name: function
    for module in _MODULES
    for name, function in getattr(module, "FUNCTIONS", {}).items()
}

#: Other names of the same functions.
ALIASES: dict[str, str] = {
    "adddate": "date_add",
    "ceiling": "ceil",
    "character_length": "char_length",
    "current_date": "curdate",
    "current_time": "curtime",
    "current_timestamp": "now",
    "dayofmonth": "day",
    "ifnull": "coalesce",
    "lcase": "lower",
    "localtime": "now",
    "localtimestamp": "now",
    "mid": "substring",
    "octet_length": "length",
    "power": "pow",
    "std": "stddev_pop",
    "stddev": "stddev_pop",
    "subdate": "date_sub",
    "substr": "substring",
    "ucase": "upper",
    "utc_date": "curdate",
    "utc_time": "curtime",
    "utc_timestamp": "now",
    "variance": "var_pop",
}

#: A call of a function that the settings add to the list begins with it.
OWN = "own "


def _own(name: str) -> Function:
    def build(_: object, arguments: object) -> Column:
        found: Column = getattr(sa.func, name)(*arguments)  # type: ignore[misc]
        return found

    return Function(build, 0, None)


@lru_cache(maxsize=1024)
def _named(name: str) -> Function:
    if name.startswith(OWN):
        return _own(name.removeprefix(OWN))
    found = casts.sized(name) or OPERATORS.get(name) or FUNCTIONS.get(name)
    if found is None:
        raise KeyError(name)
    return found


class _Builders(dict[str, Build]):
    """Everything that a `Call` may name; those with a size or an order are made as they come."""

    def __missing__(self, name: str) -> Build:
        return _named(name).build


BUILDERS: dict[str, Build] = _Builders(
    {name: f.build for name, f in (*OPERATORS.items(), *FUNCTIONS.items())}
)

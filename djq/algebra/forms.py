"""What users write behind `&` and `-`, besides mappings and text; and rows in foreign frames."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from djq.definition.acceptance import Value
from djq.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Sequence


class AndList(list[Value]):
    """Conditions that must all hold; empty: no restriction."""


@dataclass(frozen=True, slots=True)
class Not:
    """The complement of a condition."""

    condition: Value

    def __neg__(self) -> Value:
        """Return the condition itself."""
        return self.condition


@dataclass(frozen=True, slots=True)
class Top:
    """The first rows in an order, as a restriction: `Scan & dj.Top(5, "scan_date DESC")`.

    Parameters
    ----------
    limit
        How many rows at most; None: all.
    order_by
        Names with an optional `DESC`; `"KEY"` is the primary key. None keeps the order there is.
    offset
        How many rows are left out in front.

    Raises
    ------
    QueryError
        A number is negative, or no number.
    """

    limit: int | None = 1
    order_by: str | Sequence[str] | None = "KEY"
    offset: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.limit is not None:
            object.__setattr__(self, "limit", _whole("limit", self.limit))
        object.__setattr__(self, "offset", _whole("offset", self.offset))


def _whole(name: str, value: Value) -> int:
    """Return a number of rows as Python's own; numpy's numbers are taken, too."""
    if not hasattr(value, "__index__") or isinstance(value, bool) or value < 0:
        message = f"Top({name}={value!r}): write a whole number, 0 or more"
        raise QueryError(message)
    return operator.index(value)


@dataclass(frozen=True, slots=True, init=False)
class Universal:
    """All values that the attributes of some names could ever have; what `dj.U` is made of."""

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        """Check the names, and leave out what is named twice."""
        given: tuple[Value, ...] = names
        for name in given:
            if not isinstance(name, str):
                message = f"dj.U({name!r}): give the names of attributes, as in dj.U('a', 'b')"
                raise QueryError(message)
        object.__setattr__(self, "names", tuple(dict.fromkeys(names)))


def records(condition: Any) -> list[dict[str, Value]] | None:  # noqa: ANN401 - of any library
    """Return the rows of a data frame, an Arrow table or a structured array; None for others.

    Named levels of an index are attributes, too; missing values are null.
    """
    dtype = getattr(condition, "dtype", None)
    names: tuple[str, ...] | None = getattr(dtype, "names", None)
    if names is not None:
        rows = [condition] if condition.shape == () else condition.ravel()
        return [{n: _known(row[n]) for n in names} for row in rows]
    if hasattr(condition, "to_pylist") and hasattr(condition, "column_names"):
        return list(condition.to_pylist())
    if not hasattr(condition, "columns"):
        return _record(condition)
    if hasattr(condition, "iter_rows"):
        return list(condition.to_dicts())
    if not hasattr(condition, "to_dict"):
        return None
    if any(name is not None for name in condition.index.names):
        condition = condition.reset_index()
    rows = condition.to_dict("records")
    return [{n: _known(v) for n, v in row.items()} for row in rows]


def _record(condition: Any) -> list[dict[str, Value]] | None:  # noqa: ANN401 - of any library
    """Return a row of a pandas data frame, which is a Series by the names of its columns."""
    if not hasattr(condition, "to_frame") or not hasattr(condition, "to_dict"):
        return None
    row = condition.to_dict()
    if not all(isinstance(name, str) for name in row):
        message = "a Series restricts as a row, by names of attributes: write {name: series}"
        raise QueryError(message)
    return [{n: _known(v) for n, v in row.items()}]


def _known(value: Any) -> Value:  # noqa: ANN401 - of any library
    return None if _is_missing(value) else value


def _is_missing(value: Any) -> bool:  # noqa: ANN401 - of any library
    """Tell whether a value is pandas' NaN, NaT or NA, none of which equals itself."""
    if type(value).__name__ == "NAType":
        return True
    is_scalar = getattr(value, "shape", ()) == ()
    return bool(is_scalar and value != value)  # noqa: PLR0124 - NaN

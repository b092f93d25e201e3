"""Many rows as few statements: columns → the text of INSERTs for MySQL, parameters for SQLite.

PyMySQL's own `executemany` escapes value by value, and sends row by row whatever it cannot read,
such as `VALUES (…) AS new ON DUPLICATE KEY UPDATE`. Whole columns of plain numbers and texts need
no escaping. SQLite takes some rows per statement in half the time of one by one. Both make this
faster than the driver alone.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Sequence

    from djq.definition.acceptance import Value

#: One statement is not longer, unless one row is; the smallest default of `max_allowed_packet` in
#: use is 16 MB [characters].
MAX_STATEMENT = 1_000_000
#: Text without these is the same quoted as escaped.
_SPECIAL = re.compile("[\0\n\r\x1a\"'\\\\]")
#: The placeholders of one row.
_ROW = re.compile(r"\((?:(?:%s|\?)(?:, )?)+\)")
#: Rows of one statement of SQLite: more are not faster. And parameters of one: the least that any
#: SQLite allows is 999.
SQLITE_ROWS, SQLITE_PARAMETERS = 50, 999


def insert_texts(
    text: str, columns: Sequence[Sequence[Value]], escape: Callable[[Any], str]
) -> list[str]:
    """Return the statements that insert the rows of `columns`.

    Parameters
    ----------
    text
        The INSERT of one row, with `%s` for its values.
    columns
        All values of each column, converted for the driver, in the order of the placeholders.
    escape
        The driver's function that writes a value as SQL.
    """
    head, row, tail = _split(text)
    head, tail = head % (), tail % ()
    literals = [_literals(column, escape) for column in columns]
    rows = list(map(row.__mod__, zip(*literals, strict=False)))
    return [f"{head}{','.join(part)}{tail}" for part in _parts(rows)]


def insert_on_sqlite(cursor: sqlite3.Cursor, text: str, columns: Sequence[Sequence[Value]]) -> None:
    """Insert the rows of `columns` by the INSERT of one row, many of them at a time."""
    width = len(columns)
    values = list(chain.from_iterable(zip(*columns, strict=False)))
    n_together = min(SQLITE_ROWS, SQLITE_PARAMETERS // width)
    step = n_together * width
    end = len(values) // step * step if step else 0
    if end:
        head, row, tail = _split(text)
        together = f"{head}{', '.join([row] * n_together)}{tail}"
        cursor.executemany(together, (values[i : i + step] for i in range(0, end, step)))
    cursor.executemany(text, (values[i : i + width] for i in range(end, len(values), width)))


def _split(text: str) -> tuple[str, str, str]:
    """Return what is before the placeholders of a row, they themselves, and what follows."""
    row = _ROW.search(text)
    if row is None:
        message = f"no row of placeholders in {text}"
        raise AssertionError(message)
    return text[: row.start()], row[0], text[row.end() :]


def _parts(rows: list[str]) -> Iterator[list[str]]:
    if sum(map(len, rows)) + len(rows) <= MAX_STATEMENT:
        yield rows
        return
    start, size = 0, 0
    for i, row in enumerate(rows):
        if size and size + len(row) > MAX_STATEMENT:
            yield rows[start:i]
            start, size = i, 0
        size += len(row) + 1
    yield rows[start:]


def _literals(column: Sequence[Value], escape: Callable[[Any], str]) -> list[str]:
    """Return the values as SQL."""
    kinds = set(map(type, column))
    if kinds == {int}:
        return list(map(int.__repr__, column))
    if kinds == {float}:
        texts = list(map(float.__repr__, column))
        # Without an exponent a number is a DECIMAL for the server.
        return [t if "e" in t else f"{t}e0" for t in texts]
    if kinds == {str} and not _SPECIAL.search("".join(column)):
        return [f"'{value}'" for value in column]
    return list(map(escape, column))

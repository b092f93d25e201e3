"""Many rows as few statements: columns → the text of INSERTs for MySQL.

PyMySQL's own `executemany` escapes value by value, and sends row by row whatever it cannot read,
such as `VALUES (…) AS new ON DUPLICATE KEY UPDATE`. Whole columns of plain numbers and texts need
no escaping, which makes this faster than the driver alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from djq.definition.acceptance import Value

#: One statement is not longer, unless one row is; the smallest default of `max_allowed_packet` in
#: use is 16 MB [characters].
MAX_STATEMENT = 1_000_000
#: Text without these is the same quoted as escaped.
_SPECIAL = re.compile("[\0\n\r\x1a\"'\\\\]")
#: The placeholders of one row.
_ROW = re.compile(r"\((?:%s(?:, )?)+\)")


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
    row = _ROW.search(text)
    if row is None:
        message = f"no row of placeholders in {text}"
        raise AssertionError(message)
    head, tail = text[: row.start()] % (), text[row.end() :] % ()
    literals = [_literals(column, escape) for column in columns]
    rows = list(map(row[0].__mod__, zip(*literals, strict=False)))
    return [f"{head}{','.join(part)}{tail}" for part in _parts(rows)]


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

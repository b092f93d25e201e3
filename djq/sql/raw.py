"""What a statement that was sent as it is returned."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


#: What may stand before a statement's first word; a comment with "!" is a statement to the server.
_BEFORE = re.compile(r"(?:[\s(]|--[^\n]*(?:\n|$)|#[^\n]*(?:\n|$)|/\*(?!M?!).*?\*/)*", re.DOTALL)
_WORDS = re.compile(r"([a-z]+)(?:\s+([a-z]+))?", re.IGNORECASE)


def first_words(text: str) -> tuple[str, str]:
    """Return the first two words of a statement in capitals, empty where there is none."""
    before = _BEFORE.match(text)
    found = _WORDS.match(text, before.end() if before else 0)
    return ("", "") if found is None else (found[1].upper(), (found[2] or "").upper())


class Rows:
    """The rows of one statement, all read; to be used as a cursor of the Python database API."""

    def __init__(self, cursor: Any, *, as_dict: bool) -> None:  # noqa: ANN401 - the driver's
        #: As the driver describes its columns; None where the statement returned no rows.
        self.description: Sequence[Sequence[Any]] | None = cursor.description
        #: Rows that were returned or changed, as the driver counts them.
        self.rowcount: int = cursor.rowcount
        found: Sequence[Sequence[Any]] = cursor.fetchall() if self.description else ()
        names = [column[0] for column in self.description or ()]
        rows: list[Any] = [dict(zip(names, row, strict=True)) for row in found]
        self._rows = iter(rows if as_dict else [tuple(row) for row in found])

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the rows that were not fetched yet."""
        return self._rows

    def fetchone(self) -> Any:  # noqa: ANN401 - a tuple or a mapping
        """Return the next row; None behind the last."""
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        """Return the rows that were not fetched yet."""
        return list(self._rows)

"""Where something stands in a definition, and the error that points at it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NoReturn

from djq.errors import DefinitionError


@dataclass(frozen=True, slots=True)
class Position:
    """Where something stands in a definition, to point at it in a message."""

    owner: str
    number: int
    text: str
    #: Where in `text` to look for the part that is wrong.
    start: int = 0

    def behind(self, code: str, offset: int) -> Position:
        """Return the position that looks behind `offset` of `code`, which stands in the line."""
        return replace(self, start=max(self.text.find(code), 0) + offset)

    def fail(self, problem: str, part: str = "", advice: str = "") -> NoReturn:
        """Raise a `DefinitionError` that shows the line and marks `part` in it."""
        column = len(self.text) - len(self.text.lstrip())
        column = max(self.text.find(part, self.start), 0) if part else column
        width = len(part) or len(self.text.strip()) or 1
        lines = [
            f"{problem} in {self.owner}, line {self.number}, column {column + 1}",
            f"    {self.text.rstrip()}",
            f"    {' ' * column}{'^' * width}",
        ]
        if advice:
            lines.append(advice)
        raise DefinitionError("\n".join(lines))

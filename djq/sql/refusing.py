"""How a text of users is refused: in its own words, with a mark under the place."""

from __future__ import annotations

from typing import NoReturn

from djq.errors import QueryError

TOO_DEEP = "it is nested too deeply"


class TextError(QueryError):
    """A text is refused, whatever it was meant to be: `about` says that."""

    def __init__(self, before: str, after: str) -> None:
        super().__init__(f"{before}the text{after}")
        self.before, self.after = before, after

    def about(self, what: str) -> QueryError:
        """Return the error of a text that was meant to be `what`."""
        return QueryError(f"{self.before}{what}{self.after}")


class Text:
    """One text, and how it is refused."""

    def __init__(self, text: str) -> None:
        self.text = text

    def refuse(
        self, reason: str, start: int | None = None, length: int = 1, verb: str = "use"
    ) -> NoReturn:
        """Raise the error, with a mark under the place where one is given."""
        before = f"cannot {verb} "
        if start is None:
            after = f" {shown(self.text)}: {reason}"
            raise TextError(before, after)
        after = f", {where(self.text, start)}: {reason}\n{marked(self.text, start, length)}"
        raise TextError(before, after)

    def refuse_unread(self, reason: str, start: int | None = None, length: int = 1) -> NoReturn:
        """Raise the error of a text that is no expression."""
        self.refuse(reason, start, length, verb="read")

    def refuse_whole(self, reason: str) -> NoReturn:
        """Raise the error of a text that need not be shown."""
        before, after = "", f" {reason}"
        raise TextError(before, after)

    def refuse_name(self, name: str, start: int, length: int, hint: str) -> NoReturn:
        """Raise the error of a name that no attribute has."""
        before = f'unknown attribute "{name}" in '
        after = f", {where(self.text, start)}\n{marked(self.text, start, length)}\n{hint}"
        raise TextError(before, after)


def shown(text: str) -> str:
    """Return a text for a message, shortened in its middle."""
    if len(text) > 400:  # noqa: PLR2004 - some lines
        text = f"{text[:200]} … {text[-100:]}"
    return repr(text)


def where(text: str, start: int) -> str:
    """Return a place for a message: its column, and its line where there are several."""
    line, column = text.count("\n", 0, start), start - text.rfind("\n", 0, start)
    return f"line {line + 1}, column {column}" if line else f"column {column}"


def marked(text: str, start: int, length: int) -> str:
    """Return the line of a place with a mark under it."""
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", start)
    line = text[first:] if last < 0 else text[first:last]
    offset = start - first
    if len(line) > 160:  # noqa: PLR2004 - a line of a terminal, or two
        cut = max(0, offset - 60)
        line, offset = line[cut : cut + 160], offset - cut
    return f"    {line}\n    {' ' * offset}{'^' * max(1, min(length, len(line) - offset))}"

"""Condition and expression text, read as MySQL → expressions over known attributes.

The text is parsed, and every part of it is either translated into a node of our own or refused by
name: there is no way through for a subquery, a comment, a second statement or an unknown function.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from djq.errors import QueryError
from djq.sql.parsing import parse, shown
from djq.sql.reading import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from djq.algebra.expressions import Expression
    from djq.definition.heading import Heading


def text_reader(functions: Iterable[str]) -> Callable[[str, Heading], Expression]:
    """Return `read_text` with the functions that the settings add to the list."""
    more = frozenset(functions)
    if not more:
        return read_text

    def read(text: str, heading: Heading) -> Expression:
        return read_text(text, heading, more)

    return read


@lru_cache(maxsize=4096)
def read_text(text: str, heading: Heading, more: frozenset[str] = frozenset()) -> Expression:
    """Read a condition or expression; names are attributes of `heading`.

    Parameters
    ----------
    text
        An expression in MySQL's dialect.
    heading
        The attributes that the text may name.
    more
        Names of functions that may be called beside those on the list: the setting `functions`.

    Raises
    ------
    QueryError
        The text is not an expression, a name is unknown, or something in it is not allowed.
    """
    tree = parse(text, frozenset(heading.names))
    try:
        return Reader(text, heading, more).read_all(tree)
    except RecursionError as error:
        message = f"cannot use the condition {shown(text)}: it is nested too deeply"
        raise QueryError(message) from error

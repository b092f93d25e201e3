"""Condition and expression text, read as MySQL → expressions over known attributes.

The text is parsed, and every part of it is either translated into a node of our own or refused by
name: there is no way through for a subquery, a comment, a second statement or an unknown function.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from djq.sql.parsing import parse
from djq.sql.reading import Reader
from djq.sql.refusing import TOO_DEEP, Text, TextError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from djq.algebra.expressions import Expression
    from djq.algebra.operators import ReadExpression
    from djq.definition.heading import Heading

#: What most texts are.
CONDITION = "the condition"


def text_reader(functions: Iterable[str]) -> ReadExpression:
    """Return `read_text` with the functions that the settings add to the list."""
    more = frozenset(functions)

    def read(text: str, heading: Heading, what: str = CONDITION, /) -> Expression:
        return read_text(text, heading, what, more)

    return read


def read_text(
    text: str, heading: Heading, what: str = CONDITION, more: frozenset[str] = frozenset()
) -> Expression:
    """Read a condition or expression; names are attributes of `heading`.

    Parameters
    ----------
    text
        An expression in MySQL's dialect.
    heading
        The attributes that the text may name.
    what
        What the text is, in the words of errors.
    more
        Names of functions that may be called beside those on the list: the setting `functions`.

    Raises
    ------
    QueryError
        The text is not an expression, a name is unknown, or something in it is not allowed.
    """
    try:
        return _read(text, heading, more)
    except TextError as error:
        raise error.about(what) from error.__context__


@lru_cache(maxsize=4096)
def _read(text: str, heading: Heading, more: frozenset[str]) -> Expression:
    tree = parse(text, frozenset(heading.names))
    try:
        return Reader(text, heading, more).read_all(tree)
    except RecursionError:
        Text(text).refuse(TOO_DEEP)

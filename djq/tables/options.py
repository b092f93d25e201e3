"""What a fetch is asked for: names, order and window, checked before anything is asked."""

from __future__ import annotations

import operator
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from djq.algebra import ordering
from djq.algebra.expressions import Name
from djq.algebra.nodes import Projection
from djq.definition.heading import Heading
from djq.errors import QueryError
from djq.hints import suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from djq.algebra.expressions import Expression
    from djq.algebra.nodes import Node
    from djq.definition.acceptance import Value

#: `"a DESC"`, `["a", "b"]`, `"KEY"`; None: as the rows come, or as a `Top` orders them.
OrderBy: TypeAlias = "str | Sequence[str] | None"

#: Stands for the attributes of the primary key.
KEY = "KEY"


def window(node: Node, order_by: OrderBy, limit: int | None, offset: int | None) -> Node:
    """Return the rows in an order, and only some of them.

    Raises
    ------
    QueryError
        The order names no attribute, or a bound is no number from 0.
    """
    if order_by is None and limit is None and not offset:
        return node
    names = _order_names(order_by)
    most = None if limit is None else bound("limit", limit)
    return ordering.order(node, names, limit=most, offset=bound("offset", offset or 0))


def _order_names(order_by: Value) -> list[str] | None:
    if order_by is None:
        return None
    items: list[Value] = [order_by]
    if isinstance(order_by, list | tuple):
        items = [*order_by]  # pyright: ignore[reportUnknownVariableType] - users' data
    if not all(isinstance(i, str) for i in items):
        message = f'order_by={order_by!r}: write "name", "name DESC", "KEY", or a list of such'
        raise QueryError(message)
    return items


def bound(name: str, value: Value) -> int:
    """Return a whole number; others are refused."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        message = f"{name}={value!r}: a whole number from 0"
        raise QueryError(message)
    return operator.index(value)


def expanded(names: Sequence[Value], heading: Heading) -> tuple[str, ...]:
    """Return the attributes that are asked for, each once; `"KEY"` is those of the key.

    Raises
    ------
    QueryError
        One of the names is none.
    """
    found: dict[str, None] = {}
    for name in names:
        if not isinstance(name, str) or "," in name:
            message = f'{name!r} is no name of an attribute: write them one by one, as in "a", "b"'
            raise QueryError(message)
        meant = heading.primary_key if name == KEY else (heading[name].name,)
        found.update(dict.fromkeys(meant))
    return tuple(found)


def narrowed(node: Node, names: tuple[str, ...]) -> Node:
    """Return the rows with these attributes only: what nobody asked for is not sent."""
    if names == node.heading.names:
        return node
    return Projection(node, *_columns(node.heading, names))


@lru_cache(maxsize=4096)
def _columns(
    heading: Heading, names: tuple[str, ...]
) -> tuple[tuple[tuple[str, Expression], ...], Heading]:
    return tuple((n, Name(n)) for n in names), Heading(tuple(heading[n] for n in names))


def refuse_unknown(given: Iterable[str], known: Sequence[str], verb: str) -> None:
    """Refuse options that a verb does not have.

    Raises
    ------
    QueryError
        There is one; the message says which there are.
    """
    for name in given:
        message = f'{verb} has no option "{name}". {suggest(name, known)}'
        raise QueryError(message)

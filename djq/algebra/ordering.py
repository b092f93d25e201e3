"""Order, windows and pages: check names, build nodes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NoReturn, cast

from djq.algebra.expressions import Call, Expression, Literal, Name
from djq.algebra.nodes import Node, Restriction, Top
from djq.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from djq.definition.acceptance import Value

#: Databases count rows in 64 bits.
MOST_ROWS = 2**63 - 1


def order(
    source: Node,
    by: Sequence[str] | str | None,
    *,
    limit: int | None = None,
    offset: int = 0,
) -> Node:
    """Return `source` ordered by names with an optional `DESC`; `KEY` means the primary key."""
    check_number("limit", limit or 0)
    check_number("offset", offset)
    terms = _terms(source, by)
    if isinstance(source, Top) and (not terms or terms == source.order):
        return _within(source, limit, offset)
    return Top(source, terms, limit, offset)


def at_most(source: Node, limit: int) -> Top:
    """Return so many rows of `source`, in the order they have."""
    return _within(source, limit, 0) if isinstance(source, Top) else Top(source, (), limit)


def check_number(name: str, value: int) -> None:
    """Refuse a number of rows that is none.

    Raises
    ------
    QueryError
        It is negative, or larger than databases count.
    """
    if 0 <= value <= MOST_ROWS:
        return
    what = f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
    if value < 0:
        message = f"{name}={value}: {what} is 0 or more"
        raise QueryError(message)
    message = f"{name}={value}: {what} is at most {MOST_ROWS}"
    raise QueryError(message)


def _refuse_order(by: Value) -> NoReturn:
    message = f'cannot order by {by!r}: write "name", "name DESC" or "KEY"'
    raise QueryError(message)


def _within(window: Top, limit: int | None, offset: int) -> Top:
    """Return a window of a window in the same order."""
    most = None if window.limit is None else max(0, window.limit - offset)
    limits = [n for n in (most, limit) if n is not None]
    return Top(window.source, window.order, min(limits, default=None), window.offset + offset)


def _terms(source: Node, by: Value) -> tuple[tuple[str, bool], ...]:
    items = [by] if isinstance(by, str) else by or ()
    if not isinstance(items, Iterable):
        _refuse_order(by)
    terms: list[tuple[str, bool]] = []
    for item in cast("Iterable[Value]", items):
        if not isinstance(item, str):
            _refuse_order(item)
        for part in item.split(","):
            name, _, direction = part.strip().partition(" ")
            if direction.strip().upper() not in {"", "ASC", "DESC"}:
                message = f'cannot order by "{part.strip()}": write "name", "name DESC" or "KEY"'
                raise QueryError(message)
            is_descending = direction.strip().upper() == "DESC"
            names = source.heading.primary_key if name == "KEY" else (source.heading[name].name,)
            terms.extend((n, is_descending) for n in names)
    return tuple(terms)


def after(source: Node, key: Mapping[str, Value]) -> Node:
    """Return the rows that come behind `key` in the order of the primary key (keyset paging).

    The first attribute's bound stands alone in front, so that a database can seek in its index.
    """
    names = source.heading.primary_key
    condition: Expression | None = None
    for name in reversed(names):
        attribute, value = Name(name), Literal(key[name])
        greater: Expression = Call(">", (attribute, value))
        if condition is not None:
            tied = Call("and", (Call("=", (attribute, value)), condition))
            greater = Call("or", (greater, tied))
        condition = greater
    if condition is None:
        return source
    first = Call(">=", (Name(names[0]), Literal(key[names[0]])))
    return Restriction(source, Call("and", (first, condition)) if len(names) > 1 else condition)

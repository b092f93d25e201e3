"""`&`, `-`, `*`, `proj`, `aggr` and order: check headings and lineage, build nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from djq.algebra.expressions import (
    AGGREGATES,
    Call,
    Expression,
    Literal,
    Name,
    aggregates_in,
    names_in,
)
from djq.algebra.nodes import Aggregation, Join, Node, Projection, Restriction, Top
from djq.definition.heading import Heading
from djq.errors import QueryError

if TYPE_CHECKING:
    from djq.definition.acceptance import Value

#: Reads an expression in text against a heading.
ReadExpression = Callable[[str, Heading], Expression]


def restrict(source: Node, condition: Expression) -> Node:
    """Return the rows of `source` for which `condition` is true."""
    return Restriction(source, condition)


def join(left: Node, right: Node, *, is_left: bool = False) -> Node:
    """Return the natural join on all shared attributes, whose lineage must agree."""
    names = left.heading.namesakes(right.heading)
    left.heading.check_lineage(right.heading, names, what="join")
    if is_left and not set(right.heading.primary_key) <= set(left.heading.names):
        message = (
            "a left join must find at most one row on the right: its key "
            f"({', '.join(right.heading.primary_key)}) is not within the left side's attributes"
        )
        raise QueryError(message)
    heading = left.heading.join(right.heading, left=is_left)
    return Join(left, right, names, is_left, heading)


def project(
    source: Node, shown: Sequence[object], computed: Mapping[str, Value], read: ReadExpression
) -> Node:
    """Return `source` with its key, the attributes `shown`, and renamed or computed ones.

    `shown` may hold names, an ellipsis for all secondary attributes and `-name` to leave one out.
    A value of `computed` is another attribute's name (rename), `(name)` (copy) or an expression.
    """
    heading = source.heading
    columns = _shown_columns(heading, shown)
    for new, value in computed.items():
        text = _checked_text(new, value)
        if text in heading:
            columns.pop(text, None)
            if new in columns:
                _refuse_collision(new)
            columns[new] = Name(text)
    for new, value in computed.items():
        text = _checked_text(new, value)
        if text in heading:
            continue
        if new in columns:
            _refuse_collision(new)
        columns[new] = expression = _read(text, heading, read)
        if name := next(aggregates_in(expression), None):
            message = f'{new}="{text}": {name} combines rows; use aggr, as in Groups.aggr(Rows, …)'
            raise QueryError(message)
    ordered = sorted(
        columns.items(),
        key=lambda c: not (isinstance(c[1], Name) and heading[c[1].attribute].in_key),
    )
    sources = {new: e.attribute if isinstance(e, Name) else None for new, e in ordered}
    return Projection(source, tuple(ordered), _mark_copies(heading.project(sources), sources))


def _mark_copies(shown: Heading, sources: Mapping[str, str | None]) -> Heading:
    """Keep one of several copies of a key attribute in the key: the one that keeps the name."""
    seen: set[str | None] = set()
    marked: list[bool] = []
    for attribute in shown:
        old = sources[attribute.name]
        kept = attribute.in_key and (attribute.name == old or old not in {*seen, *sources})
        seen.add(old)
        marked.append(kept)
    return Heading(tuple(replace(a, in_key=k) for a, k in zip(shown, marked, strict=True)))


def _shown_columns(heading: Heading, shown: Sequence[object]) -> dict[str, Expression]:
    columns: dict[str, Expression] = {n: Name(n) for n in heading.primary_key}
    removed: list[str] = []
    for item in shown:
        if item is Ellipsis:
            columns.update({n: Name(n) for n in heading.secondary})
        elif isinstance(item, str) and item.startswith("-"):
            removed.append(heading[item[1:].strip()].name)
        elif isinstance(item, str):
            columns[heading[item].name] = Name(item)
        else:
            message = f"cannot project by {item!r}: use names, ..., '-name' or new='expression'"
            raise QueryError(message)
    for name in removed:
        if heading[name].in_key:
            message = f'cannot leave out "{name}": it is in the primary key; rename it instead'
            raise QueryError(message)
        columns.pop(name, None)
    return columns


def _checked_text(new: str, value: Value) -> str:
    if not isinstance(value, str):
        message = f"{new}={value!r}: the right side is an attribute or an expression, as text"
        raise QueryError(message)
    return value.strip()


def _refuse_collision(new: str) -> None:
    message = f'the result would have "{new}" twice: choose another name, or rename the other one'
    raise QueryError(message)


def _read(text: str, heading: Heading, read: ReadExpression) -> Expression:
    expression = read(text, heading)
    for name in names_in(expression):
        heading[name]
    return expression


def aggregate(
    group: Node,
    detail: Node,
    shown: Sequence[object],
    computed: Mapping[str, Value],
    read: ReadExpression,
    *,
    keeps_empty: bool = True,
) -> Node:
    """Return the rows of `group` with expressions over their matching rows of `detail`."""
    names = group.heading.namesakes(detail.heading)
    missing = [n for n in group.heading.primary_key if n not in detail.heading]
    if missing:
        message = (
            f'cannot aggregate: the rows to aggregate have no "{missing[0]}", which is in the '
            f"key of the groups ({', '.join(group.heading.primary_key)})"
        )
        raise QueryError(message)
    on = tuple(n for n in names if n in group.heading.primary_key)
    group.heading.check_lineage(detail.heading, on, what="aggregate")
    columns: dict[str, str] = {}
    for name, expression in _shown_columns(group.heading, shown).items():
        columns[name] = expression.attribute if isinstance(expression, Name) else name
    expressions: dict[str, Expression] = {}
    for new, value in computed.items():
        text = _checked_text(new, value)
        if new in columns:
            _refuse_collision(new)
        if text in group.heading and text not in detail.heading:
            columns[new] = text
            continue
        expression = _read(text, detail.heading, read)
        _check_aggregated(new, text, expression)
        expressions[new] = expression
    sources: dict[str, str | None] = {**columns, **dict.fromkeys(expressions)}
    return Aggregation(
        group=group,
        detail=detail,
        on=on,
        shown=tuple(columns.items()),
        computed=tuple(expressions.items()),
        keeps_empty=keeps_empty,
        heading=group.heading.project(sources),
    )


def _check_aggregated(new: str, text: str, expression: Expression) -> None:
    """Refuse an expression with a value per row where one per group is needed."""
    if isinstance(expression, Name):
        message = (
            f'{new}="{text}" has a value per row: aggregate it, as in max({text}) or count({text})'
        )
        raise QueryError(message)
    if not isinstance(expression, Call):
        return
    for argument in expression.arguments:
        if expression.function not in AGGREGATES:
            _check_aggregated(new, text, argument)
        elif name := next(aggregates_in(argument), None):
            message = f'{new}="{text}": {name} within {expression.function}; use aggr twice'
            raise QueryError(message)


def order(
    source: Node,
    by: Sequence[str] | str | None,
    *,
    limit: int | None = None,
    offset: int = 0,
) -> Node:
    """Return `source` ordered by names with an optional `DESC`; `KEY` means the primary key."""
    if limit is not None and limit < 0:
        message = f"limit={limit}: a limit is 0 or more"
        raise QueryError(message)
    if offset < 0:
        message = f"offset={offset}: an offset is 0 or more"
        raise QueryError(message)
    items = [by] if isinstance(by, str) else list(by or ())
    terms: list[tuple[str, bool]] = []
    for item in items:
        for part in item.split(","):
            name, _, direction = part.strip().partition(" ")
            if direction.strip().upper() not in {"", "ASC", "DESC"}:
                message = f'cannot order by "{part.strip()}": write "name", "name DESC" or "KEY"'
                raise QueryError(message)
            is_descending = direction.strip().upper() == "DESC"
            names = source.heading.primary_key if name == "KEY" else (source.heading[name].name,)
            terms.extend((n, is_descending) for n in names)
    return Top(source, tuple(terms), limit, offset)


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

"""`aggr`: check what is combined, build nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from djq.algebra.expressions import (
    AGGREGATES,
    Call,
    Expression,
    Name,
    aggregates_in,
)
from djq.algebra.nodes import Aggregation, Grouping, Node
from djq.algebra.operators import (
    ReadExpression,
    checked_text,
    promoted,
    read_checked,
    refuse_collision,
    shown_columns,
)
from djq.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from djq.definition.acceptance import Value
    from djq.definition.heading import Heading


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
    for name, expression in shown_columns(group.heading, shown).items():
        columns[name] = expression.attribute if isinstance(expression, Name) else name
    expressions: dict[str, Expression] = {}
    for new, value in computed.items():
        text = checked_text(new, value)
        if new in columns:
            refuse_collision(new)
        if text in group.heading and text not in detail.heading:
            columns[new] = text
            continue
        expressions[new] = _read_aggregated(new, text, detail.heading, read)
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


def aggregate_by(
    source: Node, by: Sequence[str], computed: Mapping[str, Value], read: ReadExpression
) -> Node:
    """Return one row for all rows of `source` with equal values `by`, which are the key.

    Without `by` it is one row over all rows, even if there are none.
    """
    for name in by:
        source.heading[name]
    expressions: dict[str, Expression] = {}
    for new, value in computed.items():
        if new in by:
            refuse_collision(new)
        expressions[new] = _read_aggregated(new, checked_text(new, value), source.heading, read)
    sources: dict[str, str | None] = {**{n: n for n in by}, **dict.fromkeys(expressions)}
    heading = promoted(source.heading.project(sources), by)
    return Grouping(source, tuple(by), tuple(expressions.items()), heading)


def _read_aggregated(new: str, text: str, heading: Heading, read: ReadExpression) -> Expression:
    expression = read_checked(new, text, heading, read)
    _check_aggregated(new, text, expression)
    return expression


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

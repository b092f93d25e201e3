"""What a table's keys depend on, and the order in which tables are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from djq.algebra.expressions import Call, Expression, Matches
from djq.algebra.nodes import (
    Aggregation,
    Grouping,
    Join,
    Node,
    Projection,
    Relation,
    Restriction,
    Top,
    Union,
)
from djq.definition import graph
from djq.definition.names import describe_name
from djq.definition.spec import TableName, Tier
from djq.errors import UsageError
from djq.populate.plan import key_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from djq.definition.heading import Heading
    from djq.populate.autopopulate import AutoPopulate


def parents(table: type[AutoPopulate]) -> tuple[TableName, ...]:
    """Return every table that the due keys depend on: references of the key and the key source."""
    return tuple(dict.fromkeys([*_referred(table), *sources(table)]))


def known_parents(table: type[AutoPopulate]) -> tuple[TableName, ...]:
    """Return `parents`, without what a wrong key source reads: whoever asks for keys hears of it.

    One wrong table must not stop those that have nothing to do with it.
    """
    return tuple(dict.fromkeys([*_referred(table), *known_sources(table)]))


def sources(table: type[AutoPopulate]) -> dict[TableName, Heading]:
    """Return every other table that the key source reads."""
    found = {r.name: r.heading for r in _relations(key_source(table).node)}
    return {name: heading for name, heading in found.items() if name != table.spec.name}


def known_sources(table: type[AutoPopulate]) -> dict[TableName, Heading]:
    """Return `sources`; none of a wrong key source."""
    try:
        return sources(table)
    except UsageError:
        return {}


def _referred(table: type[AutoPopulate]) -> list[TableName]:
    return [f.parent for f in table.spec.foreign_keys if f.in_key]


def levels(tables: Iterable[type[AutoPopulate]]) -> list[list[type[AutoPopulate]]]:
    """Return the tables level by level, each after all that it depends on."""
    by_name = {t.spec.name: t for t in tables}
    found = graph.levels({n: map(master_or_self, known_parents(t)) for n, t in by_name.items()})
    return [[by_name[name] for name in level] for level in found]


def master_or_self(name: TableName) -> TableName:
    """Return the table whose make inserts the rows of a table: a part's master."""
    master = describe_name(name.table).master
    return name if master is None else TableName(name.schema, master)


def relations(node: Node) -> Iterator[TableName]:
    """Iterate over the tables that a query reads; job records are not inputs."""
    for found in _relations(node):
        yield found.name


def _relations(node: Node) -> Iterator[Relation]:
    match node:
        case Relation():
            if not node.name.table.startswith(Tier.JOB.value):
                yield node
        case Restriction():
            yield from _relations(node.source)
            yield from _in_condition(node.condition)
        case Projection() | Top() | Grouping():
            yield from _relations(node.source)
        case Join() | Union():
            yield from _relations(node.left)
            yield from _relations(node.right)
        case Aggregation():
            yield from _relations(node.group)
            yield from _relations(node.detail)


def _in_condition(condition: Expression) -> Iterator[Relation]:
    if isinstance(condition, Matches):
        yield from _relations(condition.query)
    elif isinstance(condition, Call):
        for argument in condition.arguments:
            yield from _in_condition(argument)

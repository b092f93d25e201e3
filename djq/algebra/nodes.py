"""The frozen nodes of a query, each with its heading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from djq.algebra.expressions import Expression
    from djq.definition.heading import Heading
    from djq.definition.spec import TableName


#: What to say of a query that is too deep for Python's stack.
TOO_DEEP = (
    "the query is nested too deeply: so many operators within each other are no statement. Keep a "
    "part of it as a table, or as a list of keys: A & B.keys()"
)


@dataclass(frozen=True, slots=True)
class Relation:
    """All rows of a table."""

    name: TableName
    heading: Heading

    def __hash__(self) -> int:
        """Return the hash of the name, which tells tables apart: every question asks for it."""
        return hash((self.name.schema, self.name.table))


@dataclass(frozen=True, slots=True)
class Restriction:
    """The rows of `source` for which `condition` is true."""

    source: Node
    condition: Expression

    @property
    def heading(self) -> Heading:
        """The heading of the source."""
        return self.source.heading


@dataclass(frozen=True, slots=True)
class Projection:
    """The rows of `source` with chosen, renamed and computed attributes, in heading order."""

    source: Node
    columns: tuple[tuple[str, Expression], ...]
    heading: Heading


@dataclass(frozen=True, slots=True)
class Join:
    """Pairs of rows that agree in the attributes `on`; with `is_left` also lonely left rows."""

    left: Node
    right: Node
    on: tuple[str, ...]
    is_left: bool
    heading: Heading


@dataclass(frozen=True, slots=True)
class Aggregation:
    """The rows of `group`, each with expressions over its matching rows of `detail`.

    `shown` are attributes of the group; with `keeps_empty` rows without a match stay.
    """

    group: Node
    detail: Node
    on: tuple[str, ...]
    shown: tuple[tuple[str, str], ...]
    computed: tuple[tuple[str, Expression], ...]
    keeps_empty: bool
    heading: Heading


@dataclass(frozen=True, slots=True)
class Grouping:
    """One row for all rows of `source` with equal values `by`, with expressions over them.

    Without `by` it is one row over all rows, even if there are none.
    """

    source: Node
    by: tuple[str, ...]
    computed: tuple[tuple[str, Expression], ...]
    heading: Heading


@dataclass(frozen=True, slots=True)
class Union:
    """The rows of both sides, one for each key; what a side does not have is null."""

    left: Node
    right: Node
    heading: Heading


@dataclass(frozen=True, slots=True)
class Top:
    """`source` in an order, or a window of it; `order` pairs an attribute with "is descending"."""

    source: Node
    order: tuple[tuple[str, bool], ...]
    limit: int | None = None
    offset: int = 0

    @property
    def heading(self) -> Heading:
        """The heading of the source."""
        return self.source.heading


Node: TypeAlias = Relation | Restriction | Projection | Join | Aggregation | Grouping | Union | Top

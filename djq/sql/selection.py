"""A SELECT in the making."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from djq.algebra.expressions import has_matches, names_in
from djq.sql.functions import Column
from djq.sql.functions.logic import grouped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from djq.algebra.expressions import Expression

#: A limit that no query reaches [rows].
MAX_ROWS = 2**63 - 1
ONE: Column = sa.literal_column("1", sa.Integer)


@dataclass
class Selection:
    """A SELECT in the making: what it reads from, shows and asks."""

    source: sa.FromClause
    columns: dict[str, Column]
    where: list[Column] = field(default_factory=list[Column])
    #: None: rows as they are; empty: one row for all of them.
    group_by: list[Column] | None = None
    #: Groups were made to compute over them, even if nothing of it is shown any more.
    has_aggregates: bool = False
    #: Names of columns with a value per group, which WHERE does not know yet.
    aggregated: frozenset[str] = frozenset()
    #: Conditions on groups.
    having: list[Column] = field(default_factory=list[Column])
    #: Columns in order, each with "is descending".
    order: list[tuple[Column, bool]] = field(default_factory=list[tuple[Column, bool]])
    limit: int | None = None
    offset: int = 0

    @property
    def is_flat(self) -> bool:
        """Whether more tables can be joined to it as it is."""
        return self.group_by is None and not self.is_window

    @property
    def is_window(self) -> bool:
        """Whether it shows only some of its rows by their order."""
        return self.limit is not None or self.offset > 0

    @property
    def plain(self) -> list[str]:
        """The names of columns that are a table's as they are, and not computed."""
        columns = self.columns.items()
        return [n for n, c in columns if isinstance(c, sa.ColumnClause) and not c.is_literal]

    def takes(self, condition: Expression) -> bool:
        """Tell whether a condition can be asked here, by WHERE or, of groups, by HAVING.

        In HAVING, MySQL knows what is aggregated or grouped by, but not all that is determined.
        """
        names = set(names_in(condition))
        if not names & self.aggregated:
            return True
        by = {n for n, c in self.columns.items() if any(c is g for g in self.group_by or ())}
        return names <= self.aggregated | by and not has_matches(condition)

    def statement(self, shown: Sequence[Column] | None = None) -> sa.Select[Any]:
        """Return the finished statement."""
        columns = labelled(self.columns) if shown is None else shown
        select = sa.select(*columns).select_from(self.source).where(*grouped(self.where))
        if self.group_by and self._is_distinct(columns):
            select = select.distinct()
        elif self.group_by:
            groups = [c for c in self.group_by if varies(c)] or [sa.null()]
            select = select.group_by(*groups).having(*self.having)
        order = [(c, d) for c, d in self.order if varies(c)]
        select = select.order_by(*(c.desc() if d else c.asc() for c, d in order))
        if self.limit is not None:
            select = select.limit(self.limit)
        elif self.offset:
            select = select.limit(MAX_ROWS)  # an OFFSET needs a LIMIT
        return select.offset(self.offset) if self.offset else select

    def _is_distinct(self, shown: Sequence[Column]) -> bool:
        """Tell whether DISTINCT says the same as GROUP BY of what is shown."""
        if self.has_aggregates or self.having or self.order:
            return False
        bare = [c.element if isinstance(c, sa.Label) else c for c in shown]
        return all(any(g is c for c in bare) for g in self.group_by or ())


def varies(column: Column) -> bool:
    """Tell a column from a constant: by a number, MySQL would order by the column of this place."""
    if isinstance(column, sa.ColumnClause):
        return not column.is_literal
    return not isinstance(column, sa.BindParameter)


def labelled(columns: Mapping[str, Column]) -> list[Column]:
    """Return the columns under their names; a column that has its name already stays bare."""
    shown = [c if getattr(c, "name", None) == n else c.label(n) for n, c in columns.items()]
    return shown or [ONE.label("_row")]  # keys of a table of one row have no attributes


def where_known(mark: Column, value: Column) -> Column:
    """Return a value that is null in rows of a left join without a match."""
    return sa.case((mark.is_not(sa.null()), value))


def is_bare(source: sa.FromClause) -> bool:
    """Tell whether a source is one table by itself, under its name or another."""
    return isinstance(source, sa.TableClause | sa.Alias)

"""Nodes → select statements.

Each node becomes a `Selection`, which the next operator extends in place as long as SQL allows it:
a chain of restrictions, projections and joins is one SELECT. Only grouped or limited queries that
are used further become subqueries.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql.visitors import iterate

from djq.algebra.expressions import Call, Expression, Matches, Name, names_in, negate
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
from djq.sql.building import Builder, conjuncts, equal
from djq.sql.clauses import table_clause
from djq.sql.functions.logic import truth
from djq.sql.selection import MAX_ROWS, ONE, Selection, is_bare, labelled, where_known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from djq.sql.functions import Column


N_ROWS: Column = sa.func.count().label("n")
#: Parts of the columns of a computed attribute; with more, these are computed in a query before it.
MAX_PARTS = 200
#: A column that every row has; no attribute has such a name.
_ROW = "a row"


class Compiler(Builder):
    """One compilation."""

    #: The first table goes by its own name: a DELETE knows no other.
    _has_bare_root = False

    def select(self, node: Node) -> sa.Select[Any]:
        """Return the statement of a query, its columns in heading order."""
        selection = self.compile(node)
        columns = {n: selection.columns[n] for n in node.heading.names}
        selection.columns = columns
        return selection.statement()

    def count(self, node: Node) -> sa.Select[Any]:
        """Return the statement that counts a query's rows."""
        selection = self.compile(node)
        if selection.is_flat:
            selection.order = []
            return selection.statement([N_ROWS])
        inner = selection.statement().subquery(self._name("counted"))
        return sa.select(N_ROWS).select_from(inner)

    def exists(self, node: Node) -> sa.Select[Any]:
        """Return the statement that has a row if the query has any."""
        selection = self.compile(node)
        if selection.group_by == [] or selection.limit == 0:
            selection = self._wrap(selection, node)
        selection.order = []
        return selection.statement([ONE]).limit(1)

    def compile(self, node: Node) -> Selection:
        """Return the selection of a node."""
        found: Selection
        match node:
            case Relation():
                found = self._relation(node)
            case Restriction():
                found = self._restriction(node)
            case Projection():
                found = self._projection(node)
            case Join():
                found = self._join(node)
            case Aggregation():
                found = self._aggregation(node)
            case Grouping():
                found = self._grouping(node)
            case Union():
                found = self._union(node)
            case Top():
                found = self._top(node)
        return found

    def _relation(self, node: Relation) -> Selection:
        table = table_clause(node.name, node.heading, self.dialect)
        name = self._name(node.name.table)
        # SQLite finds no table whose name has a dot in parentheses of a join, unless by an alias.
        is_bare_root = self._has_bare_root and not self._seen.total() > 1
        source = table if name == table.name or is_bare_root else table.alias(name)
        return Selection(source, {n: source.c[n] for n in node.heading.names})

    def _restriction(self, node: Restriction) -> Selection:
        selection = self.compile(node.source)
        if selection.is_window or selection.group_by == []:
            selection = self._wrap(selection, node.source)
        conditions = conjuncts(node.condition)
        if not all(selection.takes(condition) for condition in conditions):
            selection = self._wrap(selection, node.source)
        for condition in conditions:
            if selection.aggregated.intersection(names_in(condition)):
                selection.having.append(self.expression(condition, selection.columns))
            elif (
                isinstance(condition, Call)
                and condition.function == "not"
                and isinstance(condition.arguments[0], Matches)
                and self._antijoin(selection, condition.arguments[0])
            ):
                continue
            else:
                found = self.expression(condition, selection.columns)
                selection.where.append(truth(self.dialect, found))
        return selection

    def _antijoin(self, selection: Selection, matches: Matches) -> bool:
        """Keep rows without a match, as LEFT JOIN … IS NULL; False where that cannot be said.

        MariaDB materialises the whole inner table for every page of a NOT EXISTS (measured: 18 s
        for 50 pages against 0.7 s in this form).
        """
        if not matches.names:
            return False
        other = self.compile(matches.query)
        marks = [n for n in other.plain if n in matches.names] if other.is_flat else matches.names
        if not marks:
            return False  # a computed value may be there in a row without a match
        if not other.is_flat or other.where or not is_bare(other.source):
            other = self._wrap(other, matches.query, shown=matches.names)
        on = [equal(selection.columns[n], other.columns[n]) for n in matches.names]
        selection.source = selection.source.outerjoin(other.source, sa.and_(*on))
        selection.where.append(other.columns[marks[0]].is_(sa.null()))
        return True

    def _projection(self, node: Projection) -> Selection:
        selection = self.compile(node.source)
        aggregated = frozenset(
            new for new, e in node.columns if selection.aggregated.intersection(names_in(e))
        )
        if selection.group_by == [] and not aggregated:
            # Without an aggregate it would be a row per row.
            selection = self._wrap(selection, node.source)
        if any(is_large(e, selection.columns) for _, e in node.columns):
            # Expressions of expressions would double with each; nor may the server merge them.
            selection.limit = MAX_ROWS if selection.limit is None else selection.limit
            selection, aggregated = self._wrap(selection, node.source), frozenset[str]()
        selection.columns = {new: self.expression(e, selection.columns) for new, e in node.columns}
        selection.aggregated = aggregated
        return selection

    def _join(self, node: Join) -> Selection:
        left, right = self.compile(node.left), self.compile(node.right)
        if not left.is_flat:
            left = self._wrap(left, node.left)
        if node.is_left:
            right, _ = self._optional(right, node.right, node.on)
        elif not right.is_flat:
            right = self._wrap(right, node.right)
        on = _all_equal(left, right, node.on)
        source = left.source.join(right.source, on, isouter=node.is_left)
        columns = {**right.columns, **left.columns}
        where = [*left.where, *right.where]
        return Selection(source, columns, where=where, order=[*left.order, *right.order])

    def _optional(
        self, selection: Selection, node: Node, on: Sequence[str]
    ) -> tuple[Selection, Column | None]:
        """Return the right side of a left join, and a column that is null only without a match.

        All is null in a row without a match, what is computed, too. Servers merge subqueries, and
        forget it: MariaDB finds 5 to be the MIN of a computed 5 there, MySQL that 5 + 1 = 6.
        """
        if not selection.is_flat:
            selection = self._wrap(selection, node)
        plain = selection.plain
        marks = [n for n in on if n in plain]
        marks += [n for n in plain if not node.heading[n].nullable]
        computed = [n for n in selection.columns if n not in plain]
        if selection.where or (computed and not marks):
            selection = self._wrap(selection, node)
        if not marks:
            return selection, None
        mark = selection.columns[marks[0]]
        for name in computed:
            selection.columns[name] = where_known(mark, selection.columns[name])
        return selection, mark

    def _aggregation(self, node: Aggregation) -> Selection:
        group, detail = self.compile(node.group), self.compile(node.detail)
        if not group.is_flat:
            group = self._wrap(group, node.group)
        counted: Column | None = None  # what a lonely row of a left join does not have
        if node.keeps_empty:
            detail, counted = self._optional(detail, node.detail, node.on)
            if counted is None:
                detail.columns[_ROW] = ONE
                detail = self._wrap(detail, node.detail, (*node.detail.heading.names, _ROW))
                counted = detail.columns[_ROW]
        elif not detail.is_flat:
            detail = self._wrap(detail, node.detail)
        on = _all_equal(group, detail, node.on)
        source = group.source.join(detail.source, on, isouter=node.keeps_empty)
        columns = {new: group.columns[old] for new, old in node.shown}
        for new, expression in node.computed:
            columns[new] = self.expression(expression, detail.columns, counted=counted)
        return Selection(
            source,
            columns,
            where=[*group.where, *detail.where],
            group_by=[group.columns[n] for n in node.group.heading.primary_key] or [sa.null()],
            has_aggregates=True,
            aggregated=frozenset(new for new, _ in node.computed),
            order=group.order,
        )

    def _grouping(self, node: Grouping) -> Selection:
        selection = self.compile(node.source)
        if not selection.is_flat:
            selection = self._wrap(selection, node.source)
        by = {n: selection.columns[n] for n in node.by}
        computed = {n: self.expression(e, selection.columns) for n, e in node.computed}
        selection.columns = by | computed
        selection.group_by, selection.aggregated = [*by.values()], frozenset(computed)
        selection.has_aggregates = bool(computed)
        selection.order = []
        return selection

    def _union(self, node: Union) -> Selection:
        """Rows of each side with what later sides know of them, but for those of earlier sides."""
        names, key = node.heading.names, node.heading.primary_key
        sides = _sides(node)
        is_wide = len(names) > len(key)
        arms = [_arm(sides, i, key) for i in range(len(sides))] if is_wide else sides
        selections = [self._unordered(arm) for arm in arms]
        statements = [s.statement(labelled(_aligned(s.columns, names))) for s in selections]
        unite = sa.union_all if is_wide else sa.union
        rows = unite(*statements).subquery(self._name("rows"))
        return Selection(rows, {n: rows.c[n] for n in names})

    def _unordered(self, node: Node) -> Selection:
        """Return a selection that can stand in a union: a window within a subquery."""
        selection = self.compile(node)
        if selection.is_window:
            selection = self._wrap(selection, node)
        selection.order = []
        return selection

    def _top(self, node: Top) -> Selection:
        selection = self.compile(node.source)
        if selection.is_window:
            selection = self._wrap(selection, node.source)
        terms = [(selection.columns[n], is_descending) for n, is_descending in node.order]
        if terms:
            selection.order = [(self.dialect.ordered(c), d) for c, d in terms]
        selection.limit, selection.offset = node.limit, node.offset
        return selection


def _all_equal(left: Selection, right: Selection, names: Sequence[str]) -> Column:
    """Return the condition of a join; without names any row goes with any other."""
    if not names:
        return sa.literal_column("TRUE")
    return sa.and_(*(equal(left.columns[n], right.columns[n]) for n in names))


def _aligned(columns: Mapping[str, Column], names: Sequence[str]) -> dict[str, Column]:
    """Return columns in an order, null where there is none."""
    return {n: columns.get(n, sa.null()) for n in names}


def is_large(expression: Expression, columns: Mapping[str, Column]) -> bool:
    """Tell whether an expression of columns would be too much to write down."""
    if isinstance(expression, Name):
        return False
    parts = chain.from_iterable(iterate(columns[n]) for n in names_in(expression))
    return next(islice(parts, MAX_PARTS, None), None) is not None


def _sides(node: Node) -> list[Node]:
    """Return what a union is of: unions of unions are one, or each would double the statement."""
    if not isinstance(node, Union):
        return [node]
    left, right = node.left.heading.secondary, node.right.heading.secondary
    if set(left) & set(right):
        return [node.left, node.right]  # a value of the left goes first, null or not
    return [*_sides(node.left), *_sides(node.right)]


def _arm(sides: Sequence[Node], i: int, key: tuple[str, ...]) -> Node:
    """Return the rows of one side that no side before it has, with the attributes of the others."""
    arm = sides[i]
    for other in sides[i + 1 :]:
        if other.heading.secondary:
            joined = arm.heading.join(other.heading, left=True)
            arm = Join(arm, other, key, is_left=True, heading=joined)
    for other in sides[:i]:
        arm = Restriction(arm, negate(Matches(other, key)))
    return arm

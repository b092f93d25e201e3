"""Statements that find rows from the inside: semijoins answered by index, not row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from djq.algebra.expressions import Matches
from djq.algebra.nodes import Projection, Restriction
from djq.errors import QueryError
from djq.sql.building import conjuncts, equal
from djq.sql.compile import N_ROWS, Compiler, is_large
from djq.sql.functions.logic import truth
from djq.sql.selection import Selection, is_bare, labelled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from djq.algebra.nodes import Node
    from djq.definition.acceptance import Value
    from djq.sql.functions import Column


class Reducer(Compiler):
    """A compilation of what deletes rows, or counts those that a delete would take."""

    def delete(self, node: Node) -> sa.Delete:
        """Return the statement that deletes the rows of a restricted table, and nothing else."""
        table, selection = self._of_one_table(node, by_join=not self.dialect.is_sqlite)
        return sa.delete(table).where(*selection.where)

    def update(self, node: Node, changes: Mapping[str, Value]) -> sa.Update:
        """Return the statement that changes columns of the rows of a restricted table."""
        table, selection = self._of_one_table(node, by_join=False)
        new = {n: sa.literal(v, table.c[n].type) for n, v in changes.items()}
        return sa.update(table).where(*selection.where).values(new)

    def _of_one_table(self, node: Node, *, by_join: bool) -> tuple[sa.TableClause[Any], Selection]:
        self._has_bare_root = True
        selection = self._reduced(node, by_join=by_join)
        source = selection.source
        if not selection.is_flat or not is_bare(source):
            message = (
                "only the rows of one table can be deleted or changed, restricted by its own "
                "attributes"
            )
            raise QueryError(message)
        return cast("sa.TableClause[Any]", source), selection

    def _reduced(self, node: Node, *, by_join: bool) -> Selection:
        """Return a selection whose semijoins are answered from the inside, by index.

        MariaDB and SQLite would look through the whole table for EXISTS. A DELETE gets the other
        tables beside the one to delete from; what counts rows, and SQLite, `(a, b) IN (SELECT …)`.
        """
        if not isinstance(node, Projection | Restriction):
            return self.compile(node)
        selection = self._reduced(node.source, by_join=by_join)
        if not selection.is_flat or (
            isinstance(node, Projection)
            and any(is_large(e, selection.columns) for _, e in node.columns)
        ):
            return self.compile(node)
        if isinstance(node, Projection):
            columns = {new: self.expression(e, selection.columns) for new, e in node.columns}
            selection.columns = columns
            return selection
        for condition in conjuncts(node.condition):
            if isinstance(condition, Matches) and condition.names:
                self._reduce(selection, condition, by_join=by_join)
            else:
                found = self.expression(condition, selection.columns)
                selection.where.append(truth(self.dialect, found))
        return selection

    def _reduce(self, selection: Selection, matches: Matches, *, by_join: bool) -> None:
        other = self._reduced(matches.query, by_join=by_join)
        mine = [selection.columns[n] for n in matches.names]
        if not (by_join and other.is_flat):
            theirs = labelled({n: other.columns[n] for n in matches.names})
            one = len(mine) == 1
            left: Column = mine[0] if one else sa.tuple_(*mine)
            selection.where.append(left.in_(other.statement(theirs)))
            return
        theirs = [other.columns[n] for n in matches.names]
        on = [equal(m, t) for m, t in zip(mine, theirs, strict=True)]
        selection.where += [*other.where, *on]

    def counts(self, nodes: Sequence[Node]) -> sa.Select[Any]:
        """Return one statement that counts the rows of many queries."""
        counted: list[Column] = []
        for i, node in enumerate(nodes):
            selection = self._reduced(node, by_join=False)
            counted.append(selection.statement([N_ROWS]).scalar_subquery().label(f"n{i}"))
        return sa.select(*counted)

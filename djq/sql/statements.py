"""Nodes and specs → prepared statements, each built once per shape or table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, sqlite

from djq.algebra.nodes import TOO_DEEP
from djq.errors import QueryError
from djq.sql.clauses import full_heading, table_clause
from djq.sql.compile import Compiler
from djq.sql.prepared import Prepared, prepare
from djq.sql.reducing import Reducer
from djq.sql.shapes import Parametrizer, Values, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from sqlalchemy.engine.interfaces import Dialect as SaDialect

    from djq.algebra.nodes import Node
    from djq.definition.acceptance import Value
    from djq.definition.spec import TableSpec
    from djq.sql.dialects import Dialect

Asking: TypeAlias = Literal["select", "count", "exists", "delete"]
Duplicates: TypeAlias = Literal["refuse", "skip", "replace"]

#: Shapes that are kept; a pipeline has some dozens.
MAX_SHAPES = 2_000
#: Places of values in all that is kept, some 100 bytes each.
MAX_PLACES = 200_000
#: A statement with more values than this is rarely met twice.
MAX_VALUES = 64


class Statements:
    """The prepared statements of one database."""

    def __init__(self, dialect: Dialect, sa_dialect: SaDialect) -> None:
        self.dialect = dialect
        self.sa_dialect = sa_dialect
        self._kept: dict[Hashable, Prepared] = {}
        self._n_places = 0

    def ask(self, asking: Asking, node: Node) -> tuple[Prepared, list[Value]]:
        """Return the statement for a query's rows, their count, or any; and its values.

        Raises
        ------
        QueryError
            It is too deep for Python's stack.
        """
        try:
            return self._ask(asking, node)
        except RecursionError:
            raise QueryError(TOO_DEEP) from None

    def _ask(self, asking: Asking, node: Node) -> tuple[Prepared, list[Value]]:
        values = Values()
        shape = (asking, shape_of(node, values))
        prepared = self._kept.get(shape)
        if prepared is None:
            build: Callable[[Node], sa.ClauseElement]
            build = getattr(Reducer(self.dialect), asking)
            prepared = prepare(build(Parametrizer().node(node)), self.sa_dialect)
            if asking == "select" and not node.heading.names:
                prepared = replace(prepared, is_blank=True)
            if len(values) - values.n_listed <= MAX_VALUES:
                self._keep(shape, prepared)
        return prepared, values

    def insert(self, spec: TableSpec, duplicates: Duplicates = "refuse") -> Prepared:
        """Return the INSERT of a table, which takes rows with all of its columns."""
        shape = ("insert", spec, duplicates)
        prepared = self._kept.get(shape)
        if prepared is None:
            columns = full_heading(spec)
            statement = self._insert(spec, duplicates)
            prepared = prepare(statement, self.sa_dialect, columns.names)
            self._keep(shape, prepared)
        return prepared

    def insert_from(
        self, spec: TableSpec, node: Node, duplicates: Duplicates = "refuse"
    ) -> tuple[Prepared, list[Value]]:
        """Return the INSERT … SELECT of a query's rows, which has the table's columns by name."""
        values = Values()
        shape = ("insert from", spec, duplicates, shape_of(node, values))
        prepared = self._kept.get(shape)
        if prepared is None:
            given = Compiler(self.dialect).select(Parametrizer().node(node)).subquery("given")
            # SQLite needs the WHERE: it would take ON CONFLICT for a join's condition.
            rows = sa.select(*given.c).where(sa.text("1 = 1"))
            statement = self._insert(spec, duplicates).from_select(list(node.heading.names), rows)
            prepared = prepare(statement, self.sa_dialect)
            if len(values) <= MAX_VALUES:
                self._keep(shape, prepared)
        return prepared, values

    def update(self, spec: TableSpec, names: tuple[str, ...]) -> Prepared:
        """Return the UPDATE of some attributes of one row, found by its key."""
        shape = ("update", spec, names)
        prepared = self._kept.get(shape)
        if prepared is None:
            heading = full_heading(spec)
            table = table_clause(spec.name, heading, self.dialect)
            # Names of parameters, and not of attributes, which have no upper-case letters.
            new = {n: sa.bindparam(f"NEW_{n}", None, type_=table.c[n].type) for n in names}
            key = [
                table.c[n] == sa.bindparam(f"KEY_{n}", None, type_=table.c[n].type)
                for n in heading.primary_key
            ]
            prepared = prepare(sa.update(table).where(*key).values(new), self.sa_dialect, ())
            self._keep(shape, prepared)
        return prepared

    def _insert(self, spec: TableSpec, duplicates: Duplicates) -> sa.Insert:
        heading = full_heading(spec)
        table = table_clause(spec.name, heading, self.dialect)
        if duplicates == "refuse":
            return sa.insert(table)
        key = heading.primary_key
        is_replaced = duplicates == "replace"
        others = [n for n in heading.names if n not in key] if is_replaced else []
        if self.dialect.is_sqlite:
            return _on_conflict(table, key, others)
        return _on_duplicate_key(table, key, others)

    def _keep(self, shape: Hashable, prepared: Prepared) -> None:
        self._n_places += len(prepared.places)
        if len(self._kept) >= MAX_SHAPES or self._n_places > MAX_PLACES:
            self._kept.clear()
            self._n_places = len(prepared.places)
        self._kept[shape] = prepared


def _on_conflict(table: sa.TableClause, key: Sequence[str], others: Sequence[str]) -> sa.Insert:
    insert = sqlite.insert(table)
    if not others:
        return insert.on_conflict_do_nothing(index_elements=list(key))
    changes = {n: insert.excluded[n] for n in others}
    return insert.on_conflict_do_update(index_elements=list(key), set_=changes)


def _on_duplicate_key(
    table: sa.TableClause, key: Sequence[str], others: Sequence[str]
) -> sa.Insert:
    """Return MySQL's upsert, held to the primary key.

    Left to itself it also takes a row with the same value in *any* unique index for the one that
    was meant. There the guard sets the key to null, which the server refuses.
    """
    insert = mysql.insert(table)
    new = insert.inserted
    same = sa.and_(*(table.c[n] == new[n] for n in key))
    guard = sa.case((same, table.c[key[0]]), else_=sa.null())
    return insert.on_duplicate_key_update([(key[0], guard), *((n, new[n]) for n in others)])

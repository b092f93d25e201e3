"""Nodes and specs → prepared statements, each built once per shape or table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import sqlalchemy as sa

from djq.sql.clauses import full_heading, table_clause
from djq.sql.compile import Compiler
from djq.sql.prepared import Prepared, prepare
from djq.sql.shapes import Parametrizer, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from sqlalchemy.engine.interfaces import Dialect as SaDialect

    from djq.algebra.nodes import Node
    from djq.definition.acceptance import Value
    from djq.definition.spec import TableSpec
    from djq.sql.dialects import Dialect

Asking: TypeAlias = Literal["select", "count", "exists", "delete"]
Duplicates: TypeAlias = Literal["refuse", "skip", "replace"]

#: Shapes that are kept; a pipeline has some dozens.
MAX_SHAPES = 2_000
#: A statement with more values than this is rarely met twice.
MAX_VALUES = 64


class Statements:
    """The prepared statements of one database."""

    def __init__(self, dialect: Dialect, sa_dialect: SaDialect) -> None:
        self.dialect = dialect
        self.sa_dialect = sa_dialect
        self._kept: dict[Hashable, Prepared] = {}

    def ask(self, asking: Asking, node: Node) -> tuple[Prepared, list[Value]]:
        """Return the statement for a query's rows, their count, or any; and its values."""
        values: list[Value] = []
        shape = (asking, shape_of(node, values))
        prepared = self._kept.get(shape)
        if prepared is None:
            build: Callable[[Node], sa.ClauseElement]
            build = getattr(Compiler(self.dialect), asking)
            prepared = prepare(build(Parametrizer().node(node)), self.sa_dialect)
            if len(values) <= MAX_VALUES:
                self._keep(shape, prepared)
        return prepared, values

    def insert(self, spec: TableSpec, duplicates: Duplicates = "refuse") -> Prepared:
        """Return the INSERT of a table, which takes rows with all of its columns."""
        shape = ("insert", spec.name, spec, duplicates)
        prepared = self._kept.get(shape)
        if prepared is None:
            columns = full_heading(spec)
            statement = self._insert(spec, duplicates)
            prepared = prepare(statement, self.sa_dialect, columns.names)
            self._keep(shape, prepared)
        return prepared

    def _insert(self, spec: TableSpec, duplicates: Duplicates) -> sa.Insert:
        table = table_clause(spec.name, full_heading(spec), self.dialect)
        key = spec.heading.primary_key
        if duplicates == "skip":
            return self.dialect.skip_duplicates(table, key[0])
        if duplicates == "replace":
            others = [n for n in table.c.keys() if n not in key]  # noqa: SIM118 - not a dict
            return self.dialect.upsert(table, key, tuple(others))
        return sa.insert(table)

    def _keep(self, shape: Hashable, prepared: Prepared) -> None:
        if len(self._kept) >= MAX_SHAPES:
            self._kept.clear()
        self._kept[shape] = prepared

"""What changed in a table's spec → the statements that change the table, as the server takes them.

MySQL and MariaDB get one `ALTER TABLE`: all of it takes effect, or nothing. SQLite, which alters
little, gets a new table with the rows of the old one, in one transaction.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateColumn, ExecutableDDLElement

from djq.definition.constraints import Index
from djq.definition.conversions import Conversion
from djq.sql.astral import escape
from djq.sql.ddl import build_table
from djq.sql.indexes import CreateIndex
from djq.sql.prepared import prepare
from djq.sql.rebuild import Rebuild

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sqlalchemy.sql.compiler import DDLCompiler

    from djq.definition.acceptance import Value
    from djq.definition.changes import Changes, Modification
    from djq.definition.constraints import TableName
    from djq.definition.spec import TableSpec
    from djq.sql.catalog import Column, TableIndex
    from djq.sql.dialects import Dialect
    from djq.sql.engine import Database


class Alteration(Protocol):
    """Changes of one table, ready to be shown and made."""

    @property
    def statements(self) -> tuple[str, ...]:
        """What the server is sent, in order."""
        ...

    def execute(self) -> None:
        """Make the changes, all or none."""
        ...


def plan(
    database: Database,
    old: TableSpec,
    new: TableSpec,
    changes: Changes,
    parents: Mapping[TableName, TableSpec],
) -> Alteration:
    """Return how the table that is `old` in the database becomes `new`."""
    if database.dialect.is_sqlite:
        return Rebuild(database, old, new, changes, dict(parents))
    return _OneStatement(database, new, changes, dict(parents))


class _OneStatement:
    """The whole change as one `ALTER TABLE`."""

    def __init__(
        self,
        database: Database,
        new: TableSpec,
        changes: Changes,
        parents: dict[TableName, TableSpec],
    ) -> None:
        self.database = database
        name = new.name
        catalog = database.catalog
        self._statement = AlterTable(
            build_table(new, parents, database.dialect),
            new,
            changes,
            catalog.columns(name.schema)[name.table].columns,
            catalog.indexes(name.schema).get(name.table, ()),
            database.dialect,
        )

    @property
    def statements(self) -> tuple[str, ...]:
        text = prepare(self._statement, self.database.statements.sa_dialect).text
        return (text.replace("%%", "%"),)  # the driver's own escape

    def execute(self) -> None:
        self.database.define(self._statement)


class AlterTable(ExecutableDDLElement):
    """One `ALTER TABLE` of MySQL or MariaDB.

    `element` is the table as it will be, `columns` and `indexes` are those that it has now.
    """

    inherit_cache = False

    def __init__(
        self,
        table: sa.Table,
        spec: TableSpec,
        changes: Changes,
        columns: Mapping[str, Column],
        indexes: tuple[TableIndex, ...],
        dialect: Dialect,
    ) -> None:
        self.dialect = dialect
        self.element = table
        self.spec = spec
        self.changes = changes
        self.columns = columns
        self.indexes = indexes


@compiles(AlterTable, "mysql", "mariadb")
def _compile(element: AlterTable, compiler: DDLCompiler, **_: Value) -> str:
    clauses = ",\n    ".join(_clauses(element, compiler))
    table = compiler.preparer.format_table(element.element)
    mode = ""
    if element.dialect.backend == "mariadb" and any(map(_is_rounded, element.changes.modified)):
        # As MySQL does by itself, and djq where rows are inserted.
        mode = "SET STATEMENT sql_mode=CONCAT(@@sql_mode, ',TIME_ROUND_FRACTIONAL') FOR\n"
    return f"{mode}ALTER TABLE {table}\n    {clauses}"


def _is_rounded(modification: Modification) -> bool:
    return modification.conversion is Conversion.CHECKED and str(modification.new.type).startswith(
        ("date", "time")
    )


def _clauses(element: AlterTable, compiler: DDLCompiler) -> Iterator[str]:
    quote, changes, table = compiler.preparer.quote, element.changes, element.element
    for index in changes.old_indexes:
        for name in _names_of(index, element.indexes):
            yield f"DROP INDEX {quote(name)}"
    for attribute in changes.dropped:
        yield f"DROP COLUMN {quote(attribute.name)}"
    for modification in changes.modified:
        old, new = modification.old.name, modification.new.name
        _keep_collation(table.c[new], element.columns[old])
        verb = "MODIFY COLUMN" if old == new else f"CHANGE COLUMN {quote(old)}"
        yield f"{verb} {compiler.process(CreateColumn(table.c[new]))}"
    for attribute in changes.added:
        yield f"ADD COLUMN {compiler.process(CreateColumn(table.c[attribute.name]))}"
    for index in (*changes.new_indexes, *_replacements(element)):
        yield f"ADD {_index(index, element, compiler)}"
    if changes.comment is not None:
        comment = compiler.sql_compiler.render_literal_value(escape(changes.comment), sa.String())
        yield f"COMMENT={comment}"


def _names_of(index: Index, present: Iterable[TableIndex]) -> list[str]:
    """Return what the server calls an index, or several that are alike."""
    wanted = (index.terms, index.is_unique)
    return [i.name for i in present if (i.terms, i.is_unique) == wanted]


def _keep_collation(column: sa.Column[Any], present: Column) -> None:
    """Keep how a text is compared: a reference needs the same on both sides."""
    type_: Any = column.type
    if present.collation is not None and hasattr(type_, "collation"):
        type_ = copy.copy(type_)
        type_.collation = present.collation
        column.type = type_


def _replacements(element: AlterTable) -> Iterator[Index]:
    """Yield plain indexes for references that a dropped one served: the server insists on one."""
    spec = element.spec
    for key in spec.foreign_keys:
        n = len(key.names)
        is_hit = any(i.terms[:n] == key.names for i in element.changes.old_indexes)
        others = [i.terms[:n] for i in spec.indexes]
        if is_hit and key.names not in {*others, spec.heading.primary_key[:n]}:
            yield Index(key.names)


def _index(index: Index, element: AlterTable, compiler: DDLCompiler) -> str:
    """Return an index as a clause, compiled as for `CREATE INDEX`."""
    alone = replace(element.spec, indexes=(index,), foreign_keys=())
    table = build_table(alone, {}, element.dialect)
    made = next(iter(table.indexes), None)
    if made is None:  # a constraint of CREATE TABLE
        names = ", ".join(compiler.preparer.quote(t) for t in index.terms)
        return f"UNIQUE INDEX ({names})"
    text = compiler.process(CreateIndex(made))
    head, _, terms = text.partition(f" ON {compiler.preparer.format_table(table)} ")
    return f"{head.removeprefix('CREATE ')} {terms}"

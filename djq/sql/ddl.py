"""`TableSpec` → create statements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateTable

from djq.definition.constraints import Index
from djq.errors import DatabaseError, DefinitionError
from djq.sql.astral import escape
from djq.sql.catalog_sqlite import COMMENTS
from djq.sql.clauses import full_heading
from djq.sql.collations import adopt_collations
from djq.sql.columns import column, mark
from djq.sql.dialects import Dialect
from djq.sql.indexes import CreateIndex, add_index, name_of, terms_text
from djq.sql.lineage import record_lineage
from djq.sql.prepared import prepare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.sql.compiler import DDLCompiler

    from djq.definition.acceptance import Value
    from djq.definition.spec import ForeignKey, TableName, TableSpec
    from djq.sql.engine import Database
    from djq.sql.sessions import Session

#: Columns of SQLite's table of comments.
_NOTES = ("table_name", "attribute_name", "comment")


def create_schema(database: Database, name: str) -> None:
    """Create the schema on the server if it is not there; SQLite needs none.

    A user without the privilege can work in a schema that is there: nothing is sent for it.
    """
    present = database.catalog.schemas()
    if database.dialect.is_sqlite:
        _check_schema_name(name, present)
        return
    if name in present:
        return
    quoted = sa.sql.quoted_name(name, quote=True)
    statement = (
        f"CREATE DATABASE IF NOT EXISTS `{quoted}` "
        f"CHARACTER SET utf8mb4 COLLATE {database.dialect.collation}"
    )
    database.define(sa.text(statement))


def _check_schema_name(name: str, present: Sequence[str]) -> None:
    """Refuse a name that SQLite would take for another schema's, or for its own."""
    other = next((s for s in present if s != name and s.lower() == name.lower()), None)
    if other is not None:
        message = (
            f'the schema "{name}" differs from "{other}", which is there, only in upper and lower '
            "case; in SQLite both would be one. Choose another name"
        )
        raise DefinitionError(message)
    if name.lower().startswith("sqlite_"):
        message = f'bad schema name "{name}": SQLite keeps names with "sqlite_" to itself'
        raise DefinitionError(message)


def create_table(database: Database, spec: TableSpec, parents: dict[TableName, TableSpec]) -> None:
    """Create the table and its indexes if it is not there; all of it, or nothing.

    `parents` are the specs of the tables that it refers to. Workers that start together declare the
    same tables at once: the statement of whoever comes first counts.

    Raises
    ------
    DefinitionError
        The server cannot hold such a table.
    """
    table = build_table(spec, parents, database.dialect)
    adopt_collations(database, spec, table)
    try:
        with database.catalog.adding():
            if database.dialect.is_sqlite:
                _define_all(database, spec, _sqlite_statements(spec, table))
            else:
                database.define(CreateWholeTable(table, if_not_exists=True))
    except DatabaseError as error:
        if type(error) is not DatabaseError:
            raise
        message = f"{spec.display_name} cannot be declared: {error}"
        raise DefinitionError(message) from error
    record_lineage(database, spec)


def _sqlite_statements(spec: TableSpec, table: sa.Table) -> list[sa.ClauseElement]:
    indexes = [CreateIndex(i, if_not_exists=True) for i in _sorted_indexes(table)]
    return [CreateTable(table, if_not_exists=True), *indexes, *comment_statements(spec)]


def _define_all(
    database: Database, spec: TableSpec, statements: Sequence[sa.ClauseElement]
) -> None:
    """Execute several statements of data definition, all of them or none."""
    prepared = [prepare(s, database.statements.sa_dialect) for s in statements]

    def execute(session: Session) -> None:
        # Locked from the start: workers that start together declare one after the other.
        session.raw.execute("BEGIN IMMEDIATE")
        try:
            for each in prepared:
                session.raw.execute(each.text, each.bind(()))
        except BaseException:
            session.raw.rollback()
            raise
        session.raw.commit()

    database.define_by(execute, spec.name)


class CreateWholeTable(CreateTable):
    """`CREATE TABLE` with all of its indexes: MySQL commits after each statement."""

    inherit_cache = False


@compiles(CreateWholeTable, "mysql", "mariadb")
def _create_whole_table(element: CreateWholeTable, compiler: DDLCompiler, **options: Value) -> str:
    table: sa.Table = element.element
    text: str = compiler.visit_create_table(element, **options)  # type: ignore[no-untyped-call] # SQLAlchemy's
    end = f"\n){compiler.post_create_table(table)}\n\n"
    clauses = [f", \n\t{_clause(i, table, compiler)}" for i in _sorted_indexes(table)]
    return f"{text.removesuffix(end)}{''.join(clauses)}{end}"


def _clause(index: sa.Index, table: sa.Table, compiler: DDLCompiler) -> str:
    """Return `CREATE INDEX name ON table (…)` as `INDEX name (…)`."""
    text = compiler.process(CreateIndex(index)).removeprefix("CREATE ")
    place = f" ON {compiler.preparer.format_table(table)} "
    return text.replace(place, " ", 1)


def _sorted_indexes(table: sa.Table) -> list[sa.Index]:
    return sorted(table.indexes, key=lambda i: str(i.name))


def comment_statements(spec: TableSpec) -> list[sa.ClauseElement]:
    """Return what keeps the comments of a table in SQLite, which has none of its own."""
    dialect = Dialect("sqlite")
    notes = sa.Table(
        COMMENTS,
        sa.MetaData(),
        *(sa.Column(n, sa.Text, primary_key=n != "comment", nullable=False) for n in _NOTES),
    )
    marks = {a.name: mark(a, dialect) for a in full_heading(spec)}
    indexes = {
        name_of(str(spec.name), i): terms_text(i)
        for i in spec.indexes
        if not all(t in spec.heading for t in i.terms)
    }
    texts = {"": spec.comment, **marks, **indexes}
    name = str(spec.name)
    rows = [dict(zip(_NOTES, (name, n, escape(text)), strict=True)) for n, text in texts.items()]
    return [
        CreateTable(notes, if_not_exists=True),
        sa.delete(notes).where(notes.c.table_name == name),
        sa.insert(notes).values(rows),
    ]


def build_table(spec: TableSpec, parents: dict[TableName, TableSpec], dialect: Dialect) -> sa.Table:
    """Return the table as SQLAlchemy has it, with its references and indexes.

    Raises
    ------
    DefinitionError
        An index is of an expression that cannot be read, or that the server cannot index.
    """
    metadata = sa.MetaData()
    table = _bare_table(spec, dialect, metadata)
    by_name = {spec.name: table}
    for key in spec.foreign_keys:
        if key.parent not in by_name:
            by_name[key.parent] = _bare_table(parents[key.parent], dialect, metadata)
        table.append_constraint(_foreign_key(key, table, by_name[key.parent]))
        names = key.names
        has_own = any(i.terms[: len(names)] == names for i in spec.indexes)
        if dialect.is_sqlite and not has_own and spec.heading.primary_key[: len(names)] != names:
            add_index(table, spec, Index(names), dialect)  # MySQL makes these by itself
    for index in spec.indexes:
        add_index(table, spec, index, dialect)
    return table


def _bare_table(spec: TableSpec, dialect: Dialect, metadata: sa.MetaData) -> sa.Table:
    name, schema = dialect.place(spec.name)
    columns = [column(a, dialect) for a in full_heading(spec)]
    options: dict[str, Any] = {}
    for backend in ("mysql", "mariadb"):
        # Not the schema's own, which somebody else may have created.
        options |= {f"{backend}_charset": "utf8mb4", f"{backend}_collate": dialect.collation}
        options |= {f"{backend}_engine": "InnoDB"}
    is_counting = any(a.is_auto for a in spec.heading)
    comment = escape(spec.comment) or None
    return sa.Table(
        name,
        metadata,
        *columns,
        schema=schema,
        comment=comment,
        sqlite_autoincrement=is_counting,
        **options,
    )


def _foreign_key(key: ForeignKey, table: sa.Table, parent: sa.Table) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [table.c[mine] for mine, _ in key.columns],
        [parent.c[theirs] for _, theirs in key.columns],
        onupdate="CASCADE",
        ondelete="RESTRICT",
    )

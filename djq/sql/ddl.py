"""`TableSpec` → create statements."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from djq.definition.attributes import Attribute, CoreType, Special
from djq.definition.grammar import MAX_NAME
from djq.errors import DatabaseError, DefinitionError
from djq.sql.clauses import full_heading

if TYPE_CHECKING:
    from collections.abc import Generator

    from djq.definition.spec import ForeignKey, TableName, TableSpec
    from djq.sql.dialects import Dialect
    from djq.sql.engine import Database

#: How long one process waits while another declares tables [s].
DECLARE_LOCK_S = 30


def create_schema(database: Database, name: str) -> None:
    """Create the schema on the server if it is not there; SQLite needs none."""
    if database.dialect.is_sqlite:
        return
    quoted = sa.sql.quoted_name(name, quote=True)
    statement = (
        f"CREATE DATABASE IF NOT EXISTS `{quoted}` "
        f"CHARACTER SET utf8mb4 COLLATE {database.dialect.collation}"
    )
    database.define(sa.text(statement))


def create_table(database: Database, spec: TableSpec, parents: dict[TableName, TableSpec]) -> None:
    """Create the table and its indexes if it is not there.

    `parents` are the specs of the tables that it refers to.
    """
    table = _table(spec, parents, database.dialect)
    with _declaring(database):
        database.catalog.forget(spec.name.schema)  # another process may have been here before
        if spec.name.table in database.catalog.columns(spec.name.schema):
            return
        try:
            database.define(CreateTable(table, if_not_exists=True))
            for index in sorted(table.indexes, key=lambda i: str(i.name)):
                database.define(CreateIndex(index, if_not_exists=database.dialect.is_sqlite))
        except DatabaseError as error:
            if type(error) is not DatabaseError:
                raise
            message = f"{spec.display_name} cannot be declared: {error}"
            raise DefinitionError(message) from error


@contextmanager
def _declaring(database: Database) -> Generator[None]:
    """Let one process at a time declare: workers start together and import the same module."""
    if database.dialect.is_sqlite:
        yield
        return
    database.read(sa.select(sa.func.get_lock("djq.declare", DECLARE_LOCK_S)))
    try:
        yield
    finally:
        database.read(sa.select(sa.func.release_lock("djq.declare")))


def _table(spec: TableSpec, parents: dict[TableName, TableSpec], dialect: Dialect) -> sa.Table:
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
            _add_index(table, names)  # MySQL makes these by itself
    for index in spec.indexes:
        if index.is_unique:
            table.append_constraint(sa.UniqueConstraint(*(table.c[n] for n in index.terms)))
        else:
            _add_index(table, index.terms)
    return table


def _bare_table(spec: TableSpec, dialect: Dialect, metadata: sa.MetaData) -> sa.Table:
    name, schema = dialect.place(spec.name)
    columns = [_column(a, dialect) for a in full_heading(spec)]
    options: dict[str, Any] = {}
    for backend in ("mysql", "mariadb"):
        # Not the schema's own, which somebody else may have created.
        options |= {f"{backend}_charset": "utf8mb4", f"{backend}_collate": dialect.collation}
        options |= {f"{backend}_engine": "InnoDB"}
    comment = spec.comment or None
    return sa.Table(name, metadata, *columns, schema=schema, comment=comment, **options)


def _column(attribute: Attribute, dialect: Dialect) -> sa.Column[object]:
    return sa.Column(
        attribute.name,
        dialect.column_type(attribute),
        primary_key=attribute.in_key,
        autoincrement=False,
        nullable=attribute.nullable,
        server_default=_server_default(attribute, dialect),
        comment=f":{attribute.type}:{attribute.comment}",
    )


def _server_default(attribute: Attribute, dialect: Dialect) -> sa.TextClause | str | None:
    """Return the default for other clients of the database; djq itself fills defaults in."""
    default, type_ = attribute.default, attribute.type
    if default is Special.NOW and isinstance(type_, CoreType):
        digits = f"({type_.arguments[0]})" if type_.arguments and not dialect.is_sqlite else ""
        return sa.text(f"CURRENT_TIMESTAMP{digits}")
    if default is Special.REQUIRED or default is None or not isinstance(type_, CoreType):
        return None
    if isinstance(default, bool | int | float):
        return sa.text(str(int(default) if isinstance(default, bool) else default))
    return None if type_.name == "uuid" else str(default)


def _foreign_key(key: ForeignKey, table: sa.Table, parent: sa.Table) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [table.c[mine] for mine, _ in key.columns],
        [parent.c[theirs] for _, theirs in key.columns],
        onupdate="CASCADE",
        ondelete="RESTRICT",
    )


def _add_index(table: sa.Table, names: tuple[str, ...]) -> None:
    name = f"{table.name}__{'_'.join(names)}"
    if len(name) > MAX_NAME:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        name = f"{name[: MAX_NAME - 9]}_{digest}"
    sa.Index(name, *(table.c[n] for n in names))

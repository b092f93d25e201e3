"""Tables and schemas → drop statements, and the notes about them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.schema import DropTable

from djq.definition.spec import TableName
from djq.errors import MissingTableError
from djq.sql.catalog_sqlite import COMMENTS

if TYPE_CHECKING:
    from collections.abc import Collection

    from djq.sql.engine import Database

#: DataJoint's notes on where attributes come from; one table per schema.
LINEAGE = "~lineage"


def drop_table(database: Database, name: TableName) -> None:
    """Drop one table; refused by the server while others refer to it."""
    table, schema = database.dialect.place(name)
    database.define(DropTable(sa.Table(table, sa.MetaData(), schema=schema)))


def drop_schema(database: Database, name: str) -> None:
    """Drop a schema with all that is in it; SQLite has none, and its tables are dropped before."""
    if not database.dialect.is_sqlite:
        database.define(sa.text(f"DROP DATABASE `{sa.sql.quoted_name(name, quote=True)}`"))


def forget_tables(database: Database, names: Collection[TableName]) -> None:
    """Remove what is noted of dropped tables: lineage, and on SQLite comments."""
    if database.dialect.is_sqlite:
        _forget(database, sa.table(COMMENTS), [str(n) for n in names])
    for schema in sorted({n.schema for n in names}):
        its = [n.table for n in names if n.schema == schema]
        if LINEAGE in database.catalog.columns(schema):
            table, place = database.dialect.place(TableName(schema, LINEAGE))
            _forget(database, sa.table(table, schema=place), its)


def _forget(database: Database, notes: sa.TableClause, names: list[str]) -> None:
    wanted = [sa.literal(name) for name in names]
    with suppress(MissingTableError):  # nothing was noted yet
        database.change(sa.delete(notes).where(sa.column("table_name").in_(wanted)))

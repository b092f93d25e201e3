"""Where attributes come from, written down as DataJoint does: the table `~lineage` of a schema.

djq reads lineage from the foreign keys. What is written here lets DataJoint open the tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from djq.definition.names import is_hidden
from djq.definition.spec import TableName
from djq.errors import DuplicateError
from djq.sql.clauses import full_heading
from djq.sql.reflect import reflect

if TYPE_CHECKING:
    from djq.definition.spec import TableSpec
    from djq.sql.engine import Database

LINEAGE = "~lineage"


def record_lineage(database: Database, spec: TableSpec) -> None:
    """Write the lineage of a table's attributes, by one statement; the table is made first."""
    rows = _rows(spec)
    if not rows or is_hidden(spec.name.table):
        return
    table = _table(database, spec.name.schema)
    if not database.catalog.knows(TableName(spec.name.schema, LINEAGE)):
        database.define(CreateTable(table, if_not_exists=True))
    try:
        database.change(sa.insert(table).values(rows))  # all that a user needs is INSERT
    except DuplicateError:  # of a table that was dropped by other means
        upsert = database.dialect.upsert(table, ("table_name", "attribute_name"), ("lineage",))
        database.change(upsert.values(rows))


def read_lineage(database: Database, schema: str) -> dict[str, str]:
    """Return what is written: `schema.table.attribute` → its origin."""
    if LINEAGE not in database.catalog.columns(schema):
        return {}
    table = _table(database, schema)
    ordered = sa.select(table).order_by(table.c.table_name, table.c.attribute_name)
    return {f"{schema}.{name}.{of}": str(origin) for name, of, origin in database.read(ordered)}


def rebuild_lineage(database: Database, schema: str) -> None:
    """Write the lineage of all tables of a schema anew, from their foreign keys."""
    database.catalog.forget()
    names = [t for t in database.catalog.columns(schema) if not is_hidden(t)]
    specs = [reflect(database, TableName(schema, t), with_indexes=False) for t in names]
    if LINEAGE in database.catalog.columns(schema):
        database.change(sa.delete(_table(database, schema)))
    for spec in specs:
        record_lineage(database, spec)


def _rows(spec: TableSpec) -> list[dict[str, str]]:
    return [
        {"table_name": spec.name.table, "attribute_name": a.name, "lineage": a.lineage}
        for a in full_heading(spec)
        if a.lineage is not None
    ]


def _table(database: Database, schema: str) -> sa.Table:
    """Return the table in DataJoint's layout."""
    name, place = database.dialect.place(TableName(schema, LINEAGE))
    options: dict[str, Any] = {
        f"{backend}_{option}": value
        for backend in ("mysql", "mariadb")
        for option, value in (("charset", "utf8mb4"), ("collate", database.dialect.collation))
    }

    def column(name: str, length: int, comment: str, *, is_key: bool = True) -> sa.Column[str]:
        type_ = sa.VARCHAR(length)
        return sa.Column(name, type_, primary_key=is_key, nullable=False, comment=comment)

    return sa.Table(
        name,
        sa.MetaData(),
        column("table_name", 64, "table name within the schema"),
        column("attribute_name", 64, "attribute name"),
        column("lineage", 255, "origin: schema.table.attribute", is_key=False),
        schema=place,
        **options,
    )

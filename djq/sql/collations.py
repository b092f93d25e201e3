"""Text in foreign keys: a column compares as the parent's does, or the server refuses it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from djq.definition.spec import TableSpec
    from djq.sql.engine import Database


def adopt_collations(database: Database, spec: TableSpec, table: sa.Table) -> None:
    """Give the columns of references the collations of the parents' columns.

    DataJoint's tables, and those of other programs, compare text in other ways than djq's.
    """
    if database.dialect.is_sqlite:
        return
    for key in spec.foreign_keys:
        if key.parent == spec.name:
            continue
        parent = database.catalog.columns(key.parent.schema).get(key.parent.table)
        for mine, theirs in key.columns:
            column = parent.columns.get(theirs) if parent is not None else None
            type_ = table.c[mine].type
            if column is None or column.collation is None or not isinstance(type_, sa.String):
                continue
            if column.collation != database.dialect.collation:
                own = copy.copy(type_)
                own.collation = column.collation
                table.c[mine].type = own

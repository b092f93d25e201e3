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
        for mine, theirs in key.columns:
            type_ = table.c[mine].type
            if not isinstance(type_, sa.String):
                continue
            parent = database.catalog.peek(key.parent)
            column = parent.columns.get(theirs) if parent is not None else None
            if column is None or column.collation in {None, database.dialect.collation}:
                continue
            own = copy.copy(type_)
            own.collation = column.collation
            table.c[mine].type = own

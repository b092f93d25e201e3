"""Tables as SQL knows them, and insert and delete statements, built once per table."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import sqlalchemy as sa

from djq.definition.heading import Heading

if TYPE_CHECKING:
    from djq.definition.spec import TableName, TableSpec
    from djq.sql.dialects import Dialect


@lru_cache(maxsize=4096)
def table_clause(name: TableName, heading: Heading, dialect: Dialect) -> sa.TableClause:
    """Return the table with its columns' types, for use in statements."""
    table, schema = dialect.place(name)
    columns = [sa.column(a.name, dialect.column_type(a)) for a in heading]
    return sa.table(table, *columns, schema=schema)


def full_heading(spec: TableSpec) -> Heading:
    """Return all columns of a table, the hidden ones too."""
    return Heading((*spec.heading.attributes, *spec.hidden))


@lru_cache(maxsize=4096)
def insert(spec: TableSpec, dialect: Dialect, *, skip_duplicates: bool = False) -> sa.Insert:
    """Return the INSERT of a table; which columns it fills is in the rows given with it."""
    table = table_clause(spec.name, full_heading(spec), dialect)
    if skip_duplicates:
        return dialect.skip_duplicates(table, spec.heading.primary_key[0])
    return sa.insert(table)


@lru_cache(maxsize=4096)
def upsert(spec: TableSpec, dialect: Dialect) -> sa.Insert:
    """Return the INSERT that overwrites a row of the same key."""
    table = table_clause(spec.name, full_heading(spec), dialect)
    return dialect.upsert(table, spec.heading.primary_key, spec.heading.secondary)

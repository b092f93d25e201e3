"""Tables as SQL statements name them."""

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

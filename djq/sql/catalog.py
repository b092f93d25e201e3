"""What the server holds."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from djq.sql.engine import Database


class Catalog:
    """The tables of one schema as the server has them, read once when first asked."""

    def __init__(self, database: Database, schema: str) -> None:
        self.database = database
        self.schema = schema

    @cached_property
    def tables(self) -> dict[str, tuple[str, ...]]:
        """Names of the tables, each with the names of its columns, by one statement."""
        found: dict[str, list[str]] = {}
        for row in self.database.read(self._statement()):
            table, column = (str(value) for value in row)
            found.setdefault(table, []).append(column)
        return {table: tuple(columns) for table, columns in found.items()}

    def _statement(self) -> sa.ClauseElement:
        if self.database.dialect.is_sqlite:
            prefix = f"{self.schema}."
            text = (
                "SELECT substr(m.name, :start), c.name"
                " FROM sqlite_master m, pragma_table_info(m.name) c"
                " WHERE m.type = 'table' AND substr(m.name, 1, :length) = :prefix"
                " ORDER BY m.name, c.cid"
            )
            return sa.text(text).bindparams(
                start=len(prefix) + 1, length=len(prefix), prefix=prefix
            )
        text = (
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = :schema ORDER BY table_name, ordinal_position"
        )
        return sa.text(text).bindparams(schema=self.schema)

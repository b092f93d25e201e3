"""What the server holds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from djq.sql.engine import Database


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table; `type` is in the server's words."""

    type: str
    comment: str
    is_nullable: bool
    is_in_key: bool


class Catalog:
    """The tables of one schema as the server has them, read once when first asked."""

    def __init__(self, database: Database, schema: str) -> None:
        self.database = database
        self.schema = schema

    @cached_property
    def tables(self) -> dict[str, dict[str, Column]]:
        """Names of the tables, each with its columns by name, by one statement."""
        found: dict[str, dict[str, Column]] = {}
        for table, name, type_, comment, is_nullable, is_in_key in self.database.read(
            self._statement()
        ):
            column = Column(str(type_), str(comment), bool(is_nullable), bool(is_in_key))
            found.setdefault(str(table), {})[str(name)] = column
        return found

    def _statement(self) -> sa.TextClause:
        if self.database.dialect.is_sqlite:
            prefix = f"{self.schema}."
            text = (
                "SELECT substr(m.name, :start), c.name, c.type, '', NOT c.\"notnull\", c.pk"
                " FROM sqlite_master m, pragma_table_info(m.name) c"
                " WHERE m.type = 'table' AND substr(m.name, 1, :length) = :prefix"
                " ORDER BY m.name, c.cid"
            )
            return sa.text(text).bindparams(
                start=len(prefix) + 1, length=len(prefix), prefix=prefix
            )
        text = (
            "SELECT table_name, column_name, column_type, column_comment,"
            " is_nullable = 'YES', column_key = 'PRI' FROM information_schema.columns"
            " WHERE table_schema = :schema ORDER BY table_name, ordinal_position"
        )
        return sa.text(text).bindparams(schema=self.schema)

"""The catalog's statements for MySQL and MariaDB: `information_schema`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Collection

    from djq.definition.spec import TableName
    from djq.sql.dialects import Backend

_SYSTEM = "'information_schema', 'mysql', 'performance_schema', 'sys'"


@dataclass(frozen=True, slots=True)
class MySqlPages:
    """Statements of the catalog; see `Pages`."""

    backend: Backend

    def columns(self, schemas: Collection[str], table: str | None = None) -> sa.TextClause:
        """Return the columns of all base tables, or of one."""
        names = ", ".join(f":s{i}" for i in range(len(schemas)))
        # MariaDB opens only the tables that constants name.
        one = "" if table is None else " AND c.table_name = :one AND t.table_name = :one"
        values = {f"s{i}": s for i, s in enumerate(schemas)}
        if table is not None:
            values["one"] = table
        text = (
            "SELECT c.table_schema, c.table_name, t.table_comment, c.column_name, c.column_type,"  # noqa: S608
            " c.column_comment, c.is_nullable = 'YES', c.column_key = 'PRI', c.column_default,"
            " c.extra, c.collation_name"
            " FROM information_schema.columns c JOIN information_schema.tables t"
            " ON t.table_schema = c.table_schema AND t.table_name = c.table_name"
            f" WHERE c.table_schema IN ({names}) AND t.table_schema IN ({names})"
            f" AND t.table_type = 'BASE TABLE'{one}"
            " ORDER BY c.table_schema, c.table_name, c.ordinal_position"
        )
        return sa.text(text).bindparams(**values)

    def exists(self, name: TableName) -> sa.TextClause:
        """Return whether a table is there."""
        text = (
            "SELECT 1 FROM information_schema.tables"
            " WHERE table_schema = :schema AND table_name = :one"
        )
        return sa.text(text).bindparams(schema=name.schema, one=name.table)

    def references(self) -> sa.TextClause:
        """Return the foreign keys of all schemas."""
        return sa.text(
            "SELECT table_schema, table_name, referenced_table_schema, referenced_table_name,"
            " column_name, referenced_column_name, constraint_name"
            " FROM information_schema.key_column_usage WHERE referenced_table_name IS NOT NULL"
            " ORDER BY table_schema, table_name, constraint_name, ordinal_position"
        )

    def indexes(self, schema: str) -> sa.TextClause:
        """Return the indexes; only MySQL indexes expressions."""
        expression = "expression" if self.backend == "mysql" else "NULL"
        text = (
            f"SELECT table_name, index_name, non_unique = 0, '', column_name, {expression},"  # noqa: S608
            " index_comment"
            " FROM information_schema.statistics"
            " WHERE table_schema = :schema AND index_name <> 'PRIMARY'"
            " ORDER BY table_name, index_name, seq_in_index"
        )
        return sa.text(text).bindparams(schema=schema)

    def schemas(self) -> sa.TextClause:
        """Return the databases, without the server's own."""
        return sa.text(
            "SELECT schema_name FROM information_schema.schemata"  # noqa: S608
            f" WHERE schema_name NOT IN ({_SYSTEM}) ORDER BY schema_name"
        )

    def without_comments(self) -> MySqlPages:
        """Return the same: comments are the server's own."""
        return self

    def default(self, words: str | None, type_: str, extra: str) -> str | None:
        """Return the default as SQL: MariaDB keeps it so, MySQL keeps the bare value."""
        if words is None:
            return None
        if self.backend == "mariadb":
            return words.replace("\\\\", "\\") if words.startswith("'") else words
        is_literal = words.startswith(("b'", "0x")) and type_.startswith(("bit", "bin", "varbin"))
        if is_literal or "DEFAULT_GENERATED" in extra:
            return words
        escaped = words.replace("'", "''")
        return f"'{escaped}'"

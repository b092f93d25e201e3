"""The catalog's statements for SQLite: pragmas, and the comments that djq keeps beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Collection

    from djq.definition.spec import TableName

#: SQLite keeps no comments: here they are, by `schema.table` and attribute ('' for the table's).
COMMENTS = "~comments"

_SCHEMA = "substr(m.name, 1, instr(m.name, '.') - 1)"
_TABLE = "substr(m.name, instr(m.name, '.') + 1)"
_PARENT_SCHEMA = 'substr(f."table", 1, instr(f."table", \'.\') - 1)'
_PARENT = 'substr(f."table", instr(f."table", \'.\') + 1)'


@dataclass(frozen=True, slots=True)
class SqlitePages:
    """Statements of the catalog; see `Pages`."""

    has_comments: bool = True

    def columns(self, schemas: Collection[str], table: str | None = None) -> sa.TextClause:
        """Return the columns of all tables of the schemas, or of one."""
        one = "" if table is None else f" AND {_TABLE} = :one"
        values = {f"s{i}": s for i, s in enumerate(schemas)}
        if table is not None:
            values["one"] = table
        names = ", ".join(f":s{i}" for i in range(len(schemas)))
        mine, theirs, joins = "''", "''", ""
        if self.has_comments:
            mine, theirs = "own.comment", "its.comment"
            joins = (
                f' LEFT JOIN "{COMMENTS}" own'
                " ON own.table_name = m.name AND own.attribute_name = ''"
                f' LEFT JOIN "{COMMENTS}" its'
                " ON its.table_name = m.name AND its.attribute_name = c.name"
            )
        text = (
            f"SELECT {_SCHEMA}, {_TABLE}, {mine}, c.name, c.type, {theirs},"  # noqa: S608
            ' NOT c."notnull" AND NOT c.pk, c.pk, c.dflt_value,'
            " CASE WHEN c.pk AND m.sql LIKE '% AUTOINCREMENT%' THEN 'auto_increment' END, NULL"
            f" FROM sqlite_master m JOIN pragma_table_info(m.name) c{joins}"
            f" WHERE m.type = 'table' AND {_SCHEMA} IN ({names}){one}"
            " ORDER BY m.name, c.cid"
        )
        return sa.text(text).bindparams(**values)

    def exists(self, name: TableName) -> sa.TextClause:
        """Return whether a table is there."""
        text = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = :name"
        return sa.text(text).bindparams(name=str(name))

    def references(self) -> sa.TextClause:
        """Return the foreign keys of the file; SQLite numbers them from the last to the first."""
        return sa.text(
            f'SELECT {_SCHEMA}, {_TABLE}, {_PARENT_SCHEMA}, {_PARENT}, f."from", f."to",'  # noqa: S608
            " 'fk' || (1000000 - f.id)"
            " FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f"
            " WHERE m.type = 'table' AND instr(m.name, '.') ORDER BY m.name, f.id DESC, f.seq"
        )

    def indexes(self, schema: str) -> sa.TextClause:
        """Return the indexes; the text of expressions is in the index's SQL."""
        note, joins = "NULL", ""
        if self.has_comments:
            note = "its.comment"
            joins = (
                f' LEFT JOIN "{COMMENTS}" its'
                " ON its.table_name = m.name AND its.attribute_name = i.name"
            )
        text = (
            f'SELECT {_TABLE}, i.name, i."unique", x.sql, c.name, NULL, {note}'  # noqa: S608
            " FROM sqlite_master m JOIN pragma_index_list(m.name) i"
            " JOIN pragma_index_info(i.name) c LEFT JOIN sqlite_master x"
            f" ON x.type = 'index' AND x.name = i.name{joins}"
            f" WHERE m.type = 'table' AND {_SCHEMA} = :schema AND i.origin <> 'pk'"
            " ORDER BY m.name, i.seq DESC, c.seqno"
        )
        return sa.text(text).bindparams(schema=schema)

    def schemas(self) -> sa.TextClause:
        """Return the prefixes of the tables."""
        return sa.text(
            f"SELECT DISTINCT {_SCHEMA} FROM sqlite_master m"  # noqa: S608
            " WHERE m.type = 'table' AND instr(m.name, '.') ORDER BY 1"
        )

    def without_comments(self) -> SqlitePages:
        """Return the statements for a file that another program, or an early djq, made."""
        return SqlitePages(has_comments=False)

    def default(self, words: str | None, type_: str, extra: str) -> str | None:
        """Return the default: SQLite keeps it as SQL."""
        del type_, extra
        return words

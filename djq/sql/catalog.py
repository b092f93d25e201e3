"""What the server holds: tables, columns, foreign keys, indexes; read once, forgotten with DDL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from djq.definition.indexterms import split_terms
from djq.definition.spec import TableName
from djq.errors import MissingTableError
from djq.sql.astral import unescape
from djq.sql.catalog_mysql import MySqlPages
from djq.sql.catalog_sqlite import SqlitePages

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Hashable, Iterable

    import sqlalchemy as sa

    from djq.sql.engine import Database


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table; `type` is in the server's words.

    `default` is an SQL literal (`'text'`, `5`, `NULL`) or expression, on every server.
    """

    type: str
    #: As it is there, with the mark of its type: `:int32:text`.
    comment: str
    is_nullable: bool
    is_in_key: bool
    default: str | None = None
    is_auto: bool = False
    collation: str | None = None


@dataclass(frozen=True, slots=True)
class TableColumns:
    """A table's comment and columns, in order."""

    comment: str
    columns: Mapping[str, Column]


@dataclass(frozen=True, slots=True)
class Reference:
    """One foreign key: `columns` pairs the child's column with the parent's."""

    child: TableName
    parent: TableName
    columns: tuple[tuple[str, str], ...]
    #: Of the constraint; SQLite has none.
    name: str = ""


@dataclass(frozen=True, slots=True)
class TableIndex:
    """One index beside the primary key; a term is a column's name or an `(expression)`."""

    name: str
    terms: tuple[str, ...]
    is_unique: bool


class Pages(Protocol):
    """How one kind of server is asked: each a statement, its rows of a fixed form."""

    def columns(self, schemas: Collection[str], table: str | None = None) -> sa.TextClause:
        """Ask for schema, table, its comment, column, and the fields of `Column` in order."""
        ...

    def exists(self, name: TableName) -> sa.TextClause:
        """Ask for a row if the table is there."""
        ...

    def references(self) -> sa.TextClause:
        """Ask for the child's schema and table, the parent's, columns and constraint; in order."""
        ...

    def indexes(self, schema: str) -> sa.TextClause:
        """Ask for table, index, whether it is unique, its SQL, column, expression, in order."""
        ...

    def schemas(self) -> sa.TextClause:
        """Ask for the names of the schemas."""
        ...

    def without_comments(self) -> Pages:
        """Return the same where no comments are kept yet."""
        ...

    def default(self, words: str | None, type_: str, extra: str) -> str | None:
        """Return a column's default as an SQL literal or expression."""
        ...


@dataclass
class _Known:
    """What has been read since the last DDL; thrown away as a whole, so that no reader mixes."""

    columns: dict[str, Mapping[str, TableColumns]] = field(
        default_factory=dict[str, Mapping[str, TableColumns]]
    )
    references: tuple[Reference, ...] | None = None
    by_child: Mapping[TableName, tuple[Reference, ...]] | None = None
    indexes: dict[str, Mapping[str, tuple[TableIndex, ...]]] = field(
        default_factory=dict[str, Mapping[str, tuple[TableIndex, ...]]]
    )
    #: What is left of `columns` after tables were added: right, but not complete.
    partial: dict[str, Mapping[str, TableColumns]] = field(
        default_factory=dict[str, Mapping[str, TableColumns]]
    )
    made: dict[Hashable, Any] = field(default_factory=dict["Hashable", Any])


class Catalog:
    """The tables of a server, or of a file; one per `Database`.

    What was read is kept until this process changes a table. Other processes' tables appear where
    something is looked for and not found.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known = _Known()

    @property
    def _pages(self) -> Pages:
        is_sqlite = self._database.dialect.is_sqlite
        return SqlitePages() if is_sqlite else MySqlPages(self._database.dialect.backend)

    def columns(self, schema: str) -> Mapping[str, TableColumns]:
        """Return the tables of a schema by name; by one statement when first asked."""
        return self.columns_of((schema,))[schema]

    def columns_of(self, schemas: Iterable[str]) -> Mapping[str, Mapping[str, TableColumns]]:
        """Return the tables of several schemas; those not yet known by one statement."""
        known = self._known
        wanted = list(dict.fromkeys(schemas))
        missing = [s for s in wanted if s not in known.columns]
        if missing:
            known.columns.update(self._read_columns(missing))
        return {s: known.columns[s] for s in wanted}

    def references(self) -> tuple[Reference, ...]:
        """Return all foreign keys of the server, in order of their declaration per table."""
        known = self._known
        if known.references is None:
            known.references = self._read_references()
        return known.references

    def references_of(self, child: TableName) -> tuple[Reference, ...]:
        """Return the foreign keys of one table, in order."""
        known = self._known
        if known.by_child is None:
            found: dict[TableName, list[Reference]] = {}
            for reference in self.references():
                found.setdefault(reference.child, []).append(reference)
            known.by_child = {name: tuple(its) for name, its in found.items()}
        return known.by_child.get(child, ())

    def indexes(self, schema: str) -> Mapping[str, tuple[TableIndex, ...]]:
        """Return the indexes of a schema by table; the primary keys are left out."""
        known = self._known
        if schema not in known.indexes:
            known.indexes[schema] = self._read_indexes(schema)
        return known.indexes[schema]

    def schemas(self) -> list[str]:
        """Return the names of all schemas that the user may see; asked each time."""
        return [str(name) for (name,) in self._database.read(self._pages.schemas())]

    def schemas_with(self, table: str) -> list[str]:
        """Return the names of the schemas that have a table of this name; asked each time."""
        found = self._read_columns(self.schemas(), table)
        return [schema for schema, tables in found.items() if tables]

    def knows(self, name: TableName) -> bool:
        """Tell whether a table is there, as far as its schema was read; reads it once."""
        known = self._known
        tables = known.columns.get(name.schema, known.partial.get(name.schema))
        return name.table in (self.columns(name.schema) if tables is None else tables)

    def has(self, name: TableName) -> bool:
        """Tell whether a table is there; looks again before it says no."""
        if self.knows(name):
            return True
        if not self._database.read(self._pages.exists(name)):
            return False
        self.forget(name.schema)  # somebody else declared it
        return True

    def peek(self, name: TableName) -> TableColumns | None:
        """Return one table, None if it is not there; at most one cheap statement."""
        known = self._known
        if name.schema in known.columns:
            return known.columns[name.schema].get(name.table)
        found = known.partial.get(name.schema, {})
        if name.table not in found:
            found = {**found, **self._read_columns([name.schema], name.table)[name.schema]}
            known.partial[name.schema] = found
        return found.get(name.table)

    @contextmanager
    def adding(self) -> Generator[None]:
        """Keep what is known of other tables while the block creates one."""
        before = self._known
        yield
        self._known = _Known(partial={**before.partial, **before.columns})

    def forget(self, schema: str | None = None) -> None:
        """Read again what is asked next: of one schema, or all."""
        before, self._known = self._known, _Known()
        if schema is not None:
            for kept, found in (
                (self._known.columns, before.columns),
                (self._known.partial, before.partial),
            ):
                kept.update({s: its for s, its in found.items() if s != schema})

    def made(self, key: Hashable, make: Callable[[], Any]) -> Any:  # noqa: ANN401 - the maker's
        """Return what `make` made of the catalog under this key, made once until it changes."""
        known = self._known
        if key not in known.made:
            known.made[key] = make()
        return known.made[key]

    # --- reading -------------------------------------------------------------------------------

    def _read_columns(
        self, schemas: list[str], table: str | None = None
    ) -> dict[str, Mapping[str, TableColumns]]:
        pages = self._pages
        try:
            rows = self._database.read(pages.columns(schemas, table))
        except MissingTableError:
            rows = self._database.read(pages.without_comments().columns(schemas, table))
        found: dict[str, dict[str, TableColumns]] = {s: {} for s in schemas}
        columns: dict[tuple[str, str], dict[str, Column]] = {}
        for schema, its_table, comment, name, *its in rows:
            place = (str(schema), str(its_table))
            if place not in columns:
                columns[place] = {}
                found[place[0]][place[1]] = TableColumns(str(comment or ""), columns[place])
            columns[place][str(name)] = _column(pages, its)
        return {s: tables for s, tables in found.items()}  # noqa: C416 - to the read-only type

    def _read_references(self) -> tuple[Reference, ...]:
        pairs: dict[tuple[str, ...], list[tuple[str, str]]] = {}
        for *place, mine, theirs, constraint in self._database.read(self._pages.references()):
            whole = (*(str(p) for p in place), str(constraint))
            pairs.setdefault(whole, []).append((str(mine), str(theirs)))
        found = [
            Reference(TableName(schema, table), TableName(theirs, parent), tuple(columns), name)
            for (schema, table, theirs, parent, name), columns in pairs.items()
        ]
        return tuple(sorted(found, key=lambda r: (r.child, _natural(r.name))))

    def _read_indexes(self, schema: str) -> Mapping[str, tuple[TableIndex, ...]]:
        found: dict[str, dict[str, TableIndex]] = {}
        notes: dict[tuple[str, str], str] = {}
        pages = self._pages
        try:
            rows = self._database.read(pages.indexes(schema))
        except MissingTableError:
            rows = self._database.read(pages.without_comments().indexes(schema))
        for table, name, is_unique, sql, column, expression, note in rows:
            its = found.setdefault(str(table), {})
            before = its.get(str(name))
            terms = before.terms if before else ()
            term = _term(column, expression, str(sql or ""), len(terms))
            its[str(name)] = TableIndex(str(name), (*terms, term), bool(is_unique))
            if note:
                notes[str(table), str(name)] = unescape(str(note))
        for (table, name), note in notes.items():
            found[table][name] = _as_declared(found[table][name], note)
        return {table: tuple(its.values()) for table, its in found.items()}


def _column(pages: Pages, fields: list[Any]) -> Column:
    type_, comment, is_nullable, is_in_key, default, extra, collation = fields
    words = str(extra or "")
    return Column(
        str(type_),
        str(comment or ""),
        bool(is_nullable),
        bool(is_in_key),
        pages.default(None if default is None else str(default), str(type_), words),
        "auto_increment" in words.lower(),
        None if collation is None else str(collation),
    )


def _natural(name: str) -> tuple[str, int]:
    """Order `t_ibfk_10` behind `t_ibfk_9`: servers number constraints as they are declared."""
    base, number = re.fullmatch(r"(.*?)(\d*)", name, re.DOTALL).groups()  # type: ignore[union-attr] # matches any text
    return base, int(number or 0)


def _as_declared(index: TableIndex, note: str) -> TableIndex:
    """Return an index with the terms of its definition: servers have words of their own."""
    terms = tuple(split_terms(note))
    is_of_expressions = any(not t.replace("_", "a").isalnum() for t in index.terms)
    is_ours = len(terms) == len(index.terms) and is_of_expressions
    return replace(index, terms=terms) if is_ours else index


def _term(column: object, expression: object, sql: str, position: int) -> str:
    if column is not None:
        return str(column)
    if expression is not None:
        text = str(expression).replace("\\'", "'")
        return text if text.startswith("(") else f"({text})"
    parts = _top_level(sql[sql.rfind('" (') + 3 : sql.rfind(")")])
    return parts[position] if position < len(parts) else "(?)"


def _top_level(text: str) -> list[str]:
    """Split at the commas outside of parentheses and quotes."""
    parts, depth = [""], 0
    for piece in re.findall(r"'(?:[^']|'')*'|\"[^\"]*\"|[(),]|[^'\"(),]+|['\"]", text):
        depth += (piece == "(") - (piece == ")")
        if piece == "," and not depth:
            parts.append("")
        else:
            parts[-1] += piece
    return [p.strip() for p in parts]

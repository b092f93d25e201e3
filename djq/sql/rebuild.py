"""SQLite: a changed table is a new one that gets the old one's rows and name."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from djq.definition.acceptance import round_float32
from djq.definition.attributes import CodecType, CoreType
from djq.definition.constraints import TableName
from djq.errors import BrokenReferenceError
from djq.sql.clauses import full_heading
from djq.sql.ddl import build_table, comment_statements
from djq.sql.indexes import CreateIndex
from djq.sql.prepared import Convert, Prepared, prepare

if TYPE_CHECKING:
    from djq.definition.acceptance import Value
    from djq.definition.attributes import Attribute
    from djq.definition.changes import Changes, Modification
    from djq.definition.spec import TableSpec
    from djq.sql.engine import Database
    from djq.sql.sessions import Session

#: Behind the table's name while both are there.
_NEW = "~new"
#: Rows that are copied at a time.
_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the values of one new column come from: an old column, or one value for all rows."""

    target: str
    column: str | None
    convert: Convert | None = None
    value: Value = None


class Rebuild:
    """The change as a new table; see `Alteration`."""

    def __init__(
        self,
        database: Database,
        old: TableSpec,
        new: TableSpec,
        changes: Changes,
        parents: dict[TableName, TableSpec],
    ) -> None:
        self.database = database
        self.old, self.new = old, new
        self._sources = _sources(database, new, changes)
        name = TableName(new.name.schema, f"{new.name.table}{_NEW}")
        beside = build_table(replace(new, name=name), {**parents, new.name: new}, database.dialect)
        place = build_table(new, parents, database.dialect)
        quote = database.statements.sa_dialect.identifier_preparer.quote
        self._beside, self._place = quote(beside.name), quote(place.name)
        kept: list[sa.ColumnElement[Any]] = [
            sa.column(s.column) for s in self._sources if s.column is not None
        ]
        names = [s.target for s in self._sources]
        targets = sa.insert(sa.table(beside.name, *map(sa.column, names)))
        rows = sa.select(*kept or [sa.literal_column("1")]).select_from(sa.table(place.name))
        self._read = self._text(rows)
        self._write = prepare(targets, database.statements.sa_dialect, names).text
        self._before = [self._text(CreateTable(beside))]
        self._after = [
            f"DROP TABLE {self._place}",
            f"ALTER TABLE {self._beside} RENAME TO {self._place}",
            *(self._text(CreateIndex(i)) for i in sorted(place.indexes, key=lambda i: str(i.name))),
        ]
        self._comments = [self._prepared(s) for s in comment_statements(new)]

    def _prepared(self, statement: sa.ClauseElement) -> Prepared:
        return prepare(statement, self.database.statements.sa_dialect)

    def _text(self, statement: sa.ClauseElement) -> str:
        return self._prepared(statement).text.strip()

    @property
    def statements(self) -> tuple[str, ...]:
        """What the file is changed by, in order."""
        comments = [c.text for c in self._comments]
        return (*self._before, self._read, self._write, *self._after, *comments)

    def execute(self) -> None:
        """Build the new table, all or nothing."""
        self.database.define_by(self._execute, self.new.name)

    def _execute(self, session: Session) -> None:
        raw = session.raw
        raw.execute("PRAGMA foreign_keys=OFF")  # dropping the old table would ask its children
        try:
            raw.execute("BEGIN IMMEDIATE")
            self._build(raw.cursor(), raw.cursor())
            self._check_references(raw)
            raw.commit()
        finally:
            raw.rollback()
            raw.execute("PRAGMA foreign_keys=ON")

    def _check_references(self, raw: Any) -> None:  # noqa: ANN401 - the driver's connection
        broken = raw.execute("PRAGMA foreign_key_check").fetchone()
        if broken is not None:
            message = (
                f"{self.new.display_name} cannot be altered: row {broken[1]} of {broken[0]} would "
                f"refer to no row of {broken[2]}; nothing was changed"
            )
            raise BrokenReferenceError(message)

    def _build(self, cursor: Any, write: Any) -> None:  # noqa: ANN401 - the driver's cursors
        for text in self._before:
            cursor.execute(text)
        cursor.execute(self._read)
        while rows := cursor.fetchmany(_ROWS):
            write.executemany(self._write, map(self._row, rows))
        for text in self._after:
            cursor.execute(text)
        for prepared in self._comments:
            cursor.execute(prepared.text, prepared.bind(()))

    def _row(self, row: tuple[Value, ...]) -> list[Value]:
        values = iter(row)
        return [
            s.value if s.column is None else _converted(next(values), s.convert)
            for s in self._sources
        ]


def _converted(value: Value, convert: Convert | None) -> Value:
    return value if convert is None or value is None else convert(value)


def _sources(database: Database, new: TableSpec, changes: Changes) -> list[_Source]:
    modified = {m.new.name: m for m in changes.modified}
    added = {a.name for a in changes.added}
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    found: list[_Source] = []
    for attribute in full_heading(new):
        name = attribute.name
        if name in added:
            value = attribute.default_value(now) if attribute.has_default else None
            found.append(_Source(name, None, value=_bound(database, attribute, value)))
        elif name in modified:
            column, convert = modified[name].old.name, _conversion(database, modified[name])
            found.append(_Source(name, column, convert))
        else:
            found.append(_Source(name, name))
    return found


def _bound(database: Database, attribute: Attribute, value: Value) -> Value:
    """Return a value as the driver takes it."""
    dialect = database.statements.sa_dialect
    type_ = database.dialect.column_type(attribute)
    bind: Convert | None = type_.dialect_impl(dialect).bind_processor(dialect)
    return value if bind is None or value is None else bind(value)


def _conversion(database: Database, modification: Modification) -> Convert | None:
    """Return what makes a value of the old type one of the new type, both as the driver has it."""
    old, new = modification.old, modification.new
    if old.type == new.type or isinstance(new.type, CodecType) or new.type is None:
        return None
    dialect, accept = database.statements.sa_dialect, database.dialect.accept(new.type)
    type_ = database.dialect.column_type(old).dialect_impl(dialect)
    read: Convert | None = type_.result_processor(dialect, None)
    # MySQL, too, keeps the exact number where a float32 becomes another type.
    is_single = old.type == CoreType("float32")

    def convert(value: Value) -> Value:
        found: Value = value if read is None else read(value)
        return _bound(database, new, accept(round_float32(found) if is_single else found))

    return convert

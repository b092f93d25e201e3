"""A table on the server → its `TableSpec`."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from djq.definition.attributes import Attribute, CodecType
from djq.definition.heading import Heading
from djq.definition.names import HIDDEN_COLUMN, describe_name
from djq.definition.spec import ForeignKey, Index, TableName, TableSpec, Tier
from djq.errors import MissingTableError
from djq.sql.astral import unescape
from djq.sql.words import read_default, read_type, split_comment, with_column

if TYPE_CHECKING:
    from djq.definition.attributes import AttributeType
    from djq.sql.catalog import Catalog, Column, Reference, TableColumns
    from djq.sql.engine import Database


def reflect(database: Database, name: TableName, *, with_indexes: bool = True) -> TableSpec:
    """Return the spec of a table as the server has it, whoever declared it.

    Two statements tell all that queries need: the foreign keys of the server, and the columns of
    the schemas that the table depends on. A third one tells the indexes of the schema.

    Raises
    ------
    MissingTableError
        The table is not there.
    """
    catalog = database.catalog
    if not _is_there(catalog, name):
        message = (
            f"{name} is not in the database: declare it, or check the names of its schema and table"
        )
        raise MissingTableError(message)
    reader = _Reader(catalog, is_sqlite=database.dialect.is_sqlite)
    made = catalog.made(
        ("spec", name, with_indexes), lambda: reader.spec(name, with_indexes=with_indexes)
    )
    return cast("TableSpec", made)


def _is_there(catalog: Catalog, name: TableName) -> bool:
    # All schemas that tell something about the table, in one statement.
    schemas = [n.schema for n in _with_ancestors(catalog, name)]
    return name.table in catalog.columns_of(schemas)[name.schema] or catalog.has(name)


def _with_ancestors(catalog: Catalog, name: TableName) -> list[TableName]:
    found, waiting = [name], [name]
    while waiting:
        for reference in catalog.references_of(waiting.pop()):
            if reference.parent not in found:
                found.append(reference.parent)
                waiting.append(reference.parent)
    return found


class _Reader:
    """Puts together what the catalog says of a table."""

    def __init__(self, catalog: Catalog, *, is_sqlite: bool) -> None:
        self.catalog = catalog
        self.is_sqlite = is_sqlite

    def spec(self, name: TableName, *, with_indexes: bool) -> TableSpec:
        table = self._table(name)
        said = describe_name(name.table)
        master = said.master
        if master is not None and master not in self.catalog.columns(name.schema):
            master = None
        attributes = [self._attribute(name, n, c) for n, c in table.columns.items()]
        shown = [a for a in attributes if not a.name.startswith(HIDDEN_COLUMN)]
        references = self.catalog.references_of(name)
        keys = tuple(_foreign_key(r, table) for r in references)
        return TableSpec(
            name=name,
            class_name=said.class_name if master or not said.master else _joined(said.class_name),
            tier=said.tier,
            heading=Heading(tuple(sorted(shown, key=lambda a: not a.in_key))),
            comment=unescape(table.comment),
            foreign_keys=keys,
            indexes=self._indexes(name, keys) if with_indexes else (),
            master=TableName(name.schema, master) if master else None,
            hidden=tuple(a for a in attributes if a.name.startswith(HIDDEN_COLUMN)),
        )

    def _table(self, name: TableName) -> TableColumns:
        return self.catalog.columns(name.schema)[name.table]

    def _attribute(self, table: TableName, name: str, column: Column) -> Attribute:
        type_ = self._type(table, name, column)
        return Attribute(
            name=name,
            type=type_,
            in_key=column.is_in_key,
            nullable=column.is_nullable,
            default=read_default(column, type_),
            comment=split_comment(column.comment)[1],
            lineage=self._lineage(table, name, is_key=column.is_in_key),
            is_auto=column.is_auto,
        )

    def _type(self, table: TableName, name: str, column: Column) -> AttributeType:
        """Return a column's type: its mark, or that of the parent's column, or its own words."""
        seen = {(table, name)}
        own = column
        while True:
            marked = split_comment(column.comment)[0]
            if isinstance(marked, CodecType):
                return with_column(marked, own.type, is_sqlite=self.is_sqlite)
            if marked is not None:
                return marked
            origin = self._origin(table, name)
            if origin is None or origin in seen:
                break
            seen.add(origin)
            table, name = origin
            parent = self.catalog.columns(table.schema).get(table.table)
            if parent is None or name not in parent.columns:
                break  # a schema that this user may not see
            column = parent.columns[name]
        return read_type(own.type, is_sqlite=self.is_sqlite)

    def _origin(self, table: TableName, name: str) -> tuple[TableName, str] | None:
        """Return the parent's attribute that an attribute takes its values from."""
        for reference in self.catalog.references_of(table):
            theirs = dict(reference.columns).get(name)
            if theirs is not None and (reference.parent, theirs) != (table, name):
                return reference.parent, theirs
        return self._of_jobs(table, name)

    def _of_jobs(self, table: TableName, name: str) -> tuple[TableName, str] | None:
        """Return the attribute that a job table copied: it refers to no table."""
        if not table.table.startswith(Tier.JOB.value):
            return None
        base = table.table.removeprefix(Tier.JOB.value)
        present = self.catalog.columns(table.schema)
        for tier in (Tier.COMPUTED, Tier.IMPORTED):
            owner = present.get(f"{tier.value}{base}")
            if owner is not None and name in owner.columns and owner.columns[name].is_in_key:
                return TableName(table.schema, f"{tier.value}{base}"), name
        return None

    def _lineage(self, table: TableName, name: str, *, is_key: bool) -> str | None:
        place, seen = (table, name), {(table, name)}
        while (origin := self._origin(*place)) is not None and origin not in seen:
            place = origin
            seen.add(origin)
        if place == (table, name) and not is_key:
            return None
        return f"{place[0]}.{place[1]}"

    def _indexes(self, name: TableName, keys: tuple[ForeignKey, ...]) -> tuple[Index, ...]:
        """Return the indexes, without those that only serve a reference."""
        found = [
            Index(i.terms, i.is_unique)
            for i in self.catalog.indexes(name.schema).get(name.table, ())
        ]
        served = {k.names for k in keys}
        kept = [i for i in found if i.is_unique or i.terms not in served]
        return tuple(dict.fromkeys(kept))


def _foreign_key(reference: Reference, table: TableColumns) -> ForeignKey:
    in_key = all(table.columns[mine].is_in_key for mine, _ in reference.columns)
    return ForeignKey(reference.parent, reference.columns, in_key)


def _joined(class_name: str) -> str:
    """Return the class name of a table that only looks like a part."""
    return class_name.replace(".", "")

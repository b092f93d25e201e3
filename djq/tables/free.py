"""Tables as the server knows them: around a class's table, and by name without a class."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from djq.algebra.nodes import Relation
from djq.definition.describe import describe
from djq.definition.names import quoted
from djq.definition.spec import TableName
from djq.errors import UsageError
from djq.sql.reflect import reflect
from djq.tables import tree
from djq.tables.classwise import on_class_too, seen_on_class_too
from djq.tables.connection import Connection, conn
from djq.tables.deletable import Deletable
from djq.tables.encode import RowEncoder
from djq.tables.query import Query
from djq.tables.writing import Writable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from djq.definition.spec import TableSpec, Tier

#: A full name, or a `FreeTable`; alone, or with what is known of the reference.
Found: TypeAlias = "list[Any]"

_FULL_NAME = re.compile(r"(?P<q>`?)(?P<schema>[^`.]+)(?P=q)\.(?P<p>`?)(?P<table>[^`.]+)(?P=p)\Z")


class Navigable(Query):
    """A table's name on the server, its definition as it is there, and the tables around it."""

    spec: ClassVar[TableSpec]

    @seen_on_class_too
    def full_table_name(self) -> str:
        """Return the name on the server, in backquotes: "`schema`.`#table`"."""
        return quoted(self.spec.name)

    @seen_on_class_too
    def table_name(self) -> str:
        """Return the name on the server, within its schema: `#table`."""
        return self.spec.name.table

    @seen_on_class_too
    def is_declared(self) -> bool:
        """Tell whether the table is in the database."""
        return self.connection.database.catalog.has(self.spec.name)

    @on_class_too
    def describe(self, printout: bool = False) -> str:
        """Return the definition of the table as the server has it.

        Other tables of the schema go by their class's name, those of other schemas by
        `schema.Class`. With `printout` it is also printed.
        """
        database = self.connection.database
        text = describe(reflect(database, self.spec.name), self._refer)
        if printout:
            sys.stdout.write(text)
        return text

    def _refer(self, name: TableName) -> str:
        known: Mapping[TableName, TableSpec] = getattr(self, "parent_specs", {})
        spec = known[name] if name in known else reflect(self.connection.database, name)
        return spec.class_name if name.schema == self.spec.name.schema else spec.display_name

    @on_class_too
    def parents(
        self, primary: bool | None = None, as_objects: bool = False, foreign_key_info: bool = False
    ) -> Found:
        """Return the tables that this one refers to, in the order of its references.

        Parameters
        ----------
        primary
            True: only references within the key; False: only the others.
        as_objects
            Return `FreeTable`s, not full names.
        foreign_key_info
            Return pairs with a dict: `primary`, `attr_map` (mine → theirs), `aliased`, `multi`.
        """
        found = tree.parents(*self._refreshed(), primary=primary)
        return self._shown(found, as_objects=as_objects, has_info=foreign_key_info)

    @on_class_too
    def children(
        self, primary: bool | None = None, as_objects: bool = False, foreign_key_info: bool = False
    ) -> Found:
        """Return the tables that refer to this one, in any schema; see `parents`."""
        found = tree.children(*self._refreshed(), primary=primary)
        return self._shown(found, as_objects=as_objects, has_info=foreign_key_info)

    @on_class_too
    def ancestors(self, as_objects: bool = False) -> Found:
        """Return this table and all that it depends on, nearest first."""
        return self._named(tree.ancestors(*self._refreshed()), as_objects=as_objects)

    @on_class_too
    def descendants(self, as_objects: bool = False) -> Found:
        """Return this table and all that depend on it, each after those it depends on."""
        return self._named(tree.descendants(*self._refreshed()), as_objects=as_objects)

    @on_class_too
    def parts(self, as_objects: bool = False) -> Found:
        """Return the parts of this table."""
        return self._named(tree.parts(*self._refreshed()), as_objects=as_objects)

    def _refreshed(self) -> tuple[Any, TableName]:
        database = self.connection.database
        database.catalog.forget()  # other processes declare tables, too
        return database, self.spec.name

    def _shown(self, found: list[tree.Neighbour], *, as_objects: bool, has_info: bool) -> Found:
        names = [name for name, _ in found]
        if not has_info:
            return self._named(list(dict.fromkeys(names)), as_objects=as_objects)
        shown = self._named(names, as_objects=as_objects)
        return [(its, info) for its, (_, info) in zip(shown, found, strict=True)]

    def _named(self, names: Sequence[TableName], *, as_objects: bool) -> Found:
        if as_objects:
            return [FreeTable(self.connection, str(n)) for n in names]
        return [quoted(n) for n in names]


class FreeTable(Writable, Deletable, Navigable):
    """A table by its name on the server: query, insert, delete and drop work as for its class.

    Rows of an Imported or Computed table need `allow_direct_insert=True`.

    Parameters
    ----------
    connection
        Where the table is; left out: the default connection.
    full_table_name
        `schema.table`, with the tier's prefix, with or without backquotes.

    Raises
    ------
    MissingTableError
        The table is not there.
    """

    def __init__(
        self, connection: Connection | str | None = None, full_table_name: str | None = None
    ) -> None:
        if isinstance(connection, str) and full_table_name is None:
            connection, full_table_name = None, connection
        if not isinstance(full_table_name, str) or isinstance(connection, str):
            message = (
                "a FreeTable needs a table's name: dj.FreeTable('schema.table') or "
                "dj.FreeTable(connection, 'schema.table')"
            )
            raise UsageError(message)
        where = connection if connection is not None else conn()
        spec = reflect(where.database, parse_full_name(full_table_name), with_indexes=False)
        # Of this instance: other tables have theirs by their class.
        vars(self)["spec"] = spec
        super().__init__(Relation(spec.name, spec.heading), where)

    @property
    def tier(self) -> Tier:
        """What fills the table, by its name."""
        return self.spec.tier

    @property
    def parent_specs(self) -> Mapping[TableName, TableSpec]:
        """The tables that this one refers to."""
        database = self.connection.database
        return {p: reflect(database, p, with_indexes=False) for p in self.spec.parents}

    def _describe(self) -> str:
        return quoted(self.spec.name)

    def _encoder(self) -> RowEncoder:
        return RowEncoder.of(self.spec, self.connection)


def parse_full_name(text: str) -> TableName:
    """Read `schema.table` or "`schema`.`table`".

    Raises
    ------
    UsageError
        The text is neither.
    """
    match = _FULL_NAME.match(text.strip())
    if match is None:
        message = f"bad table name {text!r}: write schema.table, as in dj.FreeTable('lab.#rig')"
        raise UsageError(message)
    return TableName(match["schema"], match["table"])

"""`Table`, `Manual`, `Lookup`, `Part`."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, cast

from djq.algebra.nodes import Node, Relation
from djq.definition.spec import TableName, TableSpec, Tier
from djq.errors import DefinitionError
from djq.tables.encode import RowEncoder
from djq.tables.insert import check_direct_insert, insert_rows
from djq.tables.query import Query, Row, on_class_too

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from djq.definition.acceptance import Value
    from djq.definition.attributes import Attribute
    from djq.tables.connection import Connection
    from djq.tables.schema import Schema


class TableMeta(type):
    """Lets operators take the class for the table: `Image & key`, `len(Image)`."""

    def __and__(cls, condition: Value) -> Query:
        """Restrict."""
        restricted: Query = _instance(cls) & condition
        return restricted

    def __sub__(cls, condition: Value) -> Query:
        """Restrict by the complement."""
        restricted: Query = _instance(cls) - condition
        return restricted

    def __mul__(cls, other: Query | type[Query]) -> Query:
        """Join."""
        return _instance(cls) * other

    def __len__(cls) -> int:
        """Count the rows."""
        return len(_instance(cls))

    def __bool__(cls) -> bool:
        """Be true, as classes are: `bool(Image())` asks for rows."""
        return True

    def __contains__(cls, row: Value) -> bool:
        """Tell whether a row is there."""
        return row in _instance(cls)

    def __iter__(cls) -> Iterator[Row]:
        """Iterate over the rows."""
        return iter(_instance(cls))

    def __repr__(cls) -> str:
        """Return the class's name: printing a class asks nothing of the database."""
        spec: TableSpec | None = getattr(cls, "spec", None)
        return super().__repr__() if spec is None else f"<table {spec.display_name}>"


def _instance(cls: type) -> Query:
    return cast("Query", cls())


def _spec_of(cls: type) -> TableSpec:
    spec: TableSpec | None = getattr(cls, "spec", None)
    if spec is None:
        message = (
            f"{cls.__name__} is not declared: put @schema above the class "
            "(parts are declared with their master)"
        )
        raise DefinitionError(message)
    return spec


class Table(Query, metaclass=TableMeta):
    """All rows of a declared table; the class and its instances are interchangeable in queries."""

    definition: str = ""
    tier: ClassVar[Tier]
    #: Set when the class is declared.
    spec: ClassVar[TableSpec]
    schema: ClassVar[Schema]
    #: The tables that this one refers to.
    parent_specs: ClassVar[Mapping[TableName, TableSpec]]
    #: Columns that djq fills in rows of this kind of table.
    hidden_attributes: ClassVar[tuple[Attribute, ...]] = ()
    #: Names that the key of this kind of table must not have.
    reserved_names: ClassVar[frozenset[str]] = frozenset()

    def __init__(self) -> None:
        spec = _spec_of(type(self))
        super().__init__(_relation(spec), self.schema.connection)

    @property
    def display_name(self) -> str:
        """The table as people call it: `schema.Class`."""
        return self.spec.display_name

    @property
    def full_table_name(self) -> str:
        """The table on the server: `schema.table`."""
        return str(self.spec.name)

    def _describe(self) -> str:
        return self.spec.display_name

    @on_class_too
    def insert(
        self,
        rows: Iterable[Value],
        *,
        skip_duplicates: bool = False,
        ignore_extra_fields: bool = False,
        allow_direct_insert: bool = False,
    ) -> None:
        """Insert rows, all or none.

        Parameters
        ----------
        rows
            Mappings of names to values, sequences in heading order, or numpy records; a query's
            rows, too.
        skip_duplicates
            Leave rows alone whose key is taken.
        ignore_extra_fields
            Leave out values whose names are not attributes, instead of refusing the row.
        allow_direct_insert
            Let rows into an Imported or Computed table outside of its `make`.

        Raises
        ------
        RowError
            A row does not fit: the message names row, attribute and value.
        DuplicateError
            A key is taken.
        BrokenReferenceError
            A parent row is missing.
        """
        check_direct_insert(self.spec, allowed=allow_direct_insert)
        insert_rows(
            self._encoder(),
            self.connection,
            rows,
            skip_duplicates=skip_duplicates,
            ignore_extra_fields=ignore_extra_fields,
        )

    @on_class_too
    def insert1(
        self,
        row: Value,
        *,
        skip_duplicates: bool = False,
        ignore_extra_fields: bool = False,
        allow_direct_insert: bool = False,
    ) -> None:
        """Insert one row; see `insert`."""
        self.insert(
            (row,),
            skip_duplicates=skip_duplicates,
            ignore_extra_fields=ignore_extra_fields,
            allow_direct_insert=allow_direct_insert,
        )

    def _encoder(self) -> RowEncoder:
        return _encoder(self.spec, self.connection)

    @classmethod
    def declared(cls) -> None:
        """Do what follows a declaration; called once by the schema."""


@lru_cache(maxsize=4096)
def _relation(spec: TableSpec) -> Node:
    return Relation(spec.name, spec.heading)


@lru_cache(maxsize=4096)
def _encoder(spec: TableSpec, connection: Connection) -> RowEncoder:
    return RowEncoder.of(spec, connection)


class Manual(Table):
    """A table that people and instruments fill."""

    tier = Tier.MANUAL


class Lookup(Table):
    """A table whose rows belong to the pipeline's code: `contents` is inserted when declared."""

    tier = Tier.LOOKUP
    contents: ClassVar[Iterable[Value]] = ()

    @classmethod
    def declared(cls) -> None:
        """Insert the contents that are not there yet."""
        rows = list(cls().contents)
        if rows and len(rows) > len(cls):
            cls.insert(rows, skip_duplicates=True)


class Part(Table):
    """A table whose rows belong to a row of its master, and come and go with it.

    Nested in the master's class; its definition refers to `-> master`.
    """

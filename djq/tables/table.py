"""`Table`, `Manual`, `Lookup`, `Part`."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from djq.algebra.nodes import Node, Relation
from djq.definition.spec import TableName, TableSpec, Tier
from djq.errors import DefinitionError
from djq.tables import alter as altering
from djq.tables.alter import check_altered
from djq.tables.classwise import on_class_too
from djq.tables.deletable import Deletable
from djq.tables.encode import RowEncoder
from djq.tables.free import Navigable
from djq.tables.writing import Writable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from djq.algebra.forms import Not
    from djq.definition.acceptance import Value
    from djq.definition.attributes import Attribute
    from djq.tables.connection import Connection
    from djq.tables.fetching import Row
    from djq.tables.query import Operand, Query
    from djq.tables.schema import Schema


_log = logging.getLogger("djq")

T = TypeVar("T")


class TableMeta(type):
    """Lets operators take the class for the table: `Image & key`, `len(Image)`."""

    def __and__(cls: type[T], condition: Value) -> T:
        """Restrict; the result is a table of this class, with its own methods."""
        return cast("T", cast("Query", cls()) & condition)

    def __sub__(cls: type[T], condition: Value) -> T:
        """Restrict by the complement."""
        return cast("T", cast("Query", cls()) - condition)

    def __neg__(cls) -> Not:
        """Return the complement, to restrict by."""
        return -_instance(cls)

    def __mul__(cls, other: Operand) -> Query:
        """Join."""
        return _instance(cls) * other

    def __add__(cls, other: Operand) -> Query:
        """Unite."""
        return _instance(cls) + other

    def __matmul__(cls, other: Operand) -> Query:
        """Refuse DataJoint's older join by names alone."""
        return _instance(cls) @ other

    def __xor__(cls, other: Operand) -> Query:
        """Refuse DataJoint's older restriction by names alone."""
        return _instance(cls) ^ other

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
        schema: Schema | None = getattr(cls, "schema", None)
        how = (
            "is not declared: put @schema above the class (parts are declared with their master)"
            if schema is None or schema.is_active
            else "waits for its schema's name: call schema.activate('name') before it is used"
        )
        message = f"{cls.__name__} {how}"
        raise DefinitionError(message)
    return spec


class Table(Writable, Deletable, Navigable, metaclass=TableMeta):
    """All rows of a declared table; the class and its instances are interchangeable in queries."""

    definition: str = ""
    tier: ClassVar[Tier]
    #: Set when the class is declared.
    spec: ClassVar[TableSpec]
    schema: ClassVar[Schema]
    #: The tables that this one refers to.
    parent_specs: ClassVar[Mapping[TableName, TableSpec]]
    #: Reads another text as this class's definition.
    read_definition: ClassVar[Callable[[str], TableSpec]]
    #: How the table in the database differs from the definition: rows neither come nor go before
    #: `alter`.
    pending_changes: ClassVar[tuple[str, ...]] = ()
    #: Columns that djq fills in rows of this kind of table.
    hidden_attributes: ClassVar[tuple[Attribute, ...]] = ()
    #: Names that the key of this kind of table must not have.
    reserved_names: ClassVar[frozenset[str]] = frozenset()

    def __init__(self) -> None:
        spec = _spec_of(type(self))
        super().__init__(_relation(spec), self.schema.connection)

    @property
    def node(self) -> Node:
        """The query's tree; refused while the table is not what the definition says."""
        check_altered(self)
        return super().node

    @property
    def is_restricted(self) -> bool:
        """Whether this is not the whole table."""
        return not isinstance(self._node, Relation)

    @property
    def display_name(self) -> str:
        """The table as people call it: `schema.Class`."""
        return self.spec.display_name

    def _describe(self) -> str:
        return self.spec.display_name

    @on_class_too
    def alter(
        self,
        prompt: bool | None = True,
        context: Mapping[str, object] | None = None,  # noqa: ARG002 - as DataJoint has it
    ) -> bool:
        """Change the table in the database to what the class's definition says now.

        Attributes outside of the key may be added, dropped, changed, and renamed (the comment of
        the new one begins with `{old_name}`); comments, defaults and indexes may change.

        Parameters
        ----------
        prompt
            Show the statements, and ask; None: as the setting `safemode` says.
        context
            Not needed: references are those of the declaration.

        Returns
        -------
        bool
            Whether the table was changed.

        Raises
        ------
        DefinitionError
            The key or a reference changes, or values that are there do not fit; nothing was
            changed.
        """
        return altering.alter(self, prompt=prompt)

    def _encoder(self) -> RowEncoder:
        check_altered(self)
        return _encoder(self.spec, self.connection)

    @classmethod
    def check_class(cls) -> None:
        """Refuse a class that cannot work, before anything is declared."""

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
        contents: Value = cls().contents
        if not hasattr(contents, "__iter__"):
            message = (
                f"{cls.spec.display_name}.contents is {contents!r}: give a list of rows, or "
                "whatever else iterates over them"
            )
            raise DefinitionError(message)
        rows = [] if cls.pending_changes else [*contents]
        if not rows or len(rows) <= len(cls):
            return
        counted = next((a.name for a in cls.spec.heading if a.is_auto), None)
        if counted is not None:
            _log.warning(
                "lookup_contents_left_out",
                extra={"table": cls.spec.display_name, "attribute": counted},
            )
            return
        cls.insert(rows, skip_duplicates=True, allow_direct_insert=True)


class Part(Table):
    """A table whose rows belong to a row of its master, and come and go with it.

    Nested in the master's class; its definition refers to `-> master`.
    """

    #: The class that this one is nested in; set when it is declared.
    master: ClassVar[type[Table]]

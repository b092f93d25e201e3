"""A namespace of tables, and the decorator that declares them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from djq.definition.spec import TableName, TableSpec, Tier
from djq.errors import DefinitionError, MissingTableError, UsageError
from djq.sql.ddl import create_schema, create_table
from djq.sql.lineage import read_lineage, rebuild_lineage
from djq.sql.verify import as_present, differences, different
from djq.tables import drop as dropping
from djq.tables import listing, reflected
from djq.tables.alter import widen
from djq.tables.connection import Connection, conn
from djq.tables.declaration import Declaration, check_class, parts_of, scope_of
from djq.tables.free import FreeTable
from djq.tables.making import refuse_definition
from djq.tables.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

T = TypeVar("T", bound=Table)

_SCHEMA_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}\Z")


class Schema:
    """A namespace of tables; as a decorator it declares a table class and its parts.

    Parameters
    ----------
    schema_name
        Letters, digits, underscores and dashes; on MySQL and MariaDB the database of this name.
        None: `activate` gives it later, and the classes wait until then.
    context
        Names that definitions may refer to, before those where the class stands.
    connection
        Where the tables live; None: the default connection, from the settings.
    create_schema
        Create the schema with its first table; False: a missing one is an error.
    create_tables
        Create missing tables; False: they are an error; None: as the setting of this name says.
    add_objects
        More names that definitions may refer to.

    Raises
    ------
    DefinitionError
        When decorating: the class or its definition is wrong; nothing was declared.
    MissingTableError
        When decorating: the schema or table is not there, and must not be created.
    """

    def __init__(
        self,
        schema_name: str | None = None,
        context: Mapping[str, Any] | None = None,
        *,
        connection: Connection | None = None,
        create_schema: bool = True,
        create_tables: bool | None = None,
        add_objects: Mapping[str, Any] | None = None,
    ) -> None:
        given: object = context
        if isinstance(given, Connection):
            message = "a connection is given by its name: dj.Schema(name, connection=…)"
            raise UsageError(message)
        self._name: str | None = None
        self._connection = connection
        self._creates_schema = create_schema
        self._creates_tables = create_tables
        self._context = {**(context or {}), **(add_objects or {})}
        #: Class names → classes, in the order of their declaration; without parts.
        self.tables: dict[str, type[Table]] = {}
        self._waiting: dict[str, tuple[type[Table], Mapping[str, Any]]] = {}
        self._is_created = False
        if schema_name is not None:
            self._name = _checked_name(schema_name)

    def __repr__(self) -> str:
        """Return the schema's name and tables."""
        name = repr(self._name) if self._name else "not activated"
        names = [*self.tables, *(f"{n} (waiting)" for n in self._waiting)]
        return f"Schema({name}: {', '.join(names) or 'no tables yet'})"

    # --- activation ----------------------------------------------------------------------------

    @property
    def is_active(self) -> bool:
        """Whether the schema has its name."""
        return self._name is not None

    def is_activated(self) -> bool:
        """Tell whether the schema has its name; DataJoint's spelling."""
        return self.is_active

    @property
    def name(self) -> str:
        """The schema's name on the server."""
        if self._name is None:
            message = "the schema has no name yet: call schema.activate('name') first"
            raise UsageError(message)
        return self._name

    @property
    def database(self) -> str:
        """The schema's name; DataJoint's spelling."""
        return self.name

    @property
    def connection(self) -> Connection:
        """Where the tables live."""
        if self._connection is None:
            self._connection = conn()
        return self._connection

    def activate(
        self,
        schema_name: str | None = None,
        *,
        connection: Connection | None = None,
        create_schema: bool | None = None,
        create_tables: bool | None = None,
        add_objects: Mapping[str, Any] | None = None,
    ) -> None:
        """Give the schema its name, and declare the classes that waited for it, in their order.

        Without a name it only asserts that the schema is active. The same name again changes
        nothing; another one is refused.
        """
        if schema_name is None or self._name is not None:
            self._check_same(schema_name, connection)
        else:
            name = _checked_name(schema_name)
            if connection is not None:
                self._connection = connection
            if create_schema is not None:
                self._creates_schema = create_schema
            if create_tables is not None:
                self._creates_tables = create_tables
            self._name = name
        self._context |= add_objects or {}
        while self._waiting:
            cls, scope = next(iter(self._waiting.values()))
            self._declare(cls, {**scope, **(add_objects or {})})
            del self._waiting[cls.__name__]

    def _check_same(self, schema_name: str | None, connection: Connection | None) -> None:
        if self.name != (schema_name or self._name):
            message = (
                f'the schema is active as "{self._name}" and cannot be "{schema_name}", too: '
                "use another dj.Schema() for it"
            )
            raise UsageError(message)
        if connection is not None and connection is not self.connection:
            message = f'the schema "{self._name}" is active over another connection'
            raise UsageError(message)

    # --- declaration ---------------------------------------------------------------------------

    def __call__(self, cls: type[T]) -> type[T]:
        """Declare the class's table and its parts' tables, unless they are there."""
        check_class(cls)
        cls.check_class()
        scope = scope_of(cls, self._context, depth=1)
        if self.is_active:
            self._declare(cls, scope)
            return cls
        waiting: list[type[Table]] = [cls, *parts_of(cls)]
        for table in waiting:
            table.schema = self
        self._waiting.pop(cls.__name__, None)
        self._waiting[cls.__name__] = (cls, scope)
        return cls

    def _declare(self, cls: type[Table], scope: Mapping[str, Any]) -> None:
        declaration = Declaration(self, scope)
        declared = declaration.read(cls)
        for table, spec in declared:
            table.pending_changes = self.ensure(spec, declaration.known)
            table.spec = as_present(self.connection.database, spec)
            table.__doc__ = (
                f"{table.__doc__ or spec.comment}\n\n{spec.display_name}::\n{table.definition}"
            )
        self.tables[cls.__name__] = cls
        for table, _ in declared:
            table.declared()

    def create(self, spec: TableSpec, parents: Mapping[TableName, TableSpec]) -> None:
        """Create a table of djq's own, such as job records, or let the one there hold its rows.

        Raises
        ------
        DefinitionError
            The one there holds something else.
        """
        found = self.ensure(spec, parents)
        if found and not (self._may_create(spec) and widen(self.connection, spec)):
            raise different(spec, found)

    def ensure(self, spec: TableSpec, parents: Mapping[TableName, TableSpec]) -> tuple[str, ...]:
        """Create a table unless it is there; return how the one there differs from `spec`."""
        database = self.connection.database
        if database.catalog.has(spec.name):
            return differences(database, spec)
        if not self._may_create(spec):
            return ()
        refuse_definition(spec.display_name)
        if not self._is_created:
            create_schema(database, self.name)
            self._is_created = True
        create_table(database, spec, dict(parents))
        return ()

    def _may_create(self, spec: TableSpec) -> bool:
        """Tell whether a missing table may be created; only job records may stay missing."""
        creates = self._creates_tables
        if creates is None:
            creates = self.connection.settings.create_tables
        if creates and (self._creates_schema or self._is_created or self.exists):
            return True
        if not self.exists:
            message = (
                f'the schema "{self.name}" is not in the database, and may not be created '
                f"({'create_schema' if creates else 'create_tables'}=False): check its name, or "
                "let somebody create it who may"
            )
            raise MissingTableError(message)
        if spec.tier is Tier.JOB:
            return False
        message = (
            f"{spec.display_name} is not in the database (as {spec.name}), and may not be created "
            "(create_tables=False): let somebody declare it who may, or set create_tables"
        )
        raise MissingTableError(message)

    # --- what is there -------------------------------------------------------------------------

    @property
    def exists(self) -> bool:
        """Whether the schema is on the server; on SQLite, whether it has a table."""
        return self.name in self.connection.database.catalog.schemas()

    def drop(self, prompt: bool | None = None) -> None:
        """Drop the schema with all of its tables and rows; `prompt` is that of `Table.delete`.

        Refused inside a transaction, and while tables of other schemas refer to it.
        """
        dropping.drop_schema(self.connection, self.name, prompt=prompt)
        self._is_created = self.exists

    def list_tables(self) -> list[str]:
        """Return the names of the tables on the server, each after those it refers to.

        Tables of the machinery (`~lineage`, job records) are left out.
        """
        names = listing.visible_tables(self.connection.database, self.name)
        return [n.table for n in names]

    def __contains__(self, name: object) -> bool:
        """Tell whether a table is there, by its class's name or its name on the server."""
        found = listing.find_table(self.connection.database, self.name, str(name))
        return isinstance(name, str) and found is not None

    def __getitem__(self, name: str) -> Table | FreeTable:
        """Return a table by its class's name (`Session`, `Session.Trial`) or the server's."""
        return self.get_table(name)

    def __iter__(self) -> Iterator[Table | FreeTable]:
        """Iterate over the tables, each after those it refers to."""
        for name in listing.visible_tables(self.connection.database, self.name):
            yield self.table(name)

    def get_table(self, name: str) -> Table | FreeTable:
        """Return a table by name: of its class where there is one here, else a `FreeTable`.

        Raises
        ------
        MissingTableError
            There is none of the name; the message suggests another.
        """
        found = listing.find_table(self.connection.database, self.name, name)
        if found is None:
            raise listing.missing_table(self.connection.database, self.name, name)
        return self.table(found)

    def table(self, name: TableName) -> Table | FreeTable:
        """Return the table of a name on the server."""
        for cls in self.tables.values():
            for table in (cls, *parts_of(cls)):
                if table.spec.name == name:
                    return table()
        return FreeTable(self.connection, str(name))

    @property
    def jobs(self) -> list[FreeTable]:
        """The job records of the computed tables, where there are any."""
        names = listing.job_tables(self.connection.database, self.name)
        return [FreeTable(self.connection, str(n)) for n in names]

    # --- lineage -------------------------------------------------------------------------------

    @property
    def lineage(self) -> dict[str, str]:
        """What is written down of origins: `schema.table.attribute` → where its values begin."""
        return read_lineage(self.connection.database, self.name)

    def rebuild_lineage(self) -> None:
        """Write the origins of all attributes anew, from the foreign keys on the server."""
        rebuild_lineage(self.connection.database, self.name)

    # --- classes by reflection -----------------------------------------------------------------

    def make_classes(self, into: Any = None) -> None:  # noqa: ANN401 - a mapping or a module
        """Make classes for the tables on the server that have none here.

        Parameters
        ----------
        into
            The namespace that gets them: a dict or module; None: that of the caller. Names that
            are taken in it stay as they are.
        """
        names = reflected.namespace(into, depth=1)
        reflected.make_classes(self, names)

    def spawn_missing_classes(self, context: Any = None) -> None:  # noqa: ANN401 - see make_classes
        """Make classes for tables without one; the older name of `make_classes`."""
        names = reflected.namespace(context, depth=1)
        reflected.make_classes(self, names)


def _checked_name(name: object) -> str:
    if isinstance(name, str) and _SCHEMA_NAME.match(name):
        return name
    message = (
        f'bad schema name "{name}": letters, digits, underscores and dashes, at most 64, '
        "beginning with a letter"
    )
    raise DefinitionError(message)

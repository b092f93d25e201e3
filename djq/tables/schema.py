"""The decorator that binds a class to its spec and declares the table."""

from __future__ import annotations

import difflib
import inspect
import re
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from djq.codecs import registry as codecs
from djq.definition import spec as specs
from djq.definition.spec import TableName, TableSpec, Words
from djq.errors import DefinitionError
from djq.sql.ddl import create_schema, create_table
from djq.sql.verify import check_table
from djq.tables.connection import Connection, conn
from djq.tables.table import Part, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T", bound=Table)

_SCHEMA_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}\Z")


class Schema:
    """A namespace of tables; as a decorator it declares a table class and its parts.

    Parameters
    ----------
    name
        Letters, digits and underscores; on MySQL and MariaDB the database of this name.
    connection
        Where the tables live; None: the default connection, from the settings.

    Raises
    ------
    DefinitionError
        When decorating: the class or its definition is wrong; nothing was declared.
    """

    def __init__(self, name: str, connection: Connection | None = None) -> None:
        if not _SCHEMA_NAME.match(name):
            message = (
                f'bad schema name "{name}": letters, digits and underscores, at most 64, '
                "beginning with a letter"
            )
            raise DefinitionError(message)
        self.name = name
        self._connection = connection
        #: Class names → classes, in the order of their declaration; without parts.
        self.tables: dict[str, type[Table]] = {}
        self._is_created = False

    def __repr__(self) -> str:
        """Return the schema's name and tables."""
        return f"Schema({self.name!r}: {', '.join(self.tables) or 'no tables yet'})"

    @property
    def connection(self) -> Connection:
        """Where the tables live."""
        if self._connection is None:
            self._connection = conn()
        return self._connection

    def __call__(self, cls: type[T]) -> type[T]:
        """Declare the class's table and its parts' tables, unless they are there."""
        if not _is_table(cls):
            message = (
                f"{cls!r} is not a table: "
                "derive it from dj.Manual, dj.Lookup, dj.Imported or dj.Computed"
            )
            raise DefinitionError(message)
        if issubclass(cls, Part) and not hasattr(cls, "tier"):
            message = f"{cls.__name__} is a part: nest it in its master's class, which is decorated"
            raise DefinitionError(message)
        scope = {**vars(sys.modules[cls.__module__]), **_locals_of_caller()}
        declare = _Declaration(self, scope)
        parts = [p for p in vars(cls).values() if isinstance(p, type) and issubclass(p, Part)]
        declared: list[tuple[type[Table], TableSpec]] = []
        try:
            spec = declare.build(cls)
            declared.append((cls, spec))
            declared += [(part, declare.build(part, master=cls, before=spec)) for part in parts]
        except DefinitionError:
            for table, _ in declared:
                del table.spec
            raise
        for table, table_spec in declared:
            declare.create(table, table_spec)
        self.tables[cls.__name__] = cls
        for table, _ in declared:
            table.declared()
        return cls

    def create(self, spec: TableSpec, parents: Mapping[TableName, TableSpec]) -> None:
        """Create a table on the server unless it is there; a different one there is refused."""
        database = self.connection.database
        if not self._is_created:
            create_schema(database, self.name)
            self._is_created = True
        if database.catalog.has(spec.name):
            check_table(database, spec)
        else:
            create_table(database, spec, dict(parents))


def _locals_of_caller() -> Mapping[str, Any]:
    """Return the local names where the decorator stands: pipelines may be defined in functions."""
    frame = inspect.currentframe()
    for _ in range(2):
        frame = frame.f_back if frame is not None else None
    return frame.f_locals if frame is not None else {}


def _is_table(cls: object) -> bool:
    return isinstance(cls, type) and issubclass(cls, Table)


class _Declaration:
    """One use of the decorator: a scope in which references are looked up."""

    def __init__(self, schema: Schema, scope: Mapping[str, Any]) -> None:
        self.schema = schema
        self.scope = scope
        self.known: dict[TableName, TableSpec] = {}

    def build(
        self, cls: type[Table], master: type[Table] | None = None, before: TableSpec | None = None
    ) -> TableSpec:
        """Read the class's definition; parts see their master and its other parts."""
        local: dict[str, Any] = {}
        if master is not None:
            local = {"master": master, master.__name__: master}
            cls.tier = master.tier
        text = getattr(cls, "definition", "")
        if not isinstance(text, str) or not text.strip():
            message = f'{cls.__name__} has no definition: add definition = """ … """ to the class'
            raise DefinitionError(message)
        spec = specs.build(
            text,
            schema=self.schema.name,
            class_name=cls.__name__,
            tier=cls.tier,
            resolve=self._resolver(local, cls),
            master=before,
            hidden=cls.hidden_attributes if master is None else (),
            words=Words(codecs.names(), cls.reserved_names),
        )
        cls.spec, cls.schema = spec, self.schema
        cls.parent_specs = {name: self.known[name] for name in spec.parents}
        self.known[spec.name] = spec
        return spec

    def _resolver(self, local: Mapping[str, Any], cls: type[Table]) -> Callable[[str], TableSpec]:
        def resolve(name: str) -> TableSpec:
            found = self._find(name, local, cls)
            spec = getattr(found, "spec", None)
            if not isinstance(spec, TableSpec):
                message = f'"{name}" is not a declared table'
                raise DefinitionError(message)
            self.known[spec.name] = spec
            return spec

        return resolve

    def _find(self, name: str, local: Mapping[str, Any], cls: type[Table]) -> object:
        """Return what a reference names, from inside out; a part's own name is another table's."""
        first, *rest = name.split(".")
        master: type[Table] | None = local.get("master")
        inside: Mapping[str, Any] = vars(master) if master is not None else self.schema.tables
        places: list[Mapping[str, Any]] = [local, self.scope, self.schema.tables, inside]
        named: list[object] = [p[first] for p in places if first in p and p[first] is not cls]
        wanted = rest[0] if rest else "spec"
        found: object = next((n for n in named if hasattr(n, wanted)), next(iter(named), None))
        if name == cls.__name__ and (found is None or (not local and self._is_own(found, name))):
            message = f'"{name}" refers to itself, which is not supported yet'
            raise DefinitionError(message)
        if found is None:
            known = [n for place in places for n in place if _is_table(place[n])]
            near = difflib.get_close_matches(first, known, n=1)
            message = f'unknown table "{name}"'
            raise DefinitionError(message, *(f'Did you mean "{n}"?' for n in near))
        for step in rest:
            if not hasattr(found, step):
                message = f'unknown table "{name}": "{step}" is not in {first}'
                raise DefinitionError(message)
            found = getattr(found, step)
        return found

    def _is_own(self, found: object, name: str) -> bool:
        """Tell whether a table is an earlier declaration of the class of this name."""
        spec = getattr(found, "spec", None)
        own = f"{self.schema.name}.{name}"
        return isinstance(spec, TableSpec) and spec.display_name == own

    def create(self, cls: type[Table], spec: TableSpec) -> None:
        """Create the table of a class."""
        self.schema.create(spec, self.known)
        cls.__doc__ = f"{cls.__doc__ or spec.comment}\n\n{spec.display_name}::\n{cls.definition}"

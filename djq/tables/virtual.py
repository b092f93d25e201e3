"""Schemas that somebody else declared, as modules of classes."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from djq.errors import MissingTableError
from djq.tables.connection import Connection, conn
from djq.tables.reflected import make_classes
from djq.tables.schema import Schema

if TYPE_CHECKING:
    from collections.abc import Mapping


class VirtualModule(ModuleType):
    """A module whose classes are the tables of a schema on the server.

    Parameters
    ----------
    module_name
        The module's own name.
    schema_name
        The schema on the server.
    create_schema
        Create the schema if it is not there; otherwise that is an error.
    create_tables
        Whether `module.schema` may declare more tables.
    connection
        Where the schema is; None: the default connection.
    add_objects
        More names for the module.

    Raises
    ------
    MissingTableError
        The schema is not there.
    """

    schema: Schema

    def __init__(
        self,
        module_name: str,
        schema_name: str,
        *,
        create_schema: bool = False,
        create_tables: bool = False,
        connection: Connection | None = None,
        add_objects: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(module_name)
        self.schema = Schema(
            schema_name,
            connection=connection,
            create_schema=create_schema,
            create_tables=create_tables,
            add_objects=add_objects,
        )
        if not create_schema and not self.schema.exists:
            known = ", ".join(list_schemas(self.schema.connection)) or "none"
            message = (
                f'the schema "{schema_name}" is not in the database. Known: {known}. '
                "create_schema=True creates it"
            )
            raise MissingTableError(message)
        vars(self).update(add_objects or {})
        make_classes(self.schema, vars(self))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a class, or what was added
        """Say which tables there are."""
        message = (
            f'the schema "{self.schema.name}" has no table "{name}" '
            f"(known when it was read: {', '.join(self.schema.tables) or 'none'})"
        )
        raise AttributeError(message)


def virtual_schema(
    schema_name: str,
    *,
    connection: Connection | None = None,
    create_schema: bool = False,
    create_tables: bool = False,
    add_objects: Mapping[str, Any] | None = None,
) -> VirtualModule:
    """Return the tables of a schema on the server as a module of classes; see `VirtualModule`."""
    return VirtualModule(
        schema_name,
        schema_name,
        connection=connection,
        create_schema=create_schema,
        create_tables=create_tables,
        add_objects=add_objects,
    )


def list_schemas(connection: Connection | None = None) -> list[str]:
    """Return the names of all schemas that the user may see, without the server's own."""
    where = connection if connection is not None else conn()
    return where.database.catalog.schemas()

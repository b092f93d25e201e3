"""`alter`: what changed is shown, and made so in the database."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from djq.definition.changes import Changes, Modification, compare, stored_spec
from djq.definition.conversions import Conversion
from djq.definition.heading import Heading
from djq.errors import DatabaseError, DefinitionError, UsageError
from djq.sql.alter import plan
from djq.sql.verify import as_present, differences, different, reflect_as
from djq.tables.asking import check_terminal, confirm, show
from djq.tables.fitting import check_rows
from djq.tables.making import refuse_definition

if TYPE_CHECKING:
    from djq.definition.spec import TableSpec
    from djq.tables.connection import Connection
    from djq.tables.table import Table


def check_altered(table: Table) -> None:
    """Refuse rows of a table that is not what its definition says.

    Raises
    ------
    DefinitionError
        The message names the differences.
    """
    if table.pending_changes:
        raise different(table.spec, table.pending_changes)


def alter(table: Table, *, prompt: bool | None) -> bool:
    """Do what `Table.alter` says."""
    cls, connection = type(table), table.connection
    if table.is_restricted:
        message = f"{cls.spec.display_name} is restricted, and a table is altered as a whole"
        raise UsageError(message)
    is_asking = connection.settings.safemode if prompt is None else prompt
    _check_free(connection, cls.spec.display_name)
    connection.database.catalog.forget()  # another process may have been here
    new = cls.read_definition(cls.definition)
    old = reflect_as(connection.database, new, are_blobs_apart=True)
    changes = compare(old, new)
    if changes.refused:
        message = f"{new.display_name} cannot be altered: {'; '.join(changes.refused)}"
        raise DefinitionError(message)
    if changes:
        losses = check_rows(connection, old, new, changes)
        stored = stored_spec(old, new)
        alteration = plan(connection.database, old, stored, changes, cls.parent_specs)
        if is_asking and not _is_agreed(new.display_name, alteration.statements, losses):
            return False
        alteration.execute()
    was_pending = bool(cls.pending_changes)
    cls.spec, cls.pending_changes = as_present(connection.database, new), ()
    if was_pending:
        cls.declared()
    return bool(changes)


def widen(connection: Connection, spec: TableSpec) -> bool:
    """Let another program's table hold rows of `spec` beside its own; nothing there is lost.

    Columns are added, become longer, or become nullable. False: more would be needed.
    """
    database = connection.database
    database.catalog.forget(spec.name.schema)
    old = reflect_as(database, spec)
    changes = compare(old, spec)
    wider = tuple(_wider(m) for m in changes.modified if m.is_essential)
    is_possible = (
        not changes.refused
        and all(a.nullable for a in changes.added)
        and all(m.conversion is Conversion.KEPT for m in wider)
    )
    if not is_possible:
        return False
    by_name = {m.new.name: m.new for m in wider}
    kept = (*(by_name.get(a.name, a) for a in old.heading), *changes.added)
    merged = replace(old, heading=Heading(kept))
    needed = Changes(added=changes.added, modified=tuple(m for m in wider if m.is_essential))
    try:
        if needed:
            plan(database, old, merged, needed, {}).execute()
    except DatabaseError:
        database.catalog.forget(spec.name.schema)
        if differences(database, spec):  # otherwise another process did it meanwhile
            raise
    return True


def _wider(modification: Modification) -> Modification:
    old, new = modification.old, modification.new
    nullable = old.nullable or new.nullable
    return Modification(old, replace(old, type=new.type, nullable=nullable))


def _check_free(connection: Connection, name: str) -> None:
    refuse_definition(name)
    if connection.in_transaction:
        message = (
            f"{name} cannot be altered inside a transaction or a make: most databases would "
            "commit it silently. Alter it before"
        )
        raise UsageError(message)


def _is_agreed(name: str, statements: tuple[str, ...], losses: list[str]) -> bool:
    question = f"Alter {name}?"
    check_terminal(question)
    for text in (*statements, *losses):
        show(text)
    return confirm(question)

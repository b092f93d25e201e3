"""`alter`: what changed is shown, and made so in the database."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from djq.algebra.nodes import Relation
from djq.definition.attributes import CodecType
from djq.definition.changes import Changes, Modification, compare, stored_spec
from djq.definition.conversions import Conversion
from djq.definition.heading import Heading
from djq.errors import DatabaseError, DefinitionError, UsageError
from djq.sql.alter import plan
from djq.sql.verify import as_present, differences, different, reflect_as
from djq.tables.asking import check_terminal, confirm, show
from djq.tables.making import refuse_definition
from djq.tables.query import Query

if TYPE_CHECKING:
    from collections.abc import Iterator

    from djq.definition.attributes import Attribute
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
    old = reflect_as(connection.database, new)
    changes = compare(old, new)
    if changes.refused:
        message = f"{new.display_name} cannot be altered: {'; '.join(changes.refused)}"
        raise DefinitionError(message)
    if changes:
        losses = _check_rows(connection, old, new, changes)
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


def _check_rows(
    connection: Connection, old: TableSpec, new: TableSpec, changes: Changes
) -> list[str]:
    """Refuse changes that the table's rows do not fit; return what they may lose."""
    rows = _Rows(connection, old)
    if not rows.any:
        return []
    for attribute in changes.added:
        if not attribute.nullable and not attribute.has_default:
            message = (
                f"{new.display_name} has rows, and the new attribute {attribute.name} has neither "
                f"a default nor null for them: write {attribute.name} = null : {attribute.type}, "
                "or a default"
            )
            raise DefinitionError(message)
    for modification in changes.modified:
        _check_values(rows, new, modification)
    return [*_losses(changes)]


def _losses(changes: Changes) -> Iterator[str]:
    for attribute in changes.dropped:
        yield f"This drops {attribute.name} with all of its values."
    for m in changes.modified:
        if m.conversion is Conversion.CHECKED:
            yield f"{m.old.type} becomes {m.new.type}: values of {m.new.name} may be rounded."


def _check_values(rows: _Rows, new: TableSpec, modification: Modification) -> None:
    """Refuse a change of one attribute that some value of it does not fit."""
    before, after = modification.old, modification.new
    if modification.needs_values and (keys := rows.without(before)):
        message = (
            f"{new.display_name}.{after.name} cannot become required: it is null where {keys}. "
            "Give these rows a value with update1, or delete them"
        )
        raise DefinitionError(message)
    if modification.conversion is Conversion.IMPOSSIBLE:
        message = (
            f"{new.display_name} has rows, and {before.name} cannot become {after.type}: it is "
            f"{before.type}. Add an attribute of the new type under another name, fill it, and "
            f"drop {before.name}"
        )
        raise DefinitionError(message)
    is_exact = modification.conversion is Conversion.KEPT and not rows.is_sqlite
    if before.type != after.type and not is_exact:
        problem = rows.misfit(before, after)
        if problem is not None:
            message = (
                f"{new.display_name}.{after.name} cannot become {after.type}: {problem}. "
                "Change these rows first"
            )
            raise DefinitionError(message)


class _Rows:
    """What the table holds, asked for as the database has it."""

    def __init__(self, connection: Connection, old: TableSpec) -> None:
        self.connection = connection
        self.old = old
        #: Its numbers are shorter than what types promise: values tell what fits.
        self.is_sqlite = connection.database.is_sqlite
        self.any = bool(self._query(()))

    def _query(self, attributes: tuple[Attribute, ...]) -> Query:
        key = tuple(a for a in self.old.heading if a.in_key)
        own = tuple(a for a in attributes if not a.in_key)
        heading = Heading((*key, *(replace(a, nullable=True) for a in own)))
        return Query(Relation(self.old.name, heading), self.connection)

    def without(self, attribute: Attribute) -> str:
        """Return the key of a row where an attribute is null, as text; empty if there is none."""
        query = self._query((attribute,)) & {attribute.name: None}
        return next((_shown(key) for key in query.keys(limit=1)), "")

    def misfit(self, old: Attribute, new: Attribute) -> str | None:
        """Return what is wrong with the first value that does not fit, and where."""
        if new.type is None or isinstance(new.type, CodecType):
            return None
        accept = self.connection.database.dialect.accept(new.type)
        for row in self._query((old,)):
            try:
                if row[old.name] is not None:
                    accept(row[old.name])
            except ValueError as error:
                key = {n: row[n] for n in self.old.heading.primary_key}
                return f"{error} (where {_shown(key)})"
        return None


def _shown(key: dict[str, object]) -> str:
    return ", ".join(f"{n}={v!r}" for n, v in key.items()) or "the only row"

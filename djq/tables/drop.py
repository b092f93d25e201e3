"""`drop`: tables with all that refer to them, leaves first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from djq.algebra.cascade import descendants, master_of
from djq.algebra.nodes import Relation
from djq.definition.heading import Heading
from djq.definition.names import describe_name, is_hidden, quoted
from djq.definition.spec import AUTO_TIERS, TableName, Tier
from djq.errors import BrokenReferenceError, IntegrityError, MissingTableError, UsageError
from djq.sql import drop as statements
from djq.tables.asking import check_terminal, confirm, show, show_counts
from djq.tables.making import refuse_definition

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from djq.sql.engine import Database
    from djq.tables.connection import Connection
    from djq.tables.deletable import Deletable
    from djq.tables.removal import PartIntegrity


def drop(table: Deletable, *, prompt: bool | None, part_integrity: PartIntegrity) -> None:
    """Do what `Table.drop` says."""
    _check(table)
    database = table.connection.database
    name = table.spec.name
    master = master_of(name)
    if master is not None and part_integrity == "enforce":
        message = (
            f"{table.display_name} is a part: it is dropped with its master ({master}). To drop it "
            'nevertheless, use part_integrity="ignore"'
        )
        raise UsageError(message)
    names = _with_descendants(database, [name], part_integrity)
    if _is_agreed(table.connection, table.display_name, names, prompt=prompt):
        drop_tables(database, names)


def drop_quick(table: Deletable) -> None:
    """Do what `Table.drop_quick` says."""
    _check(table)
    drop_tables(table.connection.database, [table.spec.name])


def drop_schema(connection: Connection, name: str, *, prompt: bool | None = None) -> None:
    """Drop all tables of a schema, and the schema.

    Raises
    ------
    IntegrityError
        Tables of other schemas refer to it.
    """
    database = connection.database
    _refuse_inside(database, f"schema {name}")
    database.catalog.forget()
    if name not in database.catalog.schemas():
        message = f"schema {name} is not in the database: there is nothing to drop"
        raise MissingTableError(message)
    tables = [TableName(name, table) for table in database.catalog.columns(name)]
    _refuse_foreign(database, name)
    visible = [t for t in tables if not is_hidden(t.table)]
    names = [n for n in descendants(visible, database.catalog.references()) if n.schema == name]
    if not _is_agreed(connection, f"schema {name}", names, prompt=prompt):
        return
    drop_tables(database, names)
    if database.dialect.is_sqlite:
        hidden = [n for n in database.catalog.columns(name) if is_hidden(n)]
        for table in hidden:
            statements.drop_table(database, TableName(name, table))
    statements.drop_schema(database, name)


def drop_tables(database: Database, names: Sequence[TableName]) -> None:
    """Drop tables, the last first, with their job records and what is noted of them."""
    dropped: list[TableName] = []
    try:
        for name in reversed(names):
            _drop_one(database, name)
            dropped.append(name)
            jobs = _jobs_of(name)
            if jobs is not None and jobs.table in database.catalog.columns(jobs.schema):
                statements.drop_table(database, jobs)
                dropped.append(jobs)
    finally:
        if dropped:
            statements.forget_tables(database, dropped)


def _drop_one(database: Database, name: TableName) -> None:
    try:
        statements.drop_table(database, name)
    except BrokenReferenceError as error:
        children = sorted(
            {str(r.child) for r in database.catalog.references() if r.parent == name != r.child}
        )
        who = ", ".join(children) or "a table that this user does not see"
        message = f"{name} cannot be dropped: {who} refers to it. drop() drops these, too ({error})"
        raise BrokenReferenceError(message) from error


def _jobs_of(name: TableName) -> TableName | None:
    """Return the name of a computed table's job records."""
    tier = describe_name(name.table).tier
    if tier not in AUTO_TIERS or master_of(name) is not None:
        return None
    return TableName(name.schema, f"{Tier.JOB.value}{name.table.removeprefix(tier.value)}")


def _check(table: Deletable) -> None:
    _refuse_inside(table.connection.database, table.display_name)
    if table.is_restricted:
        message = (
            f"{table.display_name} is restricted, and a table is dropped as a whole: delete() "
            "deletes these rows; drop the unrestricted table if all is meant"
        )
        raise UsageError(message)
    if not table.connection.database.catalog.has(table.spec.name):
        message = f"{table.display_name} is not in the database: there is nothing to drop"
        raise MissingTableError(message)


def _refuse_inside(database: Database, what: str) -> None:
    refuse_definition(what)
    if database.in_transaction:
        message = (
            f"{what} cannot be dropped inside a transaction or a make: most databases would commit "
            "it silently. Drop it outside"
        )
        raise UsageError(message)


def _refuse_foreign(database: Database, name: str) -> None:
    others = sorted(
        {
            f"{r.child} (refers to {r.parent.table})"
            for r in database.catalog.references()
            if r.parent.schema == name != r.child.schema
        }
    )
    if others:
        message = (
            f"schema {name} cannot be dropped: tables of other schemas refer to it: "
            f"{', '.join(others)}. Drop these first"
        )
        raise IntegrityError(message)


def _with_descendants(
    database: Database, roots: Iterable[TableName], part_integrity: PartIntegrity
) -> list[TableName]:
    """Return the tables to drop, parents first.

    Raises
    ------
    IntegrityError
        A part would be dropped without its master, and the rule is to refuse that.
    """
    database.catalog.forget()  # other processes declare tables, too
    edges = database.catalog.references()
    names = descendants(roots, edges)
    if part_integrity == "ignore":
        return names
    lonely = {n: m for n in names if (m := master_of(n)) is not None and m not in names}
    if not lonely:
        return names
    if part_integrity == "cascade":
        return _with_descendants(database, [*lonely.values(), *names], part_integrity)
    part, master = next(iter(lonely.items()))
    message = (
        f"the part {part} would be dropped without its master {master}; nothing was dropped. Drop "
        f'{master} first, or use part_integrity="cascade" (such masters go, too) or "ignore"'
    )
    raise IntegrityError(message)


def _is_agreed(
    connection: Connection, what: str, names: Sequence[TableName], *, prompt: bool | None
) -> bool:
    """Show the tables with their numbers of rows and ask, unless asking is switched off."""
    if not (connection.settings.safemode if prompt is None else prompt):
        return True
    check_terminal(f"{what}: drop")
    counts = connection.database.counts([Relation(name, Heading(())) for name in names])
    show_counts(dict(zip(map(quoted, names), counts, strict=True)))
    if confirm(f"Drop these {len(names)} tables?"):
        return True
    show("Nothing was dropped.")
    return False

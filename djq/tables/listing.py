"""The tables of a schema on the server, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from djq.definition.graph import levels
from djq.definition.names import describe_name, is_hidden
from djq.definition.spec import TableName, Tier
from djq.errors import MissingTableError
from djq.hints import suggest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from djq.sql.engine import Database


def sorted_tables(database: Database, names: Iterable[TableName]) -> list[TableName]:
    """Return tables in an order in which each comes after all that it refers to."""
    wanted = sorted(names)
    references = database.catalog.references_of
    parents = {n: [r.parent for r in references(n)] for n in wanted}
    return [name for level in levels(parents) for name in level]


def visible_tables(database: Database, schema: str) -> list[TableName]:
    """Return the tables that are not the machinery's, in that order."""
    database.catalog.forget()  # other processes declare tables, too
    present = database.catalog.columns(schema)
    return sorted_tables(database, (TableName(schema, t) for t in present if not is_hidden(t)))


def job_tables(database: Database, schema: str) -> list[TableName]:
    """Return the tables of job records."""
    database.catalog.forget(schema)
    return [
        TableName(schema, t)
        for t in sorted(database.catalog.columns(schema))
        if t.startswith(Tier.JOB.value)
    ]


def find_table(database: Database, schema: str, name: str) -> TableName | None:
    """Return the table of a name: as on the server, without its prefix, or as its class."""
    for is_fresh in (False, True):
        if is_fresh:
            database.catalog.forget(schema)
        present = database.catalog.columns(schema)
        if name in present:
            return TableName(schema, name)
        for table in sorted(present):
            said = describe_name(table)
            base = table.removeprefix(said.tier.value)
            if name in {said.class_name, base}:
                return TableName(schema, table)
    return None


def missing_table(database: Database, schema: str, name: str) -> MissingTableError:
    """Return the error that says which tables there are."""
    names = [describe_name(t).class_name for t in database.catalog.columns(schema)]
    known = [n for n in names if not n.endswith(".jobs") and not n.startswith("~")]
    message = f'no table "{name}" in {schema}. {suggest(name, sorted(known))}'
    return MissingTableError(message)

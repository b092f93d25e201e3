"""Tables around a table, whoever declared them: by the foreign keys of the whole server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from djq.definition.names import PART_SEPARATOR
from djq.definition.spec import TableName
from djq.tables.listing import sorted_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from djq.sql.catalog import Reference
    from djq.sql.engine import Database

#: A table and what is known of its reference, in DataJoint's words.
Neighbour: TypeAlias = tuple[TableName, dict[str, Any]]


def parents(database: Database, name: TableName, *, primary: bool | None) -> list[Neighbour]:
    """Return the tables that a table refers to, in the order of its references."""
    found = [(r.parent, r) for r in database.catalog.references_of(name)]
    return _chosen(database, found, primary)


def children(database: Database, name: TableName, *, primary: bool | None) -> list[Neighbour]:
    """Return the tables that refer to a table, each after those that it refers to itself."""
    found = [(r.child, r) for r in database.catalog.references() if r.parent == name]
    order = sorted_tables(database, {child for child, _ in found})
    found.sort(key=lambda pair: order.index(pair[0]))
    return _chosen(database, found, primary)


def ancestors(database: Database, name: TableName) -> list[TableName]:
    """Return the table and all that it depends on, nearest first."""
    references_of = database.catalog.references_of
    names = _reached(name, lambda n: [r.parent for r in references_of(n)])
    return sorted_tables(database, names)[::-1]


def descendants(database: Database, name: TableName) -> list[TableName]:
    """Return the table and all that depend on it, each after those that it depends on."""
    below: dict[TableName, list[TableName]] = {}
    for reference in database.catalog.references():
        below.setdefault(reference.parent, []).append(reference.child)
    return sorted_tables(database, _reached(name, lambda n: below.get(n, [])))


def parts(database: Database, name: TableName) -> list[TableName]:
    """Return the parts of a master."""
    prefix = f"{name.table}{PART_SEPARATOR}"
    its = [t for t in database.catalog.columns(name.schema) if t.startswith(prefix)]
    return sorted_tables(database, (TableName(name.schema, t) for t in its))


def _reached(start: TableName, steps: Callable[[TableName], Iterable[TableName]]) -> set[TableName]:
    found, waiting = {start}, [start]
    while waiting:
        new = [n for n in steps(waiting.pop()) if n not in found]
        found.update(new)
        waiting.extend(new)
    return found


def _chosen(
    database: Database, found: list[tuple[TableName, Reference]], primary: bool | None
) -> list[Neighbour]:
    columns = database.catalog.columns_of({r.child.schema for _, r in found})
    described: list[Neighbour] = []
    for name, reference in found:
        its = columns[reference.child.schema][reference.child.table].columns
        described.append((name, _describe(reference, {n for n, c in its.items() if c.is_in_key})))
    return [(n, info) for n, info in described if primary in {None, info["primary"]}]


def _describe(reference: Reference, key: set[str]) -> dict[str, Any]:
    mine = {m for m, _ in reference.columns}
    return {
        "primary": mine <= key,
        "attr_map": dict(reference.columns),
        "aliased": any(m != t for m, t in reference.columns),
        "multi": mine != key,
    }

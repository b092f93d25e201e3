"""What a diagram shows, as a value: tables of a catalog, and which of their rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from djq.algebra.nodes import Node, Relation
from djq.definition.graph import levels, reached, reverse
from djq.definition.names import describe_name, is_hidden, quoted
from djq.definition.spec import TableName
from djq.diagrams.sources import Source, labels_in, merged
from djq.sql.reflect import reflect

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from djq.sql.catalog import Reference
    from djq.sql.engine import Database


@dataclass(frozen=True)
class Focus:
    """Tables, those of them that are drawn as their schema, and which rows are meant."""

    source: Source
    collapsed: frozenset[TableName] = frozenset()
    #: Tables → their rows, where not all of them are meant.
    rows: Mapping[TableName, Node] = field(default_factory=dict[TableName, Node])

    @property
    def names(self) -> frozenset[TableName]:
        """The tables."""
        return self.source.names

    @property
    def database(self) -> Database:
        """Where the tables are."""
        return self.source.connection.database

    def at(self, names: Iterable[TableName]) -> Focus:
        """Return the same view of other tables."""
        kept = frozenset(names)
        source = replace(self.source, names=kept)
        rows = {name: node for name, node in self.rows.items() if name in kept}
        return replace(self, source=source, collapsed=self.collapsed & kept, rows=rows)

    def and_others(self, other: Focus) -> Focus:
        """Return all tables of both; one that either shows in detail stays so."""
        source = merged([self.source, other.source])
        expanded = (self.names - self.collapsed) | (other.names - other.collapsed)
        return Focus(source, source.names - expanded, {**other.rows, **self.rows})

    def further(self, steps: int, *, is_down: bool) -> Focus:
        """Return the tables and those that so many levels of references lead to."""
        near = parents_of(self.database)
        return self.at(reached(self.names, reverse(near) if is_down else near, steps))

    def with_parts(self) -> Focus:
        """Return the tables and their parts."""
        parts = {
            TableName(schema, table)
            for schema in {name.schema for name in self.names}
            for table in self.database.catalog.columns(schema)
            if (master := describe_name(table).master) and TableName(schema, master) in self.names
        }
        return self.at(self.names | parts)

    def ordered(self) -> list[TableName]:
        """Return the tables, each after those that it refers to."""
        parents = parents_of(self.database)
        within = {n: [p for p in parents.get(n, ()) if p in self.names] for n in sorted(self.names)}
        return [name for level in levels(within) for name in level]

    def labels(self) -> dict[TableName, str]:
        """Return what the tables are called: `Class`, or `schema.Class`; no two are the same."""
        known = self.source.labels
        times = Counter(known[name] for name in self.names if name in known)
        return {
            name: known[name] if times[known.get(name, "")] == 1 else full_label(name)
            for name in self.names
        }

    def find(self, text: object) -> TableName | None:
        """Return the table of this label, or full name, if it is here."""
        for name, label in self.labels().items():
            if text in {label, full_label(name), str(name), quoted(name), name}:
                return name
        return None

    def node(self, name: TableName) -> Node:
        """Return the rows of a table."""
        return self.rows.get(name) or relation(self.database, name)


def full_label(name: TableName) -> str:
    """Return `schema.Class`."""
    return f"{name.schema}.{describe_name(name.table).class_name}"


def named(source: Source, scope: Mapping[str, Any]) -> Source:
    """Return the source with the names that a scope has for tables."""
    return replace(source, labels={**source.labels, **labels_in(scope)})


def references(database: Database) -> tuple[Reference, ...]:
    """Return the foreign keys of the server between tables that diagrams show."""
    catalog = database.catalog

    def make() -> tuple[Reference, ...]:
        return tuple(
            r
            for r in catalog.references()
            if not is_hidden(r.child.table) and not is_hidden(r.parent.table)
        )

    found: tuple[Reference, ...] = catalog.made(("diagram", "references"), make)
    return found


def parents_of(database: Database) -> dict[TableName, list[TableName]]:
    """Return the tables of the server that refer to others, and to which."""

    def make() -> dict[TableName, list[TableName]]:
        found: dict[TableName, list[TableName]] = {}
        for reference in references(database):
            found.setdefault(reference.child, []).append(reference.parent)
        return found

    made: dict[TableName, list[TableName]] = database.catalog.made(("diagram", "parents"), make)
    return made


def relation(database: Database, name: TableName) -> Relation:
    """Return all rows of a table, whoever declared it."""
    return Relation(name, reflect(database, name, with_indexes=False).heading)

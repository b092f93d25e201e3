"""Tables and their references in the catalog → boxes and arrows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from djq.definition.describe import describe
from djq.definition.graph import levels
from djq.definition.names import HIDDEN_COLUMN, describe_name
from djq.definition.spec import Tier
from djq.diagrams.drawing import Arrow, Box, Drawing, Kind, Strength
from djq.diagrams.focus import full_label, references
from djq.errors import DefinitionError, DjqError
from djq.sql.reflect import reflect

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from djq.definition.spec import TableName
    from djq.sql.catalog import Column, Reference, TableColumns
    from djq.sql.engine import Database

_KINDS = {
    Tier.MANUAL: Kind.MANUAL,
    Tier.LOOKUP: Kind.LOOKUP,
    Tier.IMPORTED: Kind.IMPORTED,
    Tier.COMPUTED: Kind.COMPUTED,
    Tier.JOB: Kind.MANUAL,
}


@dataclass(frozen=True)
class Sketch:
    """What is to be drawn: tables in topological order, those of `collapsed` as their schemas."""

    database: Database
    names: Sequence[TableName]
    labels: Mapping[TableName, str]
    collapsed: Collection[TableName] = ()

    def drawing(self, direction: str) -> Drawing:
        """Return the boxes and arrows."""
        boxes: dict[str, Box] = {}
        for name in self.names:
            box = self._schema_box(name) if name in self.collapsed else self._box(name)
            boxes.setdefault(box.name, box)
        arrows = tuple(dict.fromkeys(self._arrows()))
        order = self._order(boxes, arrows) if self.collapsed else list(boxes)
        return Drawing(tuple(boxes[name] for name in order), arrows, direction)

    def _order(self, boxes: Mapping[str, Box], arrows: Sequence[Arrow]) -> list[str]:
        """Return the boxes, parents first; schemas may refer to each other, then as tables are."""
        parents: dict[str, list[str]] = {name: [] for name in boxes}
        for arrow in arrows:
            parents[arrow.child].append(arrow.parent)
        try:
            return [name for level in levels(parents) for name in level]
        except DefinitionError:
            places = {self._place(n): i for i, n in enumerate(self.names)}
            return sorted(boxes, key=places.__getitem__)

    def _place(self, name: TableName) -> str:
        """Return the name of the box that shows a table."""
        return name.schema if name in self.collapsed else self.labels[name]

    def _schema_box(self, name: TableName) -> Box:
        its = [
            self.labels[n] for n in self.names if n in self.collapsed and n.schema == name.schema
        ]
        count = f"{len(its)} table{'s' if len(its) != 1 else ''}"
        label = f"{name.schema} ({count})"
        return Box(self._place(name), label, Kind.SCHEMA, name.schema, "\n".join(its))

    def _box(self, name: TableName) -> Box:
        said = describe_name(name.table)
        columns = self._columns(name)
        key = {n for n, c in columns.items() if c.is_in_key and not n.startswith(HIDDEN_COLUMN)}
        inherited = {
            mine for r in self.database.catalog.references_of(name) for mine, _ in r.columns
        }
        return Box(
            name=self._place(name),
            label=self.labels[name],
            kind=Kind.PART if said.master else _KINDS[said.tier],
            schema=name.schema,
            tooltip=self._tooltip(name),
            is_dimension=bool(key - inherited),
        )

    def _arrows(self) -> list[Arrow]:
        within = set(self.names)
        found: list[Arrow] = []
        for reference in references(self.database):
            child, parent = reference.child, reference.parent
            if child not in within or parent not in within:
                continue
            if child in self.collapsed or parent in self.collapsed:
                if self._place(child) != self._place(parent):
                    found.append(Arrow(self._place(parent), self._place(child), Strength.MANY))
                continue
            found.append(self._arrow(reference))
        order = {self._place(n): i for i, n in reversed(list(enumerate(self.names)))}
        return sorted(found, key=lambda a: (order[a.parent], order[a.child]))

    def _arrow(self, reference: Reference) -> Arrow:
        columns = self._columns(reference.child)
        mine = {name for name, _ in reference.columns}
        key = {name for name, column in columns.items() if column.is_in_key}
        is_one = bool(key) and key <= mine
        if not mine <= key and not is_one:
            is_one = self._is_unique(reference.child, mine)
        strength = {
            (True, True): Strength.ONE,
            (True, False): Strength.MANY,
            (False, False): Strength.SECONDARY,
            (False, True): Strength.SECONDARY_ONE,
        }[mine <= key, is_one]
        return Arrow(
            parent=self._place(reference.parent),
            child=self._place(reference.child),
            strength=strength,
            is_nullable=any(columns[name].is_nullable for name in mine if name in columns),
            renamed=tuple(pair for pair in reference.columns if pair[0] != pair[1]),
        )

    def _is_unique(self, name: TableName, mine: set[str]) -> bool:
        indexes = self.database.catalog.indexes(name.schema).get(name.table, ())
        return any(i.is_unique and mine.issuperset(i.terms) for i in indexes)

    def _table(self, name: TableName) -> TableColumns | None:
        return self.database.catalog.columns(name.schema).get(name.table)

    def _columns(self, name: TableName) -> Mapping[str, Column]:
        table = self._table(name)
        return table.columns if table is not None else {}

    def _tooltip(self, name: TableName) -> str:
        """Return a table's definition; nothing of a table that djq cannot read."""
        try:
            text = describe(reflect(self.database, name), full_label)
        except DjqError:
            return ""
        return text.strip()

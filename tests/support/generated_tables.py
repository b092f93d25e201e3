"""Generated tables that refer to each other, with their rows, each beside its relational model."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

import djq as dj
from tests.support.relational_model import Attribute, Relation

#: Kind of values → how a definition declares it, and values that meet often.
TYPES = {
    "int": ("int32", [-2, -1, 0, 1, 2, 3]),
    "text": ("varchar(8)", ["", "a", "A", "ab", "%", "a ", "ä", "it's"]),
    "float": ("float64", [-1.5, 0.0, 0.5, 2.5]),
    "date": ("date", [dt.date(2024, 1, 2), dt.date(2024, 2, 1), dt.date(1999, 12, 31)]),
    "enum": ("enum('c', 'a', 'b')", ["a", "b", "c"]),
    "bool": ("bool", [False, True]),
    "decimal": ("decimal(8,2)", [Decimal("-1.25"), Decimal("0.00"), Decimal("2.50")]),
}
KEY_TYPES = ["int", "int", "int", "text", "date", "enum", "bool"]
#: Few, so that tables have them in common.
SECONDARY = ["x", "y", "w", "d", "f"]


@dataclass(frozen=True)
class Tree:
    """A query, what it means, and how to write it."""

    query: object
    model: Relation
    text: str

    @property
    def typed(self):
        return [(a.name, a.type) for a in self.model.attributes]


@dataclass
class Drawn:
    """A table in the making: its lines, attributes and references."""

    name: str
    lines: list
    attributes: list
    key: list
    #: (parent, pairs of this table's and the parent's attribute, whether it may be unset)
    references: list
    nullable: set

    def names(self):
        return {a.name for a in self.attributes}

    def refer(self, parent, chance, *, in_key):  # noqa: C901 - one choice per line
        """Add a foreign key; attributes that would collide get another name."""
        pairs, renamed = [], []
        for attribute in parent.attributes:
            if attribute.name not in parent.key:
                continue
            name, old = attribute.name, attribute.name
            mine = next((a for a in self.attributes if a.name == name), None)
            if mine is not None and (mine.lineage != attribute.lineage or not in_key):
                name = f"{old}_{len(self.references)}"
            elif mine is None and chance.random() < 0.3:
                name = f"{old}_{chance.choice('pq')}"
            if name != old:
                renamed.append(f"{name}='{old}'")
            taken = next((a for a in self.attributes if a.name == name), None)
            is_twice = name in [n for n, *_ in pairs]
            if is_twice or (taken is not None and taken.lineage != attribute.lineage):
                return
            pairs.append((name, old, taken, attribute))
        may_be_unset = not in_key and chance.random() < 0.6
        if any(taken is not None for *_, taken, _ in pairs) and (renamed or not in_key):
            return
        for name, _, taken, attribute in pairs:
            if taken is None:
                self.attributes.append(Attribute(name, attribute.type, attribute.lineage))
                if in_key:
                    self.key.append(name)
                elif may_be_unset:
                    self.nullable.add(name)
        self.references.append((parent, [(n, o) for n, o, *_ in pairs], may_be_unset))
        words = f"{parent.name}.proj({', '.join(renamed)})" if renamed else parent.name
        self.lines.append(f"-> {'[nullable] ' if may_be_unset else ''}{words}")

    def own(self, name, kind, *, in_key, nullable=False):
        lineage = f"{self.name}.{name}" if in_key else None
        self.attributes.append(Attribute(name, kind, lineage))
        if in_key:
            self.key.append(name)
        if nullable:
            self.nullable.add(name)
        self.lines.append(f"{name}{' = null' if nullable else ''} : {TYPES[kind][0]}")


def draw_tables(chance, n_tables=5):
    """Return tables that refer to those before them."""
    found = []
    for i in range(n_tables):
        table = Drawn(f"T{i}", [], [], [], [], set())
        for parent in chance.sample(found, min(len(found), chance.choice([0, 1, 1, 2]))):
            if len(table.key) < 3:
                table.refer(parent, chance, in_key=True)
        if not table.key or chance.random() < 0.6:
            name = chance.choice(["k", f"k{i}", f"k{i}"])
            if name not in table.names():
                table.own(name, chance.choice(KEY_TYPES), in_key=True)
        if not table.key:
            table.own(f"k{i}", "int", in_key=True)
        table.lines.append("---")
        for parent in chance.sample(found, min(len(found), chance.choice([0, 0, 1, 1]))):
            table.refer(parent, chance, in_key=False)
        for name in chance.sample(SECONDARY, chance.randint(0, 3)):
            kind = chance.choice(list(TYPES))
            table.own(name, kind, in_key=False, nullable=chance.random() < 0.6)
        found.append(table)
    return found


def draw_rows(chance, tables):
    """Return table's name → rows whose parents exist."""
    found = {}
    for table in tables:
        rows = {}
        for _ in range(chance.choice([*[8] * 5, 12, 12, 12, 12, 0])):
            row = _row(chance, table, found)
            if row is not None:
                rows.setdefault(tuple(row[n] for n in table.key), row)
        found[table.name] = list(rows.values())
    return found


def _row(chance, table, found):
    row = {}
    for parent, pairs, may_be_unset in table.references:
        if may_be_unset and chance.random() < 0.4:
            row.update({mine: None for mine, _ in pairs})
            continue
        fitting = [
            r
            for r in found[parent.name]
            if all(row.get(mine, r[theirs]) == r[theirs] for mine, theirs in pairs)
        ]
        if not fitting:
            if not may_be_unset:
                return None
            row.update({mine: None for mine, _ in pairs})
            continue
        chosen = chance.choice(fitting)
        row.update({mine: chosen[theirs] for mine, theirs in pairs})
    for attribute in table.attributes:
        if attribute.name not in row:
            is_unset = attribute.name in table.nullable and chance.random() < 0.35
            row[attribute.name] = None if is_unset else chance.choice(TYPES[attribute.type][1])
    return row


def declare(schema, chance):
    """Declare generated tables, insert their rows, and return each beside its model."""
    tables = draw_tables(chance)
    rows = draw_rows(chance, tables)
    found = []
    for table in tables:
        definition = "\n".join(table.lines)
        cls = type(table.name, (dj.Manual,), {"definition": definition, "__module__": __name__})
        cls = schema(cls)
        cls.insert(rows[table.name])
        model = Relation(tuple(table.attributes), frozenset(table.key), tuple(rows[table.name]))
        found.append(Tree(cls(), model, table.name))
    return found

"""Any sequence of inserts, updates and deletes leaves the rows that a small model has."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field

import pytest

import djq as dj
from djq.errors import DjqError
from djq.tables.delete import plan

FAST = "DJQ_TEST_FAST"
SEEDS = range(2 if os.environ.get(FAST) else 15)
N_STEPS = 40
#: Values of every attribute: few, so that rows meet.
VALUES = (1, 2, 3)


@dataclass
class Model:
    """Tables as sets of rows; rows are tuples in the order of the attributes."""

    #: Table → names of its key, names of all attributes.
    keys: dict[str, tuple[str, ...]]
    names: dict[str, tuple[str, ...]]
    #: (child, parent, pairs of the child's and the parent's attribute)
    references: list[tuple[str, str, tuple[tuple[str, str], ...]]]
    rows: dict[str, dict[tuple, dict]] = field(default_factory=dict)

    def __post_init__(self):
        self.rows = {table: {} for table in self.keys}

    def key(self, table, row):
        return tuple(row[n] for n in self.keys[table])

    def is_valid(self, table, row):
        """Whether the row's key is free and its parents are there."""
        if self.key(table, row) in self.rows[table]:
            return False
        return all(
            self.parent(row, parent, pairs) is not None
            for child, parent, pairs in self.references
            if child == table and all(row[mine] is not None for mine, _ in pairs)
        )

    def parent(self, row, parent, pairs):
        wanted = {theirs: row[mine] for mine, theirs in pairs}
        return next(
            (p for p in self.rows[parent].values() if all(p[n] == v for n, v in wanted.items())),
            None,
        )

    def going(self, table, keys):
        """Return table → keys of the rows that go with these."""
        found = {t: set() for t in self.keys}
        found[table] = set(keys)
        is_growing = True
        while is_growing:
            is_growing = False
            for child, parent, pairs in self.references:
                gone = [self.rows[parent][k] for k in found[parent]]
                values = {tuple(p[theirs] for _, theirs in pairs) for p in gone}
                for key, row in self.rows[child].items():
                    its = tuple(row[mine] for mine, _ in pairs)
                    if its in values and key not in found[child]:
                        found[child].add(key)
                        is_growing = True
        return found


#: Class, definition; the parts are nested below.
DEFINITIONS = {
    "Probe": """
        probe : int32
        ---
        kind : int32
        """,
    "Subject": """
        subject : int32
        ---
        kind : int32
        """,
    "Animal": """
        animal : int32
        ---
        -> [nullable] Animal.proj(mother='animal')
        -> [nullable] Subject
        kind : int32
        """,
    "Session": """
        -> Subject
        session : int32
        ---
        kind : int32
        """,
    "Pair": """
        -> Session.proj(first='session')
        -> Session.proj(second='session')
        ---
        kind : int32
        """,
    "Note": """
        note : int32
        ---
        -> [nullable] Session
        -> [nullable] Subject.proj(author='subject')
        kind : int32
        """,
    "Recording": """
        -> Session
        ---
        kind : int32
        """,
    "Review": """
        -> Recording
        -> Note
        ---
        kind : int32
        """,
}
PARTS = {
    "Channel": """
        -> master
        channel : int32
        ---
        -> Probe
        kind : int32
        """,
    "Spike": """
        -> master.Channel
        spike : int32
        ---
        kind : int32
        """,
}
REFERENCES = [
    ("Animal", "Animal", (("mother", "animal"),)),
    ("Animal", "Subject", (("subject", "subject"),)),
    ("Session", "Subject", (("subject", "subject"),)),
    ("Pair", "Session", (("subject", "subject"), ("first", "session"))),
    ("Pair", "Session", (("subject", "subject"), ("second", "session"))),
    ("Note", "Session", (("subject", "subject"), ("session", "session"))),
    ("Note", "Subject", (("author", "subject"),)),
    ("Recording", "Session", (("subject", "subject"), ("session", "session"))),
    ("Channel", "Recording", (("subject", "subject"), ("session", "session"))),
    ("Channel", "Probe", (("probe", "probe"),)),
    ("Spike", "Channel", tuple((n, n) for n in ("subject", "session", "channel"))),
    ("Review", "Recording", (("subject", "subject"), ("session", "session"))),
    ("Review", "Note", (("note", "note"),)),
]
MASTER_KEY = ("subject", "session")


def declare(schema):
    """Return the classes by name."""
    found = {}
    for name, definition in DEFINITIONS.items():
        parts = {}
        if name == "Recording":
            parts = {p: type(p, (dj.Part,), {"definition": PARTS[p]}) for p in PARTS}
        cls = type(name, (dj.Manual,), {"definition": definition, "__module__": __name__, **parts})
        found[name] = schema(cls)
        found.update(parts)
    return found


@dataclass
class Story:
    """Random steps, done to the database and to the model alike."""

    seed: int
    tables: dict

    def __post_init__(self):
        self.chance = random.Random(self.seed)
        headings = {name: table().heading for name, table in self.tables.items()}
        self.model = Model(
            keys={name: h.primary_key for name, h in headings.items()},
            names={name: h.names for name, h in headings.items()},
            references=REFERENCES,
        )
        self.told = []

    def step(self):
        verb = self.chance.choices([self.insert, self.update, self.delete], weights=[10, 1, 3])[0]
        verb()
        for name, table in self.tables.items():
            expected = sorted(map(repr, self.model.rows[name].values()))
            assert sorted(map(repr, table().to_dicts())) == expected, (self.seed, self.told)

    def insert(self):
        for _ in range(self.chance.randint(1, 12)):
            name = self.chance.choice(list(self.tables))
            row = self.row(name)
            if not self.model.is_valid(name, row):
                continue
            self.told.append(("insert", name, row))
            self.tables[name].insert1(row)
            self.model.rows[name][self.model.key(name, row)] = row

    def row(self, name):
        """Return a row that often has its parents."""
        row = {n: self.chance.choice(VALUES) for n in self.model.names[name]}
        for child, parent, pairs in REFERENCES:
            if child != name or not self.model.rows[parent]:
                continue
            chosen = self.chance.choice(list(self.model.rows[parent].values()))
            row.update({mine: chosen[theirs] for mine, theirs in pairs})
        if name == "Note":
            for unset in (("session",), ("subject", "session"), ("author",)):
                if self.chance.random() < 0.2:
                    row.update(dict.fromkeys(unset))
        if name == "Animal":
            row["animal"] = self.chance.randint(1, 9)
            if not self.model.rows[name] or self.chance.random() < 0.3:
                row["mother"] = None
        return row

    def update(self):
        """Change secondary values, which conditions read."""
        name = self.chance.choice(list(self.tables))
        if not self.model.rows[name] or not hasattr(self.tables[name], "update1"):
            return
        key, row = self.chance.choice(list(self.model.rows[name].items()))
        kind = self.chance.choice(VALUES)
        self.told.append(("update", name, key, kind))
        self.tables[name].update1(
            {**dict(zip(self.model.keys[name], key, strict=True)), "kind": kind}
        )
        row["kind"] = kind

    def delete(self):
        name = self.chance.choice(list(self.tables))
        query, keys = self.restricted(name)
        integrity = self.chance.choice(["enforce", "ignore", "cascade"])
        going, is_refused = self.outcome(name, keys, integrity)
        self.told.append(("delete", name, sorted(keys), integrity, is_refused))
        if is_refused:
            with pytest.raises(DjqError):
                query.delete(prompt=False, part_integrity=integrity)
            return
        counts = plan(query, integrity).counts()
        n = query.delete(prompt=False, part_integrity=integrity)
        assert n == len(going[name]), (self.seed, self.told)
        expected = {
            table().spec.name.table: len(going[t]) for t, table in self.tables.items() if going[t]
        }
        shown = {t.split(".")[1].strip("`"): n for t, n in counts.items() if n}
        assert shown == expected, (self.seed, self.told)
        for table, gone in going.items():
            for key in gone:
                del self.model.rows[table][key]

    def restricted(self, name):
        """Return a query of some rows of a table, and their keys by the model."""
        rows, table = self.model.rows[name], self.tables[name]
        kind = self.chance.choice(["key", "secondary", "keys", "child", "not", "all"])
        if kind == "all" and self.chance.random() < 0.8:
            kind = "key"
        attribute, value = self.chance.choice(self.model.keys[name]), self.chance.choice(VALUES)
        chosen = {k for k, r in rows.items() if r[attribute] == value}
        if kind == "key":
            return table & {attribute: value}, chosen
        if kind == "not":
            return table - {attribute: value}, set(rows) - chosen
        if kind == "secondary":
            query = table & f"kind > {value}"
            return query, {k for k, r in rows.items() if r["kind"] > value}
        if kind == "keys":
            some = set(self.chance.sample(list(rows), min(len(rows), 2)))
            names = self.model.keys[name]
            return table & [dict(zip(names, k, strict=True)) for k in some], some
        if kind == "child" and name in {"Subject", "Session", "Recording"}:
            spikes = self.model.rows["Spike"].values()
            shared = [n for n in self.model.keys[name] if n in self.model.keys["Spike"]]
            have = {tuple(s[n] for n in shared) for s in spikes}
            return table & self.tables["Spike"].proj(), {k for k in rows if k in have}
        return table(), set(rows)

    def outcome(self, name, keys, integrity):
        """Return what goes by the model, and whether the delete is refused."""
        going = self.model.going(name, keys)
        if integrity == "enforce" and name in PARTS:
            return going, True
        while integrity != "ignore":
            lost = {
                tuple(self.model.rows[part][k][n] for n in MASTER_KEY)
                for part in PARTS
                for k in going[part]
            } - going["Recording"]
            if not lost:
                break
            if integrity == "enforce":
                return going, True
            more = self.model.going("Recording", lost | going["Recording"])
            going = {t: going[t] | more[t] for t in going}
        return going, False


@pytest.mark.parametrize("seed", SEEDS)
def test_the_database_has_the_rows_that_the_model_has(schema, seed):
    story = Story(seed, declare(schema))

    for _ in range(N_STEPS):
        story.step()

    assert any(t[0] == "delete" and t[2] for t in story.told)

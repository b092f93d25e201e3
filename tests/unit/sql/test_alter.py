"""The statements that change a table, as MySQL and MariaDB get them."""

from __future__ import annotations

import pytest
from sqlalchemy.dialects import mysql

from djq.definition import spec as specs
from djq.definition.changes import compare, stored_spec
from djq.definition.spec import Tier
from djq.sql.alter import AlterTable
from djq.sql.catalog import Column, TableIndex
from djq.sql.ddl import build_table
from djq.sql.dialects import Dialect

HEAD = "thing : int32\n---\n"


def read(text, name="Thing"):
    def resolve(wanted):
        return read("kind : int8", wanted)

    return specs.build(text, schema="lab", class_name=name, tier=Tier.MANUAL, resolve=resolve)


def altering(old_text, new_text, *, backend="mysql", indexes=(), collation=None):
    """Return the statement's clauses."""
    old, new = read(old_text), read(new_text)
    dialect, stored = Dialect(backend), stored_spec(old, new)
    present = {
        a.name: Column("", "", a.nullable, a.in_key, collation=collation) for a in old.heading
    }
    parents = {read("kind : int8", "Kind").name: read("kind : int8", "Kind")}
    table = build_table(stored, parents, dialect)
    statement = AlterTable(table, stored, compare(old, new), present, indexes, dialect)
    text = str(statement.compile(dialect=mysql.dialect()))
    return [line.strip().removesuffix(",") for line in text.splitlines()]


def test_all_clauses_are_one_statement():
    found = altering(
        f"# a\n{HEAD}gone : int8\nname : varchar(5)\nspeed : int8",
        f"# b\n{HEAD}name : varchar(9)\nvelocity : int8  # {{speed}} m/s\nnew = 5 : int32",
    )

    assert found == [
        "ALTER TABLE lab.thing",
        "DROP COLUMN gone",
        "MODIFY COLUMN name VARCHAR(9) NOT NULL COMMENT ':varchar(9):'",
        "CHANGE COLUMN speed velocity TINYINT NOT NULL COMMENT ':int8:m/s'",
        "ADD COLUMN new INTEGER NOT NULL COMMENT ':int32:' DEFAULT '5'",
        "COMMENT='b'",
    ]


def test_the_collation_of_a_changed_text_is_kept():
    found = altering(
        f"{HEAD}name : varchar(5)", f"{HEAD}name : varchar(9)", collation="utf8mb4_0900_ai_ci"
    )

    assert "COLLATE utf8mb4_0900_ai_ci" in found[1]


def test_indexes_are_found_by_what_they_index():
    found = altering(
        f"{HEAD}a : int8\nb : int8\nindex(a)\nunique index(b)",
        f"{HEAD}a : int8\nb : int8\nindex(a, b)",
        indexes=(TableIndex("some", ("a",), False), TableIndex("other", ("b",), True)),
    )

    assert sorted(found[1:]) == [
        "ADD INDEX thing__a_b (a, b)",
        "DROP INDEX other",
        "DROP INDEX some",
    ]


def test_a_reference_that_loses_its_index_gets_another():
    found = altering(
        f"{HEAD}-> [unique] Kind",
        f"{HEAD}-> Kind",
        indexes=(TableIndex("kind", ("kind",), True),),
    )

    assert found[1:] == ["DROP INDEX kind", "ADD INDEX thing__kind (kind)"]


@pytest.mark.parametrize(("backend", "n_lines"), [("mysql", 2), ("mariadb", 3)])
def test_times_are_rounded_on_both_servers(backend, n_lines):
    found = altering(f"{HEAD}at : datetime(6)", f"{HEAD}at : datetime", backend=backend)

    assert len(found) == n_lines
    assert ("TIME_ROUND_FRACTIONAL" in found[0]) == (backend == "mariadb")

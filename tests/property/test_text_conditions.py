"""No text yields anything but rows or our own error, and nothing ever writes or runs beside it.

`DJQ_TEST_TEXTS` says how many texts are tried on each database, `DJQ_TEST_SEED` which ones.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

import djq as dj
from djq.errors import DatabaseError, DjqError, QueryError
from djq.settings import load
from djq.tables.connection import Connection
from djq.tables.schema import Schema
from tests.support.condition_texts import ATTACKS, Texts
from tests.support.examples import examples

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

N_TEXTS = int(os.environ.get("DJQ_TEST_TEXTS", examples(400)))
SEED = int(os.environ.get("DJQ_TEST_SEED", "1"))
#: What a session of MySQL counts while only queries run.
HARMLESS = {"Com_select", "Com_show_status", "Com_set_option", "Com_begin", "Com_commit"}

DEFINITION = """
a : int32
---
b = null : float64
f = null : float32
d = null : decimal(8,3)
s = null : varchar(60)
e = null : enum("low", "high", "mid")
flag = null : bool
day = null : date
at = null : datetime(6)
j = null : json
n = null : int64
"""
ROWS: list[tuple[Any, ...]] = [
    (0, *[None] * 10),
    (1, 1.5, 1.1, 1.5, "abc", "low", True, "2024-01-31", "2024-01-31 12:30:15.25", {"x": 1}, 5),
    (2, -2.5, -0.3, -2.545, "Äpfel ß", "high", False, "2024-02-29", "2024-02-29", {"x": 2.5}, 0),
    (-3, 0.5, 1e10, 0.005, "100%", "mid", True, "1999-12-31", "1999-12-31 23:59:59", [1], 4000),
    (4, 1e300, 0.0, 99999.999, "a_b\\c'\"", "low", None, "2000-02-29", "2000-02-29", "text", None),
    (5, 2.675, 2.5, 2.675, "", "high", True, "2024-12-31", "2024-12-31 06:00", {"name": "Ann"}, 1),
    (6, 0.0, 3.4e38, 0, "12", "mid", False, "1970-01-01", "1970-01-01", {"x": True, "n": None}, 7),
]


class World:
    """The rows in one database, and what would tell that something else happened."""

    def __init__(self, schema: Schema) -> None:
        class Value(dj.Manual):
            definition = DEFINITION

        self.connection = schema.connection
        self.table = schema(Value)()
        self.table.insert(ROWS)

    def ask(self, text: str) -> list[int] | str:
        """Return the keys of a text's rows, or how it was refused."""
        try:
            return sorted(int(key["a"]) for key in (self.table & text).fetch("KEY"))
        except DjqError as error:
            return "refused" if isinstance(error, QueryError) else type(error).__name__

    def rows(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.table.to_dicts(order_by="a")
        return found

    def tables(self) -> list[Any]:
        if self.connection.database.is_sqlite:
            return list(self.connection.query("SELECT name, sql FROM sqlite_master ORDER BY 1"))
        text = (
            "SELECT table_schema, table_name, create_time FROM information_schema.tables "
            "WHERE table_schema = %s ORDER BY 1, 2"
        )
        return list(
            self.connection.query(text, [self.table.full_table_name.split(".")[0].strip("`")])
        )

    def commands(self) -> dict[str, int]:
        """Return how often this connection's server ran which kind of statement."""
        if self.connection.database.is_sqlite:
            return {}
        # Over the very connection that answers queries, whose session it is that counts.
        rows = self.connection.database.read(sa.text("SHOW SESSION STATUS LIKE 'Com%'"))
        return {str(name): int(n) for name, n in rows if str(n).isdigit()}


@pytest.fixture
def world(schema: Schema) -> World:
    return World(schema)


@pytest.fixture
def reference(tmp_path: Path) -> Iterator[World]:
    url = f"sqlite:///{tmp_path / 'reference.sqlite'}"
    connection = Connection(load(database_url=url, state_dir=tmp_path / ".reference"))
    yield World(Schema("reference", connection=connection))
    connection.close()


@pytest.mark.timeout(24 * 3600)
def test_a_text_gives_the_same_rows_everywhere_or_our_error(world, reference):
    source = Texts(SEED)

    for text in (source.text() for _ in range(N_TEXTS)):
        found, expected = world.ask(text), reference.ask(text)

        # A server may refuse what is too large for it; it must not answer otherwise.
        if "DatabaseError" not in {str(found), str(expected)}:
            assert found == expected, text


@pytest.mark.timeout(24 * 3600)
def test_nothing_is_written_and_no_second_statement_runs(world):
    source = Texts(SEED + 1)
    rows, tables, before = world.rows(), world.tables(), world.commands()

    for text in [*ATTACKS, *(f"s = '{a}'" for a in ATTACKS), *(f"a = 1 {a}" for a in ATTACKS)]:
        world.ask(text)
    for _ in range(N_TEXTS // 4):
        world.ask(source.text())

    after = world.commands()
    assert {name for name in after if after[name] != before[name]} <= HARMLESS
    assert world.rows() == rows
    assert world.tables() == tables


def test_an_expression_that_is_computed_or_aggregated_is_rows_or_our_error_too(world):
    source = Texts(SEED + 2)

    for _ in range(N_TEXTS // 8):
        number, text = source.number(3), source.text()
        with suppress(QueryError, DatabaseError):
            world.table.proj(x=number).to_dicts()
        with suppress(QueryError, DatabaseError):
            dj.U("e").aggr(world.table, x=f"sum({number})", n=f"count({number})").to_dicts()
        with suppress(QueryError, DatabaseError):
            world.table.proj(x=text).to_dicts()

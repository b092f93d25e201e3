"""What it costs to know a table and to declare one."""

from __future__ import annotations

import time

import pytest

import djq as dj
from tests.perf.test_statement_counts import counted, verbs

__all__ = ["counted"]

N_TABLES = 30
#: Declaring so many tables takes no longer [s].
BOUND_S = 1.0
#: Others use the machine, too, and only ever add time: one quick declaration is enough …
TRIES = 5
#: … and where even the bare statements never take less than half of the bound, this many times
#: what they take.
BUSY_RATIO = 2.0


@pytest.fixture
def lab(schema):
    @schema
    class Subject(dj.Manual):
        definition = """
        subject : varchar(20)
        """

    @schema
    class Session(dj.Manual):
        definition = """
        -> Subject
        session : int16
        ---
        -> [nullable] Subject.proj(partner='subject')
        """

    return schema


def test_a_heading_costs_two_statements_once(lab, connection, counted):
    connection.database.catalog.forget()

    with counted() as first:
        assert dj.FreeTable(connection, f"{lab.name}.session").heading["partner"].nullable
    with counted() as second:
        assert dj.FreeTable(connection, f"{lab.name}.session").primary_key == ["subject", "session"]
        assert dj.FreeTable(connection, f"{lab.name}.subject").heading.names == ("subject",)

    assert len(first) <= 2
    assert second == []


def test_a_class_knows_its_heading_without_asking(lab, counted):
    session = lab.tables["Session"]

    with counted() as sent:
        assert session.heading.names == ("subject", "session", "partner")
        assert session.primary_key == ["subject", "session"]

    assert sent == []


def test_a_virtual_module_costs_a_few_statements(lab, connection, counted):
    connection.database.catalog.forget()

    with counted() as sent:
        vm = dj.virtual_schema(lab.name, connection=connection)
        assert vm.Session.heading.names == ("subject", "session", "partner")

    assert len(sent) <= 4


def test_a_table_is_declared_by_a_few_statements(lab, connection, counted):
    text = "-> Session\nnumber : int32\n---\nindex(number)"
    space = {"definition": text, "__module__": __name__}

    with counted() as sent:
        lab(type("Trial", (dj.Manual,), space))

    if connection.database.dialect.is_sqlite:
        assert len(sent) <= 20
        return
    assert len(sent) <= 7
    assert verbs(sent).count("CREATE") == 1
    assert verbs(sent).count("INSERT") == 1, "its lineage"


def test_declaring_a_pipeline_takes_a_second(schema_name, connection):
    connection.database.connect()
    names = [f"Table{chr(65 + i // 26)}{chr(97 + i % 26)}" for i in range(N_TABLES)]
    texts = [f"id{i} : int16\n---\n-> [nullable] {names[i - 1]}" for i in range(1, N_TABLES)]
    definitions = dict(zip(names, ["id0 : int16", *texts], strict=True))

    def declare(schema):
        for name, text in definitions.items():
            schema(type(name, (dj.Manual,), {"definition": text, "__module__": __name__}))

    seconds, bare = [], []
    for i in range(TRIES):
        schema = dj.Schema(f"{schema_name}_{i}", connection=connection)
        started = time.perf_counter()
        declare(schema)
        seconds.append(time.perf_counter() - started)
        if seconds[-1] <= BOUND_S:
            return
        bare.append(_bare(schema))

    assert min(seconds) <= max(BOUND_S, BUSY_RATIO * min(bare)), (seconds, bare)


def _bare(schema):
    """Return how long the same number of plain tables takes the driver [s]."""
    database = schema.connection.database
    place = f"{schema.name}_bare" if database.dialect.is_sqlite else f"{schema.name}`.`bare"
    cursor = database._reader().raw.cursor()
    started = time.perf_counter()
    for i in range(N_TABLES):
        parent = f", FOREIGN KEY (other) REFERENCES `{place}{i - 1}` (id)" if i else ""
        cursor.execute(f"CREATE TABLE `{place}{i}` (id INT PRIMARY KEY, other INT{parent})")
    return time.perf_counter() - started

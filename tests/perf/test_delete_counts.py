"""How many statements a delete sends, counted by the server; and that it seeks in indexes."""

from __future__ import annotations

import pytest

import djq as dj
from djq.algebra.nodes import Restriction
from djq.tables.delete import plan
from tests.perf.test_statement_counts import counted

__all__ = ["counted"]

#: The bound for one row with four dependent tables.
MOST = 12


@pytest.fixture
def lab(schema):
    @schema
    class Subject(dj.Manual):
        definition = """
        subject : int32
        ---
        kind : int32
        """

    @schema
    class Session(dj.Manual):
        definition = """
        -> Subject
        session : int32
        """

    @schema
    class Scan(dj.Manual):
        definition = """
        scan : int32
        ---
        -> Session
        """

    @schema
    class Quality(dj.Manual):
        definition = """
        -> Scan
        -> Subject
        """

    @schema
    class Note(dj.Manual):
        definition = """
        note : int32
        ---
        -> [nullable] Subject
        """

    subjects = range(300)
    Subject.insert([(s, s % 3) for s in subjects])
    Session.insert([(s, 1) for s in subjects])
    Scan.insert([(s, s, 1) for s in subjects])
    Quality.insert([(s, s) for s in subjects])
    Note.insert([(s, s) for s in subjects])
    return Subject


@pytest.mark.parametrize("is_cold", [False, True], ids=["warm", "cold"])
def test_a_row_with_four_dependent_tables_goes_with_few_statements(
    lab, counted, connection, monkeypatch, capsys, is_cold
):
    (lab & {"subject": 1}).delete(prompt=False)
    if is_cold:
        connection.database.catalog.forget()
    monkeypatch.setattr("builtins.input", lambda _: "yes")

    with counted() as sent:
        assert (lab & {"subject": 2}).delete(prompt=True) == 1

    # SQLite tells of a statement again for each foreign key that it checks.
    sent = [text for text, before in zip(sent, [None, *sent], strict=False) if text != before]
    assert len(sent) <= MOST, sent
    assert "Delete" not in capsys.readouterr().err


def test_a_delete_does_not_look_through_its_children(lab, connection):
    database = connection.database
    if not database.is_sqlite:
        for table in ("subject", "session", "scan", "quality", "note"):
            database.connect()._reader().raw.cursor().execute(
                f"ANALYZE TABLE `{lab().spec.name.schema}`.`{table}`"
            )
    for query in (lab & {"subject": 5}, lab & "kind = 1 and subject < 10"):
        _, *below = plan(query)._going()
        for going in below:
            for branch in going.branches:
                rows = Restriction(going.relation, branch.condition)
                steps = explained(database, rows)
                scanned = [s for s in steps if going.name.table in s]
                assert not scanned, (going.name, scanned)


def explained(database, rows):
    """Return the steps of a DELETE that read a whole table or index, by the server's own words."""
    prepared, values = database.statements.ask("delete", rows)
    cursor = database._reader().raw.cursor()
    if database.is_sqlite:
        cursor.execute(f"EXPLAIN QUERY PLAN {prepared.text}", prepared.bind(values))
        return [text for *_, text in cursor.fetchall() if text.startswith("SCAN")]
    cursor.execute(f"EXPLAIN FORMAT=TRADITIONAL {prepared.text}", prepared.bind(values))
    names = [column[0] for column in cursor.description]
    found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [row["table"] for row in found if row["type"] in {"ALL", "index"}]

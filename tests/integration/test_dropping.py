"""Drops take a table with all that refers to it, and what is noted of them."""

from __future__ import annotations

import pytest

import djq as dj
from djq.errors import IntegrityError, MissingTableError


@pytest.fixture
def lab(schema):
    @schema
    class Subject(dj.Manual):
        definition = """
        subject : int32
        """

    @schema
    class Setup(dj.Lookup):
        definition = """
        setup : int32
        """
        contents = ((1,), (2,))

    @schema
    class Scan(dj.Manual):
        definition = """
        -> Subject
        """

        class Field(dj.Part):
            definition = """
            -> master
            -> Setup
            """

    @schema
    class Mean(dj.Computed):
        definition = """
        -> Scan
        ---
        mean : float64
        """

        def make(self, key):
            self.insert1({**key, "mean": 1 / (key["subject"] - 1)})

    Subject.insert([(1,), (2,)])
    Scan.insert([(1,), (2,)])
    Scan.Field.insert([(1, 1), (2, 2)])
    Mean.populate(suppress_errors=True)
    return Subject, Setup, Scan, Mean


def names(schema):
    catalog = schema.connection.database.catalog
    catalog.forget()
    return {n for n in catalog.columns(schema.name) if n not in {"~lineage", "~comments"}}


def test_all_that_refers_to_the_table_is_dropped(lab, schema):
    _, _, scan, mean = lab
    assert len(mean.jobs.errors) == 1

    scan.drop(prompt=False)

    assert names(schema) == {"subject", "#setup"}


def test_a_table_may_be_declared_again(lab, schema):
    subject, *_ = lab
    subject.drop(prompt=False)

    @schema
    class Subject(dj.Manual):
        definition = """
        subject : varchar(8)
        """

    Subject.insert1(("a",))
    assert len(Subject) == 1
    assert names(schema) == {"subject", "#setup"}


def test_masters_are_dropped_with_their_parts_where_asked(lab, schema):
    _, setup, *_ = lab

    setup.drop(prompt=False, part_integrity="cascade")

    assert names(schema) == {"subject"}


def test_parts_are_dropped_alone_where_integrity_is_ignored(lab, schema):
    _, setup, scan, _ = lab

    setup.drop(prompt=False, part_integrity="ignore")

    assert "scan__field" not in names(schema)
    assert len(scan) == 2


def test_a_quick_drop_takes_one_table(lab, schema):
    _, _, _, mean = lab

    mean.drop_quick()

    assert names(schema) == {"subject", "#setup", "scan", "scan__field"}


def test_the_question_shows_the_rows_of_each_table(lab, schema, monkeypatch, capsys):
    _, _, scan, _ = lab
    monkeypatch.setattr("builtins.input", lambda _: "no")

    scan.drop()

    shown = capsys.readouterr().out
    assert f"`{schema.name}`.`scan`         2 rows\n" in shown
    assert f"`{schema.name}`.`__mean`       1 row\n" in shown
    assert "Nothing was dropped." in shown
    assert len(scan) == 2


def test_a_schema_is_dropped_with_its_tables(lab, schema):
    schema.drop(prompt=False)

    assert names(schema) == set()
    assert not schema.exists
    with pytest.raises(MissingTableError, match="there is nothing to drop"):
        schema.drop(prompt=False)


def test_a_dropped_schema_takes_tables_again(lab, schema):
    schema.drop(prompt=False)

    @schema
    class Subject(dj.Manual):
        definition = """
        subject : int32
        """

    Subject.insert1((7,))
    assert names(schema) == {"subject"}


def test_a_schema_that_others_refer_to_stays(lab, schema, schema_name):
    other = dj.Schema(f"{schema_name}_other", connection=schema.connection)

    subject, *_ = lab
    assert len(subject) == 2

    @other
    class Copy(dj.Manual):
        definition = """
        -> subject
        """

    before = names(schema)
    with pytest.raises(IntegrityError, match=r"other schemas refer to it: .*_other\.copy"):
        schema.drop(prompt=False)

    assert names(schema) == before
    other.drop(prompt=False)
    assert len(subject) == 2

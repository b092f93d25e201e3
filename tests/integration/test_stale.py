"""Rows that another version of the code made are found, kept, accepted or made anew."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
import sqlalchemy as sa

import djq as dj
from djq.errors import QueryError
from djq.populate import make as making
from djq.populate.chunks import make_chunk


@pytest.fixture
def root(schema):
    """Roots of numbers, with a part each: three by older code, two by today's, one by hand."""

    @schema
    class Number(dj.Manual):
        definition = """
        n : int32
        """

    @schema
    class Root(dj.Computed):
        definition = """
        -> Number
        ---
        value : float64
        """

        class Digit(dj.Part):
            definition = """
            -> master
            digit : int8
            """

        def make(self, key):
            self.insert1({**key, "value": key["n"] ** 0.5})
            self.Digit.insert1({**key, "digit": 1})

    Number.insert((n,) for n in range(6))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "code_version", lambda cls: "older")
        list(make_chunk(Root, [{"n": n} for n in range(3)]))
    list(make_chunk(Root, [{"n": n} for n in (3, 4)]))
    Root.insert1({"n": 5, "value": 0}, allow_direct_insert=True)
    return Root


def numbers(query):
    return query.fetch("n", order_by="n").tolist()


def test_stale_rows_are_those_of_another_version(root):
    assert numbers(root.stale()) == [0, 1, 2]
    assert numbers(root.stale(unknown=True)) == [0, 1, 2, 5]


def test_stale_rows_are_a_query_as_any_other(root, schema):
    stale = root.stale()

    assert isinstance(stale, root)
    assert stale.heading.names == ("n", "value")
    assert numbers(stale & "n > 0") == [1, 2]
    assert numbers((root & "n < 2").stale()) == [0, 1]
    assert numbers(root - stale.proj()) == [3, 4, 5]
    assert len(stale * root.Digit) == 3
    assert len(schema.tables["Number"] & stale) == 3


def test_stale_rows_are_not_made_again_by_themselves(root):
    assert root.populate()["success_count"] == 0
    assert numbers(root.stale()) == [0, 1, 2]


def test_deleted_stale_rows_are_made_anew_by_todays_code(root):
    assert (root.stale() & "n > 0").delete(prompt=False) == 2

    assert root.populate()["success_count"] == 2
    assert numbers(root.stale()) == [0]
    assert len(root.Digit) == 5


def test_accepted_rows_are_current(root, caplog):
    with caplog.at_level(logging.INFO, logger="djq"):
        assert root.accept("n < 2", {"n": [0, 2]}) == 1

    assert numbers(root.stale()) == [1, 2]
    (record,) = [r for r in caplog.records if r.message == "rows_accepted"]
    assert record.n_rows == 1
    assert root.accept() == 2
    assert numbers(root.stale()) == []
    assert numbers(root.stale(unknown=True)) == [5]
    assert root.accept(unknown=True) == 1
    assert numbers(root.stale(unknown=True)) == []


def test_rows_may_be_accepted_by_queries(root, schema):
    number = schema.tables["Number"]

    assert root.accept(number & "n = 1") == 1
    assert root.accept((root.stale() & "n = 2").proj()) == 1
    assert (root & {"n": 0}).accept() == 1
    assert numbers(root.stale()) == []


def test_accepting_by_an_unknown_name_changes_nothing(root):
    with pytest.raises(QueryError, match=r"restricted by m, and the table has none"):
        root.accept({"m": 3})
    with pytest.raises(QueryError, match=r"has none of these attributes: .*Known: n, "):
        root.accept([{"m": 3}])
    assert len(root.stale()) == 3


def test_what_a_make_inserts_beside_is_as_stale_as_its_key(root):
    assert len(root.Digit & root.stale()) == 3


def test_tables_without_the_hidden_columns_work_and_their_rows_are_of_no_known_version(root):
    """As djq and DataJoint declared them before there were such columns."""
    spec = root.spec
    older = tuple(a for a in spec.hidden if a.name in {"_job_start_time", "_job_duration"})
    root.spec = replace(spec, hidden=older)

    (root & "n = 3").delete(prompt=False)
    assert root.populate()["success_count"] == 1
    assert len(root.stale()) == 0
    assert len(root.stale(unknown=True)) == 6
    with pytest.raises(QueryError, match=r"Root.alter\(\) adds it"):
        root.accept()


def test_rows_carry_attempt_commit_and_peak_memory(root, connection):
    name = str(root.spec.name)
    if not connection.database.dialect.is_sqlite:
        name = name.replace(".", "`.`")
    found = connection.database.read(
        sa.text(
            f"SELECT _job_attempt, _job_commit, _job_peak_bytes FROM `{name}` WHERE n IN (3, 5)"
            " ORDER BY n"
        )
    )

    (attempt, commit, peak), inserted = found
    assert attempt == 1
    assert commit is None or len(commit) == 40
    assert 10e6 < peak < 100e9
    assert tuple(inserted) == (None, None, None)


def test_the_attempt_counts_what_the_database_made_necessary(root, connection, monkeypatch):
    monkeypatch.setattr(making, "BACKOFF_S", 0.001)
    (root & "n = 3").delete(prompt=False)
    tries = []

    def holds(key):
        tries.append(key)
        if len(tries) < 3:
            message = "deadlock"
            raise dj.errors.ContentionError(message)
        return True

    list(make_chunk(root, [{"n": 3}], holds=holds))

    name = str(root.spec.name)
    if not connection.database.dialect.is_sqlite:
        name = name.replace(".", "`.`")
    text = sa.text(f"SELECT _job_attempt FROM `{name}` WHERE n = 3")
    assert connection.database.read(text)[0][0] == 3

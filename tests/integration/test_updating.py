"""`update1` on every database: one row, one statement, by its key."""

from __future__ import annotations

import numpy as np
import pytest

import djq as dj
from djq.errors import BrokenReferenceError, DuplicateError, RowError, UsageError
from tests.perf.test_statement_counts import counted

__all__ = ["counted"]


@pytest.fixture
def lab(schema):
    @schema
    class Task(dj.Lookup):
        definition = """
        task : varchar(12)
        """
        contents = (("rest",), ("run",))

    @schema
    class Session(dj.Manual):
        definition = """
        subject : int32
        session : int16
        ---
        -> [nullable] Task
        code : varchar(8)
        level = 3 : int8
        weight = null : float32
        notes = null : json
        trace = null : <blob@raw>
        unique index(code)
        """

    Session.insert(
        [(1, 1, "rest", "a", 1, 1.5, None, None), (1, 2, None, "b", 2, None, None, None)]
    )
    return schema


@pytest.fixture
def session(lab):
    return lab.tables["Session"]


KEY = {"subject": 1, "session": 1}


def others(session):
    return (session & "session = 2").fetch1()


def test_attributes_of_one_row_change(session):
    before = others(session)

    session.update1({**KEY, "level": 7, "weight": 2.25, "notes": {"a": [1]}})
    session().update1({**KEY, "task": "run", "trace": np.arange(4)})

    row = (session & KEY).fetch1()
    assert np.array_equal(row.pop("trace"), np.arange(4))
    assert row == {
        **KEY,
        "task": "run",
        "code": "a",
        "level": 7,
        "weight": 2.25,
        "notes": {"a": [1]},
    }
    assert others(session) == before


def test_none_resets_to_the_default(session):
    session.update1({**KEY, "level": None, "weight": None, "task": None})

    assert (session & KEY).fetch1("level", "weight", "task") == (3, None, None)


def test_an_update_that_changes_nothing_finds_its_row(session):
    session.update1({**KEY, "level": 1})
    session.update1({**KEY, "level": 1})

    assert (session & KEY).fetch1("level") == 1


def test_an_update_is_one_statement(session, counted):
    session.update1({**KEY, "level": 1})

    with counted() as sent:
        session.update1({**KEY, "level": 2})

    assert len(sent) == 1, sent


def test_a_row_that_is_not_there_is_named(session):
    with pytest.raises(RowError, match="there is no row with subject=1 session=9 to update"):
        session.update1({"subject": 1, "session": 9, "level": 1})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"subject": 1, "level": 1}, '"session" is not given. Its key: subject, session'),
        ({**KEY, "session": None, "level": 1}, '"session" is not given'),
        (KEY, "a key and nothing to change"),
        ({**KEY, "levle": 1}, 'unknown attribute "levle". Did you mean "level"'),
        ({**KEY, "level": 300}, 'attribute "level": 300 is outside of int8'),
        ({**KEY, "code": None}, 'attribute "code": None resets it to its default, and it has none'),
        ({**KEY, "code": "x" * 9}, "the text has 9 characters, 8 fit"),
        ((1, 1, "rest"), "update1 takes a mapping"),
    ],
)
def test_a_wrong_update_is_refused(session, row, message):
    before = session.to_dicts(order_by="KEY")

    with pytest.raises(RowError, match=message):
        session.update1(row)

    assert session.to_dicts(order_by="KEY") == before


def test_a_restricted_table_is_refused(session):
    with pytest.raises(UsageError, match="not by a restriction: call it on the table itself"):
        (session & "level = 1").update1({**KEY, "level": 2})


def test_a_taken_unique_value_is_named(session):
    with pytest.raises(DuplicateError, match="code=b is taken by the row subject=1 session=2"):
        session.update1({**KEY, "code": "b"})


def test_a_missing_parent_is_named(session):
    with pytest.raises(BrokenReferenceError, match="task=swim is not in"):
        session.update1({**KEY, "task": "swim"})


def test_an_update_is_part_of_the_open_transaction(session):
    with session().connection.transaction:
        session.update1({**KEY, "level": 5})
        assert (session & KEY).fetch1("level") == 5
        session.update1({**KEY, "level": 1})

    assert (session & KEY).fetch1("level") == 1

"""Deletes take exactly what refers to the deleted rows, and all of it or nothing."""

from __future__ import annotations

import pytest

import djq as dj
from djq.errors import QueryError, UsageError
from djq.tables.delete import plan


def remaining(*tables):
    """Rows per table, as sets of key tuples."""
    return [{tuple(row.values()) for row in table.proj()} for table in tables]


@pytest.fixture
def lab(schema):
    """Subjects, sessions, recordings with parts, and comparisons of two sessions."""

    @schema
    class Subject(dj.Manual):
        definition = """
        subject : int32
        ---
        name : varchar(20)
        """

    @schema
    class Session(dj.Manual):
        definition = """
        -> Subject
        session : int32
        ---
        kind = null : varchar(10)
        """

    @schema
    class Recording(dj.Manual):
        definition = """
        -> Session
        """

        class Channel(dj.Part):
            definition = """
            -> master
            channel : int32
            """

        class Spike(dj.Part):
            definition = """
            -> master.Channel
            spike : int32
            """

    @schema
    class Comparison(dj.Manual):
        definition = """
        -> Session.proj(first='session')
        -> Session.proj(second='session')
        """

    @schema
    class Note(dj.Manual):
        definition = """
        note : int32
        ---
        -> [nullable] Session
        """

    Subject.insert([(s, f"s{s}") for s in (1, 2, 3)])
    Session.insert([(s, n, "a" if n % 2 else None) for s in (1, 2, 3) for n in (1, 2, 3)])
    Recording.insert([(s, n) for s in (1, 2, 3) for n in (1, 2)])
    Recording.Channel.insert([(s, n, c) for s in (1, 2, 3) for n in (1, 2) for c in (0, 1)])
    Recording.Spike.insert([(s, n, 0, 7) for s in (1, 2, 3) for n in (1, 2)])
    Comparison.insert([(s, a, b) for s in (1, 2, 3) for a, b in ((1, 2), (2, 3), (3, 1))])
    Note.insert([(1, 1, 1), (2, 1, 2), (3, None, None), (4, 2, 1)])
    return Subject, Session, Recording, Comparison, Note


def test_all_that_refers_to_a_row_goes_with_it(lab):
    subject, session, recording, comparison, note = lab

    n = (subject & {"subject": 1}).delete(prompt=False)

    assert n == 1
    assert remaining(subject)[0] == {(2,), (3,)}
    for table in (session, recording, recording.Channel, recording.Spike, comparison):
        assert {row["subject"] for row in table} == {2, 3}
    assert remaining(note)[0] == {(3,), (4,)}


def test_rows_are_found_by_the_reference_not_by_equal_names(lab):
    _, session, _, comparison, note = lab

    (session & {"subject": 1, "session": 1}).delete(prompt=False)

    assert {r for r in remaining(comparison)[0] if r[0] == 1} == {(1, 2, 3)}
    assert remaining(session)[0] >= {(1, 2), (1, 3), (2, 1)}
    assert remaining(note)[0] == {(2,), (3,), (4,)}


def test_a_condition_on_other_attributes_reaches_all_levels(lab):
    _, session, recording, comparison, note = lab

    n = (session & "kind = 'a'").delete(prompt=False)

    assert n == 6
    assert {r[1] for r in remaining(session)[0]} == {2}
    assert {r[1] for r in remaining(recording)[0]} == {2}
    assert {r[1] for r in remaining(recording.Spike)[0]} == {2}
    assert remaining(comparison)[0] == set()
    assert remaining(note)[0] == {(2,), (3,)}


def test_a_null_reference_refers_to_nothing(lab):
    _, session, _, _, note = lab

    (session - {"subject": 1}).delete(prompt=False)

    assert remaining(note)[0] == {(1,), (2,), (3,)}


def test_a_restriction_by_descendants_is_read_before_they_go(lab):
    _, session, recording, comparison, _ = lab

    n = (session & recording).delete(prompt=False)

    assert n == 6
    assert {r[1] for r in remaining(session)[0]} == {3}
    assert remaining(recording)[0] == set()
    assert remaining(comparison)[0] == set()


def test_an_antijoin_with_descendants_is_read_before_they_go(lab):
    _, session, recording, comparison, _ = lab

    n = (session - recording).delete(prompt=False)

    assert n == 3
    assert {r[1] for r in remaining(session)[0]} == {1, 2}
    assert {r[1:] for r in remaining(comparison)[0]} == {(1, 2)}


def test_parts_are_not_deleted_alone(lab):
    _, _, recording, _, _ = lab
    before = remaining(recording, recording.Channel, recording.Spike)

    with pytest.raises(UsageError, match="is a part"):
        (recording.Channel & {"channel": 1}).delete(prompt=False)

    assert remaining(recording, recording.Channel, recording.Spike) == before


def test_parts_are_deleted_alone_where_integrity_is_ignored(lab):
    _, _, recording, _, _ = lab

    n = (recording.Channel & {"channel": 0}).delete(prompt=False, part_integrity="ignore")

    assert n == 6
    assert len(recording) == 6
    assert len(recording.Spike) == 0


def test_masters_go_with_their_parts_where_asked(lab):
    _, session, recording, _, _ = lab

    (recording.Channel & {"subject": 1, "session": 2, "channel": 1}).delete(
        prompt=False, part_integrity="cascade"
    )

    assert (1, 2) not in remaining(recording)[0]
    assert len(recording) == 5
    assert len(recording.Channel) == 10
    assert len(recording.Spike) == 5
    assert len(session) == 9


def test_counts_say_what_would_go(lab, schema):
    _, session, *_ = lab

    found = plan(session & {"subject": 1, "session": 1}).counts()

    assert {name.split(".")[1].strip("`"): n for name, n in found.items()} == {
        "session": 1,
        "recording": 1,
        "recording__channel": 2,
        "recording__spike": 1,
        "comparison": 2,
        "note": 1,
    }
    assert next(iter(found)) == f"`{schema.name}`.`session`"
    assert len(session) == 9


def test_a_misspelled_restriction_deletes_nothing(lab):
    subject, *_ = lab
    for query in (
        subject & {"subjct": 1},
        subject & [{"subject": 1}, {"subjct": 2}],
        subject & dj.AndList([{"subjct": 1}]),
        subject & dj.Not({"subjct": 1}),
        subject & ({"subjct": i} for i in (1, 2)),
    ):
        with pytest.raises(QueryError, match="restricted by subjct"):
            query.delete(prompt=False)
        with pytest.raises(QueryError, match="restricted by subjct"):
            query.delete_quick()
    assert len(subject) == 3


@pytest.fixture
def tree(schema):
    @schema
    class Person(dj.Manual):
        definition = """
        person : int32
        """

    return Person

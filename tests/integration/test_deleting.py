"""Deletes take exactly what refers to the deleted rows, and all of it or nothing."""

from __future__ import annotations

import pytest

import djq as dj
from djq.algebra import ordering
from djq.errors import (
    BrokenReferenceError,
    LostConnectionError,
    QueryError,
    TransientDatabaseError,
    UsageError,
)
from djq.tables.connection import Connection
from djq.tables.delete import plan
from djq.tables.drop import drop_schema


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
def person(schema):
    @schema
    class Person(dj.Manual):
        definition = """
        person : int32
        ---
        -> [nullable] Person.proj(mother='person')
        -> [nullable] Person.proj(father='person')
        """

    @schema
    class Visit(dj.Manual):
        definition = """
        -> Person
        visit : int32
        """

    Person.insert1((1, None, None))
    Person.insert1((2, None, None))
    Person.insert1((3, 1, 2))
    Person.insert1((4, 3, None))
    Person.insert1((5, None, 4))
    Person.insert1((6, 4, 2))
    Visit.insert([(p, 0) for p in range(1, 7)])
    return Person, Visit


def test_rows_that_refer_to_rows_of_their_own_table_go_youngest_first(person):
    people, visit = person

    n = (people & {"person": 3}).delete(prompt=False)

    assert n == 4
    assert remaining(people)[0] == {(1,), (2,)}
    assert remaining(visit)[0] == {(1, 0), (2, 0)}


def test_families_are_counted(person):
    people, visit = person

    found = plan(people & "mother = 1").counts()

    assert list(found.values()) == [4, 4]
    assert len(people) == 6
    assert len(visit) == 6


def test_rows_without_children_of_their_own_table_go_at_once(person):
    people, _ = person

    assert (people & [{"person": 5}, {"person": 6}]).delete(prompt=False) == 2
    assert len(people) == 4


def test_a_long_line_of_rows_goes(person):
    people, _ = person
    for p in range(7, 60):
        people.insert1((p, p - 1, None))

    (people & {"person": 6}).delete(prompt=False)

    assert remaining(people)[0] == {(p,) for p in range(1, 6)}


def test_rows_that_refer_to_each_other_in_a_circle_go_together(person):
    people, visit = person
    people.update1({"person": 3, "mother": 4})

    assert (people & {"person": 4}).delete(prompt=False) == 4

    assert remaining(people)[0] == {(1,), (2,)}
    assert remaining(visit)[0] == {(1, 0), (2, 0)}


def test_a_row_that_refers_to_itself_goes(person):
    people, visit = person
    people.update1({"person": 1, "mother": 1})

    assert (people & "mother = 1").delete(prompt=False) == 5

    assert remaining(people)[0] == {(2,)}
    assert len(visit) == 1


def test_other_schemas_and_tables_unknown_to_this_process_lose_rows_too(lab, schema, schema_name):
    subject, session, *_ = lab
    assert len(session) == 9
    other = dj.Schema(f"{schema_name}_other", connection=schema.connection)

    @other
    class Summary(dj.Manual):
        definition = """
        -> session
        """

    stranger = Connection(schema.connection.settings)
    try:
        Summary.insert([(1, 1), (2, 1)])
        here = dj.Schema(schema_name, connection=stranger)

        @here
        class Subject(dj.Manual):
            definition = subject.definition

        (Subject & {"subject": 1}).delete(prompt=False)
        assert remaining(Summary)[0] == {(2, 1)}
    finally:
        stranger.close()
        drop_schema(schema.connection, other.name, prompt=False)


def test_a_table_that_another_process_declared_meanwhile_is_found(lab, schema, schema_name):
    subject, session, *_ = lab
    assert len(session) == 9
    (subject & {"subject": 3}).delete(prompt=False)  # the foreign keys are known now
    stranger = Connection(schema.connection.settings)
    try:
        there = dj.Schema(schema_name, connection=stranger)

        @there
        class Late(dj.Manual):
            definition = """
            -> session
            """

        Late.insert([(1, 1), (2, 2)])
        (subject & {"subject": 1}).delete(prompt=False)
        assert remaining(Late)[0] == {(2, 2)}
    finally:
        stranger.close()


def test_an_open_transaction_takes_the_delete_back(lab, connection):
    subject, session, *_ = lab
    connection.start_transaction()
    assert (subject & {"subject": 1}).delete(prompt=False) == 1
    assert len(session) == 6
    connection.cancel_transaction()

    assert len(subject) == 3
    assert len(session) == 9


def test_a_refused_delete_leaves_the_open_transaction_as_it_was(lab, connection):
    subject, session, _, _, note = lab

    with connection.transaction:
        subject.insert1((9, "new"))
        with pytest.raises(BrokenReferenceError):
            session.delete_quick()
        (note & {"note": 1}).delete(transaction=False, prompt=False)

    assert (9,) in remaining(subject)[0]
    assert (1,) not in remaining(note)[0]
    assert len(session) == 9


@pytest.fixture
def killed(connection, monkeypatch):
    """Let the server end the connection before the third statement of a delete."""
    database, calls = connection.database, []
    delete = database.delete

    def killing(node):
        calls.append(node)
        if len(calls) == 3:
            victim = database._writer().raw.thread_id()
            killer = database._connect(commits=True)
            killer.raw.cursor().execute(f"KILL {victim}")
            killer.close()
        return delete(node)

    monkeypatch.setattr(database, "delete", killing)
    return calls


@pytest.mark.needs_row_locks
def test_a_delete_whose_connection_ends_is_done_again_as_a_whole(lab, killed):
    subject, session, *_ = lab

    assert (subject & {"subject": 1}).delete(prompt=False) == 1

    assert len(killed) > 8
    assert {row["subject"] for row in session} == {2, 3}


@pytest.mark.needs_row_locks
def test_a_transaction_whose_connection_ends_deletes_nothing(lab, connection, killed):
    subject, *rest = lab
    before = remaining(subject, *rest)

    with pytest.raises(LostConnectionError), connection.transaction:
        (subject & {"subject": 1}).delete(prompt=False)

    assert len(killed) == 3
    assert remaining(subject, *rest) == before


@pytest.mark.needs_row_locks
def test_a_child_inserted_meanwhile_goes_too(person, connection, monkeypatch):
    people, visit = person
    stranger = Connection(connection.settings)
    database, waiting = connection.database, [True]
    delete = database.delete

    def late(node):
        if waiting:  # the family is known, and nothing is locked yet
            waiting.clear()
            stranger.database.insert(people.spec, [{"person": 9, "mother": 6, "father": None}])
        return delete(node)

    monkeypatch.setattr(database, "delete", late)
    try:
        assert (people & {"person": 3}).delete(prompt=False) == 5
    finally:
        stranger.close()
    assert remaining(people)[0] == {(1,), (2,)}
    assert len(visit) == 2


def _top(query, limit):
    return query.over(ordering.order(query.node, "KEY DESC", limit=limit))


def test_top_rows_are_chosen_before_anything_goes(lab):
    _, session, *_ = lab

    n = _top(session(), 2).delete(prompt=False)

    assert n == 2
    assert {r for r in remaining(session)[0] if r[0] == 3} == {(3, 1)}


# --- asking -------------------------------------------------------------------------------------


@pytest.fixture
def answer(monkeypatch):
    """Let somebody answer the question."""
    asked = []

    def answer(text, *, meanwhile=None):
        def reply(question):
            asked.append(question)
            if meanwhile is not None:
                meanwhile()
            return text

        monkeypatch.setattr("builtins.input", reply)
        return asked

    return answer


def test_the_question_shows_what_would_go(lab, schema, answer, capsys):
    subject, *_ = lab
    asked = answer("yes")

    assert (subject & {"subject": 1}).delete() == 1

    shown = capsys.readouterr().out
    assert f"`{schema.name}`.`subject`             1 row\n" in shown
    assert f"`{schema.name}`.`recording__channel`  4 rows\n" in shown
    assert asked == ["Delete these 17 rows? [yes, No]: "]
    assert len(subject) == 2


@pytest.mark.parametrize("word", ["", "no", "maybe"])
def test_without_a_yes_nothing_goes(lab, answer, capsys, word):
    subject, session, *_ = lab
    answer(word)

    assert subject.delete(prompt=True) == 0

    assert "Nothing was deleted." in capsys.readouterr().out
    assert len(session) == 9


def test_other_rows_than_those_shown_do_not_go(lab, answer):
    subject, session, *_ = lab
    answer("yes", meanwhile=lambda: session.insert1((1, 9, None)))

    with pytest.raises(TransientDatabaseError, match="rows changed since they were counted"):
        (subject & {"subject": 1}).delete()

    assert len(subject) == 3
    assert len(session) == 10

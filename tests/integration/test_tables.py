"""Tables on every database: declare, insert, restrict, combine, fetch."""

from __future__ import annotations

import datetime as dt
import tracemalloc
from decimal import Decimal

import numpy as np
import pytest

import djq as dj
from djq.errors import (
    BrokenReferenceError,
    DefinitionError,
    DuplicateError,
    QueryError,
    RowError,
    UsageError,
)


@pytest.fixture
def lab(schema):
    """Subjects, their sessions, and tasks that a session may have."""

    @schema
    class Subject(dj.Manual):
        definition = """
        # an animal
        subject : int32
        ---
        name : varchar(30)
        weight = null : float32    # g
        species = "mouse" : varchar(20)
        """

    @schema
    class Task(dj.Lookup):
        definition = """
        task : varchar(12)
        ---
        level : int16
        """
        contents = (("rest", 0), ("run", 2))

    @schema
    class Session(dj.Manual):
        definition = """
        -> Subject
        session : int16
        ---
        -> [nullable] Task
        duration : float64      # s
        """

    Subject.insert(
        [
            {"subject": 1, "name": "Ada", "weight": 20.5},
            {"subject": 2, "name": "Bob"},
            {"subject": 3, "name": "Cleo", "weight": 31.25, "species": "rat"},
        ]
    )
    Session.insert([(1, 1, "rest", 10.0), (1, 2, "run", 20.0), (2, 1, None, 5.5)])
    return schema


def keys(query, *names):
    return sorted(tuple(row[n] for n in names or query.primary_key) for row in query.to_dicts())


# --- insert ------------------------------------------------------------------------------------


def test_rows_come_back_as_they_were_given_with_defaults(lab):
    rows = lab.tables["Subject"].to_dicts(order_by="KEY")

    assert rows == [
        {"subject": 1, "name": "Ada", "weight": 20.5, "species": "mouse"},
        {"subject": 2, "name": "Bob", "weight": None, "species": "mouse"},
        {"subject": 3, "name": "Cleo", "weight": 31.25, "species": "rat"},
    ]


@pytest.mark.parametrize(
    "make_rows",
    [
        pytest.param(lambda: [(7, "x", None, "y"), [8, "x", 1, "y"]], id="sequences"),
        pytest.param(lambda: ({"subject": i, "name": "x"} for i in (7, 8)), id="generator"),
        pytest.param(
            lambda: np.array([(7, "x"), (8, "x")], dtype=[("subject", "i8"), ("name", "U4")]),
            id="numpy records",
        ),
        pytest.param(lambda: zip((7, 8), "xy", (None, None), "ab", strict=True), id="zip"),
    ],
)
def test_rows_may_be_given_in_many_forms(lab, make_rows):
    subject = lab.tables["Subject"]

    subject.insert(make_rows())

    assert keys(subject & "subject > 3") == [(7,), (8,)]


def test_the_rows_of_a_query_can_be_inserted(lab):
    @lab
    class Copy(dj.Manual):
        definition = """
        subject : int32
        ---
        name : varchar(30)
        """

    Copy.insert(lab.tables["Subject"], ignore_extra_fields=True)

    assert keys(Copy, "subject", "name") == [(1, "Ada"), (2, "Bob"), (3, "Cleo")]


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ({"subject": 2, "name": "again"}, DuplicateError),
        ({"subject": 9, "name": "x" * 31}, RowError),
        ({"subject": 9}, RowError),
    ],
)
def test_one_wrong_row_keeps_all_others_out(lab, bad, error):
    subject = lab.tables["Subject"]
    before = subject.to_dicts(order_by="KEY")

    with pytest.raises(error):
        subject.insert([{"subject": 5, "name": "E"}, {"subject": 6, "name": "F"}, bad])

    assert subject.to_dicts(order_by="KEY") == before


def test_a_wrong_row_behind_many_keeps_all_others_out(lab):
    subject = lab.tables["Subject"]
    rows = [{"subject": 100 + i, "name": "x" * 30} for i in range(25_000)]

    with pytest.raises(DuplicateError, match="a key is twice among the rows"):
        subject.insert([*rows, rows[0]])
    with pytest.raises(DuplicateError, match="subject=2 is in the table"):
        subject.insert([*rows, {"subject": 2, "name": "again"}])

    assert len(subject) == 3


def test_a_long_insert_that_fails_in_a_later_statement_leaves_nothing(schema):
    """Drivers split rows into statements of about 1 MB: each of them must not commit by itself."""

    @schema
    class Wide(dj.Manual):
        definition = """
        wide : int32
        ---
        filling : bytes
        """

    Wide.insert1((99, b""))

    with pytest.raises(DuplicateError, match="wide=99"):
        Wide.insert([*((i, bytes(300_000)) for i in range(12)), (99, b"")])

    assert keys(Wide.proj()) == [(99,)]


def test_an_insert_that_fails_inside_a_transaction_leaves_the_rest_of_it(schema):
    @schema
    class Wide(dj.Manual):
        definition = """
        wide : int32
        ---
        filling : bytes
        """

    with schema.connection.transaction:
        Wide.insert1((99, b""))
        for size in (1, 300_000):
            with pytest.raises(DuplicateError, match="wide=99"):
                Wide.insert([*((i, bytes(size)) for i in range(12)), (99, b"")])

    assert keys(Wide.proj()) == [(99,)]


def test_many_rows_are_inserted_without_holding_them(schema):
    @schema
    class Point(dj.Manual):
        definition = """
        point : int32
        ---
        x : float64
        label : varchar(200)
        """

    tracemalloc.start()
    Point.insert({"point": i, "x": i / 2, "label": str(i) * 20} for i in range(25_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(Point) == 25_000
    assert (Point & {"point": 24_999}).fetch1("x") == 12_499.5
    assert peak < 30e6


def test_skip_duplicates_keeps_what_is_there(lab):
    subject = lab.tables["Subject"]

    subject.insert(
        [{"subject": 1, "name": "changed"}, {"subject": 4, "name": "Dan"}], skip_duplicates=True
    )

    assert keys(subject, "subject", "name") == [(1, "Ada"), (2, "Bob"), (3, "Cleo"), (4, "Dan")]


def test_skip_duplicates_does_not_hide_a_broken_reference(lab):
    with pytest.raises(BrokenReferenceError):
        lab.tables["Session"].insert([(1, 1, None, 1), (77, 1, None, 1)], skip_duplicates=True)


def test_an_unknown_attribute_is_refused_unless_extra_fields_are_ignored(lab):
    subject = lab.tables["Subject"]
    row = {"subject": 4, "name": "Dan", "colour": "grey"}

    with pytest.raises(RowError, match='row 1: unknown attribute "colour"'):
        subject.insert1(row)
    subject.insert1(row, ignore_extra_fields=True)

    assert (subject & {"subject": 4}).fetch1("name") == "Dan"


def test_a_taken_key_is_named(lab):
    with pytest.raises(DuplicateError) as raised:
        lab.tables["Session"].insert([(3, 1, None, 1.0), (1, 2, None, 1.0)])

    assert f"{lab.name}.Session, row 2: the key subject=1 session=2 is in the table already" in str(
        raised.value
    )


def test_a_missing_parent_is_named(lab):
    with pytest.raises(BrokenReferenceError) as raised:
        lab.tables["Session"].insert([(3, 1, "rest", 1.0), (3, 2, "swim", 1.0)])

    assert f"{lab.name}.Session, row 2: task=swim is not in {lab.name}.#task" in str(raised.value)


def test_a_missing_parent_is_named_inside_a_transaction_too(lab):
    with (
        pytest.raises(BrokenReferenceError, match="subject=44 is not in"),
        lab.connection.transaction,
    ):
        lab.tables["Session"].insert1((44, 1, None, 1.0))


def test_a_taken_unique_value_is_told_from_a_taken_key(schema):
    @schema
    class Badge(dj.Manual):
        definition = """
        badge : int32
        ---
        code : varchar(8)
        unique index(code)
        """

    Badge.insert1((1, "a"))

    with pytest.raises(DuplicateError, match="unique index"):
        Badge.insert1((2, "a"))
    assert keys(Badge) == [(1,)]


def test_computed_tables_refuse_direct_inserts(lab):
    @lab
    class Stat(dj.Computed):
        definition = """
        -> Session
        ---
        mean : float64
        """

        class Piece(dj.Part):
            definition = """
            -> master
            piece : int8
            """

    for table, row in ((Stat, (1, 1, 0.5)), (Stat.Piece, (1, 1, 3))):
        with pytest.raises(UsageError, match="filled by make"):
            table.insert1(row)
    Stat.insert1((1, 1, 0.5), allow_direct_insert=True)
    Stat.Piece.insert1((1, 1, 3), allow_direct_insert=True)

    assert len(Stat) == len(Stat.Piece) == 1


def test_inserting_nothing_does_nothing(lab):
    lab.tables["Subject"].insert([])
    assert len(lab.tables["Subject"]) == 3


# --- lookups and declaration -------------------------------------------------------------------


@pytest.mark.parametrize(
    "make_contents",
    [
        pytest.param(lambda: [(1, "a"), (2, "b")], id="tuples"),
        pytest.param(lambda: [{"n": 1, "t": "a"}, {"n": 2, "t": "b"}], id="mappings"),
        pytest.param(lambda: zip((1, 2), "ab", strict=True), id="zip"),
        pytest.param(lambda: ((n, "ab"[n - 1]) for n in (1, 2)), id="generator"),
        pytest.param(lambda: property(lambda self: [(1, "a"), (2, "b")]), id="property"),
    ],
)
def test_lookup_contents_may_be_given_in_many_forms(schema, make_contents):
    @schema
    class Level(dj.Lookup):
        definition = """
        n : int8
        ---
        t : char(1)
        """
        contents = make_contents()

    assert keys(Level, "n", "t") == [(1, "a"), (2, "b")]


def test_declaring_again_adds_missing_contents_and_keeps_rows(schema):
    def declare(rows):
        @schema
        class Level(dj.Lookup):
            definition = """
            n : int8
            ---
            t : char(1)
            """
            contents = rows

        return Level

    declare([(1, "a")])
    level = declare([(1, "z"), (2, "b")])

    assert keys(level, "n", "t") == [(1, "a"), (2, "b")]


def test_an_existing_table_is_used_by_a_second_process(lab, schema_name):
    again = dj.Connection(lab.connection.settings)
    other = dj.Schema(schema_name, connection=again)

    @other
    class Subject(dj.Manual):
        definition = """
        # an animal
        subject : int32
        ---
        name : varchar(30)
        weight = null : float32    # g
        species = "mouse" : varchar(20)
        """

    assert len(Subject) == 3
    again.close()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("species", "kind", "species is only there; kind is missing there"),
        ("varchar(30)", "varchar(31)", r"name is varchar\(30\) there and varchar\(31\) here"),
        ("---\nname : varchar(30)", "name : varchar(30)\n---", "name is not in the key there"),
        ("weight = null", "weight", "weight can be null there"),
        ("float32", "float64", "weight is .* there and float64 here"),
    ],
)
def test_a_changed_definition_is_refused(lab, old, new, said):
    text = lab.tables["Subject"].definition.replace("\n        ", "\n")
    assert old in text
    changed = type(
        "Subject",
        (dj.Manual,),
        {"definition": text.replace(old, new), "__module__": __name__},
    )

    table = lab(changed)

    with pytest.raises(DefinitionError, match=f"(?is)Subject is in the database.*{said}"):
        table.fetch()


# --- restriction -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"subject": 1}, [1]),
        ({"subject": [1, 3]}, [1, 3]),
        ({"weight": None}, [2]),
        ({"name": "Ada", "species": "rat"}, []),
        ({"unrelated": 5}, [1, 2, 3]),
        ({}, [1, 2, 3]),
        ("weight > 20", [1, 3]),
        ("name like '%e%'", [3]),
        ("species in ('rat', 'cat') or subject = 2", [2, 3]),
        ("weight is null", [2]),
        ("weight is not null and not (subject = 1)", [3]),
        ("subject between 2 and 3", [2, 3]),
        ([{"subject": 1}, "species = 'rat'"], [1, 3]),
        ([{"subject": 1}, {"subject": 2}], [1, 2]),
        ([{"subject": 1, "name": "Ada"}, {"subject": 2, "name": "x"}], [1]),
        ([], []),
        (None, []),
        (True, [1, 2, 3]),
        (False, []),
        (dj.AndList(["subject > 1", "subject < 3"]), [2]),
        (dj.AndList(), [1, 2, 3]),
        (dj.Not({"subject": 1}), [2, 3]),
        (dj.Not("weight > 25"), [1, 2]),
        (dj.Not([]), [1, 2, 3]),
        (({"subject": 1}, "subject = 2"), [1, 2]),
        (np.array([(3,)], dtype=[("subject", "i4")])[0], [3]),
        (np.array([(3,), (1,)], dtype=[("subject", "i4")]), [1, 3]),
    ],
)
def test_conditions_of_every_form(lab, condition, expected):
    assert keys(lab.tables["Subject"] & condition) == [(i,) for i in expected]


def test_a_complement_holds_the_rows_whose_condition_is_unknown(lab):
    subject = lab.tables["Subject"]

    assert keys(subject - "weight > 25") == [(1,), (2,)]
    assert keys(subject - {"weight": 20.5}) == [(2,), (3,)]
    assert keys(subject - "weight is null") == [(1,), (3,)]
    assert keys(subject - ["weight > 25", {"subject": 1}]) == [(2,)]


def test_queries_restrict_each_other(lab):
    subject, session, task = (lab.tables[n] for n in ("Subject", "Session", "Task"))

    assert keys(subject & session) == [(1,), (2,)]
    assert keys(subject - session) == [(3,)]
    assert keys(session & (subject & "weight > 20")) == [(1, 1), (1, 2)]
    assert keys(session - (subject & {"subject": 1})) == [(2, 1)]
    assert keys(session & task) == [(1, 1), (1, 2)]
    assert keys(session - task) == [(2, 1)]
    assert keys(task - session) == []
    assert keys(subject & (session & "duration > 100")) == []
    assert keys(task & subject) == [("rest",), ("run",)]
    assert keys(task - subject) == []
    assert keys(task & (subject & {"subject": 99})) == []
    assert keys(subject & [session & "session = 2", {"subject": 3}]) == [(1,), (3,)]


def test_a_generator_of_conditions_is_a_list(lab):
    assert keys(lab.tables["Subject"] & ({"subject": i} for i in (1, 2))) == [(1,), (2,)]


def test_thousands_of_keys_restrict_at_once(lab):
    session = lab.tables["Session"]
    wanted = [{"subject": i, "session": i % 3 + 1} for i in range(1, 15_000)]

    assert keys(session & wanted) == [(1, 2)]
    assert keys(session - wanted) == [(1, 1), (2, 1)]


def test_thousands_of_conditions_restrict_at_once(lab):
    wanted = [f"subject = {i}" for i in range(3, 3_000)]

    assert keys(lab.tables["Subject"] & wanted) == [(3,)]


# --- combination -------------------------------------------------------------------------------


def test_a_join_pairs_rows_by_shared_attributes(lab):
    subject, session, task = (lab.tables[n] for n in ("Subject", "Session", "Task"))

    joined = session * subject

    assert joined.primary_key == ["subject", "session"]
    assert keys(joined, "subject", "session", "name") == [
        (1, 1, "Ada"),
        (1, 2, "Ada"),
        (2, 1, "Bob"),
    ]
    assert len(session * task) == 2
    assert len(subject * task) == 6
    assert keys((session * task) & "level > 0", "task") == [("run",)]


def test_a_left_join_keeps_lonely_rows(lab):
    session, task = lab.tables["Session"], lab.tables["Task"]

    joined = session.join(task, left=True)

    assert keys(joined & {"level": None}) == [(2, 1)]
    assert len(joined) == 3
    assert len(session.join(task & "level > 1", left=True)) == 3
    with pytest.raises(QueryError, match="left join"):
        lab.tables["Subject"].join(session, left=True)


def test_a_table_joins_itself_under_other_names(lab):
    subject = lab.tables["Subject"]

    pairs = subject * subject.proj(other="subject", other_name="name") & "subject < other"

    assert keys(pairs, "name", "other_name") == [("Ada", "Bob"), ("Ada", "Cleo"), ("Bob", "Cleo")]


def test_namesakes_without_common_origin_are_not_joined(lab):
    @lab
    class Person(dj.Manual):
        definition = """
        person : int32
        ---
        name : varchar(30)
        """

    with pytest.raises(QueryError, match=r'cannot join on "name".*proj\('):
        lab.tables["Subject"] * Person
    with pytest.raises(QueryError, match='cannot restrict on "name"'):
        lab.tables["Subject"] & Person
    assert len(lab.tables["Subject"] * Person.proj()) == 0


def test_projections(lab):
    subject = lab.tables["Subject"] & "subject < 3"

    assert subject.proj().to_dicts(order_by="KEY") == [{"subject": 1}, {"subject": 2}]
    assert (subject & "subject=1").proj(..., "-name", "-species").fetch1() == {
        "subject": 1,
        "weight": 20.5,
    }
    assert (subject & "subject=1").proj(called="name", id="subject").fetch1() == {
        "id": 1,
        "called": "Ada",
    }
    assert (subject & "subject=1").proj(copy="(name)", original="name").fetch1() == {
        "subject": 1,
        "original": "Ada",
        "copy": "Ada",
    }
    assert (subject & "subject=1").proj(double="weight * 2").fetch1("double") == 41.0
    assert keys(subject.proj(kg="weight / 1000") & "kg > 0.01") == [(1,)]
    assert keys(subject.proj(kg="weight / 1000").proj(t="kg / 1000") & "t is null") == [(2,)]


def test_a_copy_of_a_key_attribute_is_not_a_second_key(lab):
    subject = lab.tables["Subject"]

    shown = subject.proj("name", again="(subject)")

    assert shown.primary_key == ["subject"]
    assert (shown & "subject = 1").fetch1("again") == 1


def test_aggregation(lab):
    subject, session = lab.tables["Subject"], lab.tables["Session"]

    counts = subject.aggr(
        session, "name", n="count(*)", total="sum(duration)", longest="max(duration)"
    )

    assert counts.to_dicts(order_by="KEY") == [
        {"subject": 1, "name": "Ada", "n": 2, "total": 30.0, "longest": 20.0},
        {"subject": 2, "name": "Bob", "n": 1, "total": 5.5, "longest": 5.5},
        {"subject": 3, "name": "Cleo", "n": 0, "total": None, "longest": None},
    ]
    assert keys(counts & "n > 1") == [(1,)]
    assert keys(counts & "n = 0") == [(3,)]
    assert keys(counts - "n > 1") == [(2,), (3,)]
    assert keys(counts & "name = 'Bob'") == [(2,)]
    assert keys(counts & "n < 2 and name like '%o%'") == [(2,), (3,)]
    assert bool(counts & "name = 'Bob'")
    assert (counts & "name = 'Bob'").keys() == [{"subject": 2}]
    assert (counts & "name = 'Bob' and n = 1").fetch1("n") == 1
    assert (counts & "name = 'Bob' and n = 1").keys() == [{"subject": 2}]
    assert len(counts & "name = 'Bob'") == 1
    assert {"subject": 3, "n": 0} in counts


def test_aggregation_of_matching_rows_only(lab):
    subject, session = lab.tables["Subject"], lab.tables["Session"]

    counts = subject.aggr(session & "duration > 7", n="count(*)", exclude_nonmatching=True)

    assert keys(counts, "subject", "n") == [(1, 2)]
    assert keys(subject.aggr(session & "duration > 7", n="count(*)"), "subject", "n") == [
        (1, 2),
        (2, 0),
        (3, 0),
    ]


def test_aggregates_are_restricted_joined_and_aggregated_again(lab):
    subject, session = lab.tables["Subject"], lab.tables["Session"]
    counts = subject.aggr(session, n="count(*)")

    assert keys(counts * subject.proj("name"), "name", "n") == [("Ada", 2), ("Bob", 1), ("Cleo", 0)]
    assert keys(session & (counts & "n > 1")) == [(1, 1), (1, 2)]
    assert keys(subject - (counts & "n > 0")) == [(3,)]
    assert keys(counts & session) == [(1,), (2,)]
    assert keys(counts - session) == [(3,)]
    assert keys(counts.proj(m="n * 10") & "m >= 10", "subject", "m") == [(1, 20), (2, 10)]
    assert keys(subject.aggr(counts * session, top="max(n)"), "subject", "top") == [
        (1, 2),
        (2, 1),
        (3, None),
    ]


def test_numbers_of_aggregates_are_the_same_on_every_database(lab):
    subject, session = lab.tables["Subject"], lab.tables["Session"]

    row = (
        subject.aggr(
            session,
            n="count(*)",
            named="count(task)",
            kinds="count(distinct task)",
            total="sum(session)",
            mean="avg(session)",
            span="max(session) - min(session)",
            ratio="sum(session) / count(*)",
        )
        & {"subject": 1}
    ).fetch1()

    assert row == {
        "subject": 1,
        "n": 2,
        "named": 2,
        "kinds": 2,
        "total": 3,
        "mean": 1.5,
        "span": 1,
        "ratio": 1.5,
    }
    assert [type(v) for v in row.values()] == [int, int, int, int, int, float, int, float]


# --- asking ------------------------------------------------------------------------------------


def test_membership_counts_and_truth(lab):
    subject = lab.tables["Subject"]

    assert {"subject": 1} in subject
    assert {"subject": 9} not in subject
    assert len(subject) == 3
    assert subject & "subject = 1"
    assert not (subject & "subject = 9")


def test_fetch1_gives_a_row_a_value_or_values(lab):
    ada = lab.tables["Subject"] & {"subject": 1}

    assert ada.fetch1()["name"] == "Ada"
    assert ada.fetch1("name") == "Ada"
    assert ada.fetch1("KEY") == {"subject": 1}
    assert ada.fetch1("KEY", "weight") == ({"subject": 1}, 20.5)


def test_fetch1_needs_exactly_one_row(lab):
    subject = lab.tables["Subject"]

    with pytest.raises(QueryError, match=f"{lab.name}.Subject has 3 rows"):
        subject.fetch1()
    with pytest.raises(QueryError, match="no row"):
        (subject & "subject > 5").fetch1("name")
    with pytest.raises(QueryError, match='Did you mean "weight"'):
        (subject & "subject = 1").fetch1("wieght")


def test_fetch_has_the_shapes_of_datajoint(lab):
    subject = lab.tables["Subject"]

    names = subject.fetch("name", order_by="name DESC")
    ids, species = subject.fetch("subject", "species", order_by="KEY")
    table = subject.fetch(order_by="subject", limit=2, offset=1)

    assert list(names) == ["Cleo", "Bob", "Ada"]
    assert ids.tolist() == [1, 2, 3]
    assert ids.dtype == np.dtype("int64")
    assert list(species) == ["mouse", "mouse", "rat"]
    assert subject.fetch("KEY", order_by="KEY") == [{"subject": i} for i in (1, 2, 3)]
    assert list(table["name"]) == ["Bob", "Cleo"]
    assert subject.fetch("name", as_dict=True, order_by="KEY", limit=1) == [{"name": "Ada"}]


def test_order_limit_and_offset(lab):
    session = lab.tables["Session"]

    assert [r["duration"] for r in session.to_dicts(order_by="duration DESC")] == [20.0, 10.0, 5.5]
    assert session.keys(order_by=["subject DESC", "session"], limit=2) == [
        {"subject": 2, "session": 1},
        {"subject": 1, "session": 1},
    ]
    assert session.keys(order_by="KEY DESC", offset=2) == [{"subject": 1, "session": 1}]
    assert session.to_dicts(limit=0) == []


def test_iteration_streams_while_the_body_writes(lab):
    session = lab.tables["Session"]
    lab.tables["Session"].insert((3, i, None, 1.0) for i in range(2_500))

    @lab
    class Seen(dj.Manual):
        definition = """
        subject : int32
        session : int16
        """

    n_rows = 0
    for row in session & {"subject": 3}:
        n_rows += 1
        if row["session"] % 500 == 0:
            Seen.insert1({"subject": 3, "session": row["session"]})
            assert len(Seen) > 0

    assert n_rows == 2_500
    assert len(Seen) == 5


def test_iteration_holds_few_rows(schema):
    @schema
    class Long(dj.Manual):
        definition = """
        long : int32
        ---
        filling : varchar(1000)
        """

    Long.insert((i, "x" * 1000) for i in range(20_000))
    tracemalloc.start()

    n_rows = sum(1 for _ in Long)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert n_rows == 20_000
    assert peak < 8e6


def test_a_loop_that_ends_early_leaves_no_connection(lab):
    for row in lab.tables["Session"]:
        assert row
        break


def test_loops_one_after_another_share_a_connection(lab, connection, monkeypatch):
    subject = lab.tables["Subject"]
    opened = []
    connect = connection.database._connect
    monkeypatch.setattr(
        connection.database, "_connect", lambda **how: opened.append(how) or connect(**how)
    )

    for _ in range(10):
        assert len(list(subject)) == 3
    pairs = [(one["subject"], other["subject"]) for one in subject for other in subject]

    assert len(pairs) == 9
    assert len(opened) == 2


def test_a_query_shows_its_first_rows(lab):
    shown = repr(lab.tables["Subject"]())

    assert shown.splitlines()[0].split() == ["*subject", "name", "weight", "species"]
    assert "Ada" in shown
    assert shown.endswith("(3 rows)")


# --- blobs -------------------------------------------------------------------------------------


def test_values_of_any_kind_are_kept_in_rows_and_stores(schema):
    @schema
    class Trace(dj.Manual):
        definition = """
        trace : int32
        ---
        here = null : <blob>
        there = null : <blob@raw>
        """

    value = {"x": np.arange(6.0).reshape(2, 3), "t": (1, "a", None)}

    Trace.insert([(1, value, value), {"trace": 2}])

    for found in (Trace & {"trace": 1}).fetch1("here", "there"):
        assert np.array_equal(found["x"], value["x"])
        assert found["t"] == (1, "a", None)
    assert (Trace & {"trace": 2}).fetch1("here", "there") == (None, None)
    assert (Trace & "there is null").keys() == [{"trace": 2}]


def test_dates_and_decimals_are_aggregated_and_restricted(schema):
    @schema
    class Payment(dj.Manual):
        definition = """
        payment : int32
        ---
        day : date
        amount : decimal(8,2)
        """

    Payment.insert([(1, "2024-02-29", "10.10"), (2, dt.date(2023, 1, 1), Decimal("0.05"))])

    assert keys(Payment & "day > '2023-06-30'") == [(1,)]
    assert keys(Payment & "amount = 10.1") == [(1,)]
    assert keys(Payment & {"amount": 10.1}) == [(1,)]
    assert keys(Payment & "amount < 1") == [(2,)]


def test_a_table_tells_about_itself(schema):
    @schema
    class Session(dj.Lookup):
        definition = """
        session : int32
        ---
        note = "" : varchar(20)
        """

        class Trial(dj.Part):
            definition = """
            -> master
            trial : int32
            """

    assert Session.table_name == "#session"
    assert Session.Trial.table_name == "#session__trial"
    assert Session.Trial.master is Session
    assert Session.heading.secondary_attributes == ["note"]
    assert Session.is_declared
    Session.drop(prompt=False)
    assert not Session.is_declared

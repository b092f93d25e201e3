"""Operators on every database: what comes out, and what it is known by."""

from __future__ import annotations

import functools
import operator

import numpy as np
import pandas as pd
import polars as pl
import pytest

import djq as dj
from djq.errors import DatabaseError, DefinitionError, QueryError

SUBJECTS = [(1, "Ada", 20), (2, "Bob", None), (3, "Cleo", 20)]
SESSIONS = [(1, 1, "A", 30), (1, 2, "B", 40), (3, 1, "A", None)]


@pytest.fixture
def lab(schema):
    """Return subjects, and sessions of some of them."""

    @schema
    class Subject(dj.Manual):
        definition = """
        subject : int16
        ---
        name : varchar(16)
        weight = null : int32
        """

    @schema
    class Session(dj.Manual):
        definition = """
        -> Subject
        session : int16
        ---
        rig : enum('B', 'A')
        minutes = null : int32
        """

    Subject.insert(SUBJECTS)
    Session.insert(SESSIONS)
    return Subject, Session


def rows(query, *names):
    """Return the rows as tuples, in order of their values; checks that all counts agree."""
    names = names or query.heading.names
    found = [tuple(row[n] for n in names) for row in query.to_dicts()]
    assert len(query) == len(found)
    assert bool(query) == bool(found)
    assert len({tuple(row[n] for n in query.primary_key) for row in query}) == len(found)
    return sorted(found, key=repr)


def test_distinct_values_are_the_key_of_a_query(lab):
    _, session = lab
    rigs = dj.U("rig") & session
    assert rows(rigs) == [("A",), ("B",)]
    assert rigs.primary_key == ["rig"]
    assert rows(dj.U("weight") & lab[0]) == [(20,), (None,)]
    assert rows(dj.U("subject", "session") & (session & {"rig": "A"})) == [(1, 1), (3, 1)]
    assert rows(dj.U() & session) == [()]
    assert rows(dj.U() & (session & "minutes > 99")) == []


def test_values_are_computed_over_each_distinct_value(lab):
    _, session = lab
    by_rig = dj.U("rig").aggr(session, n="count(*)", total="sum(minutes)")
    assert by_rig.primary_key == ["rig"]
    assert rows(by_rig) == [("A", 2, 30), ("B", 1, 40)]
    assert rows(by_rig & "n > 1") == [("A", 2, 30)]
    assert rows(by_rig & "n > 1 or rig = 'B'") == [("A", 2, 30), ("B", 1, 40)]
    joined = session.join(by_rig, semantic_check=False)
    assert rows(joined, "subject", "n") == [(1, 1), (1, 2), (3, 2)]


def test_values_are_computed_over_everything_in_one_row_without_a_key(lab):
    _, session = lab
    total = dj.U().aggr(session, n="count(*)", most="max(minutes)")
    assert total.primary_key == []
    assert rows(total) == [(3, 40)]
    none = dj.U().aggr(session & "minutes > 99", n="count(*)", most="max(minutes)")
    assert rows(none) == [(0, None)]
    assert rows(none & "n > 0") == []
    assert rows(none & "1 = 0") == []


def test_attributes_are_promoted_into_the_key(lab):
    subject, _ = lab
    by_name = dj.U("name") * subject
    assert by_name.primary_key == ["subject", "name"]
    assert rows(by_name) == rows(subject, "subject", "name", "weight")


def test_all_values_of_an_attribute_restrict_nothing(lab):
    subject, _ = lab
    assert rows(subject & dj.U("name")) == rows(subject)


def test_a_union_has_each_row_of_both_sides_once(lab):
    subject, session = lab
    light = (subject & "weight < 30").proj()
    assert rows(light + subject.proj()) == [(1,), (2,), (3,)]
    assert rows(light + (subject & session).proj()) == [(1,), (3,)]
    assert rows((light + subject.proj()) & dj.Top(2, "KEY DESC")) == [(2,), (3,)]
    assert (light + subject.proj()).to_dicts(order_by="KEY", limit=1) == [{"subject": 1}]


def test_a_union_has_the_attributes_of_both_sides(lab):
    subject, _ = lab
    both = (subject & "subject < 3").proj("name") + (subject & "subject > 1").proj("weight")
    assert both.primary_key == ["subject"]
    assert rows(both) == [(1, "Ada", None), (2, "Bob", None), (3, None, 20)]
    assert rows(both & {"weight": None}) == [(1, "Ada", None), (2, "Bob", None)]


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        (dj.Top(), [1]),
        (dj.Top(2, "weight DESC, name DESC"), [3, 1]),
        (dj.Top(None, "name DESC"), [3, 2, 1]),
        (dj.Top(2, "KEY", 1), [2, 3]),
        (dj.Top(0), []),
        (dj.Top(5, ["name"], offset=2), [3]),
    ],
)
def test_a_top_is_the_first_rows_in_an_order(lab, top, expected):
    subject, _ = lab
    query = subject & top
    assert [row["subject"] for row in query.to_dicts()] == expected
    assert len(query) == len(expected)
    assert bool(query) == bool(expected)


def test_an_order_and_its_limit_stay_through_operators(lab):
    subject, session = lab
    top = subject & dj.Top(2, "name DESC")
    assert [r["name"] for r in top.proj("name")] == ["Cleo", "Bob"]
    assert [key["subject"] for key in top.keys(limit=9)] == [3, 2]
    assert rows(top & "weight = 20", "subject") == [(3,)]
    assert rows(top * session, "subject", "session") == [(3, 1)]
    assert [r["subject"] for r in top.proj(n="name").to_dicts(limit=1)] == [3]
    assert [r["subject"] for r in (top & dj.Top(2, None, offset=1))] == [2]
    assert [r["subject"] for r in (top & dj.Top(1, "KEY"))] == [2]
    assert rows(session & top, "subject") == [(3,)]
    assert rows(subject - top.proj(), "subject") == [(1,)]
    assert rows(subject.aggr(session & dj.Top(1, "KEY"), n="count(*)"), "n") == [(0,), (0,), (1,)]


def test_conditions_and_tops_follow_each_other_in_a_list(lab):
    subject, _ = lab
    first = subject & dj.AndList(["weight = 20", dj.Top(1, "KEY DESC")])
    assert rows(first, "subject") == [(3,)]
    then = subject & dj.AndList([dj.Top(1, "KEY"), "weight is null"])
    assert rows(then) == []


def test_an_extension_keeps_rows_without_a_match(lab):
    subject, session = lab
    last = subject.aggr(session, last="max(session)", exclude_nonmatching=True)
    extended = subject.proj().extend(last)
    assert extended.primary_key == ["subject"]
    assert rows(extended) == [(1, 2), (2, None), (3, 1)]


def test_attributes_of_different_origin_are_matched_on_demand(lab):
    subject, session = lab
    other = subject.proj(session="weight")
    with pytest.raises(dj.DjqError, match='cannot join on "session"'):
        session * other
    assert rows(session.join(other, semantic_check=False)) == []
    same = subject.proj(session="subject")
    assert rows(session.restrict(same.proj(), semantic_check=False), "subject") == [
        (1,),
        (1,),
        (3,),
    ]


@pytest.mark.parametrize(
    "make",
    [
        lambda: pd.DataFrame({"subject": [1, 2]}),
        lambda: pd.DataFrame({"x": [1, 2]}, index=pd.Index([1, 2], name="subject")),
        lambda: pl.DataFrame({"subject": [1, 2]}),
        lambda: pl.DataFrame({"subject": [1, 2]}).to_arrow(),
        lambda: np.array([(1, 0), (2, 0)], dtype=[("subject", "i4"), ("x", "i4")]),
        lambda: ({"subject": n} for n in (1, 2)),
        lambda: [{"subject": 1}, {"subject": 2}],
        lambda: ["subject = 1", {"name": "Bob"}],
    ],
)
def test_rows_of_any_frame_restrict(lab, make):
    subject, _ = lab
    assert rows(subject & make(), "subject") == [(1,), (2,)]
    assert rows(subject - make(), "subject") == [(3,)]


def test_missing_values_of_a_frame_are_null(lab):
    subject, _ = lab
    assert rows(subject & pd.DataFrame({"weight": [np.nan]}), "subject") == [(2,)]
    assert rows(subject & pd.DataFrame({"subject": []})) == []


def test_times_and_nulls_of_frames_restrict_as_they_were_fetched(schema):
    @schema
    class Stay(dj.Manual):
        definition = """
        since : datetime(3)
        place : int16
        ---
        until = null : datetime(3)
        weight = null : float64
        """

    Stay.insert([("2024-01-01 10:00:00.125", 1, None, None), ("2024-01-02", 2, "2024-01-03", 1.5)])
    for frame in (Stay.to_pandas(), Stay.to_polars(), Stay.to_arrow(), Stay.to_arrays()):
        assert rows(Stay & frame, "place") == [(1,), (2,)]
        assert rows(Stay - frame) == []
    assert rows(Stay & [{"since": pd.Timestamp("2024-01-02")}], "place") == [(2,)]


def test_bits_and_pairs_of_no_rows_are_counted_alike(lab):
    subject, _ = lab
    total = dj.U().aggr(
        subject & "subject > 99",
        pairs="count(distinct name, weight)",
        every="bit_and(subject)",
        some="bit_or(subject)",
    )
    assert rows(total) == [(0, -1, 0)]
    assert rows(total & "pairs = 0 and some = 0") == [(0, -1, 0)]


def test_nothing_is_like_null(lab):
    assert rows(lab[0] & "name like null") == []
    assert len(rows(lab[0] - "name like null")) == 3


def test_complements_of_complements(lab):
    subject, session = lab
    assert rows(subject & -session, "subject") == [(2,)]
    assert rows(subject - -session, "subject") == [(1,), (3,)]
    assert rows(subject - dj.Not("weight > 1"), "subject") == [(1,), (3,)]
    assert rows(subject & dj.Not(dj.Not({"weight": 20})), "subject") == [(1,), (3,)]


def test_classes_and_instances_are_the_same(lab):
    subject, session = lab
    for a in (subject, subject()):
        for b in (session, session()):
            assert rows(a & b) == rows(subject & session)
            assert rows(a * b) == rows(subject * session)
            assert rows(a - b) == rows(subject - session)
            assert rows(dj.U("subject") & b) == [(1,), (3,)]


def test_older_words_for_aggregation(lab):
    subject, session = lab
    query = subject.aggr(session, n="count(*)", keep_all_rows=False)
    assert rows(query) == [(1, 2), (3, 1)]


def test_functions_of_the_settings_may_be_called(settings, schema_name):
    name = "unicode" if settings.resolved_database_url.startswith("sqlite") else "ord"
    with dj.Connection(settings.model_copy(update={"functions": (name,)})) as connection:
        schema = dj.Schema(schema_name, connection=connection)

        @schema
        class Word(dj.Manual):
            definition = "word : varchar(8)"

        Word.insert([("a",), ("b",)])
        text = f"{name}(word) = 98"
        assert rows(Word & text) == [("b",)]
        assert rows(Word.proj(code=f"{name}(word)")) == [("a", 97), ("b", 98)]
        assert rows(dj.U().aggr(Word, last=f"max({name}(word))")) == [(98,)]


def test_functions_of_the_settings_may_be_indexed(settings, schema_name):
    is_sqlite = settings.resolved_database_url.startswith("sqlite")
    name = "unicode" if is_sqlite else "crc32"
    with dj.Connection(settings.model_copy(update={"functions": (name,)})) as connection:
        schema = dj.Schema(schema_name, connection=connection)

        class Word(dj.Manual):
            definition = f"""
            word : varchar(8)
            ---
            index(({name}(word)))
            """

        if connection.database.dialect.backend == "mariadb":
            with pytest.raises(DefinitionError, match="MariaDB has no index of"):
                schema(Word)
            return
        schema(Word)
        Word.insert([("a",), ("b",)])
        assert len(Word & f"{name}(word) = {98 if is_sqlite else 1908338681}") == 1

    with (
        dj.Connection(settings) as plain,
        pytest.raises(DefinitionError, match=f"the function {name} is not on the list"),
    ):
        dj.Schema(f"{schema_name}_plain", connection=plain)(type("Word2", (Word,), {}))


def test_thousands_of_restrictions_follow_each_other(lab):
    query = lab[0]
    for number in range(1_200):
        query = query & f"subject <> {number + 10}"
    assert len(query) == 3


# --- large queries -----------------------------------------------------------------------------


@pytest.fixture
def parts(schema):
    """Nine tables of one key, each with an attribute of its own."""

    @schema
    class Base(dj.Manual):
        definition = "base : int32"

    Base.insert([i] for i in range(20))
    found = []
    for i in range(9):
        body = {"definition": f"-> Base\n---\nx{i} : int32"}
        part = schema(type(f"Part{'ABCDEFGHI'[i]}", (dj.Manual,), body))
        part.insert((n, n * i) for n in range(i, i + 6))
        found.append(part)
    return Base, found


def test_unions_of_unions_do_not_double(parts):
    base, tables = parts
    united = functools.reduce(operator.add, tables)

    expected = [
        {"base": n} | {f"x{i}": n * i if i <= n < i + 6 else None for i in range(9)}
        for n in range(14)
    ]
    assert united.to_dicts(order_by="KEY") == expected
    backwards = functools.reduce(lambda found, table: table + found, tables)
    assert len(backwards & "x8 > 64") == len(united & "x8 > 64") == 5
    assert len(base - united) == 6
    assert len(united * base) == len(united) == 14
    five = functools.reduce(operator.add, tables[:5])
    assert len(united.make_sql()) < 4 * len(five.make_sql())  # by the square, as joins do


def test_what_unions_find_is_deleted(parts):
    base, tables = parts
    united = functools.reduce(operator.add, tables[1:])
    assert (tables[0] & (united & "base > 3")).delete(prompt=False) == 2
    assert len(tables[0]) == 4
    assert len(base) == 20


def test_computed_attributes_of_computed_ones_grow_with_their_number(parts):
    base, _ = parts
    query = base.proj(x0="base + 0")
    for i in range(20):
        query = query.proj(**{f"x{i + 1}": f"if(x{i} > 1, x{i}, x{i} + 1)"})

    assert len(query.make_sql()) < 20_000
    assert query.head(3) == [{"base": n, "x20": 2} for n in range(3)]
    assert len(query & "x20 > 2") == 17
    assert (base * query & {"base": 7}).fetch1("x20") == 7
    assert dj.U().aggr(query, n="max(x20)").fetch1("n") == 19


def test_a_limit_of_no_rows_stays_under_computed_attributes(parts):
    base, _ = parts
    query = base.proj(x0="base + 0") & dj.Top(0)
    for i in range(9):
        query = query.proj(**{f"x{i + 1}": f"if(x{i} > 1, x{i}, x{i} + 1)"})

    assert query.to_dicts() == []
    assert len(query) == 0
    assert not query


def test_a_delete_by_computed_attributes_of_computed_ones_does_not_double(parts):
    base, tables = parts
    query = base.proj(x0="base + 0")
    for i in range(12):
        query = query.proj(**{f"x{i + 1}": f"if(x{i} > 1, x{i}, x{i} + 1)"})

    assert (tables[0] & (query & "x12 > 3").proj()).delete(prompt=False) == 2


@pytest.mark.parametrize(
    "more",
    [
        lambda q, i: q & q.proj(),
        lambda q, i: q.aggr(q, **{f"x{i}": "count(*)"}),
        lambda q, i: (q.proj() + q.proj()) & q.proj(),
    ],
)
def test_a_query_that_doubles_with_each_step_is_refused_in_time(parts, more):
    query = parts[0]()
    for i in range(30):
        query = more(query, i)

    with pytest.raises(QueryError, match=r"reads more than 400 tables.*or as a list of keys"):
        len(query)


def test_a_query_that_is_too_deep_says_what_to_do(parts):
    base, _ = parts
    query = base()
    for _ in range(400):
        query = base & query.proj()

    with pytest.raises(QueryError, match=r"nested too deeply.*or as a list of keys"):
        len(query)

    condition = {"base": 1}
    for _ in range(2_000):
        condition = [condition]
    with pytest.raises(QueryError, match="nested too deeply"):
        base & condition


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_query_that_sqlite_cannot_read_says_what_to_do(parts):
    base, _ = parts
    query = base()
    for _ in range(60):
        query = base & query.proj()

    with pytest.raises(DatabaseError, match=r"more than SQLite can read at once .*A & B.keys"):
        len(query)


# --- names and numbers -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["", "a b", "a\0b", "a,b", "a.b", "1a", "\ud800", "x" * 65, "KEY", "True", "\U0001d4b3"]
)
def test_a_computed_attribute_has_a_name(lab, name):
    with pytest.raises(QueryError, match="cannot call an attribute"):
        lab[0].proj(**{name: "1"})
    with pytest.raises(QueryError, match="cannot call an attribute"):
        lab[0].aggr(lab[1], **{name: "count(*)"})


WORDS = ["returning", "nothing", "window", "library", "tablesample", "qualify", "order"]


@pytest.mark.parametrize("name", [*WORDS, "_utf8", "_binary", "_x", "größe"])
def test_words_of_a_database_are_names(lab, name):
    query = lab[0].proj(**{name: "subject * 10"})

    assert (query & dj.Top(10, "KEY") & {name: 20}).to_dicts() == [{"subject": 2, name: 20}]
    assert rows(query * (lab[0] & "subject < 3").proj(), name) == [(10,), (20,)]
    assert len(dj.U(name).aggr(query, n="count(*)")) == 3


def test_words_of_a_database_are_attributes(schema):
    @schema
    class Word(dj.Manual):
        definition = "library : int32\n---\n" + "\n".join(
            f"{w} : int32" for w in WORDS if w != "library"
        )

    Word.insert1([1] * len(WORDS))
    Word.update1({"library": 1, "returning": 5})
    assert (Word & "`nothing` = 1 and `returning` = 5").fetch1("window") == 1
    assert (Word & {"library": 1}).delete(prompt=False) == 1


def test_names_that_differ_by_case_only_are_refused(lab):
    subject = lab[0]
    name = subject.heading.secondary[0]
    other = name.upper()

    with pytest.raises(QueryError, match=f'both "{name}" and "{other}"'):
        subject.proj(name, **{other: "1"})
    with pytest.raises(QueryError, match="databases do not tell apart"):
        subject.proj(x="1") + subject.proj(X="2")
    with pytest.raises(QueryError, match="databases do not tell apart"):
        subject.proj(x="1") * subject.proj(X="2")


def test_attributes_that_only_share_their_name_say_how_to_join(lab):
    subject = lab[0]
    with pytest.raises(QueryError, match=r"Write B\.proj\(\) for the right side"):
        subject - (subject & "weight > 10")

    assert len(subject - (subject & "weight > 10").proj()) == 1


@pytest.mark.parametrize("one", [np.int64(1), np.uint8(1), True + 0])
def test_numbers_of_numpy_limit(lab, one):
    assert len(lab[0] & dj.Top(one)) == 1
    assert len(lab[0] & dj.Top(None, offset=one)) == len(lab[0]) - 1


def test_columns_of_numpy_and_pandas_are_lists_of_values(lab):
    subject = lab[0]
    (key,) = subject.primary_key
    values = np.array([row[key] for row in subject.keys(order_by="KEY")[:2]])

    assert len(subject & {key: values}) == 2
    assert len(subject & {key: pd.Series(values)}) == 2
    assert len(subject & [{key: values}]) == 2
    assert len(subject & {key: values[:0]}) == 0
    frame = subject.to_pandas().reset_index()
    assert len(subject & frame[[key]].iloc[0]) == 1
    with pytest.raises(QueryError, match="a Series restricts as a row"):
        subject & pd.Series(values)

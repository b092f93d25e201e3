"""Queries seek in indexes: the plans that the databases make, and the rows that they read."""

from __future__ import annotations

import re

import pytest

import djq as dj
from djq.algebra import ordering
from djq.sql.addresses import SEARCH_DEPTH
from djq.tables.query import Query

N_SUBJECTS, N_SESSIONS = 60, 50
N_ROWS = N_SUBJECTS * N_SESSIONS
#: Where the work begins: everything before is made, so that pages of what is due lie behind it.
N_MADE = N_ROWS - 200
#: What SQLite says of a table; the rest is about lists and subqueries.
TABLE_STEP = re.compile(r"(SEARCH|SCAN) (?!\d+ CONSTANT ROW|\(subquery)|.*(TEMP B-TREE|AUTOMATIC)")
SEEKS = {"system", "const", "eq_ref", "ref", "range"}


@pytest.fixture
def lab(schema):
    @schema
    class Subject(dj.Manual):
        definition = """
        subject : int32
        ---
        born : date
        """

    @schema
    class Session(dj.Manual):
        definition = """
        -> Subject
        session : int32
        ---
        gain : float64
        """

    @schema
    class Recording(dj.Manual):
        definition = """
        -> Session
        ---
        rate : float64
        """

    keys = [(s, n) for s in range(N_SUBJECTS) for n in range(N_SESSIONS)]
    Subject.insert([(s, "2024-01-02") for s in range(N_SUBJECTS)])
    Session.insert([(*key, 1.0) for key in keys])
    Recording.insert([(*key, 1.0) for key in keys[:N_MADE]])
    analyze(Subject, Session, Recording)
    return Subject, Session, Recording


def analyze(*tables):
    """Let the server count rows now, not some seconds later."""
    for cls in tables:
        if not cls.connection.database.dialect.is_sqlite:
            cls.connection.query(f"ANALYZE TABLE {cls.full_table_name}").fetchall()


def statement(query):
    """Return a query's SQL and the driver's values."""
    prepared, values = query.connection.database.statements.ask("select", query.node)
    return prepared.text, prepared.bind(values)


def steps(query):
    """Return what the database does, table by table: how it looks there, and by which index."""
    text, values = statement(query)
    if query.connection.database.dialect.is_sqlite:
        rows = query.connection.query(f"EXPLAIN QUERY PLAN {text}", values).fetchall()
        return [row[3] for row in rows if TABLE_STEP.match(row[3])]
    plan = query.connection.query(
        f"EXPLAIN FORMAT=TRADITIONAL {text}", values, as_dict=True
    ).fetchall()
    return [(row["type"], row["key"]) for row in plan if row["table"]]


def assert_seeks(query, *, by_key=True):
    """Check that each table is looked up in an index; `by_key`: in that of its primary key."""
    for step in steps(query):
        if isinstance(step, str):
            assert step.startswith("SEARCH"), step
        else:
            assert step[0] in SEEKS, step
            assert not by_key or step[1] == "PRIMARY", step


def rows_read(query):
    """Return how many rows the server looked at to answer the query."""
    connection = query.connection
    with connection.transaction:  # one session for all
        before = handler_reads(connection)
        query.to_dicts()
        return handler_reads(connection) - before


def handler_reads(connection):
    status = connection.query("SHOW SESSION STATUS LIKE 'Handler_read%'").fetchall()
    return sum(int(value) for _, value in status)


def test_keys_are_looked_up_in_the_primary_key(lab):
    _, session, recording = lab

    assert_seeks(session & {"subject": 1, "session": 2})
    assert_seeks(session & {"subject": 1})
    assert_seeks(session & "subject = 1 and session between 2 and 5")
    assert_seeks(session & [{"subject": 1}, {"subject": 5}])
    assert_seeks(session & {"subject": 1} & "gain > 0.5" & {"session": 3})
    assert_seeks((session * recording) & {"subject": 1, "session": 2})


def test_lists_of_composite_keys_are_looked_up_in_the_primary_key(lab):
    _, session, _ = lab
    keys = [{"subject": i % N_SUBJECTS, "session": i % N_SESSIONS} for i in range(7)]

    assert len(session & keys) == len(keys)
    assert_seeks(session & keys)
    assert_seeks(session & [{"subject": 1, "session": n} for n in range(3)])


def test_the_inner_side_of_a_match_is_looked_up(lab):
    subject, session, recording = lab
    some = session & "subject between 10 and 12"

    for query in (
        some & recording,
        some - recording,
        some & (recording & "rate > 0.5"),
        some & (subject & "born > '2020-01-01'"),
        some - (subject & "born > '2025-01-01'"),
        (subject & {"subject": 5}) & session,
        (subject & {"subject": 5}) - session,
    ):
        found = steps(query)
        assert not any(is_scan(step) for step in found), found


def test_matching_all_rows_reads_each_a_few_times(lab):
    subject, session, recording = lab
    if session.connection.database.dialect.is_sqlite:
        for query in (session & recording, session - recording):
            assert not any(is_scan(step) for step in steps(query)[1:])
        return

    for query in (session & recording, session - recording, subject & session, subject - session):
        assert rows_read(query) < 5 * N_ROWS


def is_scan(step):
    """Tell whether a step goes through a whole table, or makes an index only to throw it away."""
    if isinstance(step, str):
        return step.startswith("SCAN") or "AUTOMATIC" in step
    return step[0] in {"ALL", "index"}


def test_a_page_of_what_is_due_reads_little_more_than_the_page(lab):
    _, session, recording = lab
    due = (session - recording).proj()
    last = {"subject": N_SUBJECTS - 3, "session": N_SESSIONS - 1}
    page = Query(ordering.order(ordering.after(due.node, last), "KEY", limit=20), due.connection)

    assert len(page.keys()) == 20
    if due.connection.database.dialect.is_sqlite:
        found = steps(page)
        assert not any(is_scan(step) for step in found), found
        assert not any("TEMP B-TREE" in step for step in found), found
    else:
        assert rows_read(page) < 200


def test_pages_of_an_antijoin_look_the_other_side_up(lab):
    """As users ask for them: the other table must not be read anew for each page."""
    subject, session, recording = lab
    due = session - recording
    is_sqlite = due.connection.database.dialect.is_sqlite

    for page in (
        due & dj.Top(20, "KEY"),
        due & dj.Top(20, "KEY", offset=40),
        due.proj() & dj.Top(20, "KEY DESC"),
        (due & f"subject >= {N_SUBJECTS - 4}") & dj.Top(20, "KEY", offset=20),
        due & (subject & "born > '2020-01-01'") & dj.Top(20, "KEY"),
    ):
        found = steps(page)
        assert len(page.to_dicts()) == 20
        other = found[1:]
        assert other
        assert not any(is_scan(step) for step in other), found
        assert not any("TEMP B-TREE" in step for step in found if isinstance(step, str)), found
        if not is_sqlite:
            assert rows_read(page) < 4 * N_ROWS

    first = due.to_dicts(order_by="KEY", limit=20)
    assert first == (due & dj.Top(20, "KEY")).to_dicts()
    assert due.keys(order_by="KEY", limit=20, offset=5)[:15] == [
        {n: row[n] for n in due.primary_key} for row in first[5:]
    ]
    if not is_sqlite:
        behind = due & f"subject >= {N_SUBJECTS - 3}" & dj.Top(20, "KEY")
        assert rows_read(behind) < 200


def test_a_key_of_a_query_of_many_tables_reads_some_rows(lab):
    subject, session, recording = lab
    query = (subject * session * recording) & {"subject": 5, "session": 7}

    assert_seeks(query)
    if not query.connection.database.dialect.is_sqlite:
        assert rows_read(query) < 20


def test_the_order_of_many_tables_is_found_at_once(lab):
    """Left to itself, MySQL compared orders of the tables of such queries for minutes."""
    subject, session, recording = lab
    if not session.connection.database.dialect.is_sqlite:
        depth = session.connection.query("SELECT @@optimizer_search_depth").fetchone()
        assert depth == (SEARCH_DEPTH,)
    some = session & {"subject": 1}
    query = some
    for _ in range(12):
        query = query & (session * subject & recording).proj()

    assert len(query) == len(some)


def test_groups_that_match_groups_lose_no_rows(schema):
    """MariaDB 10.11 found one row of ten with its `split_materialized`."""

    @schema
    class Day(dj.Manual):
        definition = """
        day : date
        ---
        is_open = null : bool
        """

    @schema
    class Kind(dj.Manual):
        definition = """
        kind : bool
        """

    @schema
    class Visit(dj.Manual):
        definition = """
        -> Day
        -> Kind
        visit : int32
        """

    days = ["1999-12-31", "2024-01-02", "2024-02-01"]
    Day.insert(zip(days, [None, True, True], strict=True))
    Kind.insert([(False,), (True,)])
    visits = [(0, 0, -1), (0, 1, 0), (0, 1, 2), (1, 0, -1), (1, 0, 2), (1, 0, 3)]
    visits += [(1, 1, -1), (1, 1, 0), (1, 1, 2), (2, 1, 2)]
    Visit.insert([(days[i], bool(kind), n) for i, kind, n in visits])
    analyze(Day, Kind, Visit)

    query = Visit.aggr(Visit, n="count(distinct kind)").extend(Day)

    assert len((query & query.proj()).to_dicts()) == len(visits)

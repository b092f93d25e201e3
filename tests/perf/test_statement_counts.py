"""How many statements each verb sends, counted by the server itself."""

from __future__ import annotations

import contextlib
import re

import pytest

import djq as dj
from djq.populate.chunks import make_chunk
from djq.populate.plan import due_keys

N_KEYS = 20


@pytest.fixture
def counted(connection):
    """Count the statements that a block sends: `with counted() as sent: …; len(sent)`."""
    database = connection.database
    database.connect()
    if database.dialect.is_sqlite:
        return lambda: _sqlite_statements(connection)
    with database.transaction():
        pass  # both of the thread's connections are open now
    return lambda: _server_statements(connection)


@contextlib.contextmanager
def _sqlite_statements(connection):
    sent: list[str] = []
    raw = connection.database._reader().raw
    raw.set_trace_callback(lambda text: None if text.startswith("--") else sent.append(text))
    try:
        yield sent
    finally:
        raw.set_trace_callback(None)


@contextlib.contextmanager
def _server_statements(connection):
    """Read the server's general log of this thread's two connections."""
    database = connection.database
    sent: list[str] = []
    sessions = [database._reader(), database._writer()]
    ids = [session.raw.thread_id() for session in sessions]
    observer = database._connect(commits=True)
    cursor = observer.raw.cursor()
    cursor.execute("SELECT @@general_log, @@log_output")
    (before,) = cursor.fetchall()
    cursor.execute("SET GLOBAL log_output = 'TABLE'")
    cursor.execute("SET GLOBAL general_log = 1")
    try:
        yield sent
        cursor.execute(
            "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log"
            " WHERE command_type IN ('Query', 'Execute') AND thread_id IN %s ORDER BY event_time",
            (ids,),
        )
        sent += [text for (text,) in cursor.fetchall()]
    finally:
        cursor.execute("SET GLOBAL general_log = %s", (before[0],))
        cursor.execute("SET GLOBAL log_output = %s", (before[1],))
        cursor.execute("TRUNCATE mysql.general_log")
        observer.close()


@pytest.fixture
def computed(schema):
    @schema
    class Source(dj.Manual):
        definition = """
        source : int32
        ---
        x : float64
        """

    @schema
    class Result(dj.Computed):
        definition = """
        -> Source
        ---
        y : float64
        """

        def make(self, key):
            x = (Source & key).fetch1("x")
            self.insert1({**key, "y": x + 1})

    Source.insert((i, i / 2) for i in range(N_KEYS))
    return Result


def verbs(sent):
    return [re.search(r"\w+", text)[0].upper() for text in sent]


def test_a_key_costs_one_statement_besides_its_make(computed, counted):
    keys = due_keys(computed, limit=N_KEYS)
    list(make_chunk(computed, keys[:1]))

    with counted() as sent:
        outcomes = list(make_chunk(computed, keys[1:]))

    n_keys = len(keys) - 1
    assert [o.status for o in outcomes] == ["made"] * n_keys
    found = verbs(sent)
    own = found.count("SELECT") + found.count("INSERT") - 2 * n_keys
    assert own == 1, "one question per chunk: which keys are made?"
    others = [v for v in found if v not in {"SELECT", "INSERT"}]
    assert set(others) <= {"BEGIN", "COMMIT"}
    assert others.count("COMMIT") == n_keys
    assert len(others) <= 2 * n_keys
    if not computed.schema.connection.database.dialect.is_sqlite:
        assert len(others) == n_keys


@pytest.mark.parametrize(
    ("ask", "most"),
    [
        (lambda q: q.to_dicts(), 1),
        (lambda q: q.fetch("y"), 1),
        (lambda q: (q & {"source": 1}).fetch1(), 1),
        (lambda q: (q & {"source": 1}).fetch1("y"), 1),
        (len, 1),
        (bool, 1),
        (lambda q: {"source": 3} in q, 1),
        (lambda q: q.keys(order_by="y DESC", limit=3), 1),
        (repr, 2),
    ],
    ids=["to_dicts", "fetch", "fetch1", "fetch1 y", "len", "bool", "in", "keys", "repr"],
)
def test_asking_costs_one_statement(computed, counted, ask, most):
    query = computed() & "source >= 0"
    list(make_chunk(computed, due_keys(computed, limit=3)))
    ask(query)

    with counted() as sent:
        ask(query)

    assert len(sent) <= most


def test_building_a_query_costs_none(computed, counted):
    with counted() as sent:
        query = (computed & "y > 1" & {"source": 2}).proj(z="y + 1") & "z < 5"
        assert query.heading.names == ("source", "z")

    assert sent == []


def test_an_insert_of_one_row_is_one_statement(computed, counted):
    source = computed.schema.tables["Source"]
    source.insert1((100, 1.0))

    with counted() as sent:
        source.insert1((101, 1.0))

    assert verbs(sent) == ["INSERT"]


def test_an_insert_of_many_rows_is_one_transaction(computed, counted):
    source = computed.schema.tables["Source"]
    source.insert1((100, 1.0))

    with counted() as sent:
        source.insert((i, 1.0) for i in range(1_000, 3_000))

    found = verbs(sent)
    assert found.count("COMMIT") == 1
    assert set(found) <= {"BEGIN", "INSERT", "COMMIT"}
    if not computed.schema.connection.database.dialect.is_sqlite:
        assert found == ["INSERT", "COMMIT"]


def test_listing_due_keys_is_one_statement_per_page(computed, counted):
    due_keys(computed, limit=5)

    with counted() as sent:
        page = due_keys(computed, limit=5)
        due_keys(computed, limit=5, after=page[-1])

    assert verbs(sent) == ["SELECT", "SELECT"]


def test_an_empty_populate_costs_a_few_statements(computed, counted):
    computed.populate()

    with counted() as sent:
        computed.populate()

    assert len(sent) <= 5
    assert set(verbs(sent)) == {"SELECT"}


def test_declaring_again_asks_the_catalog_and_creates_nothing(computed, counted):
    schema = computed.schema
    with counted() as sent:
        schema(type("Result", (dj.Computed,), {**vars(computed)}))

    assert not [v for v in verbs(sent) if v in {"CREATE", "ALTER", "DROP"}]
    assert len(sent) <= 4

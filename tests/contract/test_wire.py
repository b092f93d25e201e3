"""Rows read in our loop are PyMySQL's own, whatever is in them."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal

import pymysql
import pytest
import sqlalchemy as sa

from djq.sql.addresses import create_engine
from djq.sql.wire import QuickConnection, quicken
from tests.support import servers

VALUES = (
    "SELECT 1, -5, 18446744073709551615, 1.5e0, -2.25, 'Zoë 🐁', x'00ff', NULL, '', "
    "DATE '2024-02-29', TIMESTAMP '2024-01-02 03:04:05.25', TIME '-10:00:00.5', "
    "CAST('{\"a\": 1}' AS {json}), CAST('0000-00-00' AS CHAR)"
)
QUESTIONS = {
    "values": VALUES,
    "nulls among values": "SELECT 1, 'a' UNION ALL SELECT NULL, 'b' UNION ALL SELECT 3, NULL",
    "no rows": "SELECT 1 FROM (SELECT 1) AS t WHERE FALSE",
    "long values": "SELECT repeat('x', 250), repeat('x', 251), repeat('é', 4e4), repeat('x', 7e4)",
    "many packets": "SELECT a.n, b.n FROM ({ten}) AS a, ({ten}) AS b, ({ten}) AS c",
}
PARAMETERS = (
    *(5, -1.5, None, True, b"\x00'", Decimal("1.50")),
    *("Zoë", "plain09", "it's", "a\\'b\\", "", "%s", "\x00\n\x1a", "Zürich9"),
    *(dt.datetime(2026, 11, 22, 1, 2, 3, 45), dt.datetime(999, 1, 1)),  # noqa: DTZ001
    dt.datetime(2026, 11, 22, 1, 2, 3, tzinfo=dt.timezone(dt.timedelta(hours=2))),
)
TEN = " UNION ALL ".join(f"SELECT {i} AS n" for i in range(10))


@pytest.fixture
def connections(database_url):
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite has no connection of PyMySQL")
    url = sa.make_url(database_url)
    address = {"host": url.host, "port": url.port, "user": url.username}
    options = {**address, "password": url.password or "", "charset": "utf8mb4"}
    pair = (pymysql.connect(**options), QuickConnection(**options))
    yield pair
    for connection in pair:
        connection.close()


def ask(connection, question):
    is_mariadb = "MariaDB" in connection.get_server_info()
    cursor = connection.cursor()
    text = question.replace("{json}", "CHAR" if is_mariadb else "JSON").replace("{ten}", TEN)
    cursor.execute(text)
    rows = cursor.fetchall()
    return rows, [[type(v) for v in row] for row in rows], cursor.rowcount, cursor.description


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_answer_is_that_of_pymysql(connections, name):
    driver, quick = connections

    answers = [ask(quick, QUESTIONS[name]) for _ in range(3)]  # from the second on it is known

    assert answers == [ask(driver, QUESTIONS[name])] * 3


@pytest.mark.parametrize("mode", ["", "NO_BACKSLASH_ESCAPES"])
def test_values_are_sent_as_pymysql_sends_them(connections, mode):
    driver, quick = connections
    question = f"SELECT {', '.join(['%s'] * len(PARAMETERS))}"
    for connection in connections:
        connection.cursor().execute(f"SET SESSION sql_mode = '{mode}'")
    cursor = driver.cursor()
    cursor.execute(question, PARAMETERS)

    assert quick.ask(question, PARAMETERS).rows == cursor.fetchall()


def test_an_answer_whose_columns_changed_their_types_is_that_of_pymysql(connections):
    for question in ("SELECT 1 AS a", "SELECT 'x' AS a", "SELECT 1 AS b", "SELECT NULL AS a"):
        driver, quick = (ask(c, question) for c in connections)
        again = ask(connections[1], question)
        assert quick == again == driver


def test_several_results_of_one_statement_are_those_of_pymysql(connections, database_url):
    database = f"t_wire_{uuid.uuid4().hex[:8]}"
    procedure = f"{database}.several"
    found = []
    for connection in connections:
        cursor = connection.cursor()
        cursor.execute(f"CREATE DATABASE {database}")
        try:
            cursor.execute(f"CREATE PROCEDURE {procedure}() BEGIN SELECT 1; SELECT 'a', 2; END")
            for _ in range(2):
                cursor.execute(f"CALL {procedure}()")
                results = [cursor.fetchall()]
                while cursor.nextset():
                    results.append(cursor.fetchall())
                found.append(results)
        finally:
            connection.rollback()  # MySQL lets nobody drop a procedure that a transaction called
            servers.drop_databases(database_url, database)

    assert found == [[((1,),), (("a", 2),), []]] * 4


def test_an_error_among_the_rows_leaves_the_connection_in_use(connections):
    for connection in connections:
        with pytest.raises(pymysql.err.OperationalError):
            ask(connection, "SELECT (SELECT n FROM ({ten}) AS t)")
        assert ask(connection, "SELECT 1")[0] == ((1,),)


def test_a_row_of_several_packets_is_one_row(connections):
    _, quick = connections
    cursor = quick.cursor()
    cursor.execute("SELECT @@max_allowed_packet")
    n_bytes = min(cursor.fetchone()[0], 2**24 + 2**16) - 1024

    rows, *_ = ask(quick, f"SELECT repeat('x', {n_bytes}), 7")

    assert (len(rows[0][0]), rows[0][1]) == (n_bytes, 7)


def test_a_connection_that_ends_among_the_rows_is_lost(connections):
    driver, quick = connections
    cursor = quick.cursor()
    quick._rfile = _Ending(quick._rfile, 40)

    with pytest.raises(pymysql.err.OperationalError, match="Lost connection"):
        cursor.execute(f"SELECT a.n FROM ({TEN}) AS a, ({TEN}) AS b")

    assert not quick.open
    assert driver.open


class _Ending:
    """A file that ends after so many reads."""

    def __init__(self, file, n):
        self.file, self.n = file, n

    def read(self, size):
        self.n -= 1
        return self.file.read(size) if self.n > 0 else b""

    def peek(self):
        return b""  # as if the answer came in pieces

    def close(self):
        self.file.close()


def test_another_version_of_pymysql_reads_its_rows_itself(database_url, monkeypatch):
    url = sa.make_url(database_url)
    for version, is_ours in ((pymysql.VERSION, True), ((1, 99, 0, "final"), False)):
        monkeypatch.setattr(pymysql, "VERSION", version)
        engine = create_engine(url, 10.0, use_tls=None)
        quicken(engine)
        found = engine.dialect.connect == QuickConnection
        assert found is (is_ours and url.get_backend_name() == "mysql")

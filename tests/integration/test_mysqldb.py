"""mysqlclient, asked for by `mysql+mysqldb://`, does what PyMySQL does."""

from __future__ import annotations

import datetime as dt
import decimal
import importlib.util
import os
import subprocess
import sys
import threading
import uuid

import numpy as np
import pymysql
import pytest

import djq as dj
from djq.errors import (
    AccessError,
    BrokenReferenceError,
    ConfigError,
    ContentionError,
    DatabaseError,
    DuplicateError,
    LostConnectionError,
    MissingTableError,
    UnreachableError,
)
from djq.settings import load
from djq.tables.connection import Connection
from tests.conftest import by_driver, missing
from tests.support import servers
from tests.support.waiting import wait_until

DRIVERS = ("pymysql", "mysqldb")
N_ROWS = 30_000

pytestmark = pytest.mark.parametrize("database_url", ["mariadb", "mysql"], indirect=True)


@pytest.fixture
def mysqldb_url(database_url):
    """The URL of a server, by mysqlclient."""
    if importlib.util.find_spec("MySQLdb") is None:
        missing("mysqlclient is not installed: make mysqlclient")
    return by_driver(database_url, "mysqldb")


@pytest.fixture
def connections(mysqldb_url, tmp_path):
    """One connection by each driver."""
    opened = {
        driver: Connection(
            load(
                database_url=by_driver(mysqldb_url, driver),
                state_dir=tmp_path / ".djq",
                database_timeout_s=1.0,
            )
        )
        for driver in DRIVERS
    }
    yield opened
    for connection in opened.values():
        connection.close()


@pytest.fixture
def connection(connections):
    """The connection by mysqlclient."""
    return connections["mysqldb"]


def declare(schema, definition, name="Thing", kind=dj.Manual):
    return schema(type(name, (kind,), {"definition": definition}))


@pytest.fixture
def thing(schema):
    """An empty table of numbers, declared through mysqlclient."""
    return declare(schema, "a : int32\n---\nb = null : varchar(200)")


# --- values ------------------------------------------------------------------------------------

EVERY_TYPE = """
id : int32
---
i8 = null : int8
i64 = null : int64
tiny = null : tinyint unsigned
big = null : bigint unsigned
f32 = null : float32
f64 = null : float64
money = null : decimal(12,4)
flag = null : bool
word = null : varchar(200)
fixed = null : char(5)
color = null : enum('red','green')
day = null : date
at = null : datetime(6)
at0 = null : datetime
long = null : time
year = null : year
doc = null : json
who = null : uuid
raw = null : bytes
array = null : <blob>
old = null : longblob
"""
ROWS = [
    {"id": 0},
    {
        "id": 1,
        "i8": -128,
        "i64": -(2**63),
        "tiny": 255,
        "big": 2**64 - 1,
        "f32": 0.1,
        "f64": 1e-300,
        "money": decimal.Decimal("-12345678.9000"),
        "flag": True,
        "word": 'it\'s "100%" \\ % %s {x} :y ; -- 🐁 \x00\n\r\x1a é',
        "fixed": "ab",
        "color": "green",
        "day": dt.date(1000, 1, 1),
        "at": dt.datetime.fromisoformat("2026-02-03T04:05:06.000007"),
        "at0": dt.datetime.fromisoformat("9999-12-31T23:59:59"),
        "long": dt.timedelta(hours=-800, seconds=-1),
        "year": 1999,
        "doc": {"a": [1, 2.5, None, "é🐁%"], "b": {}},
        "who": uuid.UUID(int=2**127 + 5),
        "raw": bytes(range(256)) * 3,
        "array": np.arange(1000, dtype=np.float32).reshape(10, 100),
        "old": {"x": np.arange(3)},
    },
    {
        "id": 2,
        "f32": -3.5,
        "f64": 3.0,
        "flag": False,
        "word": "",
        "money": decimal.Decimal("0.0001"),
        "long": dt.timedelta(0),
        "doc": "text",
        "raw": b"",
        "old": b"\x00\xff'\\",
    },
]


def same(left, right):
    np.testing.assert_equal(left, right)
    for name, value in left.items():
        assert type(value) is type(right[name]), name
    return True


@pytest.mark.parametrize("is_many", [True, False], ids=["many", "one by one"])
def test_every_type_is_written_and_read_as_by_pymysql(connections, schema_name, schema, is_many):
    declare(schema, EVERY_TYPE)
    tables = {
        driver: dj.FreeTable(connections[driver], f"`{schema_name}`.`thing`") for driver in DRIVERS
    }
    for n, table in enumerate(tables.values()):
        rows = [{**row, "id": row["id"] + 10 * n} for row in ROWS]
        if is_many:
            table.insert(rows)
        else:
            for row in rows:
                table.insert1(row)

    read = {driver: table.to_dicts(order_by="id") for driver, table in tables.items()}

    for mine, theirs in zip(read["mysqldb"], read["pymysql"], strict=True):
        assert same(mine, theirs)
    for first, second in zip(read["mysqldb"][:3], read["mysqldb"][3:], strict=True):
        assert same({**first, "id": 0}, {**second, "id": 0})
    assert read["mysqldb"][1]["word"] == ROWS[1]["word"]
    assert read["mysqldb"][1]["raw"] == ROWS[1]["raw"]
    assert read["mysqldb"][1]["long"] == ROWS[1]["long"]


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_text_is_one_statement(connections, driver):
    with pytest.raises(DatabaseError, match="near 'COMMIT'"):
        connections[driver].query("SELECT 1; COMMIT")
    assert connections[driver].query("SELECT 2").fetchone()[0] == 2


CONDITIONS = [
    "f32 = 0.1",
    "money < 0",
    "day = '1000-01-01'",
    "at > '2026-01-01' and flag",
    "word like '%100\\%%'",
    {"who": ROWS[1]["who"]},
    {"long": ROWS[1]["long"]},
    {"word": ROWS[1]["word"]},
    {"at": ROWS[1]["at"]},
    {"big": 2**64 - 1},
    {"money": ROWS[1]["money"]},
]


def test_conditions_find_the_same_rows(connections, schema_name, schema):
    declare(schema, EVERY_TYPE).insert(ROWS)
    for connection in connections.values():
        table = dj.FreeTable(connection, f"`{schema_name}`.`thing`")
        for condition in CONDITIONS:
            assert [r["id"] for r in (table & condition).to_dicts()] == [1], condition
            assert len(table & condition) == 1, condition


def test_computed_values_and_aggregates_are_the_same(connections, schema_name, schema):
    declare(schema, EVERY_TYPE).insert(ROWS)
    found = []
    for connection in connections.values():
        table = dj.FreeTable(connection, f"`{schema_name}`.`thing`")
        computed = table.proj(
            s="i8 + 1", h="f64 / 2", m="money * 2", w="concat(word, '!')", n="id > 1"
        )
        summed = dj.U().aggr(table, n="count(*)", s="sum(i8)", m="avg(money)", d="max(at)")
        found.append([*computed.to_dicts(order_by="id"), *summed.to_dicts()])
    for mine, theirs in zip(*found, strict=True):
        assert same(mine, theirs)


def test_raw_sql_returns_what_pymysql_does(connections):
    text = (
        "SELECT b'101', 1.50, 2, 1e0, 'é', _binary'\\0\\'', NULL, CAST('2026-01-02' AS DATE),"
        " CAST('12:30:00.5' AS TIME(6)), CAST('2026-01-02 03:04:05' AS DATETIME), 1 = 1,"
        " CAST('[1]' AS CHAR), USER(), 'a' LIKE '%a'"
    )
    mine, theirs = (c.query(text).fetchall() for c in connections.values())

    assert mine == theirs
    assert [type(v) for v in mine[0]] == [type(v) for v in theirs[0]]
    for connection in connections.values():
        assert connection.query("SELECT %s, '100%%'", ["50%"]).fetchall() == [("50%", "100%")]
        assert connection.query("SELECT '100%'", as_dict=True).fetchall() == [{"100%": "100%"}]


def test_the_catalog_is_read_alike(connections, schema_name, schema):
    declare(schema, EVERY_TYPE)

    described = [
        dj.FreeTable(c, f"`{schema_name}`.`thing`").describe() for c in connections.values()
    ]

    assert described[0] == described[1]


# --- many rows ---------------------------------------------------------------------------------


def test_many_rows_come_back_whole_by_list_and_by_stream(thing):
    thing.insert({"a": i, "b": f"row {i}"} for i in range(N_ROWS))

    assert len(thing) == N_ROWS
    assert thing.to_dicts(order_by="a")[-1] == {"a": N_ROWS - 1, "b": f"row {N_ROWS - 1}"}
    assert sum(1 for _ in thing()) == N_ROWS


def test_a_stream_ends_early_without_reading_the_rest(thing, connection):
    thing.insert({"a": i, "b": "x" * 200} for i in range(N_ROWS))

    for n, row in enumerate(thing()):
        assert len(thing & {"a": row["a"]}) == 1  # the loop's body may ask
        if n == 3:
            break

    me = [connection.connection_id]
    others = "SELECT count(*) FROM information_schema.processlist WHERE id != %s AND info LIKE %s"
    name = f"%{thing.full_table_name.split('`')[1]}%"
    wait_until(
        lambda: connection.query(others, [*me, name]).fetchone()[0] == 0, what="the stream to end"
    )


def test_an_insert_of_many_is_undone_alone_if_one_row_fails(thing, connection):
    with connection.transaction:
        thing.insert1({"a": 5})
        with pytest.raises(DuplicateError):
            thing.insert([{"a": i, "b": "é" * 200} for i in [*range(6, N_ROWS), 5]])
        thing.insert1({"a": -1})

    assert [r["a"] for r in thing.keys(order_by="a")] == [-1, 5]


def test_duplicates_are_skipped_or_replaced(thing):
    thing.insert([{"a": 1, "b": "old"}, {"a": 2, "b": "old"}])
    thing.insert([{"a": 1, "b": "new"}, {"a": 3, "b": "new"}], skip_duplicates=True)
    thing.insert([{"a": 2, "b": "new"}, {"a": 4, "b": "new"}], replace=True)
    thing.update1({"a": 4, "b": "newer"})
    (thing & "a = 3").delete_quick()

    assert thing.to_dicts(order_by="a") == [
        {"a": 1, "b": "old"},
        {"a": 2, "b": "new"},
        {"a": 4, "b": "newer"},
    ]


# --- transactions and errors -------------------------------------------------------------------


def insert_both(thing, connection, *keys):
    with connection.transaction:
        for key in keys:
            thing.insert1({"a": key})


def test_transactions_commit_or_undo_and_nest(thing, connection):
    with connection.transaction:
        thing.insert1({"a": 1})
        with pytest.raises(DuplicateError):
            insert_both(thing, connection, 2, 1)
        thing.insert1({"a": 3})
    connection.start_transaction()
    thing.insert1({"a": 4})
    connection.cancel_transaction()

    assert [r["a"] for r in thing.keys(order_by="a")] == [1, 3]


def test_errors_are_ours(schema, thing, connections, connection):
    child = declare(schema, "-> Thing\nc : int32", name="Child")
    thing.insert1({"a": 1})

    with pytest.raises(DuplicateError, match="the key a=1 is in the table already"):
        thing.insert1({"a": 1})
    with pytest.raises(BrokenReferenceError):
        child.insert1({"a": 9, "c": 1})
    with pytest.raises(MissingTableError):
        connection.query("SELECT * FROM no_such_schema_x.y")
    with pytest.raises(DatabaseError, match="cannot execute"):
        connection.query("SELEC 1")
    with pytest.raises(DatabaseError):
        connection.query("SELECT %s, %s", [1])


def test_a_lock_that_is_held_for_long_is_contention(thing, connections, schema_name):
    thing.insert1({"a": 1})
    other = dj.FreeTable(connections["pymysql"], f"`{schema_name}`.`thing`")
    with connections["pymysql"].transaction:
        other.update1({"a": 1, "b": "held"})
        with (
            pytest.raises(ContentionError, match="has held the lock"),
            connections["mysqldb"].transaction,
        ):
            thing.update1({"a": 1, "b": "wanted"})


def test_a_deadlock_is_tried_again_and_both_commit(thing, connection):
    thing.insert([{"a": 1}, {"a": 2}])
    barrier = threading.Barrier(2, timeout=20)
    tries = []

    def change(first, second):
        def both():
            tries.append(first)
            thing.update1({"a": first, "b": f"by {first}"})
            if len(tries) <= 2:
                barrier.wait()
            thing.update1({"a": second, "b": f"by {first}"})

        connection.database.atomically(both)
        connection.close()

    threads = [threading.Thread(target=change, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(tries) >= 3
    assert len({r["b"] for r in thing.to_dicts()}) == 1


@pytest.fixture
def killer(database_url):
    """What ends connections, as an administrator does."""
    raw = servers.connect(database_url)
    yield lambda connection: raw.cursor().execute(f"KILL {connection.connection_id}")
    raw.close()


def test_a_lost_connection_is_replaced_for_a_question(thing, connection, killer):
    thing.insert1({"a": 1})
    before = connection.connection_id
    killer(connection)

    assert not connection.is_connected
    assert len(thing) == 1
    assert connection.connection_id != before


def test_a_connection_lost_in_a_transaction_says_so(thing, connection, killer):
    connection.start_transaction()
    thing.insert1({"a": 1})
    killer(connection)
    with pytest.raises(LostConnectionError, match="nothing of it was committed"):
        thing.insert1({"a": 2})
    connection.cancel_transaction()
    assert len(thing) == 0


def test_ping_replaces_a_lost_connection(connection, killer):
    killer(connection)
    connection.ping()
    assert connection.is_connected


# --- threads and processes ---------------------------------------------------------------------


def test_threads_work_side_by_side(thing, connection):
    def work(n):
        for i in range(50):
            thing.insert1({"a": n * 1000 + i})
            assert (thing & {"a": n * 1000 + i}).fetch1("a") == n * 1000 + i
        connection.close()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(thing) == 200


FORKED = """
import os, sys, threading
import djq as dj
from djq.settings import load
from djq.tables.connection import Connection

connection = Connection(load(database_url=sys.argv[1]))
ready, go_on, ids = threading.Event(), threading.Event(), []

def other():
    ids.append(connection.connection_id)
    ready.set()
    go_on.wait()
    ids.append(connection.connection_id)
    connection.query("SELECT 1")
    connection.close()

thread = threading.Thread(target=other)
thread.start()
ready.wait()
mine = connection.connection_id
pid = os.fork()
if pid == 0:
    assert connection.connection_id not in (mine, *ids)
    connection.close()
    sys.exit(7)  # the interpreter cleans up, and closes what it finds
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
go_on.set()
thread.join()
assert ids[0] == ids[1], "the child ended the connection of another thread"
assert connection.is_connected
assert connection.connection_id == mine, "the child ended its parent's connection"
print("whole")
"""


def test_a_child_leaves_the_connections_of_its_parent_alone(mysqldb_url, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FORKED, mysqldb_url],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.strip() == "whole", done.stderr


# --- opening -----------------------------------------------------------------------------------


def test_plain_urls_go_through_pymysql(database_url, connections):
    with dj.Connection(by_driver(database_url, "pymysql").replace("+pymysql", "")) as plain:
        plain.query("SELECT 1")
        session = plain.database._reader()
        assert isinstance(session.raw, pymysql.connections.Connection)
    session = connections["mysqldb"].database._reader()
    assert type(session.raw).__module__.startswith("MySQLdb")


@pytest.mark.parametrize("scheme", ["mysql+mysqldb", "mariadb+mysqldb"])
def test_both_schemes_reach_both_servers_with_the_same_settings(mysqldb_url, scheme, connections):
    settings = (
        "SELECT @@sql_mode, @@time_zone, @@character_set_client, @@character_set_results,"
        " @@collation_connection"
    )
    url = f"{scheme}://{mysqldb_url.partition('://')[2]}"
    with dj.Connection(url) as opened:
        assert repr(opened) == f"Connection('{url.replace('+mysqldb', '')}')"
        found = opened.query(settings).fetchall()
    assert found == connections["pymysql"].query(settings).fetchall()


def test_localhost_is_the_port_and_not_a_socket_file(mysqldb_url, connections):
    url = mysqldb_url.replace("127.0.0.1", "localhost")
    with dj.Connection(url) as opened:
        port = "SELECT @@port"
        assert opened.query(port).fetchall() == connections["pymysql"].query(port).fetchall()
        assert "localhost" in repr(opened)


def test_a_server_that_is_not_there_is_unreachable(mysqldb_url):
    with pytest.raises(UnreachableError, match="cannot reach the database at mysql://"):
        dj.Connection("mysql+mysqldb://root@127.0.0.1:1/").query("SELECT 1")


def test_a_refused_login_is_said(mysqldb_url):
    url = mysqldb_url.replace("root@", "nobody_x:secret@")
    with pytest.raises(AccessError, match="refused the login") as raised:
        dj.Connection(url).query("SELECT 1")
    assert "secret" not in str(raised.value)


def test_a_driver_that_is_not_known_is_refused(database_url):
    url = by_driver(database_url, "aiomysql")
    with pytest.raises(ConfigError, match=r'"aiomysql", which djq does not know: write mysql://'):
        dj.Connection(url).query("SELECT 1")


def test_without_mysqlclient_the_error_says_how_to_install_it(database_url, monkeypatch):
    monkeypatch.setitem(sys.modules, "MySQLdb", None)
    with pytest.raises(ConfigError, match=r"pip install mysqlclient .* or leave out \+mysqldb"):
        dj.Connection(by_driver(database_url, "mysqldb")).query("SELECT 1")

"""Transactions, threads, forks, lost connections and servers that are not there."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import threading
import traceback

import pytest

import djq as dj
from djq.errors import (
    AccessError,
    BrokenReferenceError,
    ConfigError,
    ContentionError,
    DjqError,
    DuplicateError,
    LostConnectionError,
    UnreachableError,
    UsageError,
)
from djq.settings import load
from tests.support.servers import connect, free_port
from tests.support.waiting import wait_until


@pytest.fixture
def server(connection):
    """A driver's connection to the server, to kill those of djq; skips SQLite."""
    if connection.database.dialect.is_sqlite:
        pytest.skip("SQLite has no server")
    with contextlib.closing(connect(str(connection.database.url))) as opened:
        yield opened


def kill(server, session):
    thread_id = session.raw.thread_id()
    with server.cursor() as cursor:
        cursor.execute(f"KILL {thread_id}")
        query = "SELECT id FROM information_schema.processlist WHERE id = %s"
        wait_until(lambda: cursor.execute(query, (thread_id,)) == 0, what="the connection to end")


def in_thread(target):
    """Run a function in a thread of its own; return what it returns, raise what it raises."""
    results = []

    def run():
        try:
            results.append((target(), None))
        except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
            results.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    value, error = results[0]
    if error is not None:
        raise error
    return value


# --- transactions -------------------------------------------------------------------------------


def test_a_transaction_commits_all_of_it(counter, connection):
    with connection.transaction:
        counter.insert1((10, 1))
        counter.insert([(11, 1), (12, 1)])
        assert connection.in_transaction
        assert len(counter) == 6
        assert len(list(counter)) == 6

    assert not connection.in_transaction
    assert len(counter) == 6


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_transaction_that_raises_leaves_nothing(counter, connection, error):
    def fail():
        with connection.transaction:
            counter.insert1((10, 1))
            raise error

    with pytest.raises(error):
        fail()

    assert not connection.in_transaction
    assert len(counter) == 3
    counter.insert1((10, 2))
    assert (counter & {"counter": 10}).fetch1("value") == 2


def test_a_refused_statement_leaves_the_transaction_open(counter, connection):
    with connection.transaction:
        counter.insert1((10, 1))
        with pytest.raises(DuplicateError):
            counter.insert1((1, 1))
        counter.insert1((11, 1))

    assert len(counter) == 5


def test_tables_are_not_declared_inside_a_transaction(schema, connection, counter):
    other = type("Other", (dj.Manual,), {"definition": "x : int32", "__module__": __name__})

    with pytest.raises(UsageError, match="Declare them before"), connection.transaction:
        schema(other)

    assert len(counter) == 3


def test_others_see_a_transaction_when_it_is_committed(counter, connection):
    with connection.transaction:
        counter.insert1((10, 1))
        assert in_thread(lambda: _count_and_close(counter)) == 3
    assert in_thread(lambda: _count_and_close(counter)) == 4


def _count_and_close(table):
    try:
        return len(table)
    finally:
        table.schema.connection.close()


# --- threads and forks --------------------------------------------------------------------------


def test_threads_have_connections_of_their_own(counter, connection):
    def work(number):
        try:
            for i in range(20):
                with connection.transaction:
                    counter.insert1((100 + 100 * number + i, number))
                assert len(counter & {"value": number}) == i + 1
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(n,)) for n in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(counter) == 63


def in_child(work):
    """Run a function in a forked child; return whether it went well."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:  # noqa: BLE001 - the child must not go on as pytest
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_connections_of_its_own(counter, connection):
    assert len(counter) == 3

    def work():
        counter.insert1((50, 1))
        with connection.transaction:
            counter.insert1((51, 1))
        assert len(counter) == 5
        connection.close()

    assert in_child(work)
    assert len(counter) == 5
    counter.insert1((52, 1))
    assert len(counter) == 6


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_inside_a_transaction_leaves_it_to_the_parent(counter, connection):
    with connection.transaction:
        if not connection.database.dialect.is_sqlite:
            counter.insert1((50, 1))

        def work():
            assert not connection.in_transaction
            counter.insert1((51, 1))
            connection.close()

        assert in_child(work)
        counter.insert1((52, 1))

    assert {"counter": 51} in counter
    assert {"counter": 52} in counter


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_does_not_touch_the_connections_of_other_threads(counter, connection):
    """The child ends the parent's other threads: their connections must not speak in it."""
    begun, forked = threading.Event(), threading.Event()

    def work():
        try:
            with connection.transaction:
                if not connection.database.dialect.is_sqlite:
                    counter.insert1((60, 1))
                assert len(counter) > 2
                begun.set()
                assert forked.wait(20)
                counter.insert1((61, 1))
            return len(counter)
        finally:
            connection.close()

    results = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    assert begun.wait(20)

    def child():
        assert len(counter) == 3
        connection.close()

    went_well = in_child(child)
    forked.set()
    thread.join(30)

    assert went_well
    assert results
    assert {"counter": 61} in counter
    assert ({"counter": 60} in counter) == (not connection.database.dialect.is_sqlite)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_what_another_thread_left_idle_is_not_ended_by_a_child(counter, connection):
    used, forked = threading.Event(), threading.Event()
    errors = []

    def work():
        try:
            counter.insert1((70, 1))
            used.set()
            assert forked.wait(20)
            counter.insert1((71, 1))
        except BaseException as error:  # noqa: BLE001 - shown below
            errors.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    assert used.wait(20)
    # Given: a thread that has no connection yet forks, and all is collected in its child.
    forker = threading.Thread(target=lambda: in_child(gc.collect))
    forker.start()
    forker.join(30)
    forked.set()
    thread.join(30)

    assert errors == []
    assert {"counter": 71} in counter


# --- what goes wrong ----------------------------------------------------------------------------


def test_a_connection_lost_between_queries_is_replaced(counter, connection, server):
    assert len(counter) == 3
    kill(server, connection.database._reader())

    assert len(counter) == 3
    counter.insert1((10, 1))
    assert len(list(counter)) == 4


def test_a_loop_goes_on_where_the_connection_of_the_last_one_was_lost(counter, connection, server):
    assert len(list(counter)) == 3
    kill(server, connection.database._own_state().spare)

    assert len(list(counter)) == 3


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_reads_its_parents_loop_on_and_keeps_nothing_of_it(counter, connection):
    loop = iter(counter)
    assert next(loop)["counter"] == 0

    def work():
        assert len(list(counter)) == 3
        connection.close()

    assert in_child(work)
    assert len(list(loop)) == 2
    assert len(list(counter)) == 3


def test_a_connection_lost_in_a_write_says_that_it_is_not_known(counter, connection, server):
    kill(server, connection.database._reader())

    with pytest.raises(LostConnectionError, match="look, and try again"):
        counter.insert1((11, 1))
    counter.insert1((12, 1))

    assert {"counter": 12} in counter


def test_a_connection_lost_while_idle_is_replaced_before_a_write(
    counter, connection, server, monkeypatch
):
    monkeypatch.setattr("djq.sql.sessions.IDLE_S", -1.0)
    with connection.transaction:
        counter.insert1((10, 1))
    kill(server, connection.database._writer())
    kill(server, connection.database._reader())

    counter.insert1((11, 1))
    with connection.transaction:
        counter.insert1((12, 1))

    assert len(counter) == 6


def test_a_connection_lost_inside_a_transaction_commits_nothing(counter, connection, server):
    def work():
        with connection.transaction:
            counter.insert1((10, 1))
            kill(server, connection.database._writer())
            counter.insert1((11, 1))

    with pytest.raises(LostConnectionError, match="nothing of it was committed"):
        work()

    assert not connection.in_transaction
    assert len(counter) == 3
    with connection.transaction:
        counter.insert1((12, 1))
    assert len(counter) == 4


def test_a_connection_lost_before_the_commit_commits_nothing(counter, connection, server):
    def work():
        with connection.transaction:
            counter.insert1((10, 1))
            kill(server, connection.database._writer())

    with pytest.raises(LostConnectionError):
        work()

    assert len(counter) == 3
    assert not connection.in_transaction


def test_a_transaction_begins_on_a_connection_that_was_lost_while_idle(counter, connection, server):
    with connection.transaction:
        counter.insert1((10, 1))
    kill(server, connection.database._writer())

    with pytest.raises(LostConnectionError), connection.transaction:
        counter.insert1((11, 1))
    with connection.transaction:
        counter.insert1((12, 1))

    assert {"counter": 11} not in counter
    assert {"counter": 12} in counter


@pytest.mark.needs_row_locks(reason="so nobody waits in a circle")
def test_a_deadlock_is_contention_for_one_and_nothing_for_the_other(schema, connection):
    @schema
    class Parent(dj.Manual):
        definition = """
        parent : int32
        """

    first, second = threading.Event(), threading.Event()
    results = []

    def work(mine, theirs, own, other):
        try:
            with connection.transaction:
                Parent.insert1((mine,))
                own.set()
                assert other.wait(20)
                Parent.insert1((theirs,))
            results.append("committed")
        except (ContentionError, DuplicateError) as error:
            results.append(type(error).__name__)
        finally:
            connection.close()

    threads = [
        threading.Thread(target=work, args=arguments)
        for arguments in ((1, 2, first, second), (2, 1, second, first))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(results) == ["ContentionError", "committed"]
    assert len(Parent) == 2


def test_a_lock_that_is_held_too_long_is_contention(connection, counter, another):
    row = {"counter": 70, "value": 1}

    with connection.transaction:
        counter.insert1(row)
        with pytest.raises(ContentionError):
            another.database.insert(counter.spec, [row])

    assert len(counter) == 4


def test_a_parent_that_others_refer_to_cannot_go(schema, connection, counter):
    @schema
    class Note(dj.Manual):
        definition = """
        -> Counter
        """

    Note.insert1((1,))

    with pytest.raises(BrokenReferenceError):
        connection.database.delete((counter & {"counter": 1}).node)
    assert len(counter) == 3


def explain(url, tmp_path, **settings):
    """Return the type, and everything that is printed, when a database does not open."""
    connection = dj.Connection(load(database_url=url, state_dir=tmp_path, **settings))
    try:
        connection.database.connect()
    except DjqError as error:
        return type(error), "".join(traceback.format_exception(error)), str(error)
    finally:
        connection.close()
    return None, "", ""


def test_an_unreachable_server_says_what_to_check(tmp_path):
    url = f"mysql://someone:hunter2@127.0.0.1:{free_port()}/"

    kind, printed, message = explain(url, tmp_path, database_timeout_s=1)

    assert kind is UnreachableError
    assert "Check that the server runs and that DJQ_DATABASE_URL is right" in message
    assert "127.0.0.1" in message
    assert "hunter2" not in printed


def test_a_refused_login_says_what_to_check(mariadb_server, tmp_path):
    url = mariadb_server.url.replace("root@", "nobody:hunter2@")

    kind, printed, message = explain(url, tmp_path)

    assert kind is AccessError
    assert "Check the user and password in DJQ_DATABASE_URL" in message
    assert "hunter2" not in printed


def test_a_host_without_a_name_is_unreachable(tmp_path):
    kind, _, message = explain("mysql://u:hunter2@no-such-host.invalid:1/", tmp_path)

    assert kind is UnreachableError
    assert "no-such-host.invalid" in message
    assert "hunter2" not in message


def test_a_file_that_cannot_be_opened_says_so(tmp_path):
    (tmp_path / "file").write_text("x")

    for url in (f"sqlite:///{tmp_path}", f"sqlite:///{tmp_path / 'file' / 'x.sqlite'}"):
        kind, _, message = explain(url, tmp_path)
        assert kind is UnreachableError
        assert str(tmp_path) in message
        assert "password" not in message


def test_a_file_that_is_no_database_says_so(tmp_path):
    path = tmp_path / "notes.sqlite"
    path.write_text("these are notes, not tables" * 100)

    kind, _, message = explain(f"sqlite:///{path}", tmp_path)

    assert kind is UnreachableError
    assert "notes.sqlite" in message


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(url, tmp_path):
    """Each connection would see a database of its own."""
    with pytest.raises(ConfigError, match="in memory"):
        load(database_url=url, state_dir=tmp_path)


def test_a_url_with_a_bad_port_is_a_wrong_setting(tmp_path):
    with pytest.raises(ConfigError, match="DJQ_DATABASE_URL"):
        load(database_url="mysql://u:hunter2@host:port/", state_dir=tmp_path)


# --- the connection itself ----------------------------------------------------------------------


def test_a_connection_tells_about_itself(connection, counter):
    connection.ping()

    assert connection.is_connected
    assert "@" in connection.get_user()
    assert connection.connection_id > 0
    assert connection.catalog is connection.database.catalog
    connection.close()
    assert not connection.is_connected
    connection.ping()
    assert connection.is_connected


def test_a_connection_that_the_server_ended_is_not_connected(connection, counter, server):
    kill(server, connection.database._reader())

    assert not connection.is_connected
    connection.ping()
    assert connection.is_connected


def test_a_connection_closes_with_its_block(connection, tmp_path):
    with dj.Connection(connection.settings) as other:
        other.ping()
        assert other.is_connected
    assert not other.is_connected


def test_a_raw_query_returns_rows_or_mappings(connection, counter):
    mark = "?" if connection.database.is_sqlite else "%s"
    text = f"SELECT counter, value FROM {place(counter)} WHERE counter >= {mark} ORDER BY 1"

    found = connection.query(text, [1])

    assert found.rowcount in {2, -1}
    assert found.fetchone() == (1, 0)
    assert found.fetchall() == [(2, 0)]
    assert found.fetchone() is None
    rows = connection.query(text, [2], as_dict=True)
    assert list(rows) == [{"counter": 2, "value": 0}]


def place(table):
    name = table.spec.name
    if table.schema.connection.database.is_sqlite:
        return f'"{name.schema}.{name.table}"'
    return f"`{name.schema}`.`{name.table}`"


def test_a_raw_query_commits_by_itself_or_with_its_transaction(connection, counter):
    connection.query(f"INSERT INTO {place(counter)} VALUES (10, 1)")
    with contextlib.suppress(ValueError), connection.transaction:
        connection.query(f"INSERT INTO {place(counter)} VALUES (11, 1)")
        assert len(counter) == 5
        raise ValueError

    assert len(counter) == 4


def test_a_raw_query_may_have_percent_signs(connection, counter):
    assert connection.query("SELECT 'a%b'").fetchall() == [("a%b",)]


def test_what_is_wrong_with_a_raw_query_comes_out_as_ours(connection, counter):
    with pytest.raises(DjqError, match="cannot execute"):
        connection.query("SELEKT 1")
    with pytest.raises(DuplicateError):
        connection.query(f"INSERT INTO {place(counter)} VALUES (1, 1)")


def test_a_table_that_a_raw_query_dropped_is_forgotten(connection, counter, schema):
    name = counter.spec.name
    assert name.table in connection.catalog.columns(name.schema)

    connection.query(f"DROP TABLE {place(counter)}")

    assert name.table not in connection.catalog.columns(name.schema)


def test_a_pool_of_processes_never_speaks_over_its_parents_connection(connection, counter):
    """Children of `fork` inherit open sockets; each must open its own."""
    if connection.database.is_sqlite:
        pytest.skip("SQLite has no server")
    mine = connection.connection_id
    counter.insert1((50, 0))
    queue = multiprocessing.get_context("fork").SimpleQueue()

    def ask():
        queue.put((connection.connection_id, len(counter)))
        connection.close()

    children = [multiprocessing.get_context("fork").Process(target=ask) for _ in range(3)]
    for child in children:
        child.start()
    found = [queue.get()[0] for _ in children]
    for child in children:
        child.join(30)
    queue.close()

    assert mine not in found
    assert connection.connection_id == mine
    assert len(counter) == 4

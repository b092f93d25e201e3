"""Transactions inside of transactions, deadlocks, locks held too long, and what is tried again."""

from __future__ import annotations

import contextlib
import os
import socket
import threading

import pytest

from djq.errors import (
    ContentionError,
    DuplicateError,
    LostConnectionError,
    UsageError,
)
from djq.sql import tries
from tests.support.servers import connect
from tests.support.waiting import wait_until


def keys(table):
    return sorted(row["counter"] for row in table.to_dicts())


# --- one inside of another ----------------------------------------------------------------------


def test_an_inner_transaction_that_fails_undoes_only_itself(connection, counter):
    with connection.transaction:
        counter.insert1((10, 1))
        with contextlib.suppress(ValueError), connection.transaction:
            counter.insert1((11, 1))
            raise ValueError
        assert connection.in_transaction
        counter.insert1((12, 1))

    assert keys(counter) == [0, 1, 2, 10, 12]


def test_an_inner_transaction_that_succeeds_is_committed_with_the_outer(connection, counter):
    with connection.transaction:
        counter.insert1((10, 1))
        with connection.transaction:
            counter.insert1((11, 1))

    assert keys(counter) == [0, 1, 2, 10, 11]


def test_an_outer_transaction_that_fails_undoes_the_inner_too(connection, counter):
    with contextlib.suppress(ValueError), connection.transaction:
        with connection.transaction:
            counter.insert1((11, 1))
        raise ValueError

    assert keys(counter) == [0, 1, 2]
    assert not connection.in_transaction


def test_the_first_write_of_all_may_be_undone_in_an_inner_transaction(connection, counter):
    """SQLite begins late: the inner block holds all that was written so far."""
    with connection.transaction:
        with contextlib.suppress(ValueError), connection.transaction:
            with connection.transaction:
                counter.insert1((10, 1))
            raise ValueError
        assert len(counter) == 3
        counter.insert1((11, 1))

    assert keys(counter) == [0, 1, 2, 11]


def test_transactions_nest_deeply_and_one_after_the_other(connection, counter):
    with connection.transaction:
        for i in range(20, 30):
            with contextlib.suppress(ValueError), connection.transaction:
                counter.insert1((i, 0))
                with contextlib.suppress(ValueError), connection.transaction:
                    counter.insert1((i + 100, 0))
                    raise ValueError
                if i % 2:
                    raise ValueError

    assert keys(counter) == [0, 1, 2, 20, 22, 24, 26, 28]


def test_rows_that_are_refused_leave_an_inner_transaction_as_it_was(connection, counter):
    with connection.transaction, connection.transaction:
        with pytest.raises(DuplicateError):
            counter.insert([(10, 1), (0, 1)])
        counter.insert1((11, 1))

    assert keys(counter) == [0, 1, 2, 11]


# --- without a block ----------------------------------------------------------------------------


def test_a_transaction_may_be_started_and_committed_without_a_block(connection, counter):
    connection.start_transaction()
    counter.insert1((10, 1))
    with connection.transaction:
        counter.insert1((11, 1))
    assert connection.in_transaction
    connection.commit_transaction()

    assert not connection.in_transaction
    assert keys(counter) == [0, 1, 2, 10, 11]


def test_a_transaction_may_be_cancelled(connection, counter):
    connection.start_transaction()
    counter.insert1((10, 1))
    connection.cancel_transaction()

    assert not connection.in_transaction
    assert keys(counter) == [0, 1, 2]


def test_a_transaction_is_started_once(connection, counter):
    connection.start_transaction()
    with pytest.raises(UsageError, match="open already: end it first"):
        connection.start_transaction()
    connection.cancel_transaction()


@pytest.mark.parametrize("end", ["commit_transaction", "cancel_transaction"])
def test_only_what_was_started_is_ended(connection, counter, end):
    with pytest.raises(UsageError, match="none is open"):
        getattr(connection, end)()
    with connection.transaction:
        with pytest.raises(UsageError, match="a `with` block ends its own"):
            getattr(connection, end)()
        counter.insert1((10, 1))
    assert len(counter) == 4


def test_a_connection_that_is_closed_inside_a_transaction_commits_nothing(connection, counter):
    def work():
        with connection.transaction:
            counter.insert1((10, 1))
            connection.close()

    with pytest.raises(LostConnectionError, match="closed inside of the transaction"):
        work()
    assert keys(counter) == [0, 1, 2]


# --- deadlocks ----------------------------------------------------------------------------------


@pytest.fixture
def deadlock(connection, counter):
    """Half of a real deadlock: somebody holds row `theirs`, and waits for `mine` when started.

    The victim is the connection of the test, since it has changed fewer rows.
    """
    if connection.database.dialect.is_sqlite:
        pytest.skip("SQLite locks the whole file, so nobody waits in a circle")
    url = str(connection.database.url)
    place = f"`{counter.spec.name.schema}`.`{counter.spec.name.table}`"

    @contextlib.contextmanager
    def circle(mine, theirs):
        with contextlib.closing(connect(url)) as raw, raw.cursor() as cursor:
            raw.autocommit(False)
            cursor.execute("SET innodb_lock_wait_timeout = 20")
            # The transaction that changed most rows survives.
            cursor.executemany(
                f"INSERT INTO {place} VALUES (%s, 0)", [(i,) for i in range(1000, 1200)]
            )
            cursor.execute(f"DELETE FROM {place} WHERE counter = %s", (theirs,))
            waits = threading.Thread(
                target=cursor.execute, args=(f"DELETE FROM {place} WHERE counter = {mine}",)
            )
            try:
                yield waits
            finally:
                waits.join(30)
                raw.rollback()

    return circle


def wait_until_it_waits(connection):
    """Wait until another transaction waits for a lock."""

    def waits():
        with contextlib.closing(connect(str(connection.database.url))) as raw:
            cursor = raw.cursor()
            cursor.execute(
                "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
            )
            return cursor.fetchone()[0] > 0

    wait_until(waits, what="a transaction to wait for a lock")


def close_the_circle(counter, connection, deadlock):
    with deadlock(mine=1, theirs=2) as other:
        connection.database.delete((counter & {"counter": 1}).node)
        other.start()
        wait_until_it_waits(connection)
        connection.database.delete((counter & {"counter": 2}).node)


def test_a_deadlock_says_that_all_was_rolled_back_and_what_to_do(connection, counter, deadlock):
    def work():
        with connection.transaction:
            counter.insert1((10, 1))
            close_the_circle(counter, connection, deadlock)

    with pytest.raises(ContentionError, match=r"rolled back the whole transaction.*from its start"):
        work()
    assert keys(counter) == [0, 1, 2]
    assert not connection.in_transaction


def test_nothing_is_written_behind_a_deadlock_that_was_caught(connection, counter, deadlock):
    """The server has rolled back what came before: half of a transaction must not be committed."""

    def work():
        with connection.transaction:
            counter.insert1((10, 1))
            with pytest.raises(ContentionError):
                close_the_circle(counter, connection, deadlock)
            with pytest.raises(ContentionError, match="ended by the database"):
                counter.insert1((11, 1))

    with pytest.raises(ContentionError, match="ended by the database, and nothing of it is kept"):
        work()

    assert keys(counter) == [0, 1, 2]
    with connection.transaction:
        counter.insert1((12, 1))
    assert keys(counter) == [0, 1, 2, 12]


def test_a_deadlock_in_an_inner_transaction_ends_the_outer(connection, counter, deadlock):
    def work():
        with connection.transaction:
            counter.insert1((10, 1))
            with contextlib.suppress(ContentionError), connection.transaction:
                close_the_circle(counter, connection, deadlock)

    with pytest.raises(ContentionError, match="ended by the database"):
        work()
    assert keys(counter) == [0, 1, 2]


def test_work_that_is_djqs_own_is_done_again_after_a_deadlock(connection, counter, deadlock):
    calls = []

    def work():
        calls.append(len(calls))
        counter.insert1((10, 1))
        if len(calls) == 1:
            close_the_circle(counter, connection, deadlock)
        return "done"

    assert connection.database.atomically(work) == "done"
    assert len(calls) == 2
    assert keys(counter) == [0, 1, 2, 10]


def test_a_row_changed_since_the_snapshot_ends_the_transaction(connection, counter, another):
    if connection.database.dialect.backend != "mariadb":
        pytest.skip("only MariaDB checks it")
    place = f"`{counter.spec.name.schema}`.`{counter.spec.name.table}`"

    def work():
        with connection.transaction:
            connection.query("SET SESSION innodb_snapshot_isolation = ON")
            connection.query("SELECT 1")
            counter.insert1((10, 1))
            assert len(counter) == 4
            another.query(f"UPDATE {place} SET value = 5 WHERE counter = 1")
            connection.query(f"UPDATE {place} SET value = 6 WHERE counter = 1")

    with pytest.raises(ContentionError, match="rolled back the whole transaction"):
        work()
    assert keys(counter) == [0, 1, 2]
    assert (counter & {"counter": 1}).fetch1("value") == 5
    connection.close()


# --- locks --------------------------------------------------------------------------------------


def test_a_lock_held_too_long_undoes_the_statement_only(connection, counter, another):
    """In a transaction nothing is tried again behind the user's back."""
    row = {"counter": 70, "value": 1}
    other_row = {"counter": 71, "value": 1}
    own = another.database
    if own.dialect.is_sqlite:
        other_row = None  # the first write waits for the file

    with own.transaction():
        if other_row:
            own.insert(counter.spec, [other_row])
        connection.start_transaction()
        counter.insert1(row)
        with pytest.raises(ContentionError, match=r"for 1 s.*Only this statement was undone"):
            own.insert(counter.spec, [row])
        connection.cancel_transaction()
        own.insert(counter.spec, [row | {"value": 2}])

    assert (counter & {"counter": 70}).fetch1("value") == 2
    assert len(counter) == (4 if other_row is None else 5)


@pytest.mark.parametrize("n_rows", [1, 3])
def test_a_statement_of_its_own_is_tried_until_the_lock_is_free(
    connection, counter, another, monkeypatch, n_rows
):
    """Many rows are one transaction of djq's own: it begins again."""
    rows = [{"counter": 70 + i, "value": 1} for i in range(n_rows)]
    waits = []

    def release(seconds):
        waits.append(seconds)
        connection.cancel_transaction()

    monkeypatch.setattr(tries.time, "sleep", release)
    connection.start_transaction()
    counter.insert1(rows[-1])

    another.database.insert(counter.spec, rows)

    assert len(waits) == 1
    assert 0 <= waits[0] <= tries.BACKOFF_S
    assert len(counter) == 3 + n_rows


def test_a_delete_of_its_own_is_tried_until_the_lock_is_free(
    connection, counter, another, monkeypatch
):
    monkeypatch.setattr(tries.time, "sleep", lambda _: connection.cancel_transaction())
    connection.start_transaction()
    counter.insert1((10, 1))
    connection.database.delete((counter & {"counter": 1}).node)

    assert another.database.delete((counter & {"counter": 1}).node) == 1
    assert keys(counter) == [0, 2]


def test_a_lock_that_is_never_free_is_an_error_after_some_tries(
    connection, counter, another, monkeypatch
):
    waits = []
    monkeypatch.setattr(tries.time, "sleep", waits.append)
    with connection.transaction:
        counter.insert1((10, 1))
        with pytest.raises(ContentionError, match="Tried 5 times"):
            another.database.insert(counter.spec, [{"counter": 10, "value": 2}])

    assert len(waits) == 4
    bounds = [tries.BACKOFF_S * 2**i for i in range(4)]
    assert all(0 <= w <= b for w, b in zip(waits, bounds, strict=True))


def cut_off(connection):
    """End the connection of the open transaction, as a network does."""
    raw = connection.database._writer().raw
    number = raw._sock.fileno() if hasattr(raw, "_sock") else raw.fileno()  # PyMySQL, mysqlclient
    with socket.socket(fileno=os.dup(number)) as line:
        line.shutdown(socket.SHUT_RDWR)


def test_work_whose_connection_is_lost_before_its_commit_is_done_again(connection, counter):
    if connection.database.is_sqlite:
        pytest.skip("SQLite has no server")
    calls = []

    def work():
        calls.append(1)
        counter.insert1((10, 1))
        if len(calls) == 1:
            cut_off(connection)
        counter.insert1((11, 1))

    connection.database.atomically(work)

    assert len(calls) == 2
    assert keys(counter) == [0, 1, 2, 10, 11]


def test_work_whose_commit_was_lost_is_not_done_again(connection, counter):
    """It may be there already."""
    if connection.database.is_sqlite:
        pytest.skip("SQLite has no server")
    calls = []

    def work():
        calls.append(1)
        counter.insert1((10, 1))
        cut_off(connection)

    with pytest.raises(LostConnectionError, match="whether it was committed is not known"):
        connection.database.atomically(work)
    assert len(calls) == 1


def test_work_inside_a_transaction_is_part_of_it(connection, counter):
    with contextlib.suppress(ValueError), connection.transaction:
        connection.database.atomically(lambda: counter.insert1((10, 1)))
        raise ValueError

    assert keys(counter) == [0, 1, 2]

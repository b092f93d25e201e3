"""Raw SQL that would end a transaction: refused in a make, told of in a block."""

from __future__ import annotations

from asyncio import CancelledError
from contextlib import nullcontext, suppress

import pytest

import djq as dj
from djq.errors import MakeError, TransactionEndedError
from djq.populate.makers import maker_of
from djq.populate.planning import plan


def keys(table):
    return sorted(row["counter"] for row in table.to_dicts())


@pytest.fixture
def torn(schema):
    """A table with a part; between the two its makes call `between`."""

    @schema
    class Number(dj.Manual):
        definition = "n : int32"

    @schema
    class Torn(dj.Computed):
        definition = "-> Number"
        between = staticmethod(lambda connection: None)

        class Piece(dj.Part):
            definition = "-> master"

        def make(self, key):
            self.insert1(key)
            if key["n"] == 1:
                self.between(self.connection)
            self.Piece.insert1(key)

    Number.insert((n,) for n in range(3))
    return Torn


REFUSED = [
    "commit",
    "ROLLBACK",
    "/* so */ -- that\n (COMMIT)",
    "/*! COMMIT */",
    "CREATE TABLE other (x int)",
    "alter table other add y int",
    "SAVEPOINT x",
    "RELEASE SAVEPOINT x",
    "START TRANSACTION",
    "BEGIN",
    "SET autocommit = 1",
    "SET @@session.autocommit=1",
    "SET STATEMENT max_statement_time=1 FOR COMMIT",
    "LOCK TABLES x READ",
    "",
]


@pytest.mark.parametrize("text", REFUSED)
def test_a_statement_that_would_end_the_transaction_is_refused_in_a_make(torn, text):
    torn.between = staticmethod(lambda connection: connection.query(text))

    result = torn.populate(suppress_errors=True)

    assert result["success_count"] == 2
    ((key, message),) = result["error_list"]
    assert key == {"n": 1}
    assert message.startswith("UsageError: ")
    assert "cannot be sent inside a make" in message
    assert len(torn()) == len(torn.Piece()) == 2
    assert torn.jobs.errors.fetch1("cause") == "user"


@pytest.mark.parametrize(
    "text", ["SELECT 1", "  (select 1)", "-- why\nSELECT 1", "with a as (select 1) select * from a"]
)
def test_a_query_is_sent_in_a_make(torn, text):
    if text.startswith("  (") and torn.connection.database.is_sqlite:
        text = text.strip(" ()")
    torn.between = staticmethod(lambda connection: connection.query(text).fetchall())

    assert torn.populate()["success_count"] == 3


def end(connection, how):
    """End the transaction past the check."""
    connection.database.query(how)


@pytest.mark.parametrize("how", ["COMMIT", "ROLLBACK"])
@pytest.mark.parametrize("caught", ["not", "and dropped", "and another raised"])
def test_a_make_that_ended_its_transaction_is_an_error(torn, how, caught):
    def between(connection):
        if caught == "not":
            end(connection, how)
        with suppress(TransactionEndedError):
            end(connection, how)
        if caught == "and another raised":
            raise ValueError

    torn.between = staticmethod(between)

    result = torn.populate(suppress_errors=True)

    assert result["success_count"] == 2
    ((key, message),) = result["error_list"]
    assert key == {"n": 1}
    assert "TransactionEndedError" in message
    assert torn.jobs.errors.fetch1("cause") == ("torn" if how == "COMMIT" else "user")
    assert len(torn()) == (3 if how == "COMMIT" else 2)
    assert len(torn.Piece()) == 2


@pytest.mark.parametrize("form", ["make", "make_many"])
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, CancelledError])
@pytest.mark.parametrize("processes", [1, 2])
def test_half_a_result_is_an_error_whatever_else_is_raised(torn, form, error, processes):
    def between(connection):
        with suppress(TransactionEndedError):
            end(connection, "COMMIT")
        raise error

    torn.between = staticmethod(between)
    if form == "make_many":
        torn.make_many = lambda self, keys: [self.make(key) for key in keys]
        torn.maker = maker_of(torn, dj.Computed)
    is_end = processes == 1 and error is not CancelledError
    with pytest.raises(error) if is_end else nullcontext():
        torn.populate({"n": 1}, suppress_errors=True, processes=processes)

    assert torn.jobs.errors.fetch("n", "cause", as_dict=True) == [{"n": 1, "cause": "torn"}]
    assert (len(torn()), len(torn.Piece())) == (1, 0)
    assert torn.populate()["success_count"] == 2
    assert torn.progress().errors == 1


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("is_suppressed", [True, False])
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_make_that_leaves_between_two_inserts_commits_neither(
    torn, error, is_suppressed, processes
):
    def between(connection):
        raise error

    torn.between = staticmethod(between)
    kinds = (MakeError,) if processes == 2 else (error,)
    is_raised = not is_suppressed or (processes == 1 and error is not GeneratorExit)
    with pytest.raises(kinds) if is_raised else nullcontext():
        torn.populate({"n": 1}, suppress_errors=is_suppressed, processes=processes)

    assert (len(torn()), len(torn.Piece())) == (0, 0)
    is_recorded = processes == 2 or error is GeneratorExit
    assert len(torn.jobs.errors) == is_recorded


@pytest.fixture
def half(torn):
    """The same, of which one row is committed without its part."""
    torn.between = staticmethod(lambda connection: end(connection, "COMMIT"))
    torn.populate(suppress_errors=True)
    torn.between = staticmethod(lambda connection: None)
    return torn


@pytest.mark.parametrize("options", [{}, {"processes": 2}])
def test_half_a_result_stays_an_error_whatever_is_made_later(half, options):
    half.populate(**options)
    half.jobs.refresh()

    assert half.jobs.errors.keys() == [{"n": 1}]
    progress = half.progress()
    assert (progress.total, progress.made, progress.errors, progress.due) == (3, 2, 1, 0)
    planned = plan(half)[half]
    assert (planned.total, planned.made, planned.errors, planned.due) == (3, 2, 1, 0)
    counted = half.jobs.progress()
    assert counted["total"] == 3
    assert sum(counted.values()) == 6
    [group] = half.jobs.groups()
    assert group["cause"] == "torn"
    assert "delete it and call Torn.jobs.retry(key)" in group["message"]
    assert half.jobs.ignore({"n": 1}) == 0


def test_an_error_of_unknown_cause_is_forgotten_once_its_key_is_made(torn):
    torn.jobs.record({"n": 0}, "error")

    assert torn.populate()["success_count"] == 3

    assert len(torn.jobs) == 0


def test_a_procedure_that_commits_leaves_an_error_that_is_seen(torn):
    if torn.connection.database.is_sqlite:
        pytest.skip("it has no procedures")
    name = f"`{torn.spec.name.schema}`.commits"
    torn.connection.query(f"CREATE PROCEDURE {name}() BEGIN COMMIT; END")
    torn.between = staticmethod(lambda connection: connection.query(f"CALL {name}()"))

    with pytest.raises(TransactionEndedError) as told:
        torn.populate()
    torn.populate(suppress_errors=True)

    assert any("delete it and call Torn.jobs.retry(key)" in note for note in told.value.__notes__)
    assert torn.jobs.errors.fetch1("cause") == "torn"
    assert (len(torn()), torn.progress().made, torn.progress().errors) == (3, 2, 1)


def test_half_a_result_is_accepted_by_retry(half):
    assert half.jobs.retry({"n": 1}) == 1

    assert not half.jobs.errors
    assert half.progress().made == len(half()) == 3
    assert half.populate()["success_count"] == 0


def test_half_a_result_whose_row_is_deleted_is_due_after_retry(half):
    (half & "n = 1").delete(prompt=False)

    assert half.jobs.errors.keys() == [{"n": 1}]
    assert half.progress().errors == 1
    assert not half.jobs.pending
    half.jobs.retry()
    assert half.jobs.pending.keys() == [{"n": 1}]


def test_half_a_result_whose_row_is_deleted_is_made_by_populate(half):
    (half & "n = 1").delete(prompt=False)

    assert half.populate()["success_count"] == 1

    assert not half.jobs.errors
    assert len(half.jobs) == 0
    assert len(half.Piece()) == 3


@pytest.mark.parametrize(
    ("how", "fate"), [("COMMIT", "is committed"), ("/* x */ rollback", "is undone")]
)
def test_a_block_says_that_raw_sql_ended_it(connection, counter, how, fate):
    def work():
        with connection.transaction:
            counter.insert1((10, 1))
            with suppress(TransactionEndedError):
                connection.query(how)
            with pytest.raises(TransactionEndedError):
                counter.insert1((11, 1))

    with pytest.raises(TransactionEndedError, match=f"what was written before it {fate}"):
        work()
    assert keys(counter) == ([0, 1, 2, 10] if fate == "is committed" else [0, 1, 2])
    with connection.transaction:
        counter.insert1((12, 1))
    assert 12 in keys(counter)


def test_an_outer_block_hears_that_raw_sql_ended_the_inner_one(connection, counter):
    def work():
        with connection.transaction:
            counter.insert1((10, 1))
            with suppress(ValueError, TransactionEndedError), connection.transaction:
                counter.insert1((11, 1))
                with suppress(TransactionEndedError):
                    connection.query("COMMIT")
                raise ValueError

    with pytest.raises(TransactionEndedError):
        work()
    assert keys(counter) == [0, 1, 2, 10, 11]
    assert not connection.in_transaction


def test_data_definition_in_a_block_is_told_of_even_where_it_fails(connection, counter):
    if connection.database.is_sqlite:
        pytest.skip("its data definition is part of the transaction")

    def work():
        with connection.transaction:
            counter.insert1((10, 1))
            connection.query(f"ALTER TABLE `{counter.spec.name.schema}`.missing ADD y int")

    with pytest.raises(TransactionEndedError, match="is committed"):
        work()
    assert keys(counter) == [0, 1, 2, 10]


def test_a_connection_that_was_told_to_commit_by_itself_is_replaced(connection, counter):
    if connection.database.is_sqlite:
        pytest.skip("it has no such setting")
    with pytest.raises(TransactionEndedError), connection.transaction:
        connection.query("SET autocommit = 1")
    with suppress(ValueError), connection.transaction:
        counter.insert1((10, 1))
        raise ValueError

    assert keys(counter) == [0, 1, 2]


def test_a_statement_that_fails_otherwise_leaves_the_transaction_open(connection, counter):
    with connection.transaction:
        counter.insert1((10, 1))
        with pytest.raises(dj.errors.DatabaseError) as told:
            connection.query("SELEKT 1")
        assert not isinstance(told.value, TransactionEndedError)
        counter.insert1((11, 1))

    assert keys(counter) == [0, 1, 2, 10, 11]

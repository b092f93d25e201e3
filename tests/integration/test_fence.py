"""The first result of a key is kept, whatever a later make of the same key tries."""

from __future__ import annotations

import datetime as dt
import decimal
import threading
import uuid
from contextlib import suppress

import pytest

import djq as dj
from djq.errors import DuplicateError, UsageError
from djq.populate.chunks import make_chunk

KEY = {"n": 1}


class OopsError(Exception):
    pass


@pytest.fixture
def result(schema):
    """A table whose make does what the test says."""

    @schema
    class Number(dj.Manual):
        definition = """
        n : int32
        """

    @schema
    class Result(dj.Computed):
        definition = """
        -> Number
        ---
        value : int32
        """

        class Item(dj.Part):
            definition = """
            -> master
            item : int32
            """

        def make(self, key):
            self.act(key)

    Number.insert((n,) for n in range(4))
    return Result


def make(table, act, key=None):
    """Make one key by `act`; return what became of it."""
    table.act = act
    (outcome,) = make_chunk(table, [key or KEY])
    return outcome.status


def contents(table):
    """All rows and parts."""
    return table.to_dicts(order_by="KEY"), table.Item.to_dicts(order_by="KEY")


def in_the_meantime(act):
    """Let another worker make the key, once, before `act` goes on."""

    def late(self, key):
        other = dj.Connection(self.connection.settings)
        hidden = {a.name: None for a in self.spec.hidden}
        other.database.insert(self.spec, [{**key, "value": 1, **hidden}])
        other.database.insert(self.Item.spec, [{**key, "item": 1}])
        other.close()
        act(self, key)

    return late


def replaces(self, key):
    self.insert1({**key, "value": 2}, replace=True)


def replaces_among_others(self, key):
    self.insert([{"n": 0, "value": 0}, {**key, "value": 2}], replace=True)


def skips(self, key):
    self.insert1({**key, "value": 2}, skip_duplicates=True)
    self.Item.insert1({**key, "item": 2})


def skips_among_others(self, key):
    self.insert([{"n": 0, "value": 0}, {**key, "value": 2}], skip_duplicates=True)
    self.Item.insert([{**key, "item": i} for i in range(3)], skip_duplicates=True)


def skips_the_rows_of_a_query(self, key):
    self.insert((self.key_source & key).proj(value="n + 1"), skip_duplicates=True)
    self.Item.insert1({**key, "item": 2})


def goes_on_after_the_refusal(self, key):
    with suppress(DuplicateError):
        self.insert1({**key, "value": 2})
    self.Item.insert1({**key, "item": 2})


def goes_on_after_undoing_its_own(self, key):
    with suppress(DuplicateError, OopsError), self.connection.transaction:
        self.insert1({**key, "value": 2})
        raise OopsError
    self.insert1({**key, "value": 2}, replace=True)


def goes_on_after_undoing_two_levels(self, key):
    with suppress(DuplicateError, OopsError), self.connection.transaction:
        with self.connection.transaction:
            self.insert([{**key, "value": 2}])
        raise OopsError
    self.insert([{**key, "value": 2}], replace=True)


def deletes_before(self, key):
    (self & key).delete(prompt=False)
    self.insert1({**key, "value": 2})


def deletes_quickly_before(self, key):
    self.Item.delete_quick()
    (self & key).delete_quick()
    self.insert1({**key, "value": 2})


def updates(self, key):
    self.update1({**key, "value": 2})


def adds_parts_alone(self, key):
    if not self & key:
        self.insert1({**key, "value": 2})
    self.Item.insert1({**key, "item": 2}, replace=True)


def deletes_parts_alone(self, key):
    (self.Item & key).delete_quick()


def fails(self, key):
    message = f"no licence for {key}"
    raise OSError(message)


@pytest.mark.parametrize(
    "act",
    [
        replaces,
        replaces_among_others,
        skips,
        skips_among_others,
        skips_the_rows_of_a_query,
        goes_on_after_the_refusal,
        goes_on_after_undoing_its_own,
        goes_on_after_undoing_two_levels,
        deletes_before,
        deletes_quickly_before,
        updates,
        adds_parts_alone,
        deletes_parts_alone,
        fails,
    ],
    ids=lambda act: act.__name__,
)
def test_what_somebody_else_committed_meanwhile_stays_as_it_is(result, act):
    assert make(result, in_the_meantime(act)) == "exists"

    assert contents(result) == ([{"n": 1, "value": 1}], [{"n": 1, "item": 1}])
    assert len(result.jobs) == 0


@pytest.mark.parametrize(
    "act", [replaces, skips, deletes_before, deletes_quickly_before, adds_parts_alone]
)
def test_where_nobody_did_each_of_these_makes_the_key(result, act):
    assert make(result, act) == "made"

    assert result.to_dicts() == [{"n": 1, "value": 2}]


def test_a_make_may_change_what_it_inserted_itself(result):
    def act(self, key):
        self.insert1({**key, "value": 2})
        self.insert1({**key, "value": 3}, replace=True)
        self.insert([{**key, "value": 4}], skip_duplicates=True)
        self.update1({**key, "value": self.fetch1("value") + 10})

    assert make(result, act) == "made"
    assert result.fetch1("value") == 13


def test_a_make_may_change_what_it_inserted_in_a_nested_transaction(result):
    def act(self, key):
        with self.connection.transaction:
            with self.connection.transaction:
                self.insert1({**key, "value": 2})
            self.insert1({**key, "value": 3}, replace=True)
        self.insert([{**key, "value": 4}], replace=True)
        (self & key).delete_quick()
        self.insert1({**key, "value": 5})

    assert make(result, act) == "made"
    assert result.fetch1("value") == 5


def test_a_make_may_insert_its_row_twice_in_one_call_of_several_chunks(result):
    def act(self, key):
        rows = [{"n": n, "value": value} for value in (1, 2) for n in range(4)]
        with self.connection.transaction:
            self.insert(rows, replace=True, chunk_size=3)

    assert make(result, act) == "made"
    assert result.to_dicts(order_by="KEY") == [{"n": n, "value": 2} for n in range(4)]


def test_a_make_may_insert_again_what_it_deleted_of_its_own(result):
    def act(self, key):
        self.insert1({**key, "value": 2})
        (self & key).delete_quick()
        self.insert1({**key, "value": 3})

    assert make(result, act) == "made"
    assert result.fetch1("value") == 3


def test_rows_of_other_keys_are_replaced_skipped_and_deleted_as_asked(result):
    def act(self, key):
        self.insert([{"n": 0, "value": 5}, {**key, "value": 2}, {"n": 3, "value": 5}], replace=True)
        self.insert([{"n": 0, "value": 6}, {"n": 2, "value": 6}], skip_duplicates=True)
        (self & "n = 3").delete_quick()

    result.insert([(0, 0), (3, 0)], allow_direct_insert=True)

    assert make(result, act) == "made"
    assert result.to_dicts(order_by="KEY") == [
        {"n": 0, "value": 5},
        {"n": 1, "value": 2},
        {"n": 2, "value": 6},
    ]


def test_a_failed_insert_of_many_leaves_none_of_them(result):
    def act(self, key):
        with suppress(dj.DjqError):
            self.insert([{**key, "value": 2}, {"n": 99, "value": 2}], replace=True)
        assert len(self) == 0
        self.insert1({**key, "value": 3})

    assert make(result, act) == "made"
    assert result.to_dicts() == [{"n": 1, "value": 3}]


def test_a_row_that_a_nested_transaction_undid_does_not_count(result):
    def act(self, key):
        with suppress(OopsError), self.connection.transaction:
            self.insert1({**key, "value": 2})
            raise OopsError

    assert make(result, act) == "empty"
    assert len(result) == 0


def test_rows_that_an_outer_nested_transaction_undid_do_not_count(result):
    def act(self, key):
        with suppress(OopsError), self.connection.transaction:
            with self.connection.transaction:
                self.insert1({**key, "value": 2})
            with self.connection.transaction:
                self.insert([{**key, "value": 3}], replace=True)
            raise OopsError

    assert make(result, act) == "empty"
    assert len(result) == 0


def test_a_row_of_a_nested_transaction_counts(result):
    def act(self, key):
        with self.connection.transaction:
            self.insert1({**key, "value": 2})
            self.Item.insert1({**key, "item": 2})

    assert make(result, act) == "made"
    assert contents(result) == ([{"n": 1, "value": 2}], [{"n": 1, "item": 2}])


def test_other_threads_do_not_insert_in_the_name_of_a_make(result):
    refused = []

    def insert(table, key):
        try:
            table.insert1({**key, "value": 9})
        except UsageError as error:
            refused.append(str(error))
        finally:
            table.connection.close()

    def act(self, key):
        thread = threading.Thread(target=insert, args=(self, key))
        thread.start()
        thread.join()
        self.insert1({**key, "value": 2})

    assert make(result, act) == "made"
    assert "is filled by make" in refused[0]
    assert result.fetch1("value") == 2


def test_keys_of_every_type_are_known_again(schema):
    @schema
    class Thing(dj.Manual):
        definition = """
        a : uuid
        b : decimal(6,2)
        c : date
        d : datetime(3)
        e : enum('x','y')
        f : varchar(10)
        g : int64
        """

    @schema
    class Made(dj.Computed):
        definition = """
        -> Thing
        ---
        n : int32
        """

        def make(self, key):
            assert self.upstream[Thing].keys() == [key]
            self.insert1({**key, "n": 1}, replace=True)
            self.insert1({**key, "n": 2}, replace=True)

    @schema
    class MadeAtOnce(dj.Computed):
        definition = "-> Thing"

        def make_many(self, keys):
            assert len(self.upstream[Thing]) == len(keys)
            self.insert(keys, skip_duplicates=True)

    when = dt.datetime(2026, 1, 2, 3, 4, 5, 678_000)  # noqa: DTZ001 - as rows have them
    Thing.insert(
        (uuid.UUID(int=i), decimal.Decimal("1.50") + i, when.date(), when, "y", "Ä ö", 2**40 + i)
        for i in range(3)
    )

    assert Made.populate()["success_count"] == 3
    assert Made.fetch("n").tolist() == [2, 2, 2]
    assert MadeAtOnce.populate()["success_count"] == 3
    key = Thing.keys()[0]
    assert make_statuses(Made, [key]) == ["exists"]


def make_statuses(table, keys):
    return [o.status for o in make_chunk(table, keys)]

"""`Table.jobs`: what waits, runs, failed and is done, as queries, on every database."""

from __future__ import annotations

import contextlib

import pytest

import djq as dj
from djq.errors import QueryError, RowError, UsageError
from djq.orchestrator.holding import Main, holder_id
from djq.orchestrator.reservations import Reservations
from djq.orchestrator.states import Chunk
from djq.populate.census import Census, take_census
from djq.settings import load
from djq.tables.connection import Connection
from djq.tables.schema import Schema
from tests.support.waiting import wait_until


class OopsError(Exception):
    pass


@pytest.fixture
def table(schema):
    """Six keys: 1 is made, 2 and 3 failed alike, 4 failed otherwise, 5 is ignored, 6 is due."""

    @schema
    class Number(dj.Manual):
        definition = "n : int32"

    @schema
    class Result(dj.Computed):
        definition = """
        -> Number
        ---
        x : int32
        """

        def make(self, key):
            if key["n"] in {2, 3}:
                raise OopsError(key)
            if key["n"] == 4:
                raise KeyError(key["n"])
            self.insert1({**key, "x": 1})

    Number.insert((n,) for n in range(1, 6))
    Result.jobs.ignore({"n": 5})
    Result.populate(suppress_errors=True)
    Number.insert1((6,))
    return Result


def numbers(query):
    return sorted(query.to_arrays("n"))


def test_every_state_is_a_query(table):
    jobs = table.jobs

    assert numbers(jobs.pending) == [6]
    assert numbers(jobs.errors) == [2, 3, 4]
    assert numbers(jobs.errors & {"cause": "user"} & "n > 2") == [3, 4]
    assert numbers(jobs.ignored) == [5]
    assert numbers(jobs.empty) == numbers(jobs.reserved) == []
    assert numbers(jobs.completed) == [1]


def test_what_is_done_says_when_and_where(table):
    done = table.jobs.completed.fetch1()

    assert done["x"] == 1
    assert done["duration"] >= 0
    assert done["completed_time"] >= done["reserved_time"]
    assert done["host"]
    assert done["version"]


def test_counts_have_the_names_of_the_states(table):
    assert table.jobs.progress() == {
        "pending": 1,
        "reserved": 0,
        "success": 1,
        "error": 3,
        "empty": 0,
        "ignore": 1,
        "total": 6,
    }


def test_progress_is_remaining_and_total_as_in_datajoint(table):
    progress = table.progress()
    remaining, total = progress

    assert (remaining, total) == (progress.remaining, progress.total) == (5, 6)
    assert str(progress) == "1 of 6 made (16.7 %), 1 due, 3 failed, 1 ignored"


def test_an_error_of_a_key_that_is_made_by_now_is_none(table):
    table.insert1({"n": 2, "x": 0}, allow_direct_insert=True)

    assert numbers(table.jobs.errors) == [3, 4]
    assert table.jobs.refresh() == {"added": 0, "removed": 1, "orphaned": 0, "re_pended": 0}
    assert numbers(table.jobs) == [3, 4, 5]


def test_records_of_keys_that_are_gone_are_forgotten_by_refresh(table, schema):
    (schema.tables["Number"] & "n in (4, 5)").delete(prompt=False)

    assert table.jobs.refresh()["removed"] == 2
    assert numbers(table.jobs) == [2, 3]


def test_keys_are_ignored_by_condition_unless_they_are_made(table, schema):
    assert table.jobs.ignore("n < 3") == 1
    assert table.jobs.ignore(schema.tables["Number"] & {"n": 6}) == 1

    assert numbers(table.jobs.ignored) == [2, 5, 6]
    assert numbers(table.jobs.pending) == []


def test_a_key_is_ignored_unless_it_is_made_or_unknown(table):
    assert table.jobs.ignore({"n": 1}) == 0
    assert table.jobs.ignore({"n": 99}) == 0
    assert table.jobs.ignore({"n": 6, "x": "of no key"}) == 1

    assert numbers(table.jobs.ignored) == [5, 6]


@pytest.mark.parametrize("verb", ["populate", "plan", "progress", "jobs"])
def test_a_restricted_table_is_asked_for_none_of_its_keys(table, verb):
    with pytest.raises(UsageError, match=rf"restricted: {verb} is asked of the whole .*\.{verb}"):
        getattr(table & "n > 3", verb)()


def test_names_that_no_record_has_are_refused_and_nothing_is_forgotten(table):
    told = (
        r'restricted by fingerprnt, and .* none of these .*Did you mean "fingerprint"\? Known: n, '
    )

    with pytest.raises(QueryError, match=told):
        table.jobs.retry({"fingerprnt": "zz"})
    with pytest.raises(QueryError, match=r"jobs of .*Result is restricted by nn"):
        table.jobs.retry("n > 0", [{"nn": 5}, {"nn": 6}])
    with pytest.raises(QueryError, match="is restricted by nn"):
        (table.jobs & {"nn": 5}).delete()
    with pytest.raises(QueryError, match="is restricted by nn"):
        table.jobs.refresh({"nn": 5})

    assert numbers(table.jobs) == [2, 3, 4, 5]


def test_names_that_no_key_has_are_refused_and_nothing_is_ignored(table):
    with pytest.raises(QueryError, match=r'Result has no nn in its key: .*Did you mean "n"\?'):
        table.jobs.ignore([{"nn": 5}])
    with pytest.raises(QueryError, match=r'Result: unknown attribute "nn"'):
        table.jobs.ignore("nn = 5")
    with pytest.raises(RowError, match=r'the key .* lacks attribute "n"'):
        table.jobs.ignore({"nn": 5})

    assert numbers(table.jobs.ignored) == [5]


def test_records_are_deleted_by_restriction(table):
    assert (table.jobs & "n = 2").delete() == 1
    assert table.jobs.errors.delete() == 2
    assert numbers(table.jobs) == [5]
    assert numbers(table.jobs.pending) == [2, 3, 4, 6]


def test_failures_are_grouped_by_the_database(table):
    groups = table.jobs.groups()

    assert [(g["count"], g["cause"], g["example"]) for g in groups] == [
        (2, "user", {"n": 2}),
        (1, "user", {"n": 4}),
    ]
    assert groups[0]["message"] == "OopsError: {'n': 2}"
    assert groups[0]["fingerprint"].startswith("OopsError in")
    assert "raise OopsError(key)" in groups[0]["traceback"]
    assert groups[0]["last"] is not None
    assert table.jobs.groups("n > 3") == groups[1:]
    assert table.jobs.groups("n > 9") == []


def test_a_coarse_table_has_its_records_for_what_is_done(schema):
    @schema
    class Session(dj.Manual):
        definition = "session : int32"

    @schema
    class Trial(dj.Computed):
        definition = """
        -> Session
        trial : int32
        """

        def make(self, key):
            self.insert({**key, "trial": i} for i in range(3))

    Session.insert([(1,), (2,)])
    Trial.populate({"session": 1})

    assert Trial.jobs.completed.keys() == [{"session": 1}]
    assert Trial.jobs.pending.keys() == [{"session": 2}]

    # What is done stays, since it keeps a second result out; nor is it ignored.
    assert Trial.jobs.retry() == Trial.jobs.delete() == 0
    assert Trial.jobs.ignore({"session": 1}) == 0
    assert Trial.jobs.ignore({"session": 2}) == 1
    assert Trial.jobs.completed.keys() == [{"session": 1}]
    assert Trial.jobs.retry() == 1


@pytest.fixture
def with_redis(tmp_path, redis_url, schema_name):
    settings = load(
        database_url=f"sqlite:///{tmp_path / 'r.sqlite'}", redis_url=redis_url, state_dir=tmp_path
    )
    connection = Connection(settings)
    yield Schema(schema_name, connection=connection)
    connection.close()


def test_keys_in_the_hands_of_the_fleet_are_reserved(with_redis):
    @with_redis
    class Number(dj.Manual):
        definition = "n : int32"

    @with_redis
    class Result(dj.Computed):
        definition = "-> Number"

        def make(self, key):
            self.insert1(key)

    Number.insert([(1,), (2,), (3,)])
    name = Result.spec.display_name
    fleet = Reservations.open(with_redis.connection.settings)
    chunk = Chunk("c1", "r1", name, ("[1]", "[3]"))
    with contextlib.closing(fleet.server):
        fleet.queue([chunk])
        queued = numbers(Result.jobs.reserved)
        fleet.holders.beat(Main("here:1", "here", 1, slots=4))
        fleet.reserve(chunk, holder_id("here:1", 1))
        lost = Chunk("c2", "r1", name, ("[2]",))
        fleet.queue([lost])
        Reservations(fleet.server, lease_s=0.001).reserve(lost, holder_id("there:1", 1))
        wait_until(lambda: fleet.holders.look().silent == ("there:1",), what="a lease to end")
        census = take_census(with_redis.connection.settings)
        is_left = {record.id for record in fleet.chunks()} == {"c1", "c2"}

    assert queued == []
    assert numbers(Result.jobs.reserved) == [1, 3]
    assert census.slots == 4
    # Looking at the fleet took nothing from anybody, dead or alive.
    assert is_left


def test_nobody_is_there_without_redis(local_settings):
    assert take_census(local_settings) == Census()

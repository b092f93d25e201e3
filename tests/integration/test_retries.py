"""What is recorded of keys that fail, and when they are tried again, on every database."""

from __future__ import annotations

import datetime as dt
import logging
import re
import sys

import pytest

import djq as dj
from djq.errors import ContentionError, UnreachableError
from djq.populate import make as making
from djq.populate.chunks import make_chunk
from djq.populate.plan import due_keys
from djq.populate.version import code_version
from tests.support.waiting import wait_until


class OopsError(Exception):
    pass


@pytest.fixture
def table(schema):
    """A table with three keys whose make does what `behave` says."""

    @schema
    class Number(dj.Manual):
        definition = "n : int32"

    @schema
    class Result(dj.Computed):
        definition = """
        -> Number
        """
        behave = staticmethod(lambda key: None)

        def make(self, key):
            self.behave(key)
            self.insert1(key)

    Number.insert([(1,), (2,), (3,)])
    return Result


@pytest.fixture
def failing(table, monkeypatch):
    """Let every make of the table raise."""

    def fail_with(error, **options):
        def behave(key):
            raise error

        monkeypatch.setattr(table, "behave", staticmethod(behave))
        monkeypatch.setattr(table, "populate_options", dj.PopulateOptions(**options))
        return table

    return fail_with


def fail_once(table, n=1):
    (outcome,) = make_chunk(table, [{"n": n}])
    return outcome


def record(table, n=1):
    return (table.jobs & {"n": n}).fetch1()


def test_without_retries_a_key_fails_for_good(failing):
    table = failing(OopsError("no"))

    outcome = fail_once(table)

    assert (outcome.status, outcome.error.attempt, outcome.error.retry_at) == ("failed", 1, None)
    assert (record(table)["attempt"], record(table)["scheduled_time"]) == (1, None)
    assert record(table)["cause"] == "user"
    assert due_keys(table, limit=9) == [{"n": 2}, {"n": 3}]


def test_a_key_waits_for_its_next_try_by_the_clock_of_the_database(failing):
    table = failing(OopsError("no"), max_retries=2, backoff_s=600)
    clock = table.connection.database.clock

    before = clock()
    outcome = fail_once(table)

    due_at = outcome.error.retry_at - dt.timedelta(seconds=600)
    assert before <= due_at <= clock()
    assert abs(record(table)["scheduled_time"] - outcome.error.retry_at).total_seconds() < 0.001
    assert due_keys(table, limit=9) == [{"n": 2}, {"n": 3}]


def test_the_time_of_a_failure_is_that_of_the_database(failing, monkeypatch):
    table = failing(OopsError("no"))
    database = table.connection.database
    later = database.clock().replace(microsecond=0) + dt.timedelta(hours=1)
    monkeypatch.setattr(type(database), "clock", lambda _: later)

    fail_once(table)

    assert record(table)["completed_time"] == later


def test_each_wait_is_twice_as_long_until_the_tries_are_used_up(failing):
    table = failing(OopsError("no"), max_retries=2, backoff_s=600)
    clock = table.connection.database.clock
    waits = []

    for _ in range(3):
        retry_at = fail_once(table).error.retry_at
        waits.append(retry_at and round((retry_at - clock()).total_seconds() / 600))

    assert waits == [1, 2, None]
    assert record(table)["attempt"] == 3


def test_a_key_whose_time_has_come_is_due(failing):
    table = failing(OopsError("no"), max_retries=5, backoff_s=0.001)

    fail_once(table)

    wait_until(lambda: {"n": 1} in due_keys(table, limit=9), what="the retry to be due")


def test_new_code_counts_from_the_beginning(failing, monkeypatch):
    table = failing(OopsError("no"), max_retries=1, backoff_s=600)
    fail_once(table)
    assert fail_once(table).error.retry_at is None

    monkeypatch.setattr(making, "code_version", lambda cls: "newer")

    assert fail_once(table).error.attempt == 1
    assert record(table)["version"] == "newer"
    assert {"n": 1} in due_keys(table, limit=9)
    assert code_version(table) != "newer"


def test_retry_by_hand_forgets_the_attempts(failing):
    table = failing(OopsError("no"), max_retries=1, backoff_s=600)
    fail_once(table)

    assert table.jobs.retry({"n": 1}) == 1

    assert fail_once(table).error.attempt == 1


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (OopsError("no"), "user"),
        (ContentionError("busy"), "transient"),
        (MemoryError(), "memory"),
        (None, "empty"),
    ],
)
def test_the_cause_is_recorded(failing, table, monkeypatch, error, cause):
    monkeypatch.setattr(making, "BACKOFF_S", 0.0001)
    if error is None:
        monkeypatch.setattr(table, "insert1", lambda self, key: None)
    else:
        failing(error, max_retries=0)

    fail_once(table)

    assert record(table)["cause"] == cause


def test_what_ran_out_of_memory_goes_to_the_big_queue_once(failing):
    table = failing(MemoryError(), big_queue="djq.big")

    first = fail_once(table)
    to_big = record(table)["queue"]
    second = fail_once(table)

    assert re.search(r"held [\d.]+ [MG]B at most\)", record(table)["error_message"])
    assert first.error.retry_at is not None
    assert to_big == "djq.big"
    assert second.error.retry_at is None
    assert record(table)["queue"] is None


def test_without_a_big_queue_it_is_not_tried_again(failing):
    table = failing(MemoryError(), max_retries=3)

    assert fail_once(table).error.retry_at is None

    assert record(table)["cause"] == "memory"


def test_a_make_that_does_nothing_is_not_tried_again(table, monkeypatch):
    monkeypatch.setattr(table, "insert1", lambda self, key: None)
    monkeypatch.setattr(table, "populate_options", dj.PopulateOptions(max_retries=3))

    outcome = fail_once(table)

    assert (outcome.status, outcome.error.retry_at) == ("empty", None)


def test_a_key_that_is_ignored_meanwhile_stays_ignored(table, monkeypatch):
    # On a connection of its own: within the make's transaction it would be rolled back with it.
    other = dj.Connection(table.connection.settings)
    theirs = table()
    theirs.connection = other

    def ignoring(key):
        theirs.jobs.ignore(key)
        raise OopsError

    monkeypatch.setattr(table, "behave", staticmethod(ignoring))

    outcome = fail_once(table)

    assert outcome.status == "failed"
    assert record(table)["status"] == "ignore"
    other.close()


def test_a_failure_that_cannot_be_recorded_leaves_the_key_due(failing, monkeypatch, caplog):
    table = failing(OopsError("no"))

    def away(*args, **kwargs):
        message = "the database is away"
        raise UnreachableError(message)

    monkeypatch.setattr("djq.populate.jobs.Jobs.fail", away)

    outcomes = list(make_chunk(table, [{"n": 1}, {"n": 2}]))

    assert [o.status for o in outcomes] == ["lost", "lost"]
    assert [r.levelname for r in caplog.records] == ["ERROR", "ERROR"]
    assert "the database is away" in caplog.text
    assert len(due_keys(table, limit=9)) == 3


def test_what_no_database_takes_is_recorded_all_the_same(failing):
    table = failing(OopsError("file \udcff\x00"))

    assert fail_once(table).status == "failed"

    assert record(table)["error_message"] == "OopsError: file \\udcff\x00"


def test_the_last_lines_of_the_make_are_in_the_record(table, monkeypatch, capsys):
    def behave(key):
        sys.stdout.write(f"reading {key['n']}\n")
        logging.getLogger("lab").warning("no signal")
        if key["n"] == 2:
            raise OopsError

    monkeypatch.setattr(table, "behave", staticmethod(behave))

    table.populate(suppress_errors=True)

    lines = record(table, 2)["error_log"].splitlines()
    assert lines[0] == "reading 2"
    assert lines[1].endswith("WARNING lab: no signal")
    assert "reading 3" in capsys.readouterr().out

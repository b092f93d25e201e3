"""What is announced of inserts, and when: after the commit, or never."""

from __future__ import annotations

import contextlib
import subprocess
import sys

import pytest

import djq as dj
from djq.errors import DuplicateError
from djq.orchestrator.events import Inserted, Released
from djq.orchestrator.reservations import Reservations
from djq.tables import announcing
from djq.tables.announcing import MAX_KEYS
from tests.support.processes import environment
from tests.support.servers import free_port
from tests.support.waiting import wait_until

on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Stream:
    """What a scheduler hears."""

    def __init__(self, reservations):
        self._reservations = reservations
        self.heard = []

    def read(self):
        """Return what was announced: table and key, or table and None for unknown keys."""
        inserted = [event for event in self.events() if isinstance(event, Inserted)]
        return [(event.table, key) for event in inserted for key in event.keys or (None,)]

    def events(self):
        """Return all that was announced."""
        return self._reservations.stream.read("0-0", wait_s=0)[1]

    def wait(self, *expected):
        """Wait until exactly this was announced."""
        wait_until(lambda: len(self.read()) >= len(expected), what=f"{expected}")
        assert self.read() == [*expected]


@pytest.fixture
def online(settings):
    """A connection whose settings name a Redis."""
    with dj.Connection(settings) as opened:
        yield opened


@pytest.fixture
def stream(settings):
    reservations = Reservations.open(settings)
    yield Stream(reservations)
    reservations.server.close()


@pytest.fixture
def subject(online, schema_name):
    @dj.Schema(schema_name, connection=online)
    class Subject(dj.Manual):
        definition = """
        subject : varchar(8)
        visit   : date
        ---
        weight = null : float32
        """

        class Note(dj.Part):
            definition = """
            -> master
            note : int32
            """

    return Subject


def key(name, day=1):
    return {"subject": name, "visit": f"2026-11-0{day}"}


def name_of(table):
    return str(table.spec.name)


def test_inserted_rows_are_announced_by_their_keys(subject, stream):
    subject.insert1(key("a"))
    stream.wait((name_of(subject), '["a","2026-11-01"]'))


def test_many_rows_are_announced_together(subject, stream):
    subject.insert([key("a"), key("b")])
    subject.Note.insert1({**key("a"), "note": 7})
    stream.wait(
        (name_of(subject), '["a","2026-11-01"]'),
        (name_of(subject), '["b","2026-11-01"]'),
        (name_of(subject.Note), '["a","2026-11-01",7]'),
    )


def test_a_transaction_is_announced_behind_its_commit(online, subject, stream):
    with online.transaction:
        subject.insert1(key("a"))
        with online.transaction:
            subject.insert1(key("b"))
        online.announcer.close()  # what were on its way would be there now
        assert stream.read() == []
    stream.wait((name_of(subject), '["a","2026-11-01"]'), (name_of(subject), '["b","2026-11-01"]'))


def test_what_is_rolled_back_is_not_announced(online, subject, stream):
    with contextlib.suppress(ValueError), online.transaction:
        subject.insert1(key("a"))
        raise ValueError
    online.start_transaction()
    subject.insert1(key("b"))
    online.cancel_transaction()
    with contextlib.suppress(DuplicateError):
        subject.insert([key("c"), key("c")])
    online.announcer.close()
    assert stream.read() == []


def test_a_savepoint_that_is_undone_is_left_out(online, subject, stream):
    with online.transaction:
        with contextlib.suppress(ValueError), online.transaction:
            subject.insert1(key("a"))
            raise ValueError
        subject.insert1(key("b"))
    stream.wait((name_of(subject), '["b","2026-11-01"]'))


@on_one_database
def test_a_transaction_that_is_begun_by_hand_is_announced_at_its_end(online, subject, stream):
    online.start_transaction()
    subject.insert1(key("a"))
    online.commit_transaction()
    stream.wait((name_of(subject), '["a","2026-11-01"]'))


@on_one_database
def test_of_more_than_a_thousand_keys_it_is_only_said_that_there_are_some(subject, stream):
    subject.insert({**key("a"), "subject": str(i)} for i in range(MAX_KEYS + 1))
    stream.wait((name_of(subject), None))


@on_one_database
def test_rows_of_a_query_are_announced_as_unknown(online, schema_name, subject, stream):
    @dj.Schema(schema_name, connection=online)
    class Copy(dj.Manual):
        definition = subject.definition

    subject.insert1(key("a"))
    Copy.insert(subject)
    stream.wait((name_of(subject), '["a","2026-11-01"]'), (name_of(Copy), None))


@on_one_database
def test_a_loop_is_announced_in_few_messages(settings, subject, stream):
    for i in range(300):
        subject.insert1({**key("a"), "subject": str(i)})
    wait_until(lambda: len(stream.read()) == 300, what="300 keys")
    _, events = Reservations.open(settings).stream.read("0-0", wait_s=0)
    assert len(events) < 200


@on_one_database
@pytest.mark.parametrize("processes", [1, 2])
def test_what_a_plain_populate_makes_is_announced(sums, stream, processes):
    sums.Number.insert1((0, 1))
    sums.Square.populate(processes=processes)
    sums.schema.connection.announcer.close()
    made = ((name_of(sums.Square), "[0]"), (name_of(sums.Square.Digit), "[0,0]"))
    stream.wait((name_of(sums.Number), "[0]"), *made)


@on_one_database
def test_what_is_made_beside_others_is_announced_by_its_release(sums, stream):
    sums.Number.insert1((0, 1))
    stream.wait((name_of(sums.Number), "[0]"))
    sums.Square.populate(reserve_jobs=True)
    sums.schema.connection.announcer.close()
    made = [event for event in stream.events() if isinstance(event, Released)]
    assert [event.made for event in made] == [("[0]",)]
    assert stream.read() == [(name_of(sums.Number), "[0]")]


class TestWithoutRedis:
    def test_nothing_is_loaded(self, schema_name, local_settings):
        script = (
            "import sys, djq as dj\n"
            f"@dj.Schema({schema_name!r})\n"
            "class A(dj.Manual):\n"
            "    definition = 'a : int32'\n"
            "A.insert1((1,))\n"
            "with dj.conn().transaction: A.insert([(2,), (3,)])\n"
            "assert not {'redis', 'celery', 'djq.orchestrator'} & set(sys.modules)\n"
        )
        subprocess.run(
            [sys.executable, "-c", script], env=environment(local_settings), check=True, timeout=60
        )

    @on_one_database
    def test_inserts_go_on_when_redis_is_away(self, settings, schema_name, monkeypatch):
        # Given: nobody listens at the address of Redis.
        away = settings.model_copy(
            update={"redis_url": type(settings.redis_url)(f"redis://127.0.0.1:{free_port()}/0")}
        )
        opened = []
        resolve = announcing.pkgutil.resolve_name
        monkeypatch.setattr(
            announcing.pkgutil, "resolve_name", lambda name: opened.append(name) or resolve(name)
        )
        with dj.Connection(away) as connection:

            @dj.Schema(schema_name, connection=connection)
            class A(dj.Manual):
                definition = "a : int32"

            # When: rows are inserted, and again after the failure was noticed.
            A.insert1((1,))
            wait_until(lambda: not connection.announcer.is_on, what="the failure")
            A.insert1((2,))
            # Then: they are there, and it was tried once.
            assert len(A()) == 2
            assert opened.count(announcing.OPEN) == 1

    @on_one_database
    def test_it_is_tried_again_later(self, redis_server, subject, online, stream, monkeypatch):
        monkeypatch.setattr(announcing, "SILENCE_S", 0.0)
        with redis_server.paused():
            subject.insert1(key("a"))
            online.announcer.close()
        subject.insert1(key("b"))
        wait_until(lambda: (name_of(subject), '["b","2026-11-01"]') in stream.read(), what="b")


@on_one_database
def test_a_script_that_ends_at_once_announces_what_it_inserted(
    settings, subject, stream, schema_name
):
    script = (
        "import djq as dj\n"
        "import djq.orchestrator.announce as announce\n"
        "announce.TIMEOUT_S = 10.0  # this machine may be busy\n"
        f"table = dj.FreeTable(dj.conn(), '`{schema_name}`.`subject`')\n"
        "table.insert1({'subject': 'a', 'visit': '2026-11-01'})\n"
    )
    subprocess.run(
        [sys.executable, "-c", script], env=environment(settings), check=True, timeout=60
    )
    assert stream.read() == [(name_of(subject), '["a","2026-11-01"]')]

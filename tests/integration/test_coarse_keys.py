"""Tables whose make inserts several rows: the key is finer than the work."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

import djq as dj
from djq.populate.chunks import make_chunk

if TYPE_CHECKING:
    from djq.tables.schema import Schema


def declare(schema: Schema, *, n_rows: int = 3) -> tuple[type[dj.Manual], type[dj.Computed]]:
    @schema
    class Session(dj.Manual):
        definition = """
        session : int32
        """

    @schema
    class Trial(dj.Computed):
        definition = """
        -> Session
        trial : int32
        ---
        response : float64
        """

        def make(self, key: dict[str, Any]) -> None:
            self.insert({**key, "trial": i, "response": i / 2} for i in range(n_rows))

    return Session, Trial


def test_one_make_fills_all_rows_of_its_key(schema: Schema) -> None:
    session, trial = declare(schema)
    session.insert([(1,), (2,)])

    assert trial.populate() == {"success_count": 2, "error_list": []}

    assert len(trial()) == 6
    assert trial.progress().made == 2
    assert trial.populate()["success_count"] == 0


def test_the_job_records_have_the_key_that_make_is_given(schema: Schema) -> None:
    session, trial = declare(schema)
    session.insert1((1,))
    trial.populate()
    assert trial().jobs.primary_key == ["session"]
    assert (trial().jobs & {"status": "success"}).keys() == [{"session": 1}]


def test_deleted_rows_are_made_again(schema: Schema) -> None:
    session, trial = declare(schema)
    session.insert1((1,))
    trial.populate()
    trial().connection.database.delete(trial().node)

    assert trial.populate()["success_count"] == 1
    assert len(trial()) == 3


def test_of_two_results_for_one_key_the_first_is_kept(schema: Schema) -> None:
    """The rows of both have different keys: only the completion record tells them apart."""
    first_is_done = threading.Event()
    second_has_begun = threading.Event()

    @schema
    class Session(dj.Manual):
        definition = """
        session : int32
        """

    @schema
    class Event(dj.Computed):
        definition = """
        -> Session
        event : int32
        """

        def make(self, key: dict[str, Any]) -> None:
            if threading.current_thread().name == "second":
                second_has_begun.set()
                assert first_is_done.wait(20)
                self.insert1({**key, "event": 2})
            else:
                assert second_has_begun.wait(20)
                self.insert1({**key, "event": 1})

    Session.insert1((1,))
    found: list[str] = []

    def second() -> None:
        try:
            found.extend(o.status for o in make_chunk(Event, [{"session": 1}]))
        finally:
            Event().connection.close()

    thread = threading.Thread(target=second, name="second")
    thread.start()
    assert [o.status for o in make_chunk(Event, [{"session": 1}])] == ["made"]
    first_is_done.set()
    thread.join()

    assert found == ["exists"]
    assert Event().keys() == [{"session": 1, "event": 1}]


def test_a_key_source_may_bring_more_of_the_key_than_references_do(schema: Schema) -> None:
    @schema
    class Session(dj.Manual):
        definition = """
        session : int32
        ---
        day : date
        """

    @schema
    class Day(dj.Computed):
        definition = """
        -> Session
        day : date
        channel : int16
        """

        @property
        def key_source(self) -> dj.Query:
            return Session.proj("day")

        def make(self, key: dict[str, Any]) -> None:
            self.insert({**key, "channel": c} for c in range(2))

    Session.insert([(1, "2026-01-01"), (2, "2026-01-02")])
    assert Day.populate()["success_count"] == 2
    assert Day().jobs.primary_key == ["session", "day"]


def test_a_key_source_may_leave_to_make_what_references_bring(schema: Schema) -> None:
    @schema
    class Session(dj.Manual):
        definition = """
        session : int32
        """

    @schema
    class Power(dj.Lookup):
        definition = """
        power : int8
        """
        contents = ((1,), (2,))

    @schema
    class Result(dj.Computed):
        definition = """
        -> Session
        -> Power
        """
        key_source = Session

        def make(self, key: dict[str, Any]) -> None:
            self.insert({**key, **power} for power in Power)

    Session.insert1((1,))
    assert Result.populate()["success_count"] == 1
    assert len(Result()) == 2
    assert Result.populate()["success_count"] == 0


def test_a_key_source_that_changes_its_attributes_is_refused(schema: Schema) -> None:
    @schema
    class Session(dj.Manual):
        definition = """
        session : int32
        """

    @schema
    class Other(dj.Manual):
        definition = """
        other : int32
        """

    @schema
    class Pair(dj.Computed):
        definition = """
        -> Session
        -> Other
        """
        source: Any = Session

        @property
        def key_source(self) -> dj.Query:
            return self.source()

        def make(self, key: dict[str, Any]) -> None:
            raise NotImplementedError

    Pair.source = Other
    with pytest.raises(dj.DjqError, match="key_source has other of the table's key"):
        Pair.populate()


def test_a_restricted_table_is_neither_populated_nor_planned_nor_counted(schema: Schema) -> None:
    session, trial = declare(schema)
    session.insert([(1,), (2,)])
    with pytest.raises(dj.DjqError, match=r"as in Trial.populate\(condition\)"):
        (trial & "session = 1").populate()
    with pytest.raises(dj.DjqError, match=r"as in Trial.plan\(condition\)"):
        (trial & "session = 1").plan()
    with pytest.raises(dj.DjqError, match=r"as in Trial.progress\(condition\)"):
        (trial & "session = 1").progress()
    assert trial.plan("session = 1").total == trial.progress("session = 1").total == 1
    assert trial.populate("session = 1")["success_count"] == 1

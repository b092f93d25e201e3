"""One chunk in the hands of one holder: what is committed, released, announced and raised."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from celery.exceptions import WorkerTerminate

import djq as dj
from djq.errors import MakeError
from djq.orchestrator.holding import Main
from djq.orchestrator.tasks import work
from djq.orchestrator.workplace import Workplace
from djq.populate import tenure
from tests.integration.fleet import queued
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from djq.orchestrator.events import Released

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def _numbers(sums) -> None:
    sums.Number.insert((i, i) for i in range(10))


def announced(workplace) -> Released:
    """The last release."""
    _, events = workplace.reservations.stream.read("0-0", wait_s=0)
    return events[-1]


def in_flight(workplace) -> list:
    return workplace.reservations.chunks()


def test_all_keys_are_made_released_and_announced(workplace, sums) -> None:
    line = work(sums.Square, queued(workplace, sums.Square, 1, 2, 3), workplace)
    assert line == "made=3 exists=0 failed=0"
    assert len(sums.Square()) == 3
    event = announced(workplace)
    assert event.made == ("[1]", "[2]", "[3]")
    assert event.seconds > 0
    assert in_flight(workplace) == []


def test_keys_that_were_made_already_are_not_made_again(workplace, sums) -> None:
    sums.Square.populate("number = 2")
    line = work(sums.Square, queued(workplace, sums.Square, 1, 2), workplace)
    assert line == "made=1 exists=1 failed=0"


def test_a_doubled_message_does_nothing(workplace, sums) -> None:
    chunk = queued(workplace, sums.Square, 1, 2)
    work(sums.Square, chunk, workplace)
    assert work(sums.Square, chunk, workplace) == "nothing to do: made, or in other hands"


def test_the_first_error_is_raised_and_the_others_are_made(workplace, sums, monkeypatch) -> None:
    monkeypatch.setenv("TEST_BAD", "2,3")
    with pytest.raises(ValueError, match="number 2 is bad") as caught:
        work(sums.Square, queued(workplace, sums.Square, 1, 2, 3, 4), workplace)
    assert "made=2 exists=0 failed=2" in caught.value.__notes__[0]
    assert [key for key, _ in announced(workplace).failed] == ["[2]", "[3]"]
    assert len(sums.Square.jobs.errors) == 2
    assert in_flight(workplace) == []


def test_when_failed_keys_are_tried_again_is_announced(workplace, sums, monkeypatch) -> None:
    options = dj.PopulateOptions(max_retries=1, backoff_s=7)
    monkeypatch.setattr(sums.Square, "populate_options", options)

    def failing(self, key) -> None:
        message = "bad"
        raise RuntimeError(message)

    monkeypatch.setattr(sums.Square, "make", failing)
    with pytest.raises(RuntimeError):
        work(sums.Square, queued(workplace, sums.Square, 1), workplace)
    ((key, wait_s),) = announced(workplace).retries
    assert key == "[1]"
    assert 5 <= wait_s <= 9


def test_a_make_that_inserts_nothing_is_announced_as_empty(workplace, sums, monkeypatch) -> None:
    monkeypatch.setenv("TEST_EMPTY", "2")
    with pytest.raises(Exception, match="inserted nothing"):
        work(sums.Square, queued(workplace, sums.Square, 1, 2), workplace)
    assert announced(workplace).empty == ("[2]",)


def test_a_worker_that_shuts_down_returns_what_it_has_not_begun(
    workplace, sums, monkeypatch
) -> None:
    monkeypatch.setattr(tenure, "FRESH_S", 0.0)
    chunk = queued(workplace, sums.Square, 1, 2, 3)
    workplace.stop()
    line = work(sums.Square, chunk, workplace)
    assert line == "made=1 exists=0 failed=0 returned=2"
    assert announced(workplace).returned == ("[2]", "[3]")
    assert in_flight(workplace) == []


def test_a_chunk_that_takes_much_too_long_returns_the_rest(workplace, sums, monkeypatch) -> None:
    monkeypatch.setattr(tenure, "PATIENCE", 0.0)
    line = work(sums.Square, queued(workplace, sums.Square, 1, 2, 3), workplace)
    assert line == "made=1 exists=0 failed=0 returned=2"


def test_an_interrupted_worker_returns_everything(workplace, sums, monkeypatch) -> None:
    def interrupted(*_, **__) -> None:
        raise SystemExit

    monkeypatch.setattr(sums.Square, "make", interrupted)
    with pytest.raises(SystemExit):
        work(sums.Square, queued(workplace, sums.Square, 1, 2), workplace)
    assert announced(workplace).returned == ("[1]", "[2]")
    assert (len(sums.Square()), len(sums.Square.jobs), in_flight(workplace)) == (0, 0, [])


def test_whatever_a_make_raises_in_a_worker_is_an_error_of_its_key(
    workplace, sums, monkeypatch
) -> None:
    monkeypatch.setattr(Workplace, "is_of_users", property(lambda _: True))
    monkeypatch.setenv("TEST_ODD", "0,1,2,3")
    with pytest.raises(MakeError, match="MuteError: its text cannot be made: RuntimeError") as told:
        work(sums.Square, queued(workplace, sums.Square, 0, 1, 2, 3, 4), workplace)
    assert "made=1 exists=0 failed=4" in told.value.__notes__[0]
    assert [key for key, _ in announced(workplace).failed] == ["[0]", "[1]", "[2]", "[3]"]
    assert {r["cause"] for r in sums.Square.jobs.errors.to_dicts()} == {"user"}
    assert in_flight(workplace) == []


def test_a_worker_that_a_signal_ends_returns_everything(workplace, sums, monkeypatch) -> None:
    def ended(*_, **__) -> None:
        raise WorkerTerminate

    monkeypatch.setattr(Workplace, "is_of_users", property(lambda _: True))
    monkeypatch.setattr(sums.Square, "make", ended)
    with pytest.raises(WorkerTerminate):
        work(sums.Square, queued(workplace, sums.Square, 1, 2), workplace)
    assert announced(workplace).returned == ("[1]", "[2]")
    assert (len(sums.Square.jobs), in_flight(workplace)) == (0, [])


def test_a_holder_that_was_reaped_commits_nothing(workplace, sums, monkeypatch) -> None:
    monkeypatch.setattr(tenure, "FRESH_S", 0.0)
    chunk = queued(workplace, sums.Square, 1)
    whole = sums.Square.make

    def reaped(self, key) -> None:
        whole(self, key)
        workplace.reservations.holders.leave(workplace.holder.rpartition("/")[0])

    monkeypatch.setattr(sums.Square, "make", reaped)
    assert work(sums.Square, chunk, workplace) == "made=0 exists=0 failed=0 lost=1"
    assert len(sums.Square()) == 0


def test_without_redis_a_key_is_committed_and_released_later(
    workplace, sums, redis_server, monkeypatch
) -> None:
    # Given: a make during which Redis goes away.
    monkeypatch.setattr(tenure, "FRESH_S", 0.0)
    chunk = queued(workplace, sums.Square, 1, 2)
    whole = sums.Square.make

    def bereft(self, key) -> None:
        whole(self, key)
        if redis_server.is_running:
            redis_server.kill()

    monkeypatch.setattr(sums.Square, "make", bereft)
    lines: list[str] = []

    def run() -> None:
        lines.append(work(sums.Square, chunk, workplace))
        sums.schema.connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    # When: both keys are committed by the fence alone, and Redis comes back, empty.
    wait_until(lambda: len(sums.Square()) == 2, what="both commits")
    assert lines == []
    redis_server.start()
    # Then: the chunk is released and announced.
    thread.join()
    assert lines == ["made=2 exists=0 failed=0"]
    assert announced(workplace).made == ("[1]", "[2]")
    assert in_flight(workplace) == []


def test_a_flush_in_the_middle_loses_nothing(workplace, sums, redis_server, monkeypatch) -> None:
    monkeypatch.setattr(tenure, "FRESH_S", 0.0)
    chunk = queued(workplace, sums.Square, 1, 2)
    whole = sums.Square.make

    def flushed(self, key) -> None:
        whole(self, key)
        redis_server.flush()

    monkeypatch.setattr(sums.Square, "make", flushed)
    assert work(sums.Square, chunk, workplace) == "made=2 exists=0 failed=0"
    assert in_flight(workplace) == []
    assert workplace.reservations.holders.reap().silent == ()


def test_a_process_that_is_gone_is_pruned(workplace, sums) -> None:
    # Given: a pool process that reserved a chunk.
    chunk = queued(workplace, sums.Square, 1, 2)
    main = workplace.holder.rpartition("/")[0]
    workplace.watch([11, 12])
    workplace.reservations.holders.beat(Main(main, slots=2))
    workplace.reservations.reserve(chunk, f"{main}/12")
    # When: the pool has another process in its place.
    workplace.watch([11, 13])
    # Then: its keys are free.
    assert in_flight(workplace) == []
    # Any of the two may be what killed it.
    assert workplace.reservations.holders.losses(chunk.table) == {"[1]": 0, "[2]": 0}
    workplace.reservations.holders.forgive(chunk.table, chunk.keys)


def test_what_an_idle_process_has_by_redis_memory_is_freed(workplace, sums) -> None:
    # Given: a chunk that a process released, and a Redis that does not know, since it was restarted
    # and lost its last second; another process is busy.
    main = workplace.holder.rpartition("/")[0]
    workplace.reservations.holders.beat(Main(main, slots=2))
    chunk, other = queued(workplace, sums.Square, 1), queued(workplace, sums.Square, 2)
    workplace.reservations.reserve(chunk, f"{main}/11")
    workplace.reservations.reserve(other, f"{main}/12")
    # When: the main process looks.
    workplace.sweep([12])
    # Then: the keys are free, and nobody is blamed.
    assert [record.keys for record in in_flight(workplace)] == [("[2]",)]
    assert workplace.reservations.holders.losses(chunk.table) == {}


@pytest.mark.parametrize(
    ("options", "fleet_toml", "reason"),
    [
        ({"patience": 3}, "", 'no option "patience"'),
        ({"limits": {"licence": 1}}, "[limits]\nmatlab = 1\n", "how many there are: write licence"),
        ({"big_queue": "djq.default"}, "[limits", "cannot read"),
    ],
    ids=["an option that is newer", "a limit that is newer", "a file that is being written"],
)
def test_a_chunk_that_this_worker_cannot_make_goes_back_with_the_reason(
    workplace, sums, tmp_path, options, fleet_toml, reason
) -> None:
    # Given: a worker that knows less than whoever sent the chunk.
    path = tmp_path / "fleet.toml"
    path.write_text(fleet_toml)
    workplace.settings = workplace.settings.model_copy(update={"fleet_file": path})
    chunk = queued(workplace, sums.Square, 1, 2)
    # When: it comes.
    with pytest.raises(dj.DataJointError, match=reason):
        work(sums.Square, chunk, workplace, options=options)
    # Then: its keys are free, and whoever sent it knows why.
    event = announced(workplace)
    assert (event.chunk, event.keys) == (chunk.id, chunk.keys)
    assert reason in event.reason
    assert in_flight(workplace) == []


def test_a_table_that_nobody_defined_here_is_refused_with_its_name(workplace, sums, caplog) -> None:
    chunk = queued(workplace, sums.Square, 1)
    for _ in range(3):
        error = workplace.refuse(chunk.id, "lab.Unknown")
    assert "lab.Unknown" in str(error)
    assert sums.Square.spec.display_name in str(error)
    assert caplog.text.count("unknown_table") == 1
    assert in_flight(workplace) == []

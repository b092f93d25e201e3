"""`populate(reserve_jobs=True)`: processes that share the keys, among them and with a fleet."""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest

import djq as dj
from djq.errors import RedisUnavailableError
from djq.orchestrator import claims as fleet_claims
from djq.orchestrator.events import Freed, Released
from djq.orchestrator.states import Chunk
from djq.settings import load
from tests.integration.fleet import DONE_S, LEASE_S, MODULE, UP_S
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.fleet import Fleet
    from tests.support.processes import Process

#: For what the database has no part in.
on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def start_populate(fleet: Fleet, options: str = "reserve_jobs=True", **env: object) -> Process:
    """Start an ordinary process that populates squares."""
    script = f"from {MODULE} import Square; print('made', Square.populate({options}))"
    return fleet.start_process(
        *("-c", script),
        settings=fleet.settings,
        env={"TEST_SCHEMA": fleet.schema_name} | {k: str(v) for k, v in env.items()},
    )


def made(process: Process) -> int:
    """How many keys a process says that it made."""
    assert process.wait(DONE_S) == 0, process.text()
    return int(process.text().rpartition("'success_count': ")[2].split(",")[0])


def squares(fleet: Fleet) -> list[int]:
    return sorted(fleet.tables.Square().fetch("square").tolist())


def test_one_process_makes_everything_and_leaves_nothing(fleet: Fleet) -> None:
    fleet.insert(30)
    result = fleet.tables.Square.populate(reserve_jobs=True)
    assert result == {"success_count": 30, "error_list": []}
    assert squares(fleet) == [(3 * i) ** 2 for i in range(30)]
    assert fleet.leftovers() == []
    assert fleet.tables.Square.populate(reserve_jobs=True)["success_count"] == 0


def begin_together(fleet: Fleet, gate: Path, n_chunks: int) -> None:
    """Let makes go on once so many processes have a key in hand."""
    wait_until(
        lambda: sum(c.is_reserved for c in fleet.reservations.chunks()) == n_chunks,
        what=f"{n_chunks} processes at work",
        timeout_s=UP_S,
    )
    gate.touch()


def test_processes_share_the_keys(fleet: Fleet, tmp_path: Path) -> None:
    # Given: keys that take a moment, and three processes.
    fleet.insert(60)
    gate = tmp_path / "gate"
    processes = [start_populate(fleet, TEST_MAKE_S=0.05, TEST_GATE=gate) for _ in range(3)]
    begin_together(fleet, gate, 3)
    # Then: every key is made by exactly one of them, and each has made some.
    counts = [made(process) for process in processes]
    assert sum(counts) == 60
    assert squares(fleet) == [(3 * i) ** 2 for i in range(60)]
    assert min(counts) >= 5
    fleet.assert_clean()


@on_one_database
def test_a_fleet_and_a_process_share_the_keys(fleet: Fleet, tmp_path: Path) -> None:
    fleet.insert(120)
    gate = tmp_path / "gate"
    fleet.start_worker(slots=1, TEST_MAKE_S=0.05, TEST_GATE=gate)
    fleet.wait_for_workers()
    run = fleet.submit(fleet.tables.Square)
    process = start_populate(fleet, TEST_MAKE_S=0.05, TEST_GATE=gate)
    begin_together(fleet, gate, 2)
    n_here = made(process)
    fleet.finish(run)
    assert squares(fleet) == [(3 * i) ** 2 for i in range(120)]
    # Fair: neither takes all.
    assert 24 <= n_here <= 96
    fleet.assert_clean()


@on_one_database
def test_keys_in_other_hands_are_left_alone(fleet: Fleet) -> None:
    fleet.insert(4)
    chunk = Chunk("c1", "run", fleet.tables.Square.spec.display_name, ("[1]", "[2]"))
    assert fleet.reservations.queue([chunk]) == [chunk.keys]
    assert fleet.tables.Square.populate(reserve_jobs=True)["success_count"] == 2
    fleet.reservations.drop(["c1"], "test")
    assert fleet.tables.Square.populate(reserve_jobs=True)["success_count"] == 2


@on_one_database
def test_it_obeys_restrictions_and_max_calls(fleet: Fleet) -> None:
    fleet.insert(10)
    square = fleet.tables.Square
    assert square.populate("number < 6", reserve_jobs=True, max_calls=4)["success_count"] == 4
    assert square.populate("number < 6", reserve_jobs=True)["success_count"] == 2
    assert square.populate(reserve_jobs=True, max_calls=0)["success_count"] == 0
    assert len(square()) == 6


@on_one_database
def test_an_error_ends_the_call_and_gives_the_rest_back(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.insert(6)
    monkeypatch.setenv("TEST_BAD", "2")
    square = fleet.tables.Square
    with pytest.raises(ValueError, match="number 2 is bad"):
        square.populate(reserve_jobs=True)
    assert fleet.leftovers() == []
    # Its record blocks the key from now on, as in DataJoint; the others are made.
    assert square.populate(reserve_jobs=True)["error_list"] == []
    assert len(square()) == 5
    assert [row["number"] for row in square.jobs.errors.to_dicts()] == [2]


@on_one_database
def test_suppressed_errors_are_returned(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.insert(6)
    monkeypatch.setenv("TEST_BAD", "2,4")
    result = fleet.tables.Square.populate(
        reserve_jobs=True, suppress_errors=True, return_exception_objects=True
    )
    assert result["success_count"] == 4
    assert [key for key, _ in result["error_list"]] == [{"number": 2}, {"number": 4}]
    assert all(isinstance(error, ValueError) for _, error in result["error_list"])


@on_one_database
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_gives_the_keys_back(fleet: Fleet, number: signal.Signals) -> None:
    fleet.insert(3)
    process = start_populate(fleet, TEST_MAKE_S=60)
    wait_until(
        lambda: [c for c in fleet.reservations.chunks() if c.is_reserved],
        what="a key in hand",
        timeout_s=UP_S,
    )
    # The helper must be up, or the signal comes before the make.
    process.wait_until(process.children, what="the helper")
    position = fleet.reservations.stream.position()
    process.signal(number)
    assert process.wait(UP_S) != 0
    assert fleet.leftovers() == []
    freed = fleet.reservations.stream.read(position, wait_s=0)[1]
    assert freed
    assert all(not (isinstance(e, Freed) and e.losses) for e in freed)
    assert len(fleet.tables.Square.jobs) == 0


@on_one_database
def test_a_killed_process_frees_its_keys_at_once_and_counts_the_key_in_hand(fleet: Fleet) -> None:
    fleet.insert(3)
    process = start_populate(fleet, TEST_DEADLY="1")
    # Its helper sees the end of the process; the lease need not end.
    assert process.wait(UP_S) == -signal.SIGKILL
    wait_until(
        lambda: not [name for name in fleet.leftovers() if not name.startswith("losses")],
        what="the keys to be free",
        timeout_s=UP_S,
    )
    name = fleet.tables.Square.spec.display_name
    assert fleet.reservations.holders.losses(name) == {"[1]": 1}


@on_one_database
def test_a_key_that_kills_is_an_error_in_the_end(fleet: Fleet) -> None:
    fleet.insert(3)
    for _ in range(3):
        process = start_populate(fleet, TEST_DEADLY="1")
        assert process.wait(UP_S) == -signal.SIGKILL
        wait_until(
            lambda: not [n for n in fleet.leftovers() if not n.startswith("losses")],
            what="the keys to be free",
            timeout_s=UP_S,
        )
    process = start_populate(fleet, "reserve_jobs=True, suppress_errors=True", TEST_DEADLY="1")
    made(process)
    assert len(fleet.tables.Square()) == 2
    (record,) = fleet.tables.Square.jobs.errors.to_dicts()
    assert record["number"] == 1
    assert "died 3 times" in record["error_message"]
    assert fleet.leftovers() == []


@on_one_database
def test_a_frozen_process_loses_its_lease(fleet: Fleet) -> None:
    # Given: a process that stands still in the middle of a make, its helper awake.
    fleet.insert(2)
    process = start_populate(fleet, TEST_MAKE_S=3)
    process.wait_until(process.children, what="the helper")
    wait_until(lambda: bool(fleet.reservations.chunks()), what="a key in hand", timeout_s=UP_S)
    os.kill(process.pid, signal.SIGSTOP)
    # When: its lease has ended, somebody else makes the keys.
    wait_until(
        lambda: fleet.reservations.holders.reap().silent, what="its lease to end", timeout_s=UP_S
    )
    assert fleet.tables.Square.populate(reserve_jobs=True)["success_count"] == 2
    # Then: it changes nothing when it wakes up.
    os.kill(process.pid, signal.SIGCONT)
    assert made(process) == 0
    assert squares(fleet) == [0, 9]
    fleet.assert_clean()


@on_one_database
def test_a_make_that_holds_the_gil_for_three_leases_keeps_its_reservation(fleet: Fleet) -> None:
    fleet.insert(1)
    process = start_populate(fleet, TEST_GIL_S=3 * LEASE_S)
    wait_until(lambda: bool(fleet.reservations.chunks()), what="a key in hand", timeout_s=UP_S)
    reaped: list[str] = []

    def is_over() -> bool:
        reaped.extend(fleet.reservations.holders.reap().silent)
        return not process.is_running

    wait_until(is_over, what="the process to end", timeout_s=UP_S)
    assert made(process) == 1
    assert reaped == []


@on_one_database
def test_what_was_made_is_announced(fleet: Fleet) -> None:
    fleet.insert(3)
    position = fleet.reservations.stream.position()
    fleet.tables.Square.populate(reserve_jobs=True)
    _, events = fleet.reservations.stream.read(position, wait_s=0)
    announced = [key for e in events if isinstance(e, Released) for key in e.made]
    assert sorted(announced) == ["[0]", "[1]", "[2]"]


@on_one_database
def test_a_call_with_nothing_to_do_starts_no_process(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_claims, "Heart", None)
    assert fleet.tables.Square.populate(reserve_jobs=True)["success_count"] == 0


@on_one_database
def test_redis_in_the_middle_of_a_call_may_restart(fleet: Fleet, redis_server) -> None:
    fleet.insert(40)
    process = start_populate(fleet, TEST_MAKE_S=0.05)
    wait_until(lambda: fleet.n_made() >= 5, what="some keys", timeout_s=UP_S)
    redis_server.stop()
    redis_server.start()
    assert made(process) == 40
    fleet.assert_clean()


class TestClearErrors:
    """Without Redis."""

    def test_it_says_what_to_set(self, tmp_path, no_redis) -> None:
        with pytest.raises(RedisUnavailableError, match=r'set DJQ_REDIS_URL=.*"djq up"'):
            no_redis.populate(reserve_jobs=True)

    def test_a_plain_populate_needs_none(self, no_redis, monkeypatch) -> None:
        def refuse(*_: object) -> None:
            message = "a plain populate opened a socket"
            raise AssertionError(message)

        monkeypatch.setattr(socket.socket, "connect", refuse)
        assert no_redis.populate()["success_count"] == 2


@pytest.fixture
def no_redis(tmp_path):
    settings = load(database_url=f"sqlite:///{tmp_path}/a.db", state_dir=tmp_path / ".djq")
    with dj.Connection(settings) as connection:
        schema = dj.Schema("alone", connection=connection)

        @schema
        class Number(dj.Manual):
            definition = "number : int32"

        @schema
        class Double(dj.Computed):
            definition = "-> Number"

            def make(self, key):
                self.insert1(key)

        Number.insert([(1,), (2,)])
        yield Double


@on_one_database
@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_a_make_that_holds_the_gil_keeps_its_reservation_on_every_pool(
    fleet: Fleet, pool: str
) -> None:
    fleet.insert(1)
    fleet.start_worker("-P", pool, slots=1, TEST_GIL_S=3 * LEASE_S)
    fleet.wait_for_workers()
    position = fleet.reservations.stream.position()
    run = fleet.submit(fleet.tables.Square)
    fleet.finish(run)
    _, events = fleet.reservations.stream.read(position, wait_s=0)
    # Nobody thought that the worker was dead, so nothing was made twice.
    assert [event.made for event in events if isinstance(event, Released)] == [("[0]",)]
    assert not [event for event in events if isinstance(event, Freed)]

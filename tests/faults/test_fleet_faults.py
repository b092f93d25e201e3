"""Workers killed, messages lost, Redis gone: the same rows in the end, and nothing left over."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest
import redis

from djq.orchestrator.states import DEFAULT_QUEUE
from tests.integration.fleet import LEASE_S
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    import djq as dj
    from tests.integration.fleet import Fleet
    from tests.support.servers import RedisServer

#: For faults that the database has no part in.
on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

N = 40
#: Long enough to be hit in the middle, and that a chunk holds a few keys [s].
MAKE_S = 0.05


def begin(fleet: Fleet, n_workers: int = 1, **env: object) -> dj.Run:
    """Start workers and a run, and wait until it is in the middle."""
    fleet.insert(N)
    for _ in range(n_workers):
        fleet.start_worker(TEST_MAKE_S=MAKE_S, **env)
    fleet.wait_for_workers()
    run = fleet.submit()
    wait_until(lambda: fleet.n_made() >= 5, what="some keys", timeout_s=60)
    return run


def end(fleet: Fleet, run: dj.Run) -> None:
    """Rows exact? No reservation left?"""
    fleet.finish(run)
    assert fleet.rows() == fleet.expected(N)
    fleet.assert_clean()


def test_a_killed_pool_process_frees_its_keys_at_once(fleet: Fleet) -> None:
    # Given: a pool process that holds keys.
    run = begin(fleet)
    victim = fleet.workers[0].children()[-1].pid

    def holds_keys() -> bool:
        names = [name for name in fleet.leftovers() if name.startswith("holder:")]
        return any(name.endswith(f"/{victim}") for name in names)

    wait_until(holds_keys, what="the process to hold keys", timeout_s=30)
    # When: it is killed.
    os.kill(victim, signal.SIGKILL)
    killed = time.monotonic()
    # Then: its keys are free within the design's bound; its parent looks every half second.
    wait_until(lambda: not holds_keys(), what="its keys to be free")
    assert time.monotonic() - killed < 2.0
    end(fleet, run)


def test_a_killed_worker_is_replaced_by_the_others(fleet: Fleet) -> None:
    run = begin(fleet, n_workers=2)
    fleet.workers[0].kill()
    end(fleet, run)


@on_one_database
def test_the_only_worker_is_killed_and_another_starts(fleet: Fleet) -> None:
    run = begin(fleet)
    fleet.workers[0].kill()
    fleet.start_worker()
    end(fleet, run)


def test_a_worker_that_is_asked_to_stop_gives_its_keys_back(fleet: Fleet) -> None:
    # Given: a worker in the middle of a chunk of many keys.
    run = begin(fleet)
    wait_until(
        lambda: any(len(c.keys) > 5 and c.is_reserved for c in fleet.reservations.chunks()),
        what="a big chunk",
        timeout_s=30,
    )
    # When: it is asked to stop.
    fleet.workers[0].signal(signal.SIGTERM)
    # Then: it finishes the key in hand, returns the others without counting them, and ends well.
    assert fleet.workers[0].wait(20) == 0
    assert fleet.reservations.holders.losses(fleet.tables.Square.spec.display_name) == {}
    assert not [chunk for chunk in fleet.reservations.chunks() if chunk.is_reserved]
    assert fleet.n_made() < N
    fleet.start_worker()
    end(fleet, run)
    assert len(fleet.tables.Square.jobs) == 0


def test_a_frozen_worker_loses_its_lease_and_changes_nothing(fleet: Fleet) -> None:
    # Given: a worker that stands still in the middle of two makes, heartbeat and all. (Not between
    # its INSERT and COMMIT: the database would make everybody wait for its locks.)
    fleet.insert(N)
    sleeper = fleet.start_worker(slots=2, TEST_MAKE_S=3)
    run = fleet.submit()
    wait_until(
        lambda: sum(chunk.is_reserved for chunk in fleet.reservations.chunks()) == 2,
        what="two keys in hand",
        timeout_s=60,
    )
    everybody = [sleeper.pid, *(child.pid for child in sleeper.children())]
    for pid in everybody:
        os.kill(pid, signal.SIGSTOP)
    # When: another makes everything once the lease has ended, and then the sleeper wakes up.
    fleet.start_worker()
    wait_until(lambda: fleet.n_made() == N, what="the other worker", timeout_s=60)
    for pid in everybody:
        os.kill(pid, signal.SIGCONT)
    # Then: it finds its keys made, or in other hands.
    end(fleet, run)

    def ends() -> list[str]:
        first = re.compile(rf"{re.escape(run.id)}\.\w+-[12]\] succeeded in")
        return [line for line in sleeper.text().splitlines() if first.search(line)]

    wait_until(lambda: len(ends()) == 2, what="its two makes", timeout_s=30)
    assert not [line for line in ends() if "made=1" in line]
    assert fleet.rows() == fleet.expected(N)


def test_a_key_that_kills_its_worker_is_recorded_after_three_tries(fleet: Fleet) -> None:
    fleet.insert(6)
    fleet.start_worker(slots=1, TEST_DEADLY="2")
    run = fleet.submit()
    fleet.finish(run)
    assert fleet.rows() == fleet.expected(6, without=frozenset({2}))
    error = fleet.tables.Square.jobs.errors.fetch1()
    assert (error["number"], "died 3 times" in error["error_message"]) == (2, True)
    fleet.assert_clean()


@on_one_database
def test_lost_messages_are_sent_again(fleet: Fleet, redis_server: RedisServer) -> None:
    run = begin(fleet)
    with redis.Redis.from_url(redis_server.url) as client:
        queue = f"{fleet.reservations.server.prefix}celery:{DEFAULT_QUEUE}"
        wait_until(lambda: client.llen(queue) > 0, what="messages to wait")
        client.delete(queue)
    end(fleet, run)


def test_redis_forgets_everything(fleet: Fleet, redis_server: RedisServer) -> None:
    run = begin(fleet)
    redis_server.flush()
    end(fleet, run)


def test_redis_restarts(fleet: Fleet, redis_server: RedisServer) -> None:
    run = begin(fleet)
    redis_server.kill()
    redis_server.start()
    end(fleet, run)


@on_one_database
def test_redis_is_away_for_longer_than_a_lease(fleet: Fleet, redis_server: RedisServer) -> None:
    run = begin(fleet)
    redis_server.kill()
    before = fleet.n_made()
    threading.Event().wait(LEASE_S)
    redis_server.start()
    back = time.monotonic()
    wait_until(lambda: fleet.n_made() > before + 4, what="work to go on", timeout_s=60)
    # The bound of the design, and a little for a busy machine.
    assert time.monotonic() - back < 15.0
    end(fleet, run)


def test_two_runs_of_the_same_tables_share_the_work(fleet: Fleet) -> None:
    run = begin(fleet)
    other = fleet.submit()
    end(fleet, run)
    end(fleet, other)


@on_one_database
def test_a_worker_that_lacks_the_table_gives_the_chunk_back(fleet: Fleet) -> None:
    # Given: a worker of another pipeline.
    fleet.insert(N)
    stranger = fleet.start_worker(module="tests.integration.pipelines.other")
    fleet.wait_for_workers()
    # When: our tables are submitted.
    run = fleet.submit()
    # Then: it says what it lacks, not in a hot loop, and the next worker makes everything.
    stranger.wait_for("does not know the table", timeout_s=30)
    fleet.start_worker()
    end(fleet, run)
    assert stranger.text().count("does not know the table") <= 4  # tables, each now and then


def test_an_error_does_not_stop_the_others(fleet: Fleet) -> None:
    fleet.insert(N)
    worker = fleet.start_worker(TEST_BAD="7,11")
    run = fleet.submit()
    fleet.finish(run)
    assert fleet.rows() == fleet.expected(N, without=frozenset({7, 11}))
    assert {key["number"] for _, key, _ in run.errors()} == {7, 11}
    assert "ValueError: number 7 is bad" in worker.text()
    fleet.assert_clean()

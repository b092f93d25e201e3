"""Processes that are killed, cut off or frozen at a COMMIT: in it, and while it is answered."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from tests.integration.fleet import LEASE_S
from tests.support.chaos import family, frozen
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    import djq as dj
    from tests.integration.fleet import Fleet
    from tests.support.chaos import CommitTrap
    from tests.support.processes import Process
    from tests.support.proxy import Place, Proxy

N = 24
places = pytest.mark.parametrize("place", ["before", "answered"])


def begin(
    fleet: Fleet, trap: CommitTrap, place: Place, slots: int = 1
) -> tuple[dj.Run, Process, int]:
    """Start a worker and a run; return them when a COMMIT is held, and whose it is."""
    fleet.insert(N)
    worker = fleet.start_worker(slots=slots, module=trap.module, **trap.set(place))
    run = fleet.submit()
    pid = trap.caught(worker)
    if slots == 1:
        assert fleet.n_made() == (1 if place == "answered" else 0)
    return run, worker, pid


def end(fleet: Fleet, run: dj.Run) -> None:
    """Rows exact? Nothing reserved, nothing recorded?"""
    fleet.finish(run)
    assert fleet.rows() == fleet.expected(N)
    assert len(fleet.tables.Square.jobs) == 0
    fleet.assert_clean()
    for worker in fleet.workers:
        worker.kill()


@places
def test_a_pool_process_is_killed_at_its_commit(
    fleet: Fleet, trap: CommitTrap, place: Place
) -> None:
    run, _, pid = begin(fleet, trap, place)
    os.kill(pid, signal.SIGKILL)
    trap.cut()
    end(fleet, run)


def test_a_worker_is_killed_at_its_commit(fleet: Fleet, trap: CommitTrap) -> None:
    run, worker, _ = begin(fleet, trap, "answered")
    worker.kill()
    trap.cut()
    fleet.start_worker()
    end(fleet, run)


@pytest.mark.needs_row_locks(reason="and is no server")
def test_a_commit_arrives_after_its_process_died(fleet: Fleet, trap: CommitTrap) -> None:
    run, _, pid = begin(fleet, trap, "before")
    os.kill(pid, signal.SIGKILL)
    trap.let_go()
    end(fleet, run)


@pytest.mark.needs_row_locks(reason="and is no server")
@places
def test_a_connection_ends_at_a_commit(
    fleet: Fleet, trap: CommitTrap, proxy: Proxy, place: Place
) -> None:
    # Its process cannot know whether it was committed: it asks, or makes it again.
    run, _, _ = begin(fleet, trap, place)
    trap.cut()
    end(fleet, run)


@pytest.mark.needs_row_locks(reason="until the frozen process wakes up")
def test_a_worker_is_frozen_at_its_commit_which_comes_late(fleet: Fleet, trap: CommitTrap) -> None:
    # Given: a worker that stands still beyond its lease, its rows inserted.
    run, sleeper, _ = begin(fleet, trap, "before")
    with frozen(*family(sleeper)):
        # When: another one makes all others, and waits for the row that nobody has committed.
        fleet.start_worker()
        wait_until(lambda: fleet.n_made() == N - 1, what="the other worker", timeout_s=60)
        trap.let_go()
    # Then: the late COMMIT is the only one.
    end(fleet, run)


def test_a_pool_process_alone_is_frozen_at_its_commit(fleet: Fleet, trap: CommitTrap) -> None:
    # Given: it stands still for longer than a lease, which its main process renews.
    run, _, pid = begin(fleet, trap, "before", slots=2)
    with frozen(pid):
        threading.Event().wait(1.5 * LEASE_S)
        trap.let_go()
    end(fleet, run)

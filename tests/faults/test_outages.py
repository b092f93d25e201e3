"""The database goes away, or ends connections, in the middle of a run."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.chaos import family, kill_connections
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    import djq as dj
    from tests.integration.fleet import Fleet
    from tests.support.proxy import Proxy
    from tests.support.servers import MariaDBServer

logger = logging.getLogger("djq.tests")

N = 80
MAKE_S = 0.05
#: Work goes on within this time after the database is back, also on a busy machine [s].
BACK_S = 10.0
#: How long the database is away: beyond the tries of one key [s].
AWAY_S = 3.0
on_mariadb = pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
on_mysql = pytest.mark.parametrize("database_url", ["mysql"], indirect=True)
on_servers = pytest.mark.parametrize("database_url", ["mariadb", "mysql"], indirect=True)


def begin(fleet: Fleet) -> dj.Run:
    fleet.insert(N)
    fleet.start_worker(TEST_MAKE_S=MAKE_S)
    fleet.wait_for_workers()
    run = fleet.submit()
    wait_until(lambda: fleet.n_made() >= 5, what="some keys", timeout_s=60)
    return run


def end(fleet: Fleet, run: dj.Run) -> None:
    """Rows exact? Nothing reserved, no key in the inbox?"""
    fleet.finish(run)
    assert fleet.rows() == fleet.expected(N)
    assert len(fleet.tables.Square.jobs) == 0
    fleet.assert_clean()
    for worker in fleet.workers:
        worker.kill()


def recovery(fleet: Fleet) -> float:
    """Wait until keys are made again; return how long that took [s]."""
    back = time.monotonic()
    before = fleet.n_made()
    wait_until(lambda: fleet.n_made() > before, what="work to go on", timeout_s=60)
    return time.monotonic() - back


@on_mariadb
def test_the_database_crashes_and_comes_back(fleet: Fleet, mariadb_server: MariaDBServer) -> None:
    run = begin(fleet)
    mariadb_server.kill()
    threading.Event().wait(AWAY_S)
    mariadb_server.start()
    recovery_s = recovery(fleet)
    logger.info("recovered after %.1f s", recovery_s)
    assert recovery_s < BACK_S
    end(fleet, run)


@on_mariadb
def test_the_database_is_restarted_in_good_order(
    fleet: Fleet, mariadb_server: MariaDBServer
) -> None:
    run = begin(fleet)
    mariadb_server.restart()
    end(fleet, run)


@on_mysql  # as a restart of that server, which is not ours
def test_the_database_cannot_be_reached_for_a_while(fleet: Fleet, proxy: Proxy) -> None:
    run = begin(fleet)
    proxy.down()
    threading.Event().wait(AWAY_S)
    proxy.up()
    recovery_s = recovery(fleet)
    logger.info("recovered after %.1f s", recovery_s)
    assert recovery_s < BACK_S
    end(fleet, run)


@on_servers
def test_connections_are_killed_time_and_again(fleet: Fleet) -> None:
    run = begin(fleet)
    url = fleet.settings.resolved_database_url
    n_killed = 0
    for n_made in range(10, N, 10):
        wait_until(lambda n=n_made: fleet.n_made() >= n, what="more keys", timeout_s=60)
        n_killed += kill_connections(url, family(fleet.workers[0]))
    assert n_killed >= 7
    end(fleet, run)

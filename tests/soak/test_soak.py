"""A fleet at full speed, of which something is killed every 10 s: nothing lost, doubled or leaked.

`DJQ_TEST_SOAK_S` says how long: 2 minutes by default, 30 by `make soak`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import signal
import statistics
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil
import pytest
import redis

from tests.integration.fleet import MODULE
from tests.support.chaos import family, kill_connections
from tests.support.servers import connect
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.fleet import Fleet
    from tests.support.processes import Process
    from tests.support.servers import RedisServer

logger = logging.getLogger("djq.tests")

SOAK_S = float(os.environ.get("DJQ_TEST_SOAK_S", "120"))
KILL_EVERY_S, SAMPLE_EVERY_S = 10.0, 5.0
#: Redis restarts at least once.
RESTART_EVERY_S = min(300.0, SOAK_S / 2)
#: Numbers that are due at a time: enough that nobody waits, few enough to be made in the end.
MIN_DUE, BATCH = 1_000, 1_000
#: Everything is made so long after the last insert, also on a busy machine [s].
DRAIN_S = 180.0
#: The last leases have ended, and lost keys were looked for, by then [s].
CLEAN_S = 30.0
MB = 1 << 20
#: A process that lives on may grow by so much between the second and the last quarter [bytes].
GROWTH_BYTES = 25 * MB
#: Names in Redis beside those of what is in flight: some per worker that ever was.
N_NAMES = 40
#: Announcements are kept up to a bound; the rest is little [bytes].
REDIS_BYTES = 200 * MB
#: Of a worker's slots, its main process, schedulers and this test [connections].
N_CONNECTIONS = 40


@dataclass(frozen=True)
class Sample:
    """What a fleet occupies at one moment."""

    redis_names: int
    redis_bytes: int
    redis_clients: int
    connections: int
    worker_bytes: int
    scheduler_bytes: int


@dataclass
class Soak:
    """The fleet, and what is done to it. The first worker and scheduler live through it all."""

    fleet: Fleet
    redis_server: RedisServer
    n_inserted: int = 0
    schedulers: list[Process] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    deeds: list[str] = field(default_factory=list)

    def start(self) -> None:
        self.feed()
        for _ in range(2):
            self.start_scheduler()
            self.fleet.start_worker()
        self.fleet.wait_for_workers()

    def start_scheduler(self) -> None:
        fleet = self.fleet
        self.schedulers.append(
            fleet.start_process(
                *("-m", "djq.ops.cli", "scheduler", MODULE),
                settings=fleet.settings,
                env={"TEST_SCHEMA": fleet.schema_name},
            )
        )

    def feed(self) -> None:
        """Insert more, if little is left to do."""
        if self.n_inserted - self.fleet.n_made() < MIN_DUE:
            first, self.n_inserted = self.n_inserted, self.n_inserted + BATCH
            numbers = range(first, self.n_inserted)
            self.fleet.tables.Number.insert((i, 3 * i) for i in numbers)

    def kill(self) -> None:
        """Kill something by lot."""
        deeds = [self.kill_child, self.kill_child, self.kill_worker, self.kill_scheduler, self.cut]
        deed = random.choice(deeds)
        deed()
        self.deeds.append(deed.__name__)

    def kill_child(self) -> None:
        children = random.choice([self.fleet.workers[0], self.fleet.workers[-1]]).children()
        if children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(random.choice(children).pid, signal.SIGKILL)

    def kill_worker(self) -> None:
        self.fleet.workers[-1].kill()
        self.fleet.start_worker()

    def kill_scheduler(self) -> None:
        self.schedulers[-1].kill()
        self.start_scheduler()

    def cut(self) -> None:
        url = self.fleet.settings.resolved_database_url
        kill_connections(url, family(random.choice(self.fleet.workers[-2:])))

    def restart_redis(self) -> None:
        self.redis_server.kill()
        self.redis_server.start()
        self.deeds.append("restart_redis")

    def sample(self) -> None:
        url = self.fleet.settings.resolved_database_url
        with redis.Redis.from_url(self.redis_server.url) as client:
            names, memory = client.dbsize(), client.info("memory")["used_memory"]
            clients = client.info("clients")["connected_clients"]
        with contextlib.closing(connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW STATUS LIKE 'Threads_connected'")
            ((_, connections),) = cursor.fetchall()
        worker, scheduler = (
            psutil.Process(p.pid).memory_info().rss
            for p in (self.fleet.workers[0], self.schedulers[0])
        )
        self.samples.append(Sample(names, memory, clients, int(connections), worker, scheduler))

    def run(self) -> None:
        """Feed, kill, restart and look until the time is over."""
        now = time.monotonic()
        end = now + SOAK_S
        plan: list[tuple[Callable[[], None], float]] = [
            (self.feed, 0.2),
            (self.sample, SAMPLE_EVERY_S),
            (self.kill, KILL_EVERY_S),
            (self.restart_redis, RESTART_EVERY_S),
        ]
        due = [now + every for _, every in plan]
        while time.monotonic() < end:
            for i, (deed, every) in enumerate(plan):
                if time.monotonic() >= due[i]:
                    deed()
                    due[i] = max(due[i] + every, time.monotonic())
            threading.Event().wait(0.05)

    def drain(self) -> None:
        """Wait until everything is made."""
        tables = self.fleet.tables
        wait_until(
            lambda: len(tables.Cross()) == self.n_inserted,
            what=f"{self.n_inserted} numbers to be made",
            timeout_s=DRAIN_S,
        )

    def growth(self, name: str) -> float:
        """How much more there is in the last quarter than in the second one."""
        values = [getattr(sample, name) for sample in self.samples]
        quarter = max(1, len(values) // 4)
        early, late = values[quarter : 2 * quarter], values[-quarter:]
        return statistics.mean(late) - statistics.mean(early)


def assert_rows(fleet: Fleet, n: int) -> None:
    """None lost, none doubled: asked of the database, since they are many."""
    tables = fleet.tables
    square, digit, cross = tables.Square, tables.Square.Digit, tables.Cross
    assert len(square()) == n
    assert len(square * tables.Number & "square <> value * value") == 0
    assert len(digit()) == sum(len(str((3 * i) ** 2)) for i in range(n))
    sums = square.aggr(digit, whole="sum(digit * power(10, place))", cross_sum="sum(digit)")
    assert len(sums * square & "whole <> square") == 0
    assert len(sums * cross & "cross_sum <> `cross`") == 0


def left_over(fleet: Fleet) -> dict[str, object]:
    """What is queued, reserved or counted as lost in Redis after a while, and what it says."""

    def is_clean() -> bool:
        fleet.reservations.holders.reap()
        return not fleet.leftovers()

    with contextlib.suppress(AssertionError):
        wait_until(is_clean, timeout_s=CLEAN_S)
    found: dict[str, object] = {}
    prefix = fleet.reservations.server.prefix
    with redis.Redis.from_url(fleet.reservations.server.url, decode_responses=True) as client:
        for name in fleet.leftovers():
            is_set = client.type(prefix + name) == "set"
            found[name] = (client.smembers if is_set else client.hgetall)(prefix + name)
    return found


@pytest.mark.timeout(SOAK_S + DRAIN_S + 180)
@pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
def test_nothing_is_lost_doubled_or_leaked(fleet: Fleet, redis_server: RedisServer) -> None:
    # Given: two workers and two schedulers with more to do than they can.
    soak = Soak(fleet, redis_server)
    soak.start()
    # When: things are killed time and again.
    soak.run()
    soak.drain()
    # Then: the rows are exact, and nothing is reserved or recorded as an error.
    assert_rows(fleet, soak.n_inserted)
    errors = [*fleet.tables.Square.jobs.errors, *fleet.tables.Cross.jobs.errors]
    assert errors == []
    assert left_over(fleet) == {}
    # And: nothing grows.
    soak.sample()
    last = soak.samples[-1]
    for name in ("worker_bytes", "scheduler_bytes"):
        logger.info("%s grew by %.1f MB", name, soak.growth(name) / MB)
    logger.info("%s keys, after %s: %s", soak.n_inserted, Counter(soak.deeds), last)
    assert soak.growth("worker_bytes") < GROWTH_BYTES, soak.samples
    assert soak.growth("scheduler_bytes") < GROWTH_BYTES, soak.samples
    assert last.redis_names < N_NAMES + len(fleet.workers), soak.samples
    assert max(sample.redis_bytes for sample in soak.samples) < REDIS_BYTES
    assert max(sample.connections for sample in soak.samples) < N_CONNECTIONS, soak.samples
    assert last.redis_clients <= soak.samples[0].redis_clients + 10, soak.samples
    for process in (*fleet.workers, *soak.schedulers):
        process.kill()

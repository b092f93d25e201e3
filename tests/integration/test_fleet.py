"""The whole road on real workers: submit, make, commit, announce, next level."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from typing import TYPE_CHECKING

import pytest

import djq as dj
from djq.errors import ConfigError, MakeError, RedisUnavailableError, UsageError
from djq.orchestrator import passes
from djq.orchestrator.app import producer_app, worker_app
from djq.orchestrator.dispatch import CeleryDispatcher
from djq.orchestrator.leads import Leads
from djq.orchestrator.planning import DatabasePlan
from djq.orchestrator.scheduler import Scheduler
from djq.populate.pipeline import collect
from djq.tables.connection import using
from tests.support.servers import free_port
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from djq.settings import Settings
    from tests.integration.fleet import Fleet
    from tests.support.processes import Process

#: For what the database has no part in.
on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

N = 60


def test_a_fleet_makes_what_a_local_populate_makes(fleet: Fleet) -> None:
    # Given: numbers, and two pool processes.
    fleet.insert(N)
    fleet.start_worker(slots=2)
    # When: the whole schema is submitted.
    run = fleet.submit()
    fleet.finish(run)
    # Then: all rows are there, once, level by level, and nothing is reserved.
    assert fleet.rows() == fleet.expected(N)
    assert (run.n_made, run.errors()) == (2 * N, [])
    assert [row.made for row in run.progress()] == [N, N]
    fleet.assert_clean()
    # And: a plain populate finds nothing to add.
    assert fleet.tables.Square.populate()["success_count"] == 0
    assert fleet.tables.Cross.populate()["success_count"] == 0


@on_one_database
@pytest.mark.parametrize(
    "options",
    [("--pool-start-method=spawn",), ("--pool=threads",), ("--pool=solo",)],
    ids=["spawn", "threads", "solo"],
)
def test_every_kind_of_pool_makes_the_same_rows(fleet: Fleet, options: tuple[str, ...]) -> None:
    fleet.insert(N)
    fleet.start_worker(*options)
    run = fleet.submit()
    fleet.finish(run)
    assert fleet.rows() == fleet.expected(N)
    fleet.assert_clean()


@on_one_database
@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_whatever_a_make_raises_is_an_error_of_its_key(fleet: Fleet, pool: str) -> None:
    # Given: keys whose makes leave by SystemExit, KeyboardInterrupt, orders to Celery and the like.
    n_odd = len(fleet.tables.ODD)
    # The last one ends a worker that runs makes itself: there Celery raises it, too.
    odd = list(range(n_odd if pool == "prefork" else n_odd - 1))
    fleet.insert(len(odd) + 4)
    worker = fleet.start_worker(f"--pool={pool}", TEST_ODD=",".join(map(str, odd)))
    # When: they are made.
    run = fleet.submit(fleet.tables.Square)
    fleet.finish(run)
    # Then: each is an error, tried once; all others are made, and the worker goes on.
    records = fleet.tables.Square.jobs.errors.to_dicts()
    assert sorted(r["number"] for r in records) == odd
    assert {(r["cause"], r["attempt"]) for r in records} == {("user", 1)}
    assert fleet.n_made() == 4
    assert worker.is_running
    assert worker.text().count("make_failed") == len(odd)
    fleet.assert_clean()


@on_one_database
@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_a_make_may_start_processes(fleet: Fleet, pool: str) -> None:
    fleet.insert(2)
    fleet.start_worker(f"--pool={pool}", TEST_FORKS="yes")
    run = fleet.submit(fleet.tables.Square)
    fleet.finish(run)
    assert fleet.rows()["Square"] == fleet.expected(2)["Square"]
    fleet.assert_clean()


class TestPopulateDistributed:
    def test_it_returns_what_a_local_populate_returns(
        self,
        fleet: Fleet,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        # Given: one number whose make raises, and one whose make inserts nothing.
        bad = {"TEST_BAD": "3", "TEST_EMPTY": "5"}
        fleet.insert(10)
        fleet.start_worker(**bad)
        # When: it is populated on the fleet, then here.
        on_the_fleet = fleet.tables.Square.populate(distributed=True, suppress_errors=True)
        recorded = fleet.tables.Square.jobs.errors.fetch1("error_stack")
        for name, value in bad.items():
            monkeypatch.setenv(name, value)
        here = fleet.tables.Square.populate(suppress_errors=True)
        # Then: the others were made, and both report the same errors.
        assert on_the_fleet["success_count"] == 8
        assert sorted(map(str, on_the_fleet["error_list"])) == sorted(map(str, here["error_list"]))
        assert "number 3 is bad" in recorded
        # And: as objects, where these are asked for.
        again = fleet.tables.Square.populate(
            distributed=True, suppress_errors=True, return_exception_objects=True
        )
        assert {type(error) for _, error in again["error_list"]} == {MakeError}
        assert fleet.rows()["Square"] == fleet.expected(10, without=frozenset({3, 5}))["Square"]

    def test_an_error_is_raised_after_the_other_keys_are_made(
        self,
        fleet: Fleet,
    ) -> None:
        fleet.insert(5)
        fleet.start_worker(TEST_BAD="1")
        with pytest.raises(MakeError, match=r"Square.make.*'number': 1.*number 1 is bad"):
            fleet.tables.Square.populate(distributed=True)
        assert fleet.n_made() == 4

    @on_one_database
    def test_restrictions_and_max_calls_bound_it(self, fleet: Fleet) -> None:
        fleet.insert(20)
        fleet.start_worker()
        square = fleet.tables.Square
        assert square.populate("number < 4", distributed=True)["success_count"] == 4
        assert square.populate(distributed=True, max_calls=6)["success_count"] == 6
        assert fleet.n_made() == 10
        fleet.assert_clean()

    @on_one_database
    def test_max_calls_bound_it_where_a_daemon_leads_its_tables(self, fleet: Fleet) -> None:
        # Given: a daemon that leads them, and is slow.
        fleet.insert(5)
        fleet.start_worker()
        square = fleet.tables.Square
        leads = Leads(fleet.reservations.server, lease_ms=60_000)
        leads.take("s-1", [square.spec.display_name])
        # When, then: the call makes its keys itself, and does not wait for the rest.
        assert square.populate(distributed=True, max_calls=3)["success_count"] == 3
        assert leads.leaders([square.spec.display_name])

    @on_one_database
    def test_an_error_is_told_though_the_clocks_of_workers_are_late(
        self, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fleet.insert(2)
        fleet.start_worker(TEST_BAD="1")
        database = type(fleet.tables.schema.connection.database)
        clock = database.clock
        monkeypatch.setattr(database, "clock", lambda its: clock(its) + dt.timedelta(hours=1))
        with pytest.raises(MakeError, match=r"number 1 is bad"):
            fleet.tables.Square.populate(distributed=True)

    @on_one_database
    def test_failed_keys_are_tried_again_by_the_next_call(
        self,
        fleet: Fleet,
    ) -> None:
        fleet.insert(4)
        first = fleet.start_worker(TEST_BAD="1")
        fleet.tables.Square.populate(distributed=True, suppress_errors=True)
        first.stop()
        fleet.start_worker()
        assert fleet.tables.Square.populate(distributed=True)["success_count"] == 1
        assert len(fleet.tables.Square.jobs.errors) == 0


@on_one_database
def test_cancel_takes_back_what_nobody_has_begun(fleet: Fleet) -> None:
    fleet.insert(N)
    fleet.start_worker(slots=1, TEST_MAKE_S=0.05)
    run = fleet.submit(fleet.tables.Square)
    wait_until(lambda: run.n_made > 0, what="the first key", timeout_s=60)
    run.cancel()
    fleet.finish(run)
    assert 0 < fleet.n_made() < N
    fleet.assert_clean()


def test_a_daemon_makes_what_others_insert_and_runs_look_on(
    fleet: Fleet,
) -> None:
    # Given: a scheduler and a worker.
    plan = DatabasePlan(collect([fleet.tables.schema]))
    dispatcher = CeleryDispatcher(producer_app(fleet.settings), plan.show)
    daemon = Scheduler(plan, fleet.reservations, dispatcher)

    def run_forever() -> None:
        daemon.run_forever()
        dispatcher.close()
        fleet.tables.schema.connection.close()

    thread = threading.Thread(target=run_forever)
    thread.start()
    try:
        fleet.start_worker()
        fleet.wait_for_workers()
        # When: rows come in.
        fleet.insert(N)
        # Then: they are made without anybody asking, also what depends on them.
        wait_until(lambda: fleet.rows() == fleet.expected(N), what="all rows", timeout_s=60)
        # And: a run of the same tables finds nothing to do, or waits for the daemon.
        fleet.tables.Number.insert((i, 3 * i) for i in range(N, N + 10))
        run = fleet.submit()
        fleet.finish(run)
        assert fleet.rows() == fleet.expected(N + 10)
        fleet.assert_clean()
    finally:
        daemon.stop()
        thread.join()


def test_a_daemon_hears_of_inserts_between_its_passes(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given: a scheduler whose first pass is over, and whose next one never comes.
    monkeypatch.setattr(passes, "MIN_PASS_S", 10_000.0)
    plan = DatabasePlan(collect([fleet.tables.schema]))
    dispatcher = CeleryDispatcher(producer_app(fleet.settings), plan.show)
    daemon = Scheduler(plan, fleet.reservations, dispatcher)
    fleet.start_worker()
    fleet.wait_for_workers()
    is_searched = threading.Event()

    def run_forever() -> None:
        daemon.turn(0.0)
        is_searched.set()
        daemon.run_forever()
        dispatcher.close()
        fleet.tables.schema.connection.close()

    thread = threading.Thread(target=run_forever)
    thread.start()
    try:
        assert is_searched.wait(60)
        # When: a row comes in, then many at once.
        fleet.insert(1)
        wait_until(lambda: fleet.rows() == fleet.expected(1), what="the row", timeout_s=60)
        with fleet.tables.schema.connection.transaction:
            fleet.tables.Number.insert((i, 3 * i) for i in range(1, N))
        # Then: they are made, and what depends on them.
        wait_until(lambda: fleet.rows() == fleet.expected(N), what="all rows", timeout_s=60)
        fleet.assert_clean()
    finally:
        daemon.stop()
        thread.join()


class TestClearErrors:
    def test_no_redis_says_what_to_set_or_start(self, local_settings: Settings) -> None:
        with pytest.raises(RedisUnavailableError, match=r"DJQ_REDIS_URL.*djq up"):
            producer_app(local_settings)

    @on_one_database
    def test_an_unreachable_redis_is_named(
        self,
        fleet: Fleet,
    ) -> None:
        port = free_port()
        url = type(fleet.settings.redis_url)(f"redis://:secret@127.0.0.1:{port}/0")
        settings = fleet.settings.model_copy(update={"redis_url": url})
        connection = dj.Connection(settings)
        with using(connection):
            table = fleet.tables.Square
            with pytest.raises(RedisUnavailableError, match=f"127.0.0.1:{port}") as caught:
                dj.submit(table)
        connection.close()
        assert "secret" not in str(caught.value)

    def test_a_worker_without_a_pipeline_says_how_to_name_one(
        self, local_settings: Settings
    ) -> None:
        with pytest.raises(ConfigError, match="DJQ_PIPELINE"):
            worker_app(local_settings)

    def test_nothing_to_make_is_refused(self) -> None:
        with pytest.raises(UsageError, match="nothing to make"):
            dj.submit()

    def test_what_is_no_table_is_refused(self) -> None:
        with pytest.raises(UsageError, match="cannot make 3"):
            dj.submit(3)  # type: ignore[arg-type] # on purpose


@on_one_database
def test_a_run_without_workers_says_how_to_start_one(
    fleet: Fleet,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("djq.orchestrator.watch.LONELY_S", 0.0)
    fleet.insert(1)
    with caplog.at_level(logging.WARNING, logger="djq.run"):
        run = fleet.submit(fleet.tables.Square)
        wait_until(lambda: "djq worker" in caplog.text, what="the advice")
        run.cancel()
        fleet.finish(run)
    assert "tests.integration.pipelines.sums" in caplog.text
    fleet.assert_clean()


def test_celery_says_in_one_message_that_no_pipeline_is_set(
    local_settings: Settings, start_process: Callable[..., Process]
) -> None:
    worker = start_process("-m", "celery", "-A", "workers", "worker", settings=local_settings)
    assert worker.wait(30) == 2
    assert "DJQ_PIPELINE" in worker.text()
    assert "Traceback" not in worker.text()
    assert len(worker.text().splitlines()) == 1

"""Runs are stored in the database: any process sees them, waits for them, and ends them."""

from __future__ import annotations

import importlib
import json
import sys
from typing import TYPE_CHECKING

import pytest

import djq as dj
from djq.errors import FleetError, QueryError, RedisUnavailableError, UsageError
from djq.orchestrator import run as run_module
from djq.orchestrator.adoption import Adoption
from djq.orchestrator.driving import lead_name
from djq.orchestrator.reservations import Reservations
from djq.populate import plan
from djq.populate.runs import RUNS, RunStore, new_record
from tests.integration.fleet import DONE_S
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from djq.settings import Settings
    from tests.integration.fleet import Fleet
    from tests.support.processes import Process

#: For what the database has no part in.
on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

MODULE = "tests.integration.pipelines.sums"
N = 12

#: A script that submits all tables and stays until the run is done; `{}` are more arguments.
SUBMITTER = f"""
import djq as dj
from {MODULE} import schema, Square
run = dj.submit(schema{{}})
print("submitted", run.id, flush=True)
run.wait()
"""


def script(fleet: Fleet, text: str) -> Process:
    """Start a process that has the pipeline, and runs this."""
    return fleet.start_process(
        "-c", text, settings=fleet.settings, env={"TEST_SCHEMA": fleet.schema_name}
    )


def submitted(process: Process) -> str:
    """Return the id of the run that a process submitted."""

    def found() -> str:
        assert process.is_running or "submitted" in process.text(), process.text()
        words = process.text().split()
        return words[words.index("submitted") + 1] if "submitted" in words[:-1] else ""

    return wait_until(found, what="the run", timeout_s=60)


def finish(run: dj.Run) -> None:
    assert run.wait(DONE_S), f"not done after {DONE_S} s: {run!r}"


def test_a_run_is_seen_waited_for_and_told_about_by_another_process(fleet: Fleet) -> None:
    # Given: a run that another process submitted, and that waits for a worker.
    fleet.insert(N)
    other = script(fleet, SUBMITTER.format(', restrictions=[{"number": [1, 2]}, "number < 9"]'))
    run_id = submitted(other)
    # When: this process looks for it.
    (run,) = dj.runs()
    # Then: it knows what the run is about, and how it stands.
    assert (run.id, run.status, run.is_finished) == (run_id, "running", False)
    assert run.tables == (
        fleet.tables.Square.spec.display_name,
        fleet.tables.Cross.spec.display_name,
    )
    assert f"Run('{run_id}': " in repr(run)
    assert [r.id for r in dj.runs("running")] == [run_id]
    assert dj.runs(["done", "failed"]) == []
    # And: it may wait for its end, and is told what came of it.
    fleet.start_worker()
    finish(dj.Run.of(run_id))
    assert other.wait(DONE_S) == 0, other.text()
    assert (run.status, run.n_made, run.errors()) == ("done", 4, [])
    assert "4 made, 0 failed" in repr(run)
    assert fleet.n_made() == 2
    assert RUNS not in fleet.tables.schema.list_tables()
    fleet.assert_clean()


@pytest.mark.parametrize("last_words", ["", "import time; time.sleep(0.5)\n"])
def test_a_script_that_ends_behind_submit_stays_until_the_run_is_done(
    fleet: Fleet, last_words: str
) -> None:
    fleet.insert(N)
    fleet.start_worker()

    other = script(fleet, SUBMITTER.format("").replace("run.wait()\n", last_words))

    run = dj.Run.of(submitted(other))
    assert other.wait(DONE_S) == 0, other.text()
    assert (run.status, run.n_made) == ("done", 2 * N)
    assert fleet.rows() == fleet.expected(N)


def test_a_run_whose_process_was_killed_is_finished_by_who_waits_for_it(fleet: Fleet) -> None:
    fleet.insert(N)
    other = script(fleet, SUBMITTER.format(""))
    run = dj.Run.of(submitted(other))
    wait_until(fleet.leftovers, what="the first chunk", timeout_s=60)
    other.kill()

    fleet.start_worker()
    finish(run)

    assert fleet.rows() == fleet.expected(N)
    assert (run.status, run.n_made) == ("done", 2 * N)
    fleet.assert_clean()


@on_one_database
def test_a_run_whose_process_was_killed_is_adopted_by_a_scheduler(fleet: Fleet) -> None:
    fleet.insert(N)
    other = script(fleet, SUBMITTER.format(""))
    run = dj.Run.of(submitted(other))
    wait_until(fleet.leftovers, what="the first chunk", timeout_s=60)
    other.kill()
    fleet.start_worker()

    names = run.tables
    adoption = Adoption(
        dict(zip(names, (fleet.tables.Square, fleet.tables.Cross), strict=True)), every_s=0.05
    )
    adoption.start()
    try:
        wait_until(lambda: run.is_finished, what="the end of the run", timeout_s=DONE_S)
    finally:
        adoption.close()

    assert fleet.rows() == fleet.expected(N)
    assert run.status == "done"


def test_a_run_is_cancelled_from_another_process(fleet: Fleet) -> None:
    # Given: a continuous run, which would go on for ever.
    fleet.insert(N)
    other = script(fleet, SUBMITTER.format(", continuous=True"))
    run = dj.Run.of(submitted(other))
    assert run.is_continuous
    fleet.start_worker()
    wait_until(lambda: fleet.rows() == fleet.expected(N), what="all rows", timeout_s=DONE_S)
    # When: rows come in, they are made.
    fleet.tables.Number.insert((i, 3 * i) for i in range(N, N + 5))
    wait_until(lambda: fleet.rows() == fleet.expected(N + 5), what="new rows", timeout_s=DONE_S)
    assert run.status == "running"
    # And: when this process cancels it, it ends there, too.
    run.cancel()
    assert other.wait(DONE_S) == 0, other.text()
    assert (run.status, run.n_made) == ("cancelled", 2 * (N + 5))
    fleet.assert_clean()


@on_one_database
def test_a_cancelled_run_that_nobody_drives_ends_at_once(fleet: Fleet) -> None:
    fleet.insert(N)
    run = fleet.submit()
    wait_until(fleet.leftovers, what="the first chunk", timeout_s=60)
    run.detach()
    other = dj.Run.of(run.id)
    assert other.status == "running"

    other.cancel()

    assert (other.status, run.status) == ("cancelled", "cancelled")
    assert run.wait(0)
    assert fleet.leftovers() == []
    assert dj.runs("running") == []


@on_one_database
def test_a_cancelled_run_whose_driver_was_just_killed_ends_with_its_lease(fleet: Fleet) -> None:
    fleet.insert(N)
    run = fleet.submit()
    wait_until(fleet.leftovers, what="the first chunk", timeout_s=60)
    run.detach()
    fleet.reservations.leads.take("killed", [lead_name(run.id)])
    other = dj.Run.of(run.id)

    other.cancel()
    assert other.status == "cancelling"
    other.cancel(DONE_S)

    assert other.status == "cancelled"
    assert fleet.leftovers() == []


@on_one_database
def test_cancelling_takes_back_what_an_earlier_driver_queued(fleet: Fleet) -> None:
    # Given: a run that was left by the process that submitted it, and is driven by another one.
    fleet.insert(N)
    run = fleet.submit()
    wait_until(fleet.leftovers, what="the first chunk", timeout_s=60)
    run.detach()
    other = dj.Run.of(run.id)
    other.start()
    # When: it is cancelled.
    other.cancel()
    # Then: it ends, though no worker is there to take what was queued first.
    assert other.wait(DONE_S)
    other.detach()
    assert other.status == "cancelled"
    assert fleet.leftovers() == []


@on_one_database
def test_options_of_a_run_reach_its_workers_and_its_queue(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given: a number whose make raises, and a class that says nothing about retries.
    fleet.insert(3)
    fleet.start_worker("-Q", "djq.special", TEST_BAD="1")
    options = dj.PopulateOptions(queue="djq.special", max_retries=1, backoff_s=0.05, priority=7)
    # When: a run asks for a queue and one retry.
    run = dj.submit(fleet.tables.Square, options=options)
    fleet.runs.append(run)
    fleet.finish(run)
    # Then: the worker of that queue made it, and tried the bad one twice.
    ((table, key, message),) = run.errors()
    assert (table, key) == (fleet.tables.Square.spec.display_name, {"number": 1})
    assert "number 1 is bad" in message
    assert fleet.tables.Square.jobs.errors.fetch1("attempt") == 2
    assert run.n_made == fleet.n_made() == 2
    # And: they are stored with it.
    assert dj.Run.of(run.id).options == options


@on_one_database
def test_a_run_restricted_by_a_query_is_driven_by_its_own_process_only(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    fleet.insert(N)
    run = dj.submit(fleet.tables.Square, restrictions=[fleet.tables.Number & "number < 3"])
    fleet.runs.append(run)
    other = dj.Run.of(run.id)
    assert "only that process can drive it" in repr(other)
    with pytest.raises(UsageError, match="restricted by a query, which only the process that"):
        other.start()
    assert not other.wait(0.0)
    assert "run_only_watched" in caplog.text

    fleet.start_worker()
    fleet.finish(run)

    assert other.wait(0.0)
    assert fleet.n_made() == other.n_made == 3


@on_one_database
def test_runs_are_listed_newest_first(fleet: Fleet) -> None:
    first, second = fleet.submit(fleet.tables.Square), fleet.submit()
    fleet.finish(first)
    fleet.finish(second)
    third = fleet.submit(fleet.tables.Cross)
    fleet.finish(third)
    listed = [run.id for run in dj.runs()]
    assert listed[0] == third.id
    assert set(listed) == {first.id, second.id, third.id}
    assert [run.created for run in dj.runs()] == sorted(
        (run.created for run in dj.runs()), reverse=True
    )


@on_one_database
def test_an_error_of_the_search_ends_the_run_for_everybody(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def search(*_: object, **__: object) -> list[str]:
        message = "no such thing as unknown_word"
        raise QueryError(message)

    fleet.insert(1)
    monkeypatch.setattr(plan, "due_ids", search)
    run = dj.submit(fleet.tables.Square)
    fleet.runs.append(run)
    with pytest.raises(dj.DjqError, match="unknown_word"):
        run.wait(DONE_S)
    other = dj.Run.of(run.id)
    assert other.status == "failed"
    with pytest.raises(FleetError, match=rf"the run {run.id} failed: .*unknown_word"):
        other.wait()


@on_one_database
def test_watching_opens_redis_once(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given: a run that is shown all the time.
    opened: list[object] = []
    open_ = Reservations.open

    def note(settings: Settings) -> Reservations:
        opened.append(settings)
        return open_(settings)

    monkeypatch.setattr(run_module, "SHOW_S", 0.01)
    fleet.insert(N)
    fleet.start_worker()
    run = fleet.submit()
    monkeypatch.setattr(Reservations, "open", note)
    # When: it is watched to its end.
    run.watch()
    # Then: that was for the one who watches, and for the one who drives.
    assert len(opened) <= 3
    assert fleet.rows() == fleet.expected(N)


@on_one_database
def test_a_run_that_a_newer_version_stored_hides_no_other(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    schema = fleet.tables.schema
    store = RunStore(schema.connection, schema.name)
    names = {fleet.tables.Square.spec.display_name: fleet.tables.Square}
    for name, option in (("r-old", "gpu"), ("r-new", "qpu")):
        record = new_record(name, names, (), options=dj.PopulateOptions(gpu=1))
        monkeypatch.setattr(dj.PopulateOptions, "to_json", lambda _, o=option: {o: 1})
        assert store.add(record, schema)
    assert [run.id for run in dj.runs()] == ["r-old"]
    assert "run_not_read" in caplog.text
    with pytest.raises(UsageError, match=r"r-new .*this version of djq.*no option \"qpu\""):
        dj.Run.of("r-new")


class TestClearErrors:
    @on_one_database
    def test_an_unknown_id_names_those_that_are_near(self, fleet: Fleet) -> None:
        with pytest.raises(UsageError, match=r'no run "r-1" in .*None is stored.*dj\.submit'):
            dj.Run.of("r-1")
        run = fleet.submit(fleet.tables.Square)
        with pytest.raises(UsageError, match=f"Did you mean {run.id}"):
            dj.Run.of(run.id[:-1] + "x")
        with pytest.raises(UsageError, match=f'no run "5" in .*The last ones: {run.id}'):
            dj.Run.of(5)  # type: ignore[arg-type] # on purpose
        fleet.finish(run)

    def test_an_unknown_status_is_refused(self) -> None:
        with pytest.raises(UsageError, match=r'no run has the status "runing"\. Did you mean'):
            dj.runs("runing")  # type: ignore[arg-type] # on purpose

    @on_one_database
    def test_options_that_are_none_are_refused(self, fleet: Fleet) -> None:
        with pytest.raises(UsageError, match=r"submit\(options=5\): write options=dj.Populate"):
            dj.submit(fleet.tables.Square, options=5)  # type: ignore[arg-type] # on purpose

    @on_one_database
    def test_restrictions_that_say_nothing_of_the_keys_are_refused(self, fleet: Fleet) -> None:
        with pytest.raises(QueryError, match=r'Square: unknown attribute "numbr"'):
            dj.submit(fleet.tables.Square, restrictions="numbr = 1")
        with pytest.raises(QueryError, match=r'no numbr in its key.*Did you mean "number"\?'):
            dj.submit(fleet.tables.Square, restrictions={"numbr": 1})
        assert dj.runs() == []

    @on_one_database
    def test_an_instance_is_no_class(self, fleet: Fleet) -> None:
        with pytest.raises(UsageError, match=r"cannot make an instance of Square \(classes are"):
            dj.submit(fleet.tables.Square())  # type: ignore[arg-type] # on purpose

    @on_one_database
    def test_a_transaction_is_refused(self, fleet: Fleet) -> None:
        square = fleet.tables.Square
        with square.connection.transaction, pytest.raises(UsageError, match="behind the block"):
            dj.submit(square)

    @on_one_database
    def test_without_a_redis_nothing_is_stored(self, fleet: Fleet) -> None:
        table = fleet.tables.Square
        fleet.settings.__dict__["redis_url"] = None
        with pytest.raises(RedisUnavailableError, match=r"DJQ_REDIS_URL.*djq up"):
            dj.submit(table)
        assert dj.runs() == []

    @on_one_database
    def test_tables_that_are_not_here_are_named(
        self, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = fleet.submit(fleet.tables.Square)
        run.detach()
        other = dj.Run.of(run.id)
        monkeypatch.delitem(sys.modules, MODULE)
        monkeypatch.setattr(
            importlib, "import_module", lambda name: (_ for _ in ()).throw(ImportError(name))
        )
        with pytest.raises(UsageError, match=rf"Square in {MODULE}, and that is not here"):
            other.progress()
        other.cancel()
        assert other.status == "cancelled"


@on_one_database
def test_the_command_line_lists_watches_and_cancels_runs(fleet: Fleet) -> None:
    def djq(*arguments: str) -> Process:
        return fleet.start_process(
            *("-m", "djq.ops.cli", *arguments),
            settings=fleet.settings,
            env={"TEST_SCHEMA": fleet.schema_name},
        )

    def listed() -> list[dict[str, object]]:
        process = djq("runs", "--json")
        assert process.wait(60) == 0, process.text()
        return json.loads(process.text())

    # Given: two runs that were left by who submitted them.
    fleet.insert(N)
    first, second = fleet.submit(fleet.tables.Square), fleet.submit()
    first.detach()
    second.detach()
    found = {row["run"]: (row["status"], row["driven"]) for row in listed()}
    assert found == dict.fromkeys((first.id, second.id), ("running", False))
    # When: one is cancelled, and the other watched.
    cancelled = djq("cancel", first.id)
    assert cancelled.wait(60) == 0, cancelled.text()
    assert f"{first.id} is cancelled" in cancelled.text()
    fleet.start_worker()
    watched = djq("watch", second.id)
    assert watched.wait(DONE_S) == 0, watched.text()
    # Then: that one is done.
    assert f"{2 * N} made, 0 failed" in watched.text()
    assert fleet.rows() == fleet.expected(N)
    made = {row["run"]: (row["status"], row["made"]) for row in listed()}
    assert made == {first.id: ("cancelled", None), second.id: ("done", 2 * N)}
    # And: an id that is none is told.
    unknown = djq("watch", "r-none")
    assert unknown.wait(60) == 2
    assert 'no run "r-none"' in unknown.text()

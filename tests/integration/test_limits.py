"""Keys that take more time or memory than they may: what is killed, recorded and tried again."""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from djq.populate.overruns import resident_bytes
from tests.integration.fleet import UP_S
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from types import ModuleType

MODULE = "tests.integration.pipelines.limited"
N = 6
#: More than a process of the worker holds by itself, less than one with a hog.
MEMORY_BYTES = 300_000_000
FLEET = """
[queues."djq.default"]
concurrency = 2

[queues."djq.big"]
concurrency = 1
memory = "{memory}"
"""


def room_here() -> int:
    """Return a limit for children of this process, which hold what it holds from the start."""
    return (resident_bytes(os.getpid()) or 0) + 200_000_000


on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def settings(settings, tmp_path):
    (tmp_path / "fleet.toml").write_text(FLEET.format(memory="2 GB"))
    return settings.model_copy(update={"fleet_file": tmp_path / "fleet.toml"})


@pytest.fixture
def pipeline(fleet, monkeypatch):
    """Imports the pipeline here with these options, for a worker's environment that it returns."""

    def declare(**options: object) -> tuple[ModuleType, dict[str, Any]]:
        env = {"TEST_SCHEMA": fleet.schema_name, "TEST_OPTIONS": json.dumps(options)}
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        sys.modules.pop(MODULE, None)
        found = importlib.import_module(MODULE)
        found.Number.insert((i,) for i in range(N))
        return found, env

    return declare


def record(table) -> dict[str, Any]:
    (found,) = table.jobs.errors.to_dicts()
    return found


def make_all_on_a_worker(fleet, tables, env, *options: str):
    fleet.start_worker(*options, module=MODULE, **env)
    fleet.wait_for_workers()
    run = fleet.submit(tables.Limited)
    fleet.finish(run)
    return run


def test_a_process_beyond_its_time_limit_is_killed_and_its_key_is_an_error(fleet, pipeline):
    tables, env = pipeline(time_limit_s=1.0)
    run = make_all_on_a_worker(fleet, tables, {**env, "TEST_STUCK": "2"})
    # The others of its chunk were made, and nobody died of it.
    assert sorted(tables.Limited().to_arrays("number")) == [0, 1, 3, 4, 5]
    found = record(tables.Limited)
    assert (found["number"], found["cause"], found["attempt"]) == (2, "time_limit", 1)
    assert "its process was killed after" in found["error_message"]
    assert "the limit is 1 s (time_limit_s)" in found["error_message"]
    assert found["duration"] >= 1.0
    ((_, key, message),) = run.errors()
    assert key == {"number": 2}
    assert "TimeLimitError" in message
    assert run.n_made == N - 1
    assert fleet.reservations.holders.losses(tables.Limited.spec.display_name) == {}
    fleet.assert_clean()


@on_one_database
def test_a_key_beyond_its_time_limit_is_tried_again_as_its_options_say(fleet, pipeline):
    tables, env = pipeline(time_limit_s=0.5, max_retries=1, backoff_s=0.1)
    make_all_on_a_worker(fleet, tables, {**env, "TEST_STUCK": "2"})
    assert record(tables.Limited)["attempt"] == 2
    fleet.assert_clean()


@on_one_database
def test_a_make_beyond_its_soft_limit_is_interrupted_in_its_process(fleet, pipeline):
    tables, env = pipeline(soft_time_limit_s=0.5, time_limit_s=300)
    make_all_on_a_worker(fleet, tables, {**env, "TEST_SLOW": "3"}, "-c", "1")
    found = record(tables.Limited)
    assert (found["number"], found["cause"]) == (3, "time_limit")
    assert "Limited.make takes longer than 0.5 s" in found["error_message"]
    assert "limited.py" in found["fingerprint"]
    assert len(set(tables.Limited().to_arrays("pid"))) == 1
    fleet.assert_clean()


@on_one_database
def test_a_process_that_holds_too_much_memory_is_killed(fleet, pipeline):
    tables, env = pipeline(memory_bytes=MEMORY_BYTES)
    make_all_on_a_worker(fleet, tables, {**env, "TEST_HOG": "4"})
    found = record(tables.Limited)
    assert (found["number"], found["cause"]) == (4, "memory")
    assert "of memory: the limit is 300.0 MB" in found["error_message"]
    assert len(tables.Limited()) == N - 1
    fleet.assert_clean()


@on_one_database
@pytest.mark.parametrize("reserve_jobs", [False, True])
def test_children_of_populate_are_killed_too(fleet, pipeline, monkeypatch, reserve_jobs):
    tables, _ = pipeline(time_limit_s=1.0, memory_bytes=room_here())
    monkeypatch.setenv("TEST_STUCK", "2")
    monkeypatch.setenv("TEST_HOG", "4")
    result = tables.Limited.populate(
        processes=2, reserve_jobs=reserve_jobs, suppress_errors=True, return_exception_objects=True
    )
    assert result["success_count"] == N - 2
    errors = {key["number"]: str(error) for key, error in result["error_list"]}
    assert "the limit is 1 s" in errors[2]
    causes = dict(zip(*tables.Limited.jobs.errors.to_arrays("number", "cause"), strict=True))
    assert causes[2] == "time_limit"
    assert causes[4] == "memory"
    assert fleet.leftovers() == []


@pytest.mark.parametrize("limit", ["soft_time_limit_s", "time_limit_s"])
def test_populate_in_this_process_interrupts(fleet, pipeline, monkeypatch, limit):
    tables, _ = pipeline(**{limit: 0.2})
    monkeypatch.setenv("TEST_SLOW", "3")
    assert tables.Limited.populate(suppress_errors=True)["success_count"] == N - 1
    found = record(tables.Limited)
    assert (found["number"], found["cause"]) == (3, "time_limit")
    # The connection is as good as before.
    monkeypatch.delenv("TEST_SLOW")
    assert tables.Limited.populate()["success_count"] == 1


@on_one_database
def test_populate_in_a_thread_says_that_it_cannot_interrupt(fleet, pipeline, caplog):
    tables, _ = pipeline(time_limit_s=60.0)

    def run() -> None:
        tables.Limited.populate(max_calls=1)
        tables.Limited.populate(max_calls=1)
        tables.schema.connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert caplog.text.count("time_limit_not_kept") == 1
    assert tables.Limited.spec.display_name in caplog.text


@on_one_database
@pytest.mark.parametrize(
    ("pool", "unkept"),
    [
        ("solo", "memory_bytes of"),
        ("threads", "soft_time_limit_s and time_limit_s and memory_bytes of"),
    ],
)
def test_a_pool_without_processes_says_what_it_does_not_keep(fleet, pipeline, pool, unkept):
    _, env = pipeline(soft_time_limit_s=50.0, time_limit_s=60.0, memory_bytes=10**9)
    worker = fleet.start_worker("-P", pool, module=MODULE, **env)
    wait_until(lambda: "limit_not_kept" in worker.text(), what="the message", timeout_s=UP_S)
    assert unkept in worker.text()


@pytest.fixture
def with_big_queue(fleet, pipeline, tmp_path):
    """Starts a worker for each queue, of which the big one has so much memory, and makes all."""

    def make_all(memory: str, **env: object):
        (tmp_path / "fleet.toml").write_text(FLEET.format(memory=memory))
        tables, common = pipeline(memory_bytes=MEMORY_BYTES, big_queue="djq.big")
        fleet.start_worker("-Q", "djq.default", module=MODULE, **common, TEST_HOG="4")
        fleet.start_worker("-Q", "djq.big", module=MODULE, **common, TEST_HOG="4", **env)
        fleet.wait_for_workers()
        run = fleet.submit(tables.Limited)
        fleet.finish(run)
        return tables.Limited

    return make_all


@on_one_database
def test_a_key_that_was_killed_for_memory_is_made_on_the_big_queue(fleet, with_big_queue):
    limited = with_big_queue("2 GB", TEST_HAS_ROOM="1")
    pids = dict(zip(*limited().to_arrays("number", "pid"), strict=True))
    assert len(pids) == N
    assert list(pids.values()).count(pids[4]) == 1
    assert len(limited.jobs.errors) == 0
    fleet.assert_clean()


@on_one_database
def test_a_key_that_is_killed_there_too_is_an_error(fleet, with_big_queue):
    limited = with_big_queue("310 MB")
    found = record(limited)
    assert (found["number"], found["cause"], found["attempt"]) == (4, "memory", 2)
    assert "the limit is 310.0 MB" in found["error_message"]
    assert found["queue"] is None
    assert found["scheduled_time"] is None
    fleet.assert_clean()


@on_one_database
def test_a_key_for_the_big_queue_is_left_to_it_by_those_who_share_the_keys(
    fleet, pipeline, monkeypatch
):
    tables, _ = pipeline(memory_bytes=room_here(), big_queue="djq.big")
    monkeypatch.setenv("TEST_HOG", "4")
    options = {"processes": 2, "reserve_jobs": True, "suppress_errors": True}
    assert tables.Limited.populate(**options)["success_count"] == N - 1
    assert record(tables.Limited)["queue"] == "djq.big"
    monkeypatch.delenv("TEST_HOG")
    assert tables.Limited.populate(**options)["success_count"] == 0
    # Who asks for all that is missing gets it here.
    assert tables.Limited.populate()["success_count"] == 1

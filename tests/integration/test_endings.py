"""Workers that end: by themselves, in time, and leaving nothing behind."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from djq.orchestrator.states import DEFAULT_QUEUE
from tests.integration.fleet import DONE_S, MODULE, UP_S
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.processes import Process

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

#: Longer than any of these tests may take [s].
FOR_EVER = 3600


@pytest.fixture
def settings(settings, tmp_path):
    return settings.model_copy(
        update={"fleet_file": tmp_path / "fleet.toml", "pipeline": (MODULE,)}
    )


def configure(fleet, **queue: object) -> None:
    lines = [f"{name} = {value!r}" for name, value in queue.items()]
    fleet.settings.fleet_file.write_text("\n".join(['[queues."djq.default"]', *lines]))


def start(fleet, *options: str, **env: object) -> Process:
    process = fleet.start_process(
        *("-m", "djq.ops.cli", "worker", "--concurrency", "1", *options),
        settings=fleet.settings,
        env={"TEST_SCHEMA": fleet.schema_name} | {k: str(v) for k, v in env.items()},
    )
    fleet.workers.append(process)
    fleet.wait_for_workers()
    return process


def wait_until_begun(fleet) -> None:
    wait_until(
        lambda: any(chunk.is_reserved for chunk in fleet.reservations.chunks()),
        what="a chunk to be begun",
        timeout_s=UP_S,
    )


def test_a_worker_ends_when_there_is_nothing_to_do_any_more(fleet):
    configure(fleet)
    worker = start(fleet, "--exit-when-idle", "1s")
    fleet.insert(5)
    fleet.finish(fleet.submit())
    assert worker.wait(UP_S) == 0
    assert "nothing to do for" in worker.text()
    assert fleet.n_made() == 5
    fleet.assert_clean()


def test_a_worker_ends_before_its_time_is_over(fleet):
    configure(fleet, grace_s=1.0)
    worker = start(fleet, "--max-time", "4s")
    assert worker.wait(UP_S) == 0
    assert "over but for the grace period" in worker.text()


def test_a_time_within_the_grace_period_is_refused(fleet):
    configure(fleet, grace_s=300.0)
    process = fleet.start_process(
        *("-m", "djq.ops.cli", "worker", "--max-time", "60s"),
        settings=fleet.settings,
        env={"TEST_SCHEMA": fleet.schema_name},
    )
    assert process.wait(UP_S) == 2
    assert "300 s when it ends" in process.text()


def test_a_worker_that_takes_nothing_from_a_full_queue_fails(fleet):
    configure(fleet)
    # It asks itself more often than in earnest.
    worker = fleet.start_process(
        "-c",
        "import sys\n"
        "from djq.ops.cli import main\n"
        "from djq.ops.commands import serve\n"
        "from djq.orchestrator.endings import Rules\n"
        "serve.Rules = lambda **its: Rules(**its, stuck_s=2.0)\n"
        "sys.argv = ['djq', 'worker']\n"
        "main()\n",
        settings=fleet.settings,
        env={"TEST_SCHEMA": fleet.schema_name},
    )
    fleet.workers.append(worker)
    fleet.wait_for_workers()
    control = fleet.start_process(
        *("-m", "celery", "-A", "workers", "control", "cancel_consumer", DEFAULT_QUEUE),
        settings=fleet.settings,
        env={"TEST_SCHEMA": fleet.schema_name},
    )
    assert control.wait(UP_S) == 0, control.text()
    fleet.insert(5)
    fleet.submit()

    assert worker.wait(UP_S) == 3
    assert "worker_stuck" in worker.text()


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_a_key_that_takes_too_long_goes_back_when_the_grace_period_is_over(fleet, pool):
    configure(fleet, pool=pool, grace_s=0.5)
    fleet.insert(1)
    worker = start(fleet, TEST_MAKE_S=FOR_EVER)
    fleet.submit(fleet.tables.Square)
    wait_until_begun(fleet)

    worker.signal(signal.SIGTERM)

    assert worker.wait(UP_S) == 0
    assert "grace_over" in worker.text()
    # Nobody is blamed: the key is due, and made by the next worker.
    assert len(fleet.tables.Square.jobs.errors) == 0
    assert fleet.reservations.holders.losses("x") == {}
    fleet.workers.clear()
    start(fleet)
    wait_until(lambda: fleet.n_made() == 1, what="the key", timeout_s=DONE_S)


def test_a_key_that_ends_within_the_grace_period_is_made(fleet):
    configure(fleet, grace_s=60.0)
    fleet.insert(3)
    worker = start(fleet, TEST_MAKE_S=2)
    fleet.submit(fleet.tables.Square)
    wait_until_begun(fleet)
    worker.signal(signal.SIGTERM)
    assert worker.wait(UP_S) == 0
    assert "grace_over" not in worker.text()
    assert fleet.n_made() == 1


def test_a_process_is_replaced_after_so_many_chunks(fleet):
    configure(fleet, max_tasks=1)
    worker = start(fleet)
    first = {child.pid for child in worker.children()}
    fleet.insert(5)
    fleet.finish(fleet.submit())
    assert not first <= {child.pid for child in worker.children()}
    assert fleet.rows() == fleet.expected(5)


def test_a_process_that_grew_is_replaced(fleet):
    configure(fleet, max_memory="1 MB")
    worker = start(fleet)
    first = {child.pid for child in worker.children()}
    fleet.insert(5)
    fleet.finish(fleet.submit())
    assert not first <= {child.pid for child in worker.children()}
    assert fleet.rows() == fleet.expected(5)

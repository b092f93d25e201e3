"""Tables of different needs are made by different workers, as `fleet.toml` says."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import pytest

import djq as dj
from djq.errors import ConfigError
from djq.ops.doctor import Health, examine
from djq.orchestrator.app import app_for_tables
from tests.integration.fleet import DONE_S, UP_S
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from types import ModuleType

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

MODULE = "tests.integration.pipelines.queued"
FLEET = """
[queues."djq.default"]
concurrency = 1

[queues."djq.gpu"]
gpu = 1
concurrency = 1
max_tasks = 3
pool = "prefork"

[limits]
licence = 1
"""


@pytest.fixture
def settings(settings, tmp_path):
    (tmp_path / "fleet.toml").write_text(FLEET)
    return settings.model_copy(
        update={"fleet_file": tmp_path / "fleet.toml", "pipeline": (MODULE,)}
    )


@pytest.fixture
def tables(fleet, monkeypatch) -> ModuleType:
    monkeypatch.setenv("TEST_SCHEMA", fleet.schema_name)
    sys.modules.pop(MODULE, None)
    return importlib.import_module(MODULE)


def start(fleet, *options: str, name: str):
    return fleet.start_process(
        *("-m", "djq.ops.cli", "worker", "--name", name, *options),
        settings=fleet.settings,
        env={"TEST_SCHEMA": fleet.schema_name, "TEST_WORKER": name},
    )


def queues_served(fleet) -> set[str]:
    return {queue for main in fleet.reservations.holders.reap().mains for queue in main.queues}


def test_each_queue_is_worked_on_by_its_own_worker(fleet, tables):
    tables.Number.insert((i,) for i in range(20))
    start(fleet, name="plain")
    start(fleet, "--queue", "djq.gpu", name="gpu")
    wait_until(
        lambda: queues_served(fleet) == {"djq.default", "djq.gpu"}, what="both", timeout_s=UP_S
    )

    run = fleet.submit(tables.schema)
    assert run.wait(DONE_S), run.progress()

    assert set(tables.Light().to_arrays("made_by")) == {"plain"}
    assert set(tables.Heavy().to_arrays("made_by")) == {"gpu"}
    assert len(tables.Heavy()) == len(tables.Light()) == 20
    fleet.assert_clean()


def test_a_full_queue_stops_no_other_and_doctor_says_who_is_missing(fleet, tables):
    tables.Number.insert((i,) for i in range(20))
    start(fleet, name="plain")
    wait_until(lambda: queues_served(fleet) == {"djq.default"}, what="the worker", timeout_s=UP_S)

    fleet.submit(tables.schema)
    wait_until(lambda: len(tables.Light()) == 20, what="the light ones", timeout_s=DONE_S)

    assert len(tables.Heavy()) == 0
    broken = [f.text for f in examine(fleet.settings) if f.health is Health.BROKEN]
    assert any("takes from djq.gpu" in text and "Heavy" in text for text in broken), broken


def test_a_table_that_no_queue_can_make_is_refused_when_it_is_submitted(fleet, tables):
    tables.Heavy.populate_options = dj.PopulateOptions(gpu=8, tags=("cuda12",))
    with pytest.raises(ConfigError, match=r"Heavy needs gpu=8, tags cuda12.*djq\.gpu \(gpu=1\)"):
        dj.submit(tables.Heavy)
    with pytest.raises(ConfigError, match="Heavy needs gpu=8"):
        app_for_tables(fleet.settings, {"lab.Heavy": tables.Heavy})


def test_a_queue_that_is_not_in_the_file_is_refused(fleet, tables):
    process = start(fleet, "--queue", "djq.gpus", name="typo")
    assert process.wait() == 2
    assert 'Did you mean "djq.gpu"' in process.text()

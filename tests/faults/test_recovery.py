"""How long it takes until work goes on, with the leases that are the default."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from djq.orchestrator.reservations import Reservations
from djq.settings import Settings
from tests.integration.fleet import MODULE, UP_S
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.integration.fleet import Fleet
    from tests.support.processes import Process

logger = logging.getLogger("djq.tests")

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
#: What design and docs promise with the default lease, and a little for a busy machine [s].
BOUND_S, SLACK_S = 15.0, 3.0


@pytest.fixture
def usual(fleet: Fleet) -> Iterator[Fleet]:
    """A fleet with the default leases."""
    fields = Settings.model_fields
    leases = {name: fields[name].default for name in ("heartbeat_s", "lease_s")}
    settings = fleet.settings.model_copy(update=leases)
    found = replace(fleet, settings=settings, reservations=Reservations.open(settings))
    yield found
    for run in found.runs:
        run.detach()
    found.reservations.server.close()


def test_a_host_is_lost(usual: Fleet, tmp_path: Path) -> None:
    # Given: a worker with keys in hand, and another one.
    usual.insert(12)
    doomed = usual.start_worker(TEST_GATE=tmp_path / "gate")
    run = usual.submit()
    wait_until(lambda: len(list(tmp_path.glob("gate.*"))) == 2, what="keys", timeout_s=UP_S)
    usual.start_worker()
    wait_until(lambda: usual.n_made() == 10, what="the other worker", timeout_s=UP_S)
    # When: its host is gone.
    doomed.kill()
    lost = time.monotonic()
    # Then: the other one makes its keys within the bound.
    wait_until(lambda: usual.n_made() == 12, what="the keys of the lost one", timeout_s=UP_S)
    recovery_s = time.monotonic() - lost
    logger.info("recovered after %.1f s", recovery_s)
    assert recovery_s < BOUND_S + SLACK_S
    usual.finish(run)
    assert usual.rows() == usual.expected(12)


def test_a_scheduler_is_lost(usual: Fleet, record_property: Callable[[str, object], None]) -> None:
    # Given: two schedulers, of which one leads.
    def start() -> Process:
        return usual.start_process(
            *("-m", "djq.ops.cli", "scheduler", MODULE),
            settings=usual.settings,
            env={"TEST_SCHEMA": usual.schema_name},
        )

    def leader() -> str | None:
        found = usual.reservations.leads.leader()
        return None if found is None else str(json.loads(found)["id"])

    assert usual.tables is not None
    first = start()
    wait_until(leader, what="a leader", timeout_s=UP_S)
    start()
    usual.start_worker()
    usual.wait_for_workers()
    usual.insert(4)
    wait_until(lambda: len(usual.tables.Cross()) == 4, what="the first keys", timeout_s=UP_S)
    before = leader()
    # When: it is killed, and keys become due.
    first.kill()
    lost = time.monotonic()
    usual.tables.Number.insert((i, 3 * i) for i in range(4, 8))
    # Then: the other one takes over.
    wait_until(lambda: len(usual.tables.Cross()) == 8, what="the other keys", timeout_s=UP_S)
    recovery_s = time.monotonic() - lost
    logger.info("recovered after %.1f s", recovery_s)
    assert leader() != before
    assert recovery_s < BOUND_S + SLACK_S
    assert usual.rows() == usual.expected(8)

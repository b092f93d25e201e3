"""A fleet whose messages RabbitMQ carries: reservations stay in Redis, and the promises hold."""

from __future__ import annotations

import os
import secrets
import signal
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from djq.ops.doctor import Health, examine
from tests.integration.fleet import LEASE_S
from tests.support.servers import free_port
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from djq.settings import Settings
    from tests.integration.fleet import Fleet
    from tests.support.servers import RabbitServer

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

N = 30


@pytest.fixture
def settings(settings: Settings, rabbit_url: str) -> Settings:
    update = {"broker_url": SecretStr(rabbit_url), "namespace": f"t-{secrets.token_hex(4)}"}
    return settings.model_copy(update=update)


def test_it_makes_what_any_fleet_makes(fleet: Fleet) -> None:
    fleet.insert(N)
    fleet.start_worker(slots=2)
    fleet.wait_for_workers()
    run = fleet.submit()
    fleet.finish(run)
    assert fleet.rows() == fleet.expected(N)
    assert (run.n_made, run.errors()) == (2 * N, [])
    fleet.assert_clean()


def test_keys_of_a_killed_worker_are_made_by_another(fleet: Fleet) -> None:
    """RabbitMQ delivers its messages again at once; until its lease ends they find nothing."""
    # Given: a worker in the middle of its keys.
    fleet.insert(N)
    victim = fleet.start_worker(slots=2, TEST_MAKE_S=0.05)
    fleet.wait_for_workers()
    run = fleet.submit()
    wait_until(lambda: fleet.n_made() > 2, what="the first rows", timeout_s=60)
    # When: it is killed, and another comes.
    for process in (victim, *victim.children()):
        os.kill(process.pid, signal.SIGKILL)
    fleet.start_worker(slots=2)
    # Then: all is made, once.
    fleet.finish(run)
    assert fleet.rows() == fleet.expected(N)
    fleet.assert_clean()


@pytest.mark.parametrize("is_crash", [False, True], ids=["in good order", "after a crash"])
def test_all_is_made_once_when_rabbitmq_is_restarted(
    fleet: Fleet, rabbit_server: RabbitServer, *, is_crash: bool
) -> None:
    # Given: a fleet in the middle of its keys.
    fleet.insert(N)
    fleet.start_worker(slots=2, TEST_MAKE_S=0.05)
    fleet.wait_for_workers()
    run = fleet.submit()
    wait_until(lambda: fleet.n_made() > 2, what="the first rows", timeout_s=60)
    # When: RabbitMQ goes away and comes back.
    if is_crash:
        rabbit_server.kill()
        rabbit_server.start()
    else:
        rabbit_server.restart()
    # Then: worker and driver find it again, and nothing is left or made twice.
    fleet.finish(run)
    assert fleet.rows() == fleet.expected(N)
    assert (run.n_made, run.errors()) == (2 * N, [])
    fleet.assert_clean()


def n_alive(fleet: Fleet) -> int:
    return sum(main.slots > 0 for main in fleet.reservations.holders.reap().mains)


def test_keys_in_hand_stay_in_hand_while_rabbitmq_is_away_for_longer_than_a_lease(
    fleet: Fleet, rabbit_server: RabbitServer
) -> None:
    # Given: makes that take longer than a lease.
    fleet.insert(1)
    fleet.start_worker(slots=1, TEST_MAKE_S=3 * LEASE_S)
    fleet.wait_for_workers()
    run = fleet.submit(fleet.tables.Square)
    reservations = fleet.reservations
    wait_until(lambda: any(its.is_reserved for its in reservations.chunks()), what="a key in hand")
    # When: RabbitMQ is away for as long, and all look who is alive.
    rabbit_server.kill()
    wait_until(lambda: n_alive(fleet) == 0 or fleet.n_made(), what="a row", timeout_s=4 * LEASE_S)
    # Then: the worker lived on, and its result is the one.
    assert n_alive(fleet) == 1
    rabbit_server.start()
    fleet.finish(run)
    assert (run.n_made, run.errors()) == (1, [])
    fleet.assert_clean()


def test_the_doctor_asks_the_broker(settings: Settings) -> None:
    found = {its.subject: its for its in examine(settings)}
    assert found["broker"].health is Health.OK
    elsewhere = f"amqp://u:secret@127.0.0.1:{free_port()}//"
    wrong = settings.model_copy(update={"broker_url": SecretStr(elsewhere)})
    found = {its.subject: its for its in examine(wrong)}
    assert found["broker"].health is Health.BROKEN
    assert "DJQ_BROKER_URL" in found["broker"].text
    assert "secret" not in found["broker"].text

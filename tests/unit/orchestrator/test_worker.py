"""What the main process of a worker tells reservations about its pool."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from celery.exceptions import WorkerShutdown
from celery.worker import state

from djq.orchestrator import worker as module
from djq.orchestrator.worker import FleetConsumer, sweep
from djq.orchestrator.workplace import Workplace

if TYPE_CHECKING:
    from collections.abc import Callable

    from djq.settings import Settings


class Request:
    """What Celery knows of a message that it sent to the pool."""

    def __init__(self, worker_pid: int | None) -> None:
        self.worker_pid = worker_pid


def requests(*pids: int | None) -> list[Request]:
    return [Request(pid) for pid in pids]


def worker(info: dict[str, list[int]], workplace: SimpleNamespace) -> SimpleNamespace:
    pool = SimpleNamespace(info=info, maintain_pool=lambda: None)
    return SimpleNamespace(pool=pool, app=SimpleNamespace(workplace=workplace))


@pytest.mark.parametrize(
    ("pids", "info", "expected"),
    [
        ((), {"processes": [11, 12]}, [set()]),
        ((12,), {"processes": [11, 12]}, [{12}]),
        # A message went to the pool, and who has it is not known yet.
        ((12, None), {"processes": [11, 12]}, []),
        # Threads of one process.
        ((11,), {}, []),
        ((), {}, [set()]),
    ],
)
def test_only_processes_that_are_known_to_be_idle_are_swept(
    monkeypatch: pytest.MonkeyPatch,
    pids: tuple[int | None, ...],
    info: dict[str, list[int]],
    expected: list[set[int]],
) -> None:
    swept: list[set[int]] = []
    monkeypatch.setattr(state, "reserved_requests", requests(*pids))
    sweep(worker(info, SimpleNamespace(watch=lambda _: None, sweep=swept.append)))
    assert swept == expected


def test_processes_that_died_are_counted_before_idle_ones_are_swept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[tuple[str, set[int]]] = []
    monkeypatch.setattr(state, "reserved_requests", requests(12))
    workplace = SimpleNamespace(
        watch=lambda pids: said.append(("watch", set(pids))),
        sweep=lambda pids: said.append(("sweep", set(pids))),
    )
    sweep(worker({"processes": [11, 12]}, workplace))
    assert said == [("watch", {11, 12}), ("sweep", {12})]


def test_what_was_accepted_after_celery_forgot_it_is_not_swept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    swept: list[set[int]] = []
    monkeypatch.setattr(state, "active_requests", requests(12))
    workplace = SimpleNamespace(watch=lambda _: None, sweep=swept.append)
    sweep(worker({"processes": [11, 12]}, workplace))
    assert swept == [{12}]


def test_a_worker_that_ends_sweeps_nothing(
    local_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given: Celery has forgotten by then what it sent to the pool.
    pruned: list[str] = []
    holders = SimpleNamespace(
        beat=lambda _: None, prune=lambda main, *_, **__: pruned.append(main) or 0
    )
    monkeypatch.setattr(Workplace, "reservations", SimpleNamespace(holders=holders))
    workplace = Workplace(local_settings, ())
    workplace.sweep([])
    assert len(pruned) == 1
    workplace.stop()
    workplace.sweep([])
    assert len(pruned) == 1


class Away:
    """A broker that is away for some seconds: kombu waits as it does, by a clock of the test's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, away_s: float) -> None:
        self.now = 0.0
        self._away_s = away_s
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)

    def as_uri(self) -> str:
        return "amqp://nowhere"

    def ensure_connection(
        self,
        errback: Callable[[Exception, float], None],
        *,
        interval_max: float,
        callback: Callable[[], None],
        **_: object,
    ) -> None:
        while self.now < self._away_s:
            callback()
            errback(OSError("refused"), interval_max)
            for _ in range(int(interval_max)):
                callback()
                self.now += 1.0


class Sight:
    """The workplace, when what was asked of it."""

    def __init__(self, settings: Settings, broker: Away) -> None:
        self.settings = settings
        self.beats: list[float] = []
        self.looks: list[float] = []
        self._broker = broker

    def beat(self) -> None:
        self.beats.append(self._broker.now)

    def watch(self, pids: list[int]) -> None:
        assert pids == [11]
        self.looks.append(self._broker.now)


def consumer_of(workplace: Sight, *, has_connected: bool = True) -> FleetConsumer:
    found = FleetConsumer.__new__(FleetConsumer)
    found.app = SimpleNamespace(workplace=workplace)
    found.pool = SimpleNamespace(info={"processes": [11]}, maintain_pool=lambda: None)
    found.first_connection_attempt = not has_connected
    return found


def test_a_worker_lives_and_watches_its_pool_while_the_broker_is_away(
    local_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given: no timer runs while the worker waits for the broker.
    away_s = 4 * local_settings.lease_s
    broker = Away(monkeypatch, away_s=away_s)
    workplace = Sight(local_settings, broker)
    # When: that takes longer than a lease.
    consumer_of(workplace).ensure_connected(broker)
    # Then: the lease does not end, and processes that died are found.
    gaps = [b - a for a, b in pairwise([0.0, *workplace.beats, away_s])]
    assert max(gaps) <= local_settings.heartbeat_s + 1
    assert len(workplace.beats) <= away_s / local_settings.heartbeat_s + 1
    assert max(b - a for a, b in pairwise([0.0, *workplace.looks, away_s])) <= 1


def test_a_worker_that_waits_for_its_first_connection_lives_and_leaves_its_pool_alone(
    local_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = Away(monkeypatch, away_s=local_settings.lease_s)
    workplace = Sight(local_settings, broker)
    consumer_of(workplace, has_connected=False).ensure_connected(broker)
    assert len(workplace.beats) >= 2
    assert workplace.looks == []


def test_a_worker_that_waits_for_the_broker_can_be_ended(
    local_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = Away(monkeypatch, away_s=local_settings.lease_s)
    monkeypatch.setattr(state, "should_stop", 0)
    with pytest.raises(WorkerShutdown):
        consumer_of(Sight(local_settings, broker)).ensure_connected(broker)

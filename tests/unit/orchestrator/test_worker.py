"""What the main process of a worker tells reservations about its pool."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from celery.worker import state

from djq.orchestrator.worker import sweep
from djq.orchestrator.workplace import Workplace

if TYPE_CHECKING:
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

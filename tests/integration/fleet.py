"""A real fleet for tests: a pipeline in a schema of its own, Celery workers, Redis."""

from __future__ import annotations

import contextlib
import importlib
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import redis

import djq as dj
from djq.orchestrator.reservations import Reservations
from djq.orchestrator.states import Chunk
from djq.orchestrator.workplace import Workplace
from djq.tables.connection import using
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from djq.settings import Settings
    from tests.support.processes import Process

MODULE = "tests.integration.pipelines.sums"
#: Short, so that tests of dead workers are quick [s].
HEARTBEAT_S, LEASE_S = 0.3, 2.0
#: A worker must be up, and a run done, within this time even on a busy machine [s].
UP_S, DONE_S = 60.0, 120.0


@dataclass
class Fleet:
    """Settings, the pipeline of this process, and what starts workers for it."""

    settings: Settings
    schema_name: str
    start_process: Callable[..., Process]
    reservations: Reservations
    workers: list[Process] = field(default_factory=list)
    runs: list[dj.Run] = field(default_factory=list)
    #: Those of the workers, where they reach the database by another way.
    worker_settings: Settings | None = None
    _tables: Any = None

    @property
    def tables(self) -> Any:
        """The pipeline's module, imported for this test's schema."""
        if self._tables is None:
            self._tables = load(self.schema_name)
        return self._tables

    def insert(self, n: int) -> None:
        self.tables.Number.insert((i, 3 * i) for i in range(n))

    def start_worker(
        self, *options: str, slots: int = 2, module: str = MODULE, **env: object
    ) -> Process:
        """Start a worker; variables such as TEST_BAD=3 reach its pipeline."""
        name = f"w{len(self.workers) + 1}@%h"
        settings = self.worker_settings or self.settings
        process = self.start_process(
            *("-m", "celery", "-A", "workers", "worker", "-c", str(slots), "-n", name),
            *("-l", "info", "--without-gossip", "--without-mingle", *options),
            settings=settings.model_copy(update={"pipeline": (module,)}),
            env={"TEST_SCHEMA": self.schema_name} | {k: str(v) for k, v in env.items()},
        )
        self.workers.append(process)
        return process

    def wait_for_workers(self, n: int | None = None) -> None:
        wanted = len(self.workers) if n is None else n

        def are_up() -> bool:
            for worker in self.workers:
                assert worker.is_running or n is not None, worker.text()
            return sum(1 for main in self.reservations.holders.reap().mains if main.slots) == wanted

        wait_until(are_up, what=f"{wanted} workers", timeout_s=UP_S)

    def submit(self, *what: Any) -> dj.Run:
        """Submit tables, by default all; the run ends with the test, however that ends."""
        run = dj.submit(*(what or [self.tables.schema]))
        self.runs.append(run)
        return run

    def finish(self, run: dj.Run) -> None:
        assert run.wait(DONE_S), f"not done after {DONE_S} s: {run.progress()}"

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """All rows that were made."""
        made = (self.tables.Square, self.tables.Square.Digit, self.tables.Cross)
        return {table.__name__: in_order(table().to_dicts()) for table in made}

    def expected(self, n: int, *, without: frozenset[int] = frozenset()) -> dict[str, Any]:
        """All rows that there should be for the numbers up to n."""
        numbers = [i for i in range(n) if i not in without]
        squares = {i: (3 * i) ** 2 for i in numbers}
        return {
            "Square": [{"number": i, "square": squares[i]} for i in numbers],
            "Digit": [
                {"number": i, "place": place, "digit": int(digit)}
                for i in numbers
                for place, digit in enumerate(reversed(str(squares[i])))
            ],
            "Cross": [{"number": i, "cross": sum(map(int, str(squares[i])))} for i in numbers],
        }

    def n_made(self) -> int:
        return len(self.tables.Square())

    def leftovers(self) -> list[str]:
        """Names in Redis that say that something is queued or reserved."""
        with redis.Redis.from_url(self.reservations.server.url, decode_responses=True) as client:
            prefix = self.reservations.server.prefix
            kinds = ("jobs", "chunks", "holder", "losses")
            names = [name.removeprefix(prefix) for name in client.scan_iter(f"{prefix}*")]
            return [name for name in names if name.split(":")[0] in kinds]

    def assert_clean(self) -> None:
        """Nothing is reserved; what a killed worker had is free once its lease ends."""

        def is_clean() -> bool:
            self.reservations.holders.reap()
            return not self.leftovers()

        wait_until(is_clean, what="all reservations to end", timeout_s=4 * LEASE_S)


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: tuple(row.values()))


def load(schema_name: str) -> ModuleType:
    """Import the pipeline anew, for another schema."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_SCHEMA", schema_name)
        sys.modules.pop(MODULE, None)
        return importlib.import_module(MODULE)


@pytest.fixture
def fleet(
    settings: Settings, schema_name: str, start_process: Callable[..., Process]
) -> Iterator[Fleet]:
    short = settings.model_copy(update={"heartbeat_s": HEARTBEAT_S, "lease_s": LEASE_S})
    reservations = Reservations.open(short)
    connection = dj.Connection(short)
    with using(connection):
        found = Fleet(short, schema_name, start_process, reservations)
        yield found
        for run in found.runs:
            run.detach()
        for worker in found.workers:
            worker.kill()  # a warm shutdown takes 2 s; test_endings has those that matter
    with contextlib.suppress(Exception):
        connection.close()
    reservations.server.close()


@pytest.fixture
def sums(settings: Settings, schema_name: str) -> Iterator[ModuleType]:
    """The pipeline, on this process's own connection; no worker runs."""
    connection = dj.Connection(settings)
    with using(connection):
        yield load(schema_name)
    connection.close()


@pytest.fixture
def workplace(settings: Settings, sums: ModuleType) -> Iterator[Workplace]:
    """A worker's main process and its only slot, both in this process."""
    tables = (sums.Square.spec.display_name, sums.Cross.spec.display_name)
    found = Workplace(settings, tables)
    found.open(slots=1)
    yield found
    found.leave()
    found.reservations.server.close()


def queued(workplace: Workplace, table: Any, *numbers: int) -> Chunk:
    """Queue a chunk of numbers, as a scheduler does before it sends the message."""
    keys = tuple(f"[{number}]" for number in numbers)
    chunk = Chunk(f"c{numbers[0]}", "run", table.spec.display_name, keys)
    assert workplace.reservations.queue([chunk]) == [keys]
    return chunk

"""A fleet in one process under a simulated clock, to which the steps of a schedule happen.

Its reservations are those of `model_redis.py`, its database is that of `model_world.py`, those who
make keys are in `model_workers.py` and `model_populates.py`, and those who queue them are the real
scheduler and the drivers of `model_drivers.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import inf
from typing import TYPE_CHECKING, TypeVar

from djq.errors import FleetError, TransientDatabaseError
from djq.orchestrator.loop import Loop
from djq.orchestrator.scheduler import Scheduler
from tests.stateful.model_drivers import Driver, waiting
from tests.stateful.model_redis import ModelReservations
from tests.stateful.model_schedule import EXCUSES, FATAL, LICENCE, WORK, Schedule, Step
from tests.stateful.model_steps import Steps
from tests.stateful.model_workers import BEAT_S, Worker
from tests.stateful.model_world import PLACES, TABLES, StoredRun, World

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from djq.orchestrator.events import Inserted
    from djq.orchestrator.states import Chunk, Limits
    from tests.stateful.model_populates import Populate, Sharer

LEASE_S = 15.0
#: After the chaos the fleet gets so many rounds to finish; thirty are the rule.
PATIENCE = 400
#: And so many to free what nobody will ever release.
TIDY = 60

Main = TypeVar("Main", bound=Worker)


@dataclass
class Broker:
    """The queue: messages can be lost, doubled, and come late."""

    messages: list[Chunk] = field(default_factory=list)
    #: Neither in the queue nor in anybody's hands, and still to come.
    away: list[Chunk] = field(default_factory=list)

    def send(self, chunks: Sequence[Chunk]) -> None:
        self.messages.extend(chunks)

    def waiting(self) -> frozenset[str]:
        return frozenset(chunk.id for chunk in self.messages)

    def take(self) -> Chunk | None:
        return self.messages.pop(0) if self.messages else None


class Fleet:
    """Everything there is, and the story of what happened to it."""

    def __init__(self, schedule: Schedule, *, is_telling: bool = False) -> None:
        self.now = 0.0
        self.story: list[str] = []
        self.is_telling = is_telling
        self.n_made_up = 0
        self.n_fatal = 0
        self.has_excuse = False
        self.wasted: list[str] = []
        self.chunk_s = schedule.chunk_s
        self.world = World(set(schedule.scans), dict(schedule.fates), lambda: self.now)
        if schedule.n_licences:
            units = {LICENCE: (1, schedule.n_licences)}
            self.world.places = tuple(
                replace(place, units=units) if place.table == "Twin" else place for place in PLACES
            )
        self.n_licences = schedule.n_licences
        self.server = ModelReservations(lambda: self.now, LEASE_S)
        self.broker = Broker()
        self.populates: list[Populate] = []
        self.sharers: list[Sharer] = []
        #: What was inserted and is announced later.
        self.untold: list[Inserted] = []
        self.workers = [self.new_worker(n) for n in schedule.workers]
        self.drivers: list[Driver | Scheduler] = [
            *(self.new_daemon() for _ in range(schedule.n_daemons)),
            *(self.submit(StoredRun()) for _ in range(schedule.n_runs)),
        ]
        self.frozen: list[Driver | Scheduler] = []
        self.steps = Steps(self)

    def tell(self, text: str) -> None:
        if self.is_telling:
            self.story.append(f"{self.now:7.2f} s  {text}")

    def name(self, kind: str) -> str:
        self.n_made_up += 1
        return f"{kind}{self.n_made_up}"

    @property
    def mains(self) -> list[Worker]:
        """All who make keys that they reserve."""
        return [*self.workers, *self.sharers]

    # Who is there.

    def new_worker(self, n: int) -> Worker:
        worker = self.new_main(Worker, "w", abs(n))
        worker.is_hasty = n < 0
        worker.look(self.now)
        return worker

    def new_main(self, kind: type[Main], name: str, n: int) -> Main:
        return kind(
            self.name(name),
            self.world,
            self.broker,
            self.server,
            n,
            tell=self.tell,
            waste=self.wasted.append,
        )

    def new_run(self) -> Driver:
        """Begin a run that only its process knows."""
        return self.new_driver(self.name("run"))

    def submit(self, run: StoredRun) -> Driver:
        name = self.name("run")
        self.world.runs[name] = run
        return self.new_driver(name)

    def new_driver(self, run: str, *, is_leaving: bool = False) -> Driver:
        return Driver(
            run,
            self.name("driver"),
            self.world,
            self.server,
            self.new_loop,
            lambda: self.now,
            self.chunk_s,
            is_leaving,
        )

    def new_loop(self, name: str, limits: Limits) -> Loop:
        return Loop(name, self.world, self.server, self.broker, limits, clock=lambda: self.now)

    def new_daemon(self) -> Scheduler:
        return Scheduler(
            self.world,
            self.server,
            self.broker,
            chunk_s=self.chunk_s,
            name=self.name("daemon"),
            clock=lambda: self.now,
        )

    # What happens.

    def take(self, step: Step) -> None:
        """Let one thing happen."""
        self.pass_time(step.wait_s)
        verb = step.verb
        if verb not in WORK:
            self.has_excuse = self.has_excuse or verb in EXCUSES
            self.n_fatal += verb in FATAL
            self.tell(f"* {verb}")
        self.steps.take(step)
        used = sum(n for (name, _), n in self.server.memory.units.items() if name == LICENCE)
        assert self.has_excuse or used <= self.n_licences, f"too many licences in use: {self}"
        assert not self.server.strays(), f"states that nobody frees: {self}"

    def pass_time(self, seconds: float) -> None:
        """Let the timers of the workers fire meanwhile."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + BEAT_S)
            self.look()

    def look(self) -> None:
        for main in self.mains:
            main.look(self.now)

    def drive(self, driver: Driver | Scheduler) -> None:
        if driver in self.frozen:
            return
        try:
            if isinstance(driver, Scheduler):
                driver.turn(0.0)
            elif not driver.is_finished:
                driver.turn()
        except (FleetError, TransientDatabaseError):
            return
        if isinstance(driver, Driver) and driver.is_finished:
            self._check_cancelled(driver.run)

    def _check_cancelled(self, run: str) -> None:
        if run in self.world.runs and self.world.runs[run].status == "cancelled":
            left = waiting(self.server, run)
            assert self.has_excuse or not left, f"cancelled, and {left} wait: {self}"

    def announce(self, event: Inserted | None) -> None:
        if event is not None and not self.server.is_down:
            self.server.events.append(event)

    def let_arrive(self) -> None:
        """End what is late."""
        self.broker.messages.extend(self.broker.away)
        self.broker.away.clear()
        for event in self.untold:
            self.announce(event)
        self.untold.clear()

    def resume(self) -> None:
        self.frozen.clear()
        for main in self.mains:
            main.is_paused = main.is_cut = False
            for process in main.processes:
                process.is_paused = False

    # The end.

    def calm(self) -> None:
        """End the disasters and let the fleet finish."""
        self.tell("calm")
        self.server.is_down = self.world.is_down = self.world.is_deaf = False
        self.world.decide(is_done=bool(len(self.world.undecided) % 2))
        self.server.unheard.clear()
        self.resume()
        for worker in self.workers:
            worker.is_stopping = False
        self._end_runs()
        began = -inf
        for _ in range(PATIENCE):
            retry = self.world.last_retry()
            self.round()
            if self.is_busy() or any(self.unfinished()):
                continue
            if retry <= began:
                return
            # Runs that did not hear of it are over without it.
            self.pass_time(retry - self.now)
            began = self.now
            self.drivers.append(self.new_run())
        message = f"not finished: {self}"
        raise AssertionError(message)

    def _end_runs(self) -> None:
        """Have every run driven by somebody, and one of them make everything."""
        for name, run in self.world.runs.items():
            if run.is_continuous:
                self.world.runs[name] = run.with_status("cancelling")
            if run.is_open:
                self.drivers.append(self.new_driver(name))
        self.drivers.append(self.new_run())

    def tidy(self) -> None:
        """Let the next scheduler look at the fleet: it frees what nobody will ever release.

        That is what a killed worker had committed and not released, and a chunk of a scheduler that
        is gone whose message was lost and whose keys were made by others. What was late comes now,
        and finds nothing to do.
        """
        self.let_arrive()
        for driver in self.drivers:
            if isinstance(driver, Scheduler):
                driver.resign()
        self.drivers = [self.new_daemon()]
        for _ in range(TIDY):
            self.round()
            if self.server.everything_free() and not self.broker.messages:
                return

    def round(self) -> None:
        """Let everybody do what there is to do, then jump to when time alone changes something."""
        for driver in self.drivers:
            self.drive(driver)
        for populate in self.populates:
            while populate.step():
                pass
        for main in self.mains:
            for process in list(main.processes):
                while process in main.processes and main.step(process):
                    pass
        self.drivers = [d for d in self.drivers if isinstance(d, Scheduler) or not d.is_finished]
        wake = min((d.wakes_at for d in self.drivers), default=inf)
        self.pass_time(min(BEAT_S, max(0.001, wake - self.now)))
        self.look()

    def unfinished(self) -> Iterator[Driver]:
        return (d for d in self.drivers if isinstance(d, Driver) and not d.is_finished)

    def is_busy(self) -> bool:
        return (
            bool(self.broker.messages)
            or any(process.reservation for main in self.mains for process in main.processes)
            or any(not sharer.is_over for sharer in self.sharers)
        )

    def __str__(self) -> str:
        due = {table: self.world.due(table) for table in TABLES}
        memory = self.server.memory
        return "\n".join(
            [
                f"at {self.now:.2f} s, due {due}",
                f"jobs {memory.jobs}, chunks {memory.chunks}, losses {dict(memory.losses)}",
                *self.story,
            ]
        )

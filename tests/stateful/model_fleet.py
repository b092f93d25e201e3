"""A fleet in one process under a simulated clock, to which the steps of a schedule happen.

Its reservations are those of `model_redis.py`, its database is that of
`model_world.py`, and those who make keys are in `model_workers.py`.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from math import inf
from typing import TYPE_CHECKING

from djq.errors import FleetError, TransientDatabaseError
from djq.orchestrator.events import Freed
from djq.orchestrator.loop import Loop
from djq.orchestrator.scheduler import Scheduler
from djq.orchestrator.states import Limits
from tests.stateful.model_redis import ModelReservations
from tests.stateful.model_schedule import EXCUSES, FATAL, LICENCE, N_SCANS, WORK, Schedule, Step
from tests.stateful.model_workers import BEAT_S, Populate, Worker
from tests.stateful.model_world import PLACES, TABLES, World

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from djq.orchestrator.states import Chunk

LEASE_S = 15.0
#: After the chaos the fleet gets so many rounds to finish; thirty are the rule.
PATIENCE = 400
#: And so many to free what nobody will ever release.
TIDY = 60


@dataclass
class Broker:
    """The queue: messages can be lost, doubled, and come late."""

    messages: list[Chunk] = field(default_factory=list)

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
        self.world = World(set(schedule.scans), set(schedule.bad), set(schedule.deadly))
        if schedule.n_licences:
            units = {LICENCE: (1, schedule.n_licences)}
            self.world.places = tuple(
                replace(place, units=units) if place.table == "Twin" else place for place in PLACES
            )
        self.n_licences = schedule.n_licences
        self.server = ModelReservations(lambda: self.now, LEASE_S)
        self.broker = Broker()
        self.saved: tuple[object, list[Chunk], int] | None = None
        self.populates: list[Populate] = []
        self.workers = [self.new_worker(n) for n in schedule.workers]
        self.drivers: list[Loop | Scheduler] = [
            *(self.new_daemon() for _ in range(schedule.n_daemons)),
            *(self.new_run() for _ in range(schedule.n_runs)),
        ]

    def tell(self, text: str) -> None:
        if self.is_telling:
            self.story.append(f"{self.now:7.2f} s  {text}")

    def name(self, kind: str) -> str:
        self.n_made_up += 1
        return f"{kind}{self.n_made_up}"

    def new_worker(self, n: int) -> Worker:
        worker = Worker(
            self.name("w"),
            self.world,
            self.broker,
            self.server,
            abs(n),
            is_hasty=n < 0,
            tell=self.tell,
            waste=self.wasted.append,
        )
        worker.look(self.now)
        return worker

    def new_run(self, *, is_endless: bool = False) -> Loop:
        limits = Limits(chunk_s=self.chunk_s, is_endless=is_endless)
        return Loop(
            self.name("run"),
            self.world,
            self.server,
            self.broker,
            limits,
            clock=lambda: self.now,
        )

    def new_daemon(self) -> Scheduler:
        return Scheduler(
            self.world,
            self.server,
            self.broker,
            chunk_s=self.chunk_s,
            name=self.name("daemon"),
            clock=lambda: self.now,
        )

    # Steps.

    def take(self, step: Step) -> None:
        """Let one thing happen."""
        self.pass_time(step.wait_s)
        verb = step.verb
        if verb not in WORK:
            self.has_excuse = self.has_excuse or verb in EXCUSES
            self.n_fatal += verb in FATAL
            self.tell(f"* {verb}")
        getattr(self, "_" + verb.replace(" ", "_"))(step)
        used = sum(n for (name, _), n in self.server.memory.units.items() if name == LICENCE)
        assert self.has_excuse or used <= self.n_licences, f"too many licences in use: {self}"

    def pass_time(self, seconds: float) -> None:
        """Let the timers of the workers fire meanwhile."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + BEAT_S)
            self.look()

    def look(self) -> None:
        for worker in self.workers:
            worker.look(self.now)

    def _turn(self, step: Step) -> None:
        if self.drivers:
            self.drive(self.drivers[step.who % len(self.drivers)])

    def drive(self, driver: Loop | Scheduler) -> None:
        try:
            if isinstance(driver, Scheduler) or not driver.is_finished:
                driver.turn(0.0)
        except (FleetError, TransientDatabaseError):
            pass

    def _work(self, step: Step) -> None:
        hands = [(worker, each) for worker in self.workers for each in worker.processes]
        n_all = len(hands) + len(self.populates)
        who = step.who % n_all
        for _ in range(1 + int(step.share * 5)):
            if who >= len(hands):
                self.populates[who - len(hands)].step()
            elif not hands[who][0].step(hands[who][1]):
                break

    def _wait(self, step: Step) -> None:
        self.pass_time((1.0, 6.0, 20.0)[int(step.share * 3)])

    # Messages.

    def _lose(self, step: Step) -> None:
        if messages := self.broker.messages:
            self.tell(f"the message of {messages.pop(step.who % len(messages)).id} is lost")

    def _double(self, step: Step) -> None:
        if messages := self.broker.messages:
            messages.append(messages[step.who % len(messages)])

    def _late(self, step: Step) -> None:
        if messages := self.broker.messages:
            messages.append(messages.pop(step.who % len(messages)))

    # Workers.

    def _worker(self, step: Step) -> Worker:
        return self.workers[step.who % len(self.workers)]

    def _kill(self, step: Step) -> None:
        worker = self._worker(step)
        worker.kill(worker.processes[int(step.share * len(worker.processes))])

    def _kill_worker(self, step: Step) -> None:
        worker = self._worker(step)
        self.tell(f"{worker.name} dies")
        self.workers.remove(worker)
        self.workers.append(self.new_worker(len(worker.processes)))

    def _kill_in_commit(self, step: Step) -> None:
        """A whole worker dies while the server has its COMMIT and has not decided yet."""
        worker = self._worker(step)
        for process in worker.processes:
            if process.stage == "commit" and not self.world.is_down:
                assert process.reservation is not None
                key = (process.reservation.table, process.todo[0])
                if key[1] not in self.world.rows[key[0]]:
                    self.world.undecided.add(key)
                    self.tell(f"the COMMIT of {key} is in doubt")
        self._kill_worker(step)

    def _stop_worker(self, step: Step) -> None:
        worker = self._worker(step)
        worker.is_stopping, worker.beaten_at = True, -inf
        if worker.has_reached_redis() and not any(p.reservation for p in worker.processes):
            self.server.holders.leave(worker.name)
            self.workers.remove(worker)
            self.workers.append(self.new_worker(len(worker.processes)))

    def _pause(self, step: Step) -> None:
        worker = self._worker(step)
        worker.processes[int(step.share * len(worker.processes))].is_paused = True

    def _pause_worker(self, step: Step) -> None:
        self._worker(step).is_paused = True
        self.tell(f"{self._worker(step).name} is stopped by SIGSTOP")

    def _resume(self, step: Step) -> None:
        del step
        for worker in self.workers:
            worker.is_paused = worker.is_cut = False
            for process in worker.processes:
                process.is_paused = False

    def _cut(self, step: Step) -> None:
        self._worker(step).is_cut = True
        self.tell(f"{self._worker(step).name} is cut off from Redis")

    def _populate(self, step: Step) -> None:
        del step
        if len(self.populates) < 3 and not self.world.is_down:
            self.populates.append(Populate(self.name("populate"), self.world, self.tell))

    # Redis.

    def _flush(self, step: Step) -> None:
        del step
        self.server.flush()
        self.broker.messages.clear()

    def _sync(self, step: Step) -> None:
        del step
        messages = list(self.broker.messages)
        self.saved = (copy.deepcopy(self.server.memory), messages, len(self.server.events))

    def _restart(self, step: Step) -> None:
        """Redis comes back with what it had on disk."""
        del step
        if self.saved is None:
            return
        memory, messages, n_events = self.saved
        self.server.memory = copy.deepcopy(memory)  # type: ignore[assignment]
        self.broker.messages[:] = messages
        # Positions go on: in a stream they are times.
        events = self.server.events
        events[n_events:] = [Freed("", "", "", (), "forgotten")] * (len(events) - n_events)

    def _down(self, step: Step) -> None:
        self.server.is_down = step.share < 0.5

    def _trim(self, step: Step) -> None:
        """The stream forgets its oldest entries: announcements may be missed."""
        events = self.server.events
        n_gone = int(step.share * len(events))
        events[:n_gone] = [Freed("", "", "", (), "trimmed")] * n_gone

    # The database.

    def _database_down(self, step: Step) -> None:
        self.world.is_down = step.share < 0.5

    def _deaf(self, step: Step) -> None:
        del step
        self.world.is_deaf = True

    def _decide(self, step: Step) -> None:
        if not self.world.is_down:
            self.world.decide(is_done=step.share < 0.5)

    def _insert(self, step: Step) -> None:
        self.world.insert(int(step.share * N_SCANS))

    # Schedulers.

    def _new_run(self, step: Step) -> None:
        del step
        if len(self.drivers) < 4:
            self.drivers.append(self.new_run())

    def _new_daemon(self, step: Step) -> None:
        del step
        if len(self.drivers) < 4:
            self.drivers.append(self.new_daemon())

    def _kill_run(self, step: Step) -> None:
        self._kill_driver(step, Loop)

    def _kill_daemon(self, step: Step) -> None:
        self._kill_driver(step, Scheduler)

    def _kill_driver(self, step: Step, kind: type) -> None:
        if found := [driver for driver in self.drivers if isinstance(driver, kind)]:
            self.drivers.remove(found[step.who % len(found)])

    # The end.

    def calm(self) -> None:
        """End the disasters and let the fleet finish."""
        self.tell("calm")
        self.server.is_down = self.world.is_down = self.world.is_deaf = False
        self.world.decide(is_done=bool(len(self.world.undecided) % 2))
        self._resume(Step("resume"))
        for worker in self.workers:
            worker.is_stopping = False
        if not any(self.unfinished()):
            self.drivers.append(self.new_run())
        for _ in range(PATIENCE):
            self.round()
            if not (self.is_busy() or any(self.unfinished())):
                return
        message = f"not finished: {self}"
        raise AssertionError(message)

    def tidy(self) -> None:
        """Let the next scheduler look at the fleet: it frees what nobody will ever release.

        That is what a killed worker had committed and not released, and a chunk of a scheduler that
        is gone whose message was lost and whose keys were made by others.
        """
        self.drivers.append(self.new_run(is_endless=True))
        for _ in range(TIDY):
            if self.server.everything_free():
                return
            self.round()

    def round(self) -> None:
        """Let everybody do what there is to do, then jump to when time alone changes something."""
        for driver in self.drivers:
            self.drive(driver)
        for populate in self.populates:
            while populate.step():
                pass
        for worker in self.workers:
            for process in list(worker.processes):
                while process in worker.processes and worker.step(process):
                    pass
        self.drivers = [d for d in self.drivers if isinstance(d, Scheduler) or not d.is_finished]
        wake = min((d.wakes_at for d in self.drivers), default=inf)
        self.pass_time(min(BEAT_S, max(0.001, wake - self.now)))
        self.look()

    def unfinished(self) -> Iterator[Loop]:
        return (d for d in self.drivers if isinstance(d, Loop) and not d.is_finished)

    def is_busy(self) -> bool:
        return bool(self.broker.messages) or any(
            process.reservation for worker in self.workers for process in worker.processes
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

"""What each step of a schedule does to the fleet of the simulation."""

from __future__ import annotations

import copy
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING

from djq.errors import RedisUnavailableError
from djq.orchestrator.driving import lead_name
from djq.orchestrator.events import Freed, Inserted
from djq.orchestrator.scheduler import Scheduler
from tests.stateful.model_drivers import Driver, end_abandoned
from tests.stateful.model_populates import Populate, Sharer
from tests.stateful.model_schedule import N_SCANS
from tests.stateful.model_world import SCAN, StoredRun

if TYPE_CHECKING:
    from tests.stateful.model_fleet import Fleet
    from tests.stateful.model_schedule import Step
    from tests.stateful.model_workers import Worker

#: Those whose answer may get lost, those that grant keys more often.
SCRIPTS = (
    *("claim", "claim", "claim", "claim", "queue", "reserve"),
    *("queue", "reserve", "release", "drop", "claim", "add_page", "beat", "prune", "leave"),
    *("reap", "forgive", "take", "resign", "want"),
)
MAX_DRIVERS = 5
MAX_POPULATES = 3


class Steps:
    """The verbs of schedules; `take` finds them by their names."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.world, self.server, self.broker = fleet.world, fleet.server, fleet.broker
        self.tell = fleet.tell
        self.saved: tuple[object, list[object], int] | None = None

    def take(self, step: Step) -> None:
        getattr(self, step.verb.replace(" ", "_"))(step)

    # What goes on all the time.

    def turn(self, step: Step) -> None:
        if drivers := self.fleet.drivers:
            self.fleet.drive(drivers[step.who % len(drivers)])

    def work(self, step: Step) -> None:
        hands = [(main, each) for main in self.fleet.mains for each in main.processes]
        who = step.who % (len(hands) + len(self.fleet.populates))
        for _ in range(1 + int(step.share * 5)):
            if who >= len(hands):
                self.fleet.populates[who - len(hands)].step()
            elif not hands[who][0].step(hands[who][1]):
                break

    def wait(self, step: Step) -> None:
        self.fleet.pass_time((1.0, 6.0, 20.0)[int(step.share * 3)])

    # Messages.

    def lose(self, step: Step) -> None:
        if messages := self.broker.messages:
            self.tell(f"the message of {messages.pop(step.who % len(messages)).id} is lost")

    def double(self, step: Step) -> None:
        if messages := self.broker.messages:
            messages.append(messages[step.who % len(messages)])

    def reorder(self, step: Step) -> None:
        if messages := self.broker.messages:
            messages.append(messages.pop(step.who % len(messages)))

    def late(self, step: Step) -> None:
        """Take a message out of sight, as a worker does that takes it and says nothing more."""
        if messages := self.broker.messages:
            self.broker.away.append(messages.pop(step.who % len(messages)))
            self.tell(f"the message of {self.broker.away[-1].id} is late")

    def arrive(self, step: Step) -> None:
        del step
        self.fleet.let_arrive()

    # Workers.

    def _worker(self, step: Step) -> Worker:
        return self.fleet.workers[step.who % len(self.fleet.workers)]

    def _main(self, step: Step) -> Worker:
        return self.fleet.mains[step.who % len(self.fleet.mains)]

    def kill(self, step: Step) -> None:
        worker = self._worker(step)
        worker.kill(worker.processes[int(step.share * len(worker.processes))])

    def kill_worker(self, step: Step) -> None:
        worker = self._worker(step)
        self.tell(f"{worker.name} dies")
        self._replace(worker)

    def _replace(self, worker: Worker) -> None:
        self.fleet.workers.remove(worker)
        self.fleet.workers.append(self.fleet.new_worker(len(worker.processes)))

    def kill_in_commit(self, step: Step) -> None:
        """A whole worker dies while the server has its COMMIT and has not decided yet."""
        worker = self._worker(step)
        for process in worker.processes:
            if process.stage == "commit" and not self.world.is_down:
                assert process.reservation is not None
                key = (process.reservation.table, process.todo[0])
                if key[1] not in self.world.rows[key[0]]:
                    self.world.undecided.add(key)
                    self.tell(f"the COMMIT of {key} is in doubt")
        self.kill_worker(step)

    def stop_worker(self, step: Step) -> None:
        worker = self._worker(step)
        worker.is_stopping, worker.beaten_at = True, -inf
        if worker.has_reached_redis() and not any(p.reservation for p in worker.processes):
            with suppress(RedisUnavailableError):
                self.server.holders.leave(worker.name)
            self._replace(worker)

    def pause(self, step: Step) -> None:
        worker = self._worker(step)
        worker.processes[int(step.share * len(worker.processes))].is_paused = True

    def pause_worker(self, step: Step) -> None:
        self._main(step).is_paused = True
        self.tell(f"{self._main(step).name} is stopped by SIGSTOP")

    def resume(self, step: Step) -> None:
        del step
        self.fleet.resume()

    def cut(self, step: Step) -> None:
        self._main(step).is_cut = True
        self.tell(f"{self._main(step).name} is cut off from Redis")

    # Ordinary processes.

    def populate(self, step: Step) -> None:
        del step
        if len(self.fleet.populates) < MAX_POPULATES and not self.world.is_down:
            name = self.fleet.name("populate")
            self.fleet.populates.append(Populate(name, self.world, self.server, self.tell))

    def share(self, step: Step) -> None:
        del step
        if sum(not sharer.is_over for sharer in self.fleet.sharers) < MAX_POPULATES:
            self.fleet.sharers.append(self.fleet.new_main(Sharer, "share", 1))

    def kill_share(self, step: Step) -> None:
        if alive := [sharer for sharer in self.fleet.sharers if not sharer.is_over]:
            sharer = alive[step.who % len(alive)]
            sharer.kill(sharer.processes[0])

    # Redis.

    def flush(self, step: Step) -> None:
        del step
        self.server.flush()
        self.broker.messages.clear()

    def sync(self, step: Step) -> None:
        del step
        messages: list[object] = list(self.broker.messages)
        self.saved = (copy.deepcopy(self.server.memory), messages, len(self.server.events))

    def restart(self, step: Step) -> None:
        """Redis comes back with what it had on disk."""
        del step
        if self.saved is None:
            return
        memory, messages, n_events = self.saved
        self.server.memory = copy.deepcopy(memory)  # type: ignore[assignment]
        self.broker.messages[:] = messages  # type: ignore[assignment]
        # Positions go on: in a stream they are times.
        events = self.server.events
        events[n_events:] = [Freed("", "", "", (), "forgotten")] * (len(events) - n_events)

    def down(self, step: Step) -> None:
        self.server.is_down = step.share < 0.5

    def unheard(self, step: Step) -> None:
        """Redis runs a script, and its answer gets lost."""
        script = SCRIPTS[int(step.share * len(SCRIPTS))]
        self.server.unheard[script] = "error" if step.who % 2 else "twice"

    def trim(self, step: Step) -> None:
        """The stream forgets its oldest entries: announcements may be missed."""
        events = self.server.events
        n_gone = int(step.share * len(events))
        events[:n_gone] = [Freed("", "", "", (), "trimmed")] * n_gone

    # The database.

    def database_down(self, step: Step) -> None:
        self.world.is_down = step.share < 0.5

    def deaf(self, step: Step) -> None:
        del step
        self.world.is_deaf = True

    def decide(self, step: Step) -> None:
        if not self.world.is_down:
            self.world.decide(is_done=step.share < 0.5)

    # Rows that somebody inserts, and what is announced of them.

    def insert(self, step: Step) -> None:
        self.fleet.announce(self._insert(step))

    def insert_untold(self, step: Step) -> None:
        self._insert(step)

    def insert_told_late(self, step: Step) -> None:
        if found := self._insert(step):
            self.fleet.untold.append(found)

    def insert_told_twice(self, step: Step) -> None:
        found = self._insert(step)
        self.fleet.announce(found)
        self.fleet.announce(found)

    def _insert(self, step: Step) -> Inserted | None:
        if self.world.is_down:
            return None
        scan = int(step.share * N_SCANS)
        self.world.insert(scan)
        # Of many rows it is not told which they are.
        return Inserted(SCAN, (f"[{scan}]",) if step.who else None)

    # Schedulers and runs.

    def new_run(self, step: Step) -> None:
        """A run of somebody who may not create tables: only its process knows it."""
        del step
        if len(self.fleet.drivers) < MAX_DRIVERS:
            self.fleet.drivers.append(self.fleet.new_run())

    def submit(self, step: Step) -> None:
        if len(self.fleet.drivers) < MAX_DRIVERS and not self.world.is_down:
            run = StoredRun(is_continuous=step.who % 3 == 0, has_options=step.share < 0.5)
            self.fleet.drivers.append(self.fleet.submit(run))

    def cancel(self, step: Step) -> None:
        found = [name for name, run in self.world.runs.items() if run.is_open]
        if not found or self.world.is_down:
            return
        name = found[step.who % len(found)]
        self.tell(f"{name} is cancelled")
        self.world.runs[name] = self.world.runs[name].with_status("cancelling")
        with suppress(RedisUnavailableError):
            end_abandoned(self.world, self.server, name, self.fleet.name("canceller"))

    def adopt(self, step: Step) -> None:
        """A scheduler, or whoever waits for a run, finds that nobody drives it."""
        found = [name for name, run in self.world.runs.items() if run.is_open]
        if not found or self.server.is_down or len(self.fleet.drivers) >= MAX_DRIVERS:
            return
        name = found[step.who % len(found)]
        if not self.server.leads.leaders([lead_name(name)]):
            self.fleet.drivers.append(self.fleet.new_driver(name, is_leaving=step.share < 0.5))

    def freeze(self, step: Step) -> None:
        """A driver stands still, beyond its lease."""
        if drivers := self.fleet.drivers:
            self.fleet.frozen.append(drivers[step.who % len(drivers)])

    def new_daemon(self, step: Step) -> None:
        del step
        if len(self.fleet.drivers) < MAX_DRIVERS:
            self.fleet.drivers.append(self.fleet.new_daemon())

    def kill_run(self, step: Step) -> None:
        self._kill_driver(step, Driver)

    def kill_daemon(self, step: Step) -> None:
        self._kill_driver(step, Scheduler)

    def _kill_driver(self, step: Step, kind: type) -> None:
        if found := [driver for driver in self.fleet.drivers if isinstance(driver, kind)]:
            self.fleet.drivers.remove(found[step.who % len(found)])

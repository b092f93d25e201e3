"""Many little disasters: whatever happens to messages, workers and Redis, all is made once."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from djq.errors import RedisUnavailableError
from djq.orchestrator.scheduler import Loop
from djq.orchestrator.states import Limits
from tests.stateful.model_fleet import Broker, Worker
from tests.stateful.model_redis import ModelReservations
from tests.stateful.model_world import World

LEASE_S = 15.0
#: After the chaos the fleet gets so many rounds to finish; a hundred are the rule.
PATIENCE = 20_000
DISASTERS = (
    *("lose", "double", "kill", "kill main", "mute", "stop worker"),
    *("flush", "down", "trim", "scheduler", "second scheduler", "insert", "wait"),
)
N_SCHEDULES = 600
SEEDS_PER_TEST = 50


@dataclass
class Fleet:
    """Everything there is, and the story of what happened to it."""

    seed: int
    now: float = 0.0
    story: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.world = World(scans=set(range(self.chance.randint(1, 14))))
        self.world.bad = {s for s in range(20) if self.chance.random() < 0.1}
        self.world.deadly = {s for s in range(20) if self.chance.random() < 0.05}
        self.reservations = ModelReservations(lambda: self.now, LEASE_S)
        self.broker = Broker(self.chance)
        self.workers = [self.new_worker() for _ in range(self.chance.randint(1, 3))]
        self.loops = [self.new_loop()]
        self.n_loops = 1

    def new_worker(self) -> Worker:
        worker = Worker(self.world, self.broker, self.reservations, f"m{self.chance.random()}")
        worker.beat()
        return worker

    def new_loop(self, limits: Limits | None = None) -> Loop:
        self.n_loops = getattr(self, "n_loops", 0) + 1
        return Loop(
            f"run{self.n_loops}",
            self.world,
            self.reservations,
            self.broker,
            limits or Limits(chunk_s=self.chance.choice([0.05, 0.5])),
            clock=lambda: self.now,
        )

    def turn(self) -> None:
        """Let everybody do a little, in any order."""
        self.now += self.chance.choice([0.0, 0.01, 0.2])
        loop = self.chance.choice(self.loops)
        try:
            if not loop.is_finished:
                loop.turn(0.0)
        except RedisUnavailableError:
            pass
        worker = self.chance.choice(self.workers)
        worker.step()
        if not self.reservations.is_down and self.chance.random() < 0.3:
            for each in self.workers:
                each.beat()

    def disaster(self) -> None:
        """Let one thing go wrong, or right again."""
        kind = self.chance.choice(DISASTERS)
        self.story.append(f"{self.now:8.2f} {kind}")
        getattr(self, "_" + kind.replace(" ", "_"))()

    def _lose(self) -> None:
        self.broker.lose = self.chance.choice([0.0, 0.5])

    def _double(self) -> None:
        self.broker.double = self.chance.choice([0.0, 0.5])

    def _kill(self) -> None:
        self.chance.choice(self.workers).die()

    def _kill_main(self) -> None:
        worker = self.chance.choice(self.workers)
        self.workers.remove(worker)
        self.workers.append(self.new_worker() if not self.reservations.is_down else worker)

    def _mute(self) -> None:
        worker = self.chance.choice(self.workers)
        worker.is_mute = not worker.is_mute

    def _flush(self) -> None:
        self.reservations.flush()
        self.broker.messages.clear()

    def _down(self) -> None:
        self.reservations.is_down = not self.reservations.is_down

    def _scheduler(self) -> None:
        if not self.reservations.is_down:
            self.loops = [self.new_loop()]

    def _second_scheduler(self) -> None:
        if not self.reservations.is_down and len(self.loops) < 3:
            self.loops.append(self.new_loop())

    def _insert(self) -> None:
        self.world.scans.add(self.chance.randrange(20))

    def _wait(self) -> None:
        self.now += self.chance.choice([1.0, 6.0, 20.0])

    def _stop_worker(self) -> None:
        worker = self.chance.choice(self.workers)
        worker.is_stopping = True
        if worker.reservation is None and not self.reservations.is_down:
            self.reservations.leave(worker.name)
            self.workers.remove(worker)
            self.workers.append(self.new_worker())

    def _trim(self) -> None:
        """The stream forgets its oldest entries: announcements may be missed."""
        n_kept = len(self.reservations.events) // 2
        self.reservations.events[:n_kept] = [
            event for event in self.reservations.events[:n_kept] if self.chance.random() < 0.5
        ]

    def calm(self) -> None:
        """End the disasters and let the fleet finish."""
        self.reservations.is_down = False
        self.broker.lose = self.broker.double = 0.0
        for worker in self.workers:
            worker.is_mute = worker.is_stopping = False
        self.loops = [loop for loop in self.loops if not loop.is_finished] or [self.new_loop()]
        for _ in range(PATIENCE):
            self.turn()
            self.now += 0.05
            if all(loop.is_finished for loop in self.loops) and not self.busy():
                break
        else:
            pytest.fail(f"not finished: {self}")
        self.tidy()

    def tidy(self) -> None:
        """Let the next scheduler look at the fleet: it frees what nobody will ever release.

        That is what a killed worker had committed and not released, and a chunk of a scheduler that
        is gone whose message was lost and whose keys were made by others.
        """
        for worker in self.workers:
            worker.beat()
        self.loops = [self.new_loop(Limits(is_endless=True))]
        for _ in range(int(2 * LEASE_S)):
            self.now += 1.0
            self.turn()
            for worker in self.workers:
                worker.beat()

    def busy(self) -> bool:
        return bool(self.broker.messages) or any(w.reservation for w in self.workers)

    def __str__(self) -> str:
        due = {table: self.world.due(table) for table in self.world.rows}
        memory = self.reservations.memory
        return "\n".join(
            [
                f"seed {self.seed}, at {self.now:.2f} s, due {due}",
                f"jobs {memory.jobs}, chunks {memory.chunks}, losses {dict(memory.losses)}",
                *self.story,
            ]
        )


def check(fleet: Fleet) -> None:
    world = fleet.world
    for table in world.rows:
        assert world.due(table) == [], f"left undone: {fleet}"
    assert set(world.commits.values()) <= {1}, f"committed twice: {fleet}"
    assert not fleet.reservations.memory.jobs, f"reservations left: {fleet}"
    assert not fleet.reservations.memory.chunks, f"chunks left: {fleet}"
    assert not +fleet.reservations.memory.losses, f"losses left: {fleet}"
    made, failed = ({int(key[1:-1]) for key in rows["Spot"]} for rows in (world.rows, world.errors))
    assert made | failed >= world.scans, f"neither made nor in the inbox: {fleet}"
    assert not made & (world.bad | world.deadly), f"made what fails: {fleet}"
    # A healthy key gets there only when its worker was cut off three times.
    healthy = world.scans - world.bad - world.deadly
    assert len(healthy - made) <= sum("mute" in line for line in fleet.story), (
        f"given up early: {fleet}"
    )


def story(seed: int) -> Fleet:
    fleet = Fleet(seed)
    for _ in range(fleet.chance.randint(0, 40)):
        fleet.disaster()
        for _ in range(fleet.chance.randint(0, 40)):
            fleet.turn()
    fleet.calm()
    return fleet


@pytest.mark.parametrize("first", range(0, N_SCHEDULES, SEEDS_PER_TEST))
def test_every_key_is_made_once_or_in_the_inbox(first: int) -> None:
    for seed in range(first, first + SEEDS_PER_TEST):
        check(story(seed))

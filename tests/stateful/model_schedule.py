"""What happens to a fleet of the simulation: a list of steps, drawn before the first one.

So a part of the list can be told again.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

N_SCANS = 12
LICENCE = "licence"

#: What goes on all the time, and how often.
WORK = {"turn": 12, "work": 24, "wait": 3}
#: What goes wrong, and right again.
DISASTERS = (
    *("lose", "double", "late", "kill", "kill worker", "kill in commit", "stop worker"),
    *("pause", "pause worker", "resume", "cut", "flush", "sync", "restart", "down", "trim"),
    *("database down", "deaf", "decide", "insert", "new run", "kill run", "new daemon"),
    *("kill daemon", "populate"),
)
#: After these, a key may be computed twice, and once for nothing.
EXCUSES = frozenset(
    {"pause", "pause worker", "cut", "flush", "restart", "down", "deaf", "kill in commit"}
    | {"database down", "populate"}
)
#: These can make a worker seem dead, and its keys be counted as lost.
FATAL = frozenset({"kill", "kill worker", "kill in commit", "pause worker", "cut", "down"})


class Step(NamedTuple):
    """One thing that happens: who is meant depends on who is there."""

    verb: str
    who: int = 0
    #: How much of it, in [0, 1).
    share: float = 0.0
    wait_s: float = 0.0


@dataclass(frozen=True)
class Schedule:
    """How a fleet begins, and what happens to it."""

    scans: tuple[int, ...] = (0,)
    bad: tuple[int, ...] = ()
    deadly: tuple[int, ...] = ()
    #: Pool processes of each worker; below zero: it is hasty.
    workers: tuple[int, ...] = (1,)
    chunk_s: float = 0.5
    n_runs: int = 1
    n_daemons: int = 0
    #: Licences that a chunk of the table Twin takes one of; 0: it takes none.
    n_licences: int = 0
    steps: tuple[Step, ...] = ()

    def simpler(self) -> Iterator[Schedule]:
        """Iterate over schedules that say less before the first step."""
        for name in ("bad", "deadly", "workers", "scans"):
            values = getattr(self, name)
            for i in range(len(values)):
                if len(values) > 1 or name in {"bad", "deadly"}:
                    yield replace(self, **{name: values[:i] + values[i + 1 :]})
        for i, n in enumerate(self.workers):
            if n != 1:
                yield replace(self, workers=(*self.workers[:i], 1, *self.workers[i + 1 :]))
        if self.n_licences:
            yield replace(self, n_licences=0)
        if self.n_daemons:
            yield replace(self, n_daemons=0)
        if self.n_runs + self.n_daemons > 1:
            yield replace(self, n_runs=self.n_runs - 1)


def draw(seed: int) -> Schedule:
    """Return a schedule; some are short, some have few kinds of disasters."""
    chance = random.Random(seed)
    kinds = chance.sample(DISASTERS, chance.choice([0, 2, 5, len(DISASTERS)]))
    weight = chance.choice([1, 4, 12])
    verbs = [*WORK, *kinds]
    weights = [*WORK.values(), *[weight / max(1, len(kinds)) * 2] * len(kinds)]
    n_steps = chance.choice([5, 20, 40, 80])
    waits = (0.0, 0.0, 0.0, 0.01, 0.2)
    return Schedule(
        scans=tuple(range(chance.randint(1, 7))),
        bad=tuple(scan for scan in range(N_SCANS) if chance.random() < 0.1),
        deadly=tuple(scan for scan in range(N_SCANS) if chance.random() < 0.05),
        workers=tuple(chance.choice([1, 1, 2, -1]) for _ in range(chance.randint(1, 3))),
        chunk_s=chance.choice([0.05, 0.5]),
        n_runs=chance.choice([1, 1, 2]),
        n_daemons=chance.choice([0, 0, 1, 2]),
        n_licences=chance.choice([0, 0, 1]),
        steps=tuple(
            Step(verb, chance.randrange(6), chance.random(), chance.choice(waits))
            for verb in chance.choices(verbs, weights, k=n_steps)
        ),
    )

"""What happens to a fleet of the simulation: a list of steps, drawn before the first one.

So a part of the list can be told again.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stateful.model_world import Fate

N_SCANS = 12
LICENCE = "licence"

#: What goes on all the time, and how often.
WORK = {"turn": 12, "work": 24, "wait": 3}
#: What goes wrong, and right again, by what it happens to.
GROUPS = (
    ("lose", "double", "reorder", "late", "arrive"),
    ("kill", "kill worker", "kill in commit", "stop worker"),
    ("pause", "pause worker", "freeze", "cut", "resume"),
    ("flush", "sync", "restart", "down", "trim"),
    ("unheard", "kill", "double", "lose"),
    ("unheard", "share", "kill share"),
    ("database down", "deaf", "decide"),
    ("insert", "insert untold", "insert told late", "insert told twice", "arrive"),
    ("new run", "submit", "cancel", "adopt", "kill run", "freeze", "resume"),
    ("submit", "adopt", "new daemon", "kill daemon", "freeze", "resume"),
    ("populate", "share", "kill share"),
)
DISASTERS = tuple(dict.fromkeys(verb for group in GROUPS for verb in group))
#: After these, a key may be computed twice, and once for nothing.
EXCUSES = frozenset(
    {"pause", "pause worker", "cut", "flush", "restart", "down", "deaf", "kill in commit"}
    | {"database down", "populate"}
)
#: These can make a worker seem dead, and its keys be counted as lost.
FATAL = frozenset({"kill", "kill worker", "kill in commit", "pause worker", "cut", "kill share"})


#: How often which fate is drawn, after that of none.
FATES: tuple[Fate, ...] = ("bad", "deadly", "flaky", "slow", "hungry", "huge")
CHANCES = (70, 8, 4, 6, 4, 5, 3)


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
    #: What becomes of keys of a scan; of most, nothing.
    fates: tuple[tuple[int, Fate], ...] = ()
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
        for name in ("fates", "workers", "scans"):
            values = getattr(self, name)
            for i in range(len(values)):
                if len(values) > 1 or name == "fates":
                    yield replace(self, **{name: values[:i] + values[i + 1 :]})
        for i, n in enumerate(self.workers):
            if n != 1:
                yield replace(self, workers=(*self.workers[:i], 1, *self.workers[i + 1 :]))
        if self.n_licences:
            yield replace(self, n_licences=0)
        if self.n_daemons:
            yield replace(self, n_daemons=0)
        if self.n_runs and self.n_runs + self.n_daemons > 1:
            yield replace(self, n_runs=self.n_runs - 1)


def draw(seed: int) -> Schedule:
    """Return a schedule; some are short, some have few kinds of disasters."""
    chance = random.Random(seed)
    kinds = _kinds(chance)
    weight = chance.choice([1, 4, 12])
    verbs = [*WORK, *kinds]
    weights = [*WORK.values(), *[weight / max(1, len(kinds)) * 2] * len(kinds)]
    n_steps = chance.choice([5, 20, 40, 80])
    waits = (0.0, 0.0, 0.0, 0.01, 0.2)
    return Schedule(
        scans=tuple(range(chance.randint(1, 7))),
        fates=tuple(
            (scan, fate)
            for scan, fate in enumerate(chance.choices((None, *FATES), CHANCES, k=N_SCANS))
            if fate is not None
        ),
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


def _kinds(chance: random.Random) -> list[str]:
    """Return what may go wrong: nothing, a few things, all, or what happens to one or two."""
    n_groups = chance.choice([0, 0, 1, 2])
    if n_groups:
        return [verb for group in chance.sample(GROUPS, n_groups) for verb in group]
    return chance.sample(DISASTERS, chance.choice([0, 2, 5, len(DISASTERS)]))

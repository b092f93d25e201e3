"""Many little disasters: whatever happens to messages, workers and servers, all is made once.

`DJQ_TEST_SCHEDULES=10000` tries so many; a schedule that fails is made short and told.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.stateful.model_fleet import Fleet
from tests.stateful.model_schedule import Schedule, draw
from tests.stateful.model_world import HOPELESS, World, numbers
from tests.stateful.shrink import shrink

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.stateful.model_schedule import Step

N_SCHEDULES = int(
    os.environ.get("DJQ_TEST_SCHEDULES") or (100 if os.environ.get("DJQ_TEST_FAST") else 600)
)
SEEDS_PER_TEST = max(50, N_SCHEDULES // 20)
#: A healthy key is given up when so many workers seemed to die with it.
MAX_LOSSES = 3


def live(schedule: Schedule, *, is_telling: bool = False) -> Fleet:
    fleet = Fleet(schedule, is_telling=is_telling)
    for step in schedule.steps:
        fleet.take(step)
    fleet.calm()
    fleet.tidy()
    check(fleet)
    return fleet


def check(fleet: Fleet) -> None:
    world, memory = fleet.world, fleet.server.memory
    for table in world.rows:
        assert world.due(table) == [], f"left undone: {fleet}"
        # A killed session's COMMIT comes after its key was buried.
        both = world.rows[table] & world.inbox(table)
        assert fleet.has_excuse or not both, f"made and failed: {fleet}"
    assert set(world.commits.values()) <= {1}, f"committed twice: {fleet}"
    assert not memory.jobs, f"reservations left: {fleet}"
    assert not memory.chunks, f"chunks left: {fleet}"
    assert not memory.units, f"licences left: {fleet}"
    assert not +memory.losses, f"losses left: {fleet}"
    assert fleet.has_excuse or not fleet.wasted, f"computed twice, {fleet.wasted}: {fleet}"
    made, failed = (_scans(rows["Spot"]) for rows in (world.rows, world.records))
    assert made | failed >= world.scans, f"neither made nor in the inbox: {fleet}"
    hopeless = {scan for scan, fate in world.fates.items() if fate in HOPELESS}
    assert not made & hopeless, f"made what fails: {fleet}"
    is_whole = world.scans - hopeless <= made
    assert fleet.n_fatal >= MAX_LOSSES or is_whole, f"given up early: {fleet}"
    open_runs = [name for name, run in world.runs.items() if run.is_open]
    assert not open_runs, f"runs without an end, {open_runs}: {fleet}"


def _scans(keys: Iterable[str]) -> set[int]:
    return {numbers(key)[0] for key in keys}


def failure(schedule: Schedule) -> str | None:
    try:
        live(schedule)
    except AssertionError as error:
        return str(error).partition(":")[0]
    return None


def shortest(schedule: Schedule) -> Schedule:
    """Return a schedule that fails alike, and of which nothing can go."""
    what = failure(schedule)
    while True:
        shorter = schedule
        while simpler := next((s for s in shorter.simpler() if failure(s) == what), None):
            shorter = simpler
        shorter = replace(shorter, steps=_fewest_steps(shorter, what))
        if shorter == schedule:
            return schedule
        schedule = shorter


def _fewest_steps(schedule: Schedule, what: str | None) -> tuple[Step, ...]:
    def fails(steps: Sequence[Step]) -> bool:
        return failure(replace(schedule, steps=tuple(steps))) == what

    return tuple(shrink(schedule.steps, fails))


def explain(schedule: Schedule) -> str:
    """Return the story of a schedule that fails."""
    try:
        live(schedule, is_telling=True)
    except AssertionError as error:
        return f"{schedule}\n{error}"
    return f"{schedule}\ndoes not fail"


@pytest.fixture(autouse=True)
def silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell nothing of what goes wrong: it takes longer than to mend it."""
    monkeypatch.setattr(logging.getLogger("djq.scheduler"), "disabled", True)


@pytest.mark.parametrize("first", range(0, N_SCHEDULES, SEEDS_PER_TEST))
def test_every_key_is_made_once_or_in_the_inbox(first: int) -> None:
    for seed in range(first, min(N_SCHEDULES, first + SEEDS_PER_TEST)):
        schedule = draw(seed)
        if failure(schedule) is not None:
            pytest.fail(f"seed {seed}: {explain(shortest(schedule))}")


def test_a_schedule_can_be_told_again() -> None:
    for seed in range(5):
        first, second = (live(draw(seed), is_telling=True).story for _ in range(2))
        assert first == second


def test_what_fails_is_told_as_a_short_story(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given: a database that has lost its unique key.
    def commit(self: World, table: str, key: str) -> bool:
        self.rows[table].add(key)
        self._due.clear()
        self.commits[table, key] += 1
        return True

    monkeypatch.setattr(World, "commit", commit)
    seed = next(seed for seed in range(500) if failure(draw(seed)) == "committed twice")

    # When: the schedule is made short.
    schedule = shortest(draw(seed))

    # Then: what is left is one key that two had in hand.
    assert failure(schedule) == "committed twice"
    assert len(schedule.scans) == 1
    assert len(schedule.steps) <= 8
    assert len(explain(schedule).splitlines()) <= 40

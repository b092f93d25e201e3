"""Eight processes that populate the same table, without a fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.fleet import UP_S
from tests.integration.test_reserve_jobs import made, squares, start_populate
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.fleet import Fleet

N = 60
N_PROCESSES = 8


@pytest.mark.parametrize("options", ["reserve_jobs=True", ""], ids=["reserved", "plain"])
def test_eight_processes_race_on_the_same_keys(fleet: Fleet, tmp_path: Path, options: str) -> None:
    # Given: all of them have a key in hand, which is the same one where nothing is reserved.
    fleet.insert(N)
    gate = tmp_path / "gate"
    racers = [start_populate(fleet, options, TEST_GATE=gate) for _ in range(N_PROCESSES)]
    wait_until(
        lambda: len(list(tmp_path.glob("gate.*"))) == N_PROCESSES,
        what="all processes at the gate",
        timeout_s=UP_S,
    )
    # When: they go on.
    gate.touch()
    # Then: each key was made by exactly one, and nobody failed.
    assert sum(made(racer) for racer in racers) == N
    assert squares(fleet) == [(3 * i) ** 2 for i in range(N)]
    assert len(fleet.tables.Square.Digit()) == len(fleet.expected(N)["Digit"])
    assert len(fleet.tables.Square.jobs) == 0
    fleet.assert_clean()

"""How often it is asked whether a chunk is still ours, and when it is late."""

from __future__ import annotations

import pytest

from djq.populate import tenure
from djq.populate.tenure import FRESH_S, PATIENCE, Tenure

CHUNK_S = 2.0


class Asked:
    """Whoever knows, and a clock."""

    def __init__(self) -> None:
        self.now, self.is_ours = 100.0, True
        self.keys: list[str] = []

    def ask(self, key: str) -> bool:
        self.keys.append(key)
        return self.is_ours


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    found = Asked()
    monkeypatch.setattr(tenure.time, "monotonic", lambda: found.now)
    return found


def test_quick_keys_are_not_asked_for_one_by_one(asked: Asked) -> None:
    its = Tenure(asked.ask, CHUNK_S)
    assert its.holds("[1]")
    asked.now += FRESH_S
    assert its.holds("[2]")
    assert its.holds("[3]")
    assert asked.keys == ["[2]"]


def test_a_chunk_that_was_lost_is_not_held_for_any_key(asked: Asked) -> None:
    its = Tenure(asked.ask, CHUNK_S)
    asked.now, asked.is_ours = asked.now + FRESH_S, False
    assert [its.holds("[1]"), its.holds("[2]")] == [False, False]


def test_a_chunk_is_late_when_it_takes_several_times_as_long_as_it_should(asked: Asked) -> None:
    its = Tenure(asked.ask, CHUNK_S)
    asked.now += PATIENCE * CHUNK_S
    assert not its.is_late
    asked.now += 0.1
    assert its.is_late

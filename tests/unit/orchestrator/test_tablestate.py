"""What a scheduler knows of one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from djq.orchestrator import tablestate
from djq.orchestrator.events import Released
from djq.orchestrator.states import Find, Found, Place
from djq.orchestrator.tablestate import MIN_BACKOFF_S, RESCAN_S, TableState

if TYPE_CHECKING:
    import pytest


def test_chunks_that_come_back_together_make_the_table_wait_but_once() -> None:
    # Given: eight chunks in flight when the database goes away.
    table = TableState(Place("Spot", 0))
    # When: all come back at once.
    for number in range(8):
        table.come_back([f"[{number}]"], now=10.0, n_tolerated=2)
    # Then: their number says nothing about how long it will be away.
    assert table.waits_until == 10.0 + MIN_BACKOFF_S
    # And: whatever comes back after that wait makes the next one longer.
    table.come_back(["[9]"], now=11.0, n_tolerated=2)
    assert table.waits_until == 11.0 + 2 * MIN_BACKOFF_S


def test_a_ready_key_that_failed_in_other_hands_is_not_sent_out_before_its_time() -> None:
    # Given: two keys that are ready, of which another scheduler had one, too.
    table = TableState(Place("Spot", 0), is_scanning=True)
    table.found(Found(Find("Spot", 10), ("[1]", "[2]"), is_exhausted=True), now=0.0)
    # When: that one fails there, and is to be tried again later.
    theirs = Released("Spot", "theirs", "s-2", failed=(("[1]", "no"),), retries=(("[1]", 3.0),))
    table.settle(theirs, now=1.0, blocked_until=6.0)
    # Then: it is found anew when its time has come.
    assert table.take(10) == ("[2]",)
    table.wake(now=10.0)
    assert table.hints == {"Spot": {"[1]": None}}


def test_keys_that_are_to_be_tried_again_and_are_too_many_are_searched_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given: a table that remembers two keys, of which four fail.
    monkeypatch.setattr(tablestate, "MAX_FAILED", 2)
    table = TableState(Place("Spot", 0))
    waits = [("[1]", 3.0), ("[2]", 4.0), ("[3]", RESCAN_S + 1), ("[4]", RESCAN_S + 2)]
    failed = tuple((key, "no") for key, _ in waits)
    table.settle(Released("Spot", "c", "run", failed=failed, retries=tuple(waits)), 0.0, 99.0)
    # When: the time of the first ones comes, they are searched among themselves.
    table.wake(now=5.0)
    assert table.hints == {"Spot": {"[1]": None, "[2]": None}}
    assert not table.is_scanning
    # Then: the others are waited for, and the whole table is searched behind the last of them.
    assert table.has_retries
    assert table.wakes_at == 2 * RESCAN_S
    table.wake(now=2 * RESCAN_S)
    assert table.is_scanning
    assert not table.has_retries

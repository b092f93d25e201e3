"""What a scheduler knows of one table."""

from __future__ import annotations

from djq.orchestrator.states import Place
from djq.orchestrator.tablestate import MIN_BACKOFF_S, TableState


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

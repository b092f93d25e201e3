"""Which keys count as lost with a process that died: the one that it had in hand."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from djq.orchestrator.events import Freed
from djq.populate.slots import in_hand
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from djq.orchestrator.events import Announcement
    from tests.integration.fleet import Fleet


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_killed_pool_process_loses_only_the_key_in_hand(fleet: Fleet) -> None:
    # Given: a process in the middle of a chunk of several keys.
    fleet.insert(60)
    worker = fleet.start_worker(slots=1, TEST_MAKE_S=0.05)
    fleet.wait_for_workers()
    position = fleet.reservations.stream.position()
    run = fleet.submit(fleet.tables.Square)
    (main,) = (main.id for main in fleet.reservations.holders.reap().mains if main.slots)
    victim = worker.children()[-1].pid

    def is_stopped_in_a_big_chunk() -> bool:
        """Stop it, look, and let it go on if it was not the moment."""
        os.kill(victim, signal.SIGSTOP)
        is_big = any(len(c.keys) > 5 and c.is_reserved for c in fleet.reservations.chunks())
        if is_big and in_hand(main, victim) is not None:
            return True
        os.kill(victim, signal.SIGCONT)
        return False

    wait_until(is_stopped_in_a_big_chunk, what="a big chunk", timeout_s=60)
    # When: it is killed.
    os.kill(victim, signal.SIGKILL)
    # Then: that one is counted, and the others of its chunk are not even suspects.
    heard: list[Announcement] = []

    def is_freed() -> bool:
        heard[:] = fleet.reservations.stream.read(position, wait_s=0)[1]
        return any(isinstance(event, Freed) and event.losses for event in heard)

    wait_until(is_freed, what="its keys to be free", timeout_s=60)
    (losses,) = [event.losses for event in heard if isinstance(event, Freed) and event.losses]
    assert [n for n in losses if n is not None] == [1]
    fleet.finish(run)

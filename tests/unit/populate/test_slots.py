"""What a process has in hand, as another process reads it."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack, closing

import pytest

from djq.populate import slots
from djq.populate.slots import InHand, Slot

OWNER = "host.lab:12:ab"


@pytest.fixture(autouse=True)
def _folder(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_what_was_taken_is_in_hand_until_it_is_dropped() -> None:
    with closing(Slot(OWNER, 7)) as slot:
        assert slots.in_hand(OWNER, 7) is None
        slot.say("of all")
        slot.take("[1]", time_limit_s=5, memory_bytes=100)
        found = slots.in_hand(OWNER, 7)
        assert found == InHand("[1]", found.begun, found.begun + 5, 100, "of all")
        slot.take("[2]")
        found = slots.in_hand(OWNER, 7)
        assert found == InHand("[2]", found.begun, 0.0, 0, "of all")
        slot.drop()
        assert slots.in_hand(OWNER, 7) is None


def test_a_key_that_is_too_long_is_not_known() -> None:
    with closing(Slot(OWNER, 7)) as slot:
        slot.take("x" * 5000)
        assert slots.in_hand(OWNER, 7) is None


def test_a_note_that_is_too_long_is_none() -> None:
    with closing(Slot(OWNER, 7)) as slot:
        slot.say("before")
        slot.say("x" * 5000)
        slot.take("[1]")
        assert slots.in_hand(OWNER, 7).note == ""


def test_an_owner_finds_its_own_slots_only() -> None:
    with closing(Slot(OWNER, 7)), closing(Slot(OWNER, 8)), closing(Slot("host.lab:123:ab", 9)):
        assert sorted(slots.names_of(OWNER)) == ["7", "8"]
        slots.forget(OWNER, 7)
        assert slots.names_of(OWNER) == ["8"]
    assert slots.names_of(OWNER) == []


def test_slots_of_processes_that_were_killed_are_swept() -> None:
    # Given: slots of a process that is gone, of this one, and of another host's.
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        gone = process.pid
    owners = (f"host.lab:{gone}:ab", f"host.lab:{os.getpid()}:ab", f"host.lab-2:{gone}:ab")
    with ExitStack() as stack:
        for owner in owners:
            stack.enter_context(closing(Slot(owner, 7)))
        # When: a worker starts here.
        slots.sweep("host.lab")
        # Then: only the first one is gone.
        assert [slots.names_of(owner) for owner in owners] == [[], ["7"], ["7"]]

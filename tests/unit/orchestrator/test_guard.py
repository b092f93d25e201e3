"""Processes that are killed for what they take, and the processes that record it."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from djq.orchestrator import guard as module
from djq.orchestrator.guard import Guard
from djq.populate.slots import Slot
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import NoReturn

MAIN = "host:1:ab"


def hang() -> NoReturn:
    """Wait for a database that does not answer."""
    while True:
        signal.pause()


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[int]:
    """A process that has a key in hand for longer than it may."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        with closing(Slot(MAIN, process.pid)) as slot:
            slot.take("[1]", time_limit_s=1e-9)
            yield process.pid
        process.kill()


def test_a_record_that_does_not_come_to_an_end_is_tried_again_and_given_up(
    monkeypatch: pytest.MonkeyPatch, killed: int, caplog: pytest.LogCaptureFixture
) -> None:
    # Given: a process that was killed, and a database that does not answer.
    monkeypatch.setattr(module, "RETRY_S", 0.0)
    monkeypatch.setattr(module, "RECORD_S", 0.0)
    guard = Guard(MAIN, {}, hang)
    guard.look({killed})
    # When: it is recorded.
    assert guard.look(set()) == {killed}
    # Then: its keys are freed in the end.
    wait_until(lambda: not guard.look(set()), what="the last try")
    assert caplog.text.count("record_late") >= module.MAX_TRIES
    assert "record_failed" in caplog.text

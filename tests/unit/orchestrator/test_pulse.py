"""The helper process that beats for one that runs users' code itself."""

from __future__ import annotations

import io
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from djq.orchestrator.pulse import Beating

if TYPE_CHECKING:
    import pytest

TOLD = {
    "main": {"id": "host:1:ab", "host": "host", "pid": 1, "tables": []},
    "heartbeat_s": 5.0,
    "lease_s": 15.0,
}


def test_the_helper_says_that_it_is_ready_once_it_has_beaten(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    # Given: whom it beats for tells it to end at once.
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    said = io.StringIO()
    monkeypatch.setattr("sys.stdout", said)
    beats: list[str] = []
    holders = SimpleNamespace(beat=lambda _: beats.append(said.getvalue()), reap=lambda: None)
    reads, writes = os.pipe()
    os.write(writes, b"bye\n")
    # When: it runs.
    Beating(TOLD, cast("Any", SimpleNamespace(holders=holders)), os.getppid()).run(reads)
    os.close(reads)
    os.close(writes)
    # Then: the first heartbeat came before its word, and was not repeated at once.
    assert beats == [""]
    assert said.getvalue() == "ready\n"

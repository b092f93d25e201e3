"""Sums whose first square stands still at its COMMIT, in whatever process it is made.

`TEST_PLACE` says where: `before` the COMMIT, its rows inserted, or `answered`, when it is known to
be committed and not yet released. In the folder `TEST_TRAP` the file `caught` gets the process's
id then; the process goes on when there is a file `go`.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from djq.populate import chunks, make
from tests.integration.pipelines.sums import Square, schema

__all__ = ["schema"]

FOLDER = Path(os.environ["TEST_TRAP"])


def _stand_still() -> None:
    try:
        (FOLDER / "first").touch(exist_ok=False)
    except FileExistsError:
        return
    (FOLDER / "pid").write_text(str(os.getpid()))
    (FOLDER / "pid").rename(FOLDER / "caught")
    while not (FOLDER / "go").exists():
        time.sleep(0.01)


def _held_before(assignment: Any, key: Any, call: Any) -> None:
    check(assignment, key, call)
    if assignment.table is Square:
        _stand_still()


def _held_answered(assignment: Any, key: Any) -> Any:
    outcome = make_key(assignment, key)
    if assignment.table is Square and outcome.status == "made":
        _stand_still()
    return outcome


check, make_key = make._check, make.make_key
if os.environ["TEST_PLACE"] == "before":
    make._check = _held_before
else:
    chunks.make_key = _held_answered

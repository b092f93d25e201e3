"""Pools and workers killed between the objects of a key and its COMMIT."""

from __future__ import annotations

import importlib
import os
import random
import signal
import sys
from typing import TYPE_CHECKING

import pytest

import djq as dj
from djq.storage.content import FOLDER
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from tests.integration.fleet import Fleet

MODULE = "tests.integration.pipelines.pictures"
N = 30
MAKE_S = 0.05
#: Objects of one key: a picture, three pieces of it, its noise.
PER_KEY = 5


@pytest.fixture
def pictures(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setenv("TEST_SCHEMA", fleet.schema_name)
    sys.modules.pop(MODULE, None)
    yield importlib.import_module(MODULE)
    sys.modules.pop(MODULE, None)


def stored() -> set[str]:
    """The paths of all values in the store."""
    return {found.path for found in dj.conn().store("pictures").store.list(FOLDER)}


def run_with_kills(fleet: Fleet, pictures: ModuleType, **env: object) -> int:
    """Make all pictures, and kill processes meanwhile; return how many."""
    pictures.Number.insert((i,) for i in range(N))
    for _ in range(2):
        fleet.start_worker(module=MODULE, TEST_MAKE_S=MAKE_S, **env)
    fleet.wait_for_workers()
    run = fleet.submit(pictures.Picture)
    n_killed = 0
    for n in (4, 10, 16):
        wait_until(lambda n=n: len(pictures.Picture()) >= n, what="pictures", timeout_s=60)
        os.kill(random.choice(fleet.workers[1].children()).pid, signal.SIGKILL)
        n_killed += 1
    fleet.workers[0].kill()
    n_killed += 2
    fleet.finish(run)
    fleet.assert_clean()
    for worker in fleet.workers:
        worker.kill()
    return n_killed


def test_the_store_holds_what_a_plain_populate_would_have_left(
    fleet: Fleet, pictures: ModuleType
) -> None:
    # When: the objects of a key are the same in each try.
    run_with_kills(fleet, pictures)
    rows, pieces = pictures.Picture().to_dicts(), pictures.Picture.Piece().to_dicts()
    left = stored()
    # Then: none is missing (they are verified when fetched), and none is there in vain.
    pictures.Picture.delete(prompt=False)
    for path in left:
        dj.conn().store("pictures").store.delete(path)
    assert pictures.Picture.populate()["success_count"] == N
    assert stored() == left
    assert in_words(rows) == in_words(pictures.Picture().to_dicts())
    assert in_words(pieces) == in_words(pictures.Picture.Piece().to_dicts())


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_only_tries_that_were_cut_off_leave_objects_behind(
    fleet: Fleet, pictures: ModuleType
) -> None:
    # When: each try makes another object.
    n_killed = run_with_kills(fleet, pictures, TEST_NOISE=1)
    # Then: every row has its objects, and each killed process left at most those of one key.
    noise = [row["noise"] for row in pictures.Picture().to_dicts()]
    assert len(set(noise)) == N
    assert len(pictures.Picture.Piece().to_dicts()) == 3 * N
    n_referenced = N + N + N + 2  # noise, pictures, and pieces, of which many are the same
    assert n_referenced <= len(stored()) <= n_referenced + n_killed * PER_KEY


def in_words(rows: list[dict]) -> list[str]:
    return sorted(repr(row) for row in rows)

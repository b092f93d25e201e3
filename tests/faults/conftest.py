"""Fixtures of the tests with real workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.fleet import fleet, sums, workplace
from tests.support.chaos import FileTrap, ProxyTrap, behind_proxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.fleet import Fleet
    from tests.support.chaos import CommitTrap
    from tests.support.proxy import Proxy

__all__ = ["fleet", "sums", "workplace"]


@pytest.fixture
def proxy(fleet: Fleet) -> Iterator[Proxy]:
    """A proxy between the fleet's workers and their server; this process does without."""
    with behind_proxy(fleet.settings) as (found, settings):
        fleet.worker_settings = settings
        yield found
        for worker in fleet.workers:
            worker.kill()


@pytest.fixture
def trap(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> CommitTrap:
    """What holds the first COMMIT of a square."""
    if database_url.startswith("sqlite"):
        (folder := tmp_path / "trap").mkdir()
        return FileTrap(folder)
    return ProxyTrap(request.getfixturevalue("proxy"))

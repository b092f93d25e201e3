"""Fixtures that several modules share: real workers, a small table, a second connection."""

from __future__ import annotations

import pytest

import djq as dj
from djq.settings import load
from tests.integration.fleet import fleet, sums, workplace
from tests.support.s3 import s3_settings

__all__ = ["fleet", "s3_settings", "sums", "workplace"]


@pytest.fixture
def counter(schema):
    """Three rows, each a number and a value."""

    @schema
    class Counter(dj.Manual):
        definition = """
        counter : int32
        ---
        value : int32
        """

    Counter.insert((i, 0) for i in range(3))
    return Counter


@pytest.fixture
def another(connection):
    """Return a connection of somebody else to the same database, who waits for locks 1 s."""
    opened = dj.Connection(
        load(
            database_url=connection.settings.resolved_database_url,
            state_dir=connection.settings.state_dir,
            database_timeout_s=1,
        )
    )
    yield opened
    opened.close()

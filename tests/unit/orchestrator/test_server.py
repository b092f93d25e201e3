"""Addresses of Redis, as redis-py, kombu and people spell them."""

from __future__ import annotations

import pytest

from djq.orchestrator.server import broker_url, masked


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://host:6379/2", "redis://host:6379/2"),
        ("rediss://:pw@host:6379/0", "rediss://:pw@host:6379/0"),
        ("unix:///tmp/djq/r.sock?db=3", "redis+socket:///tmp/djq/r.sock?virtual_host=3"),
        ("unix:///tmp/djq/r.sock", "redis+socket:///tmp/djq/r.sock?virtual_host=0"),
    ],
)
def test_a_broker_is_addressed_as_kombu_spells_it(url: str, expected: str):
    assert broker_url(url) == expected


def test_a_password_is_not_shown():
    assert "secret" not in masked("redis://:secret@host:6379/0")

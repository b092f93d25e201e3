"""The most memory that a key took."""

from __future__ import annotations

import sys

import pytest

from djq.populate import memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can set it back")
def test_slow_keys_have_a_mark_of_their_own():
    large = bytearray(b"x") * 200_000_000
    memory.end(10)
    before = memory.peak_bytes()
    del large

    memory.begin()
    own = memory.peak_bytes()

    assert before > 200_000_000
    assert own < before - 100_000_000


def test_quick_keys_carry_the_mark_of_the_process():
    memory.end(0)
    memory.begin()

    assert memory.peak_bytes() > 10_000_000

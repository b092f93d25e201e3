from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from djq.storage.buffers import SourceError, coalesce, cut, pieces, source_errors, split_first

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT = bytes(range(200))
RANGES = st.lists(st.tuples(st.integers(0, 250), st.integers(0, 250)), max_size=8)


def test_pieces_are_views_of_the_parts():
    array = np.arange(6, dtype=np.int16).reshape(2, 3)
    found = list(pieces([b"abc", memoryview(array), b"", memoryview(np.empty((0, 3)))], 5))
    assert found == [b"abc", array.tobytes()[:5], array.tobytes()[5:10], array.tobytes()[10:]]
    array[0, 0] = 7
    assert found[1][0] == 7


def test_only_what_is_small_is_joined():
    whole, rest = split_first(pieces([b"ab", b"cd"]), 4)
    assert (whole, list(rest)) == (b"abcd", [])
    one = memoryview(b"abcd")
    whole, rest = split_first(iter([one]), 4)
    assert whole is one
    whole, rest = split_first(pieces([b"ab", b"cd", b"e", b"f"]), 4)
    assert (whole, list(rest)) == (b"", [b"ab", b"cd", b"e", b"f"])
    assert split_first(iter(()), 4)[0] == b""


def test_what_a_source_raises_comes_out_as_it_was():
    def fail() -> Iterator[bytes]:
        yield b"1"
        raise OSError(5, "the disk of the source")

    with pytest.raises(SourceError):
        list(pieces(pieces(fail())))
    with pytest.raises(OSError, match="the disk of the source"), source_errors():
        list(pieces(pieces(fail())))


def test_neighbours_are_read_at_once_and_others_are_not():
    assert coalesce([(0, 10), (12, 20), (40, 50)], gap=5) == [(0, 20), (40, 50)]
    assert coalesce([(0, 10), (10, 20)], gap=5, limit=15) == [(0, 10), (10, 20)]
    assert coalesce([(3, 3), (5, 4)], gap=5) == []


@given(RANGES, st.integers(0, 50), st.integers(1, 300))
def test_ranges_are_cut_out_of_what_was_read(ranges, gap, limit):
    merged = coalesce(ranges, gap, limit)
    read = [(start, memoryview(CONTENT[start:stop])) for start, stop in merged]
    assert cut(ranges, read) == [CONTENT[start:stop] for start, stop in ranges]
    assert merged == sorted(merged)
    assert all(first[1] <= second[0] for first, second in pairwise(merged))

"""Numbers and flags as people give them."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest

from djq.errors import UsageError
from djq.populate.arguments import as_whole, check_flag, check_seconds


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), np.array(3)])
def test_a_whole_number_is_an_int(value):
    assert as_whole(value) == 3
    assert type(as_whole(value)) is int


@pytest.mark.parametrize("value", [True, np.True_, 3.0, "3", None, np.array([1.5]), np.float64(3)])
def test_what_is_no_whole_number_is_none(value):
    assert as_whole(value) is None


@pytest.mark.parametrize("value", [True, False, np.True_, np.False_])
def test_a_flag_is_a_bool(value):
    assert check_flag("submit", "continuous", value) is bool(value)


@pytest.mark.parametrize("value", ["no", "yes", 2, None, np.array([True])])
def test_what_is_no_flag_is_refused(value):
    with pytest.raises(UsageError, match=r"^submit\(continuous=.*\): give True or False$"):
        check_flag("submit", "continuous", value)


@pytest.mark.parametrize(
    ("value", "seconds"), [(None, None), (0, 0.0), (1.5, 1.5), (inf, inf), (np.float32(2), 2.0)]
)
def test_a_time_to_wait_is_a_number_or_none(value, seconds):
    assert check_seconds("wait", value) == seconds


@pytest.mark.parametrize("value", ["x", True, nan, [1]])
def test_another_time_to_wait_is_refused(value):
    with pytest.raises(UsageError, match=r"^wait\(.*\): give a number of seconds, or None$"):
        check_seconds("wait", value)

"""The options of a table or a run as a value."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import djq as dj
from djq.errors import DefinitionError, UsageError
from djq.populate.options import NAMES, PopulateOptions, check_options


def test_what_is_not_said_has_a_default():
    options = dj.PopulateOptions()

    assert options.max_retries == 0
    assert options.queue is None
    assert options.units == {}
    assert options.given == frozenset()


def test_what_a_run_says_goes_over_what_the_class_says():
    of_class = PopulateOptions(queue="djq.gpu", max_retries=3, time_limit_s=60)
    of_run = PopulateOptions(max_retries=0, time_limit_s=None, priority=5)

    merged = of_run.over(of_class)

    assert (merged.queue, merged.max_retries, merged.time_limit_s) == ("djq.gpu", 0, None)
    assert merged.priority == 5
    assert merged.given == {"queue", "max_retries", "time_limit_s", "priority"}


def test_options_that_say_nothing_change_nothing():
    options = PopulateOptions(limits=["matlab"], tags=["large-disk"])

    assert PopulateOptions().over(options) == options
    assert options.over(PopulateOptions()) == options


def test_defaults_that_are_said_are_not_the_same_as_nothing_said():
    assert PopulateOptions(max_retries=0) != PopulateOptions()


def test_merging_is_checked_like_writing():
    with pytest.raises(UsageError, match=r"soft_time_limit_s=50 must be below time_limit_s=20"):
        PopulateOptions(time_limit_s=20).over(PopulateOptions(soft_time_limit_s=50))


def test_limits_are_names_or_numbers():
    assert PopulateOptions(limits=("matlab", "scanner")).units == {"matlab": 1, "scanner": 1}
    assert PopulateOptions(limits={"matlab": 2}).units == {"matlab": 2}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("queue", ""),
        ("queue", "two words"),
        ("queue", 5),
        ("priority", 1.5),
        ("priority", 1001),
        ("max_retries", -1),
        ("max_retries", True),
        ("max_retries", None),
        ("backoff_s", 0),
        ("backoff_s", float("nan")),
        ("max_backoff_s", float("inf")),
        ("soft_time_limit_s", 0),
        ("time_limit_s", "60"),
        ("chunk_s", -1),
        ("cpu", 0),
        ("memory_bytes", 1.5e9),
        ("gpu", -1),
        ("tags", "matlab"),
        ("tags", ["a b"]),
        ("limits", "matlab"),
        ("limits", {"matlab": 0}),
        ("limits", {"": 1}),
        ("big_queue", "a/b"),
    ],
)
def test_a_wrong_value_is_named(name, value):
    with pytest.raises(UsageError, match=rf"PopulateOptions\({name}=.*must be"):
        PopulateOptions(**{name: value})


def test_a_soft_limit_comes_before_the_hard_one():
    with pytest.raises(UsageError, match=r"soft_time_limit_s=60 must be below time_limit_s=60"):
        PopulateOptions(soft_time_limit_s=60, time_limit_s=60)


def test_the_longest_wait_is_no_shorter_than_the_first():
    with pytest.raises(UsageError, match=r"backoff_s=60 must be at most max_backoff_s=30"):
        PopulateOptions(backoff_s=60, max_backoff_s=30)


def test_retries_wait_twice_as_long_each_time_up_to_a_limit():
    options = PopulateOptions(max_retries=4, backoff_s=10, max_backoff_s=35)

    waits = [options.retry_after_s(attempt) for attempt in range(1, 6)]

    assert waits == [10, 20, 35, 35, None]


def test_the_thousandth_retry_waits_as_long_as_the_limit():
    assert PopulateOptions(max_retries=9999).retry_after_s(5000) == 3600


def test_a_first_wait_beyond_the_usual_limit_stands():
    assert PopulateOptions(max_retries=2, backoff_s=7200).retry_after_s(2) == 7200


def test_options_show_what_was_said_as_code():
    options = PopulateOptions(max_retries=2, queue="djq.gpu", limits=["matlab"])

    assert repr(options) == "PopulateOptions(queue='djq.gpu', max_retries=2, limits={'matlab': 1})"
    assert eval(repr(options)) == options


def test_an_unknown_option_of_a_stored_run_is_named():
    with pytest.raises(UsageError, match=r'no option "max_retrys". Did you mean "max_retries"\?'):
        PopulateOptions.from_json({"max_retrys": 2})


def test_a_class_with_anything_else_for_options_is_refused():
    with pytest.raises(DefinitionError, match=r"lab.T.populate_options is \{'queue': 'gpu'\}"):
        check_options("lab.T", {"queue": "gpu"})


some_options = st.fixed_dictionaries(
    {},
    optional={
        "queue": st.sampled_from([None, "djq.default", "djq.gpu"]),
        "priority": st.integers(-1000, 1000),
        "max_retries": st.integers(0, 100),
        "backoff_s": st.floats(0.001, 10),
        "time_limit_s": st.none() | st.floats(1, 1e6),
        "tags": st.lists(st.sampled_from(["a", "b-c"]), max_size=2),
        "limits": st.dictionaries(st.sampled_from(["m", "n.o"]), st.integers(1, 9)),
    },
)


@given(some_options)
def test_options_survive_json_pickling_and_copying(values):
    options = PopulateOptions(**values)

    assert PopulateOptions.from_json(json.loads(json.dumps(options.to_json()))) == options
    assert pickle.loads(pickle.dumps(options)) == options
    assert copy.deepcopy(options) == options
    assert hash(options) == hash(PopulateOptions(**values))
    assert set(options.to_json()) == set(values) <= set(NAMES)


def test_numbers_of_numpy_are_numbers():
    options = PopulateOptions(
        priority=np.int64(3),
        max_retries=np.uint8(2),
        memory_bytes=np.int64(10**9),
        backoff_s=np.int32(5),
        limits={"matlab": np.int64(1)},
    )

    assert json.loads(json.dumps(options.to_json())) == {
        "priority": 3,
        "max_retries": 2,
        "memory_bytes": 10**9,
        "backoff_s": 5,
        "limits": {"matlab": 1},
    }

"""Failures are described so that equal causes are found together."""

from __future__ import annotations

import datetime as dt

import pytest

from djq.errors import MakeError
from djq.populate.failures import MAX_MESSAGE, JobError, fingerprint, planned, raisable
from djq.populate.options import PopulateOptions


def _raised(call):
    try:
        call()
    except ValueError as error:
        return error
    raise AssertionError


def _reads(text):
    return int(text)


def test_equal_causes_have_equal_fingerprints_whatever_the_value():
    errors = [_raised(lambda: _reads("x")), _raised(lambda: _reads("y"))]
    assert len({fingerprint(e) for e in errors}) == 1


def test_a_fingerprint_names_the_exception_and_the_users_innermost_function():
    found = fingerprint(_raised(lambda: _reads("x")))
    assert found.startswith("ValueError in _reads (test_failures.py)")


def test_an_exception_whose_text_cannot_be_made_is_described():
    class MuteError(ValueError):
        def __str__(self):
            raise KeyError

        __repr__ = __str__

    def fail():
        raise MuteError

    exception = _raised(fail)
    error = JobError.of(exception)
    assert error.message == "<MuteError: its text cannot be made: KeyError>"
    assert "in fail" in error.traceback
    assert error.fingerprint.startswith("MuteError in ")
    told = raisable(error)
    assert type(told) is MakeError
    assert error.message in str(told)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_a_task_never_fails_with_what_would_end_its_process(kind):
    assert type(raisable(JobError.of(kind("no")))) is MakeError


def test_a_task_fails_with_what_make_raised():
    error = JobError.of(ValueError("bad"))
    assert raisable(error) is error.exception


def test_a_long_message_is_cut_and_the_traceback_keeps_its_end():
    def fail():
        raise ValueError("x" * 5000)

    error = JobError.of(_raised(fail))
    assert len(error.message) == MAX_MESSAGE
    assert error.traceback.rstrip().endswith("x")


@pytest.mark.parametrize(
    ("where", "known", "next_queue"),
    [
        (None, None, "big"),
        ("small", None, "big"),
        # Queued before it was known where it is to go, or planned by a populate of no queue.
        ("small", "big", "big"),
        (None, "big", None),
        ("big", "big", None),
        ("big", None, None),
    ],
)
def test_a_key_that_ran_out_of_memory_goes_to_the_big_queue_unless_it_was_there(
    where, known, next_queue
):
    options = PopulateOptions(big_queue="big", queue=where, max_retries=5)
    error = JobError("no memory", "", "MemoryError", cause="memory")
    record = None if known is None else {"attempt": 1, "queue": known}
    found, queue = planned(error, record, options, dt.datetime(2026, 1, 1))  # noqa: DTZ001
    assert queue == next_queue
    assert found.retry_after_s == (None if next_queue is None else 0.0)


def test_a_key_that_killed_its_processes_is_an_error_that_says_so():
    error = JobError.of_losses({"n": 1}, 3)
    assert "died 3 times while making {'n': 1}" in error.message
    assert (error.cause, error.fingerprint) == ("lost", "WorkerLost")

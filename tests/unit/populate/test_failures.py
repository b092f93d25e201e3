"""Failures are described so that equal causes are found together."""

from __future__ import annotations

from djq.populate.failures import MAX_MESSAGE, JobError, fingerprint


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


def test_a_long_message_is_cut_and_the_traceback_keeps_its_end():
    def fail():
        raise ValueError("x" * 5000)

    error = JobError.of(_raised(fail))
    assert len(error.message) == MAX_MESSAGE
    assert error.traceback.rstrip().endswith("x")

"""The soft time limit: an exception in code that takes too long, but not in a statement."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from djq.errors import TimeLimitError
from djq.populate import alarm
from djq.populate.options import PopulateOptions
from tests.support.waiting import wait_until


def spin_for_ever(*, what: str = "the alarm") -> None:
    wait_until(lambda: False, what=what, timeout_s=60)


def explain() -> str:
    return "too long"


def test_code_that_takes_too_long_is_interrupted():
    with (
        pytest.raises(TimeLimitError, match="too long"),
        alarm.until(time.monotonic() + 0.01, explain),
    ):
        spin_for_ever()


def test_a_deadline_that_has_passed_interrupts_at_once():
    with pytest.raises(TimeLimitError), alarm.until(time.monotonic() - 5, explain):
        spin_for_ever()


def test_nothing_is_left_of_it():
    before = signal.getsignal(signal.SIGALRM)
    with alarm.until(time.monotonic() + 60, explain):
        assert signal.getsignal(signal.SIGALRM) is not before
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_without_a_deadline_nothing_is_set():
    before = signal.getsignal(signal.SIGALRM)
    with alarm.until(None, explain):
        assert signal.getsignal(signal.SIGALRM) is before


def test_a_statement_is_not_interrupted_but_what_comes_after_it():
    # Given: code in a module of the SQL layer, as seen by the frames that run.
    seen = []
    space = {"__name__": "djq.sql.somewhere", "time": time, "seen": seen}
    code = (
        "def execute(seconds):\n"
        "    until = time.monotonic() + seconds\n"
        "    while time.monotonic() < until:\n"
        "        pass\n"
        "    seen.append('done')\n"
    )
    exec(compile(code, alarm.__file__, "exec"), space)

    # When: the deadline passes in the middle of it.
    def ask_and_go_on() -> None:
        with alarm.until(time.monotonic() + 0.01, explain):
            space["execute"](0.1)
            spin_for_ever()

    with pytest.raises(TimeLimitError):
        ask_and_go_on()
    # Then: it came to its end.
    assert seen == ["done"]


def test_a_thread_cannot_be_interrupted():
    found = []

    def run() -> None:
        found.append(alarm.is_possible())
        with alarm.until(time.monotonic() - 1, explain):
            found.append("went on")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [False, "went on"]


@pytest.mark.parametrize(
    ("options", "is_killable", "expected"),
    [
        ({}, False, None),
        ({"soft_time_limit_s": 5}, True, 5),
        ({"soft_time_limit_s": 5, "time_limit_s": 9}, False, 5),
        ({"time_limit_s": 9}, True, None),
        # Where nobody kills, the hard limit is a soft one.
        ({"time_limit_s": 9}, False, 9),
    ],
)
def test_which_limit_interrupts(options, is_killable, expected):
    found = alarm.soft_limit_s(PopulateOptions(**options), is_killable=is_killable)
    assert found == expected

"""A line on a terminal that says how far a verb is."""

from __future__ import annotations

import io

import pytest

from djq.ops.meter import EVERY_S, FIRST_S, Meter


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def now():
    return [0.0]


def test_it_is_written_after_a_while_and_then_now_and_again(now):
    with Meter(file=(file := Terminal()), clock=lambda: now[0]) as meter:
        seen = []
        for at in (0, FIRST_S / 2, FIRST_S, FIRST_S + EVERY_S / 2, FIRST_S + EVERY_S):
            now[0] = at
            meter.tell(f"at {at}")
            seen.append(file.getvalue().count("at"))
        assert seen == [0, 0, 1, 1, 2]
    assert file.getvalue().endswith(f"at {FIRST_S + EVERY_S}\r\x1b[K")


def test_what_is_done_at_once_shows_nothing(now):
    with Meter(file=(file := Terminal()), clock=lambda: now[0]) as meter:
        meter.tell("a")
    assert file.getvalue() == ""


def test_a_line_is_never_longer_than_the_terminal(now, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    meter = Meter(file=(file := Terminal()), clock=lambda: now[0])
    now[0] = FIRST_S
    meter.tell("x" * 50)
    assert file.getvalue().count("x") == 19


@pytest.mark.parametrize(("file", "is_wanted"), [(io.StringIO(), True), (Terminal(), False)])
def test_nobody_is_told_where_nobody_looks(file, is_wanted):
    assert Meter(file=file, is_wanted=is_wanted).tell is None

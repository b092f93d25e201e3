"""Progress for people."""

from __future__ import annotations

import io
import threading

from djq.populate.display import TableProgress, open_display


def test_a_line_says_counts_failures_rate_and_what_is_left():
    row = TableProgress("lab.Spikes", total=100, made=50, failed=2, running=3, seconds=10.0)
    assert str(row) == "lab.Spikes [ 52%] 50/100  2 failed  3 running  5/s  ETA 10 s"


def test_keys_that_were_there_do_not_count_for_the_rate():
    row = TableProgress("t", total=100, made=60, made_before=50, seconds=10.0)
    assert row.rate == 1.0


def test_a_pipe_gets_a_finished_line_once():
    file = io.StringIO()
    with open_display(file=file) as display:
        for seconds in (1.0, 2.0, 3.0):
            display.show([TableProgress("lab.T", total=2, made=2, seconds=seconds)])
    assert file.getvalue().count("lab.T") == 1


class Terminal(io.StringIO):
    """A file that people look at."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_the_last_state_and_no_thread_redraws_it(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    file = Terminal()
    n_threads = threading.active_count()
    with open_display(file=file) as display:
        for made in range(3):
            display.show([TableProgress("lab.T", total=2, made=made)])
        assert threading.active_count() == n_threads
    assert "0/2" in file.getvalue()
    assert "1/2" not in file.getvalue()
    assert "2/2" in file.getvalue()


def test_an_empty_table_says_nothing():
    file = io.StringIO()
    with open_display(file=file) as display:
        display.show([TableProgress("lab.T", total=0, made=0)])
    assert file.getvalue() == ""


def test_nothing_is_shown_when_nothing_is_wanted(capsys):
    with open_display(wanted=False) as display:
        display.show([TableProgress("lab.T", total=2, made=2)])
    assert capsys.readouterr().out == ""

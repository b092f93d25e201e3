"""The last lines that a make wrote."""

from __future__ import annotations

import logging
import sys
import threading

import pytest

from djq.populate import tails


def say(text, stream=None):
    (stream or sys.stdout).write(f"{text}\n")


@pytest.fixture
def log():
    logger = logging.getLogger("lab")
    logger.setLevel("INFO")
    return logger


def test_prints_and_logs_are_kept_in_their_order_and_go_on(log, capsys):
    with tails.listening():
        tails.begin()
        say("first")
        log.info("second")
        say("third", sys.stderr)
        found = tails.text().splitlines()

    assert found[0] == "first"
    assert found[1].endswith("INFO lab: second")
    assert found[2] == "third"
    assert capsys.readouterr() == ("first\n", "third\n")


def test_the_next_key_begins_with_nothing(capsys):
    with tails.listening():
        tails.begin()
        say("old")
        tails.begin()
        say("new")
        assert tails.text() == "new"


def test_only_the_end_is_kept(capsys):
    with tails.listening():
        tails.begin()
        for i in range(tails.MAX_LINES + 50):
            say(i)
        by_lines = tails.text().splitlines()
        say("x" * 1_000_000)
        assert tails.text() == "x" * (tails.MAX_CHARACTERS - 1)

    assert (len(by_lines), by_lines[-1]) == (tails.MAX_LINES, str(tails.MAX_LINES + 49))


def test_memory_stays_flat_however_much_is_written(capsys):
    tail = tails.Tail()
    for _ in range(1_000):
        tail.write("x" * 1_000)

    assert tail._n_characters <= 2 * tails.MAX_CHARACTERS


def test_threads_do_not_hear_each_other(capsys):
    found = {}
    both = threading.Barrier(2)

    def make(word):
        tails.begin()
        both.wait(10)
        say(word)
        both.wait(10)
        found[word] = tails.text()

    with tails.listening():
        threads = [threading.Thread(target=make, args=(word,)) for word in ("one", "two")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert found == {"one": "one", "two": "two"}


def test_everything_is_as_before_afterwards(capsys):
    before = sys.stdout, sys.stderr, list(logging.getLogger().handlers)

    with tails.listening(), tails.listening():
        assert sys.stdout is not before[0]
        assert sys.stdout.encoding == before[0].encoding

    assert (sys.stdout, sys.stderr, list(logging.getLogger().handlers)) == before
    tails.begin()
    say("nobody listens")
    assert tails.text() == ""


def test_a_stream_that_somebody_else_set_meanwhile_stays(monkeypatch):
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    with tails.listening():
        theirs = sys.stdout = sys.stderr

    assert sys.stdout is theirs

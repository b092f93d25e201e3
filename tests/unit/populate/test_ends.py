"""What a signal raises is told from what a make raises."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time

import pytest

from djq.populate import ends
from djq.populate.ends import CHILD, Stopped, mark_signals, own_forks, stop_on_sigterm


@pytest.fixture
def _signals():
    numbers = [n for n in signal.valid_signals() if callable(signal.getsignal(n))]
    before = {n: signal.getsignal(n) for n in {*numbers, signal.SIGUSR1}}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _exit(number, frame):
    sys.exit(-number)


@pytest.mark.usefixtures("_signals")
@pytest.mark.parametrize(
    ("handler", "code"),
    [(_exit, -signal.SIGUSR1), (signal.default_int_handler, 128 + signal.SIGUSR1)],
)
def test_an_end_that_a_signal_asks_for_is_known_as_such(handler, code):
    signal.signal(signal.SIGUSR1, handler)
    mark_signals()
    mark_signals()  # once is enough
    with pytest.raises(CHILD.ends) as told:
        signal.raise_signal(signal.SIGUSR1)
    assert type(told.value) is Stopped
    assert told.value.code == code


@pytest.mark.usefixtures("_signals")
def test_a_signal_asks_for_the_end():
    stop_on_sigterm()
    mark_signals()
    with pytest.raises(Stopped) as told:
        signal.raise_signal(signal.SIGTERM)
    assert told.value.code == 128 + signal.SIGTERM


@pytest.mark.usefixtures("_signals")
@pytest.mark.parametrize("handler", [_exit, None])
def test_a_process_that_a_make_starts_ends_as_that_of_any_program(handler):
    stop_on_sigterm() if handler is None else signal.signal(signal.SIGTERM, handler)
    mark_signals()
    fork = multiprocessing.get_context("fork")
    for _ in range(20):
        process = fork.Process(target=time.sleep, args=(60,))
        process.start()
        process.terminate()
        process.join(30)
        assert process.exitcode == -signal.SIGTERM
    with pytest.raises(Stopped):  # this one is as before
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.usefixtures("_signals")
def test_in_a_worker_it_does_so_too_though_the_worker_only_notes_the_signal(monkeypatch):
    monkeypatch.setattr(ends, "_owns_forks", False)
    noted = []
    signal.signal(signal.SIGTERM, lambda number, frame: noted.append(number))
    own_forks()
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    process.start()
    process.terminate()
    process.join(30)
    assert process.exitcode == -signal.SIGTERM
    signal.raise_signal(signal.SIGTERM)
    assert noted == [signal.SIGTERM]


def _fork_and_wait():
    if os.fork() == 0:
        os._exit(0)
    time.sleep(30)


@pytest.mark.usefixtures("_signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
@pytest.mark.parametrize("moment", ["before", "during", "behind"])
def test_a_signal_that_comes_while_a_make_forks_is_heard_behind_the_fork(
    monkeypatch, number, moment
):
    # Given: a process that is asked to end before signals wait for the fork, while they do, or as
    # soon as they do not any more.
    stop_on_sigterm()
    signal.signal(signal.SIGUSR1, _exit)
    mark_signals()
    parent, mask = os.getpid(), signal.pthread_sigmask

    def interrupted(how, numbers):
        is_now = os.getpid() == parent and (how == signal.SIG_BLOCK) == (moment == "before")
        if is_now and moment != "behind":
            os.kill(parent, number)
        found = mask(how, numbers)
        if is_now and moment == "behind":
            os.kill(parent, number)
        return found

    monkeypatch.setattr(signal, "pthread_sigmask", interrupted)
    # When, then: it forks, and ends.
    with pytest.raises(Stopped):
        _fork_and_wait()
    assert os.wait()[1] == 0
    assert mask(signal.SIG_BLOCK, ()) == set()


@pytest.mark.usefixtures("_signals")
def test_what_else_a_handler_raises_stays_what_it_is():
    def alarm(number, frame):
        raise TimeoutError

    signal.signal(signal.SIGUSR1, alarm)
    mark_signals()
    with pytest.raises(TimeoutError):
        signal.raise_signal(signal.SIGUSR1)


def test_what_a_make_raises_is_no_end_of_a_child():
    assert not isinstance(SystemExit(3), CHILD.ends)

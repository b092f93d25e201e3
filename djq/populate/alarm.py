"""The soft time limit: an exception that is raised in a `make` which takes too long.

By a timer of the process and its signal, which only the main thread hears. A make that is in the
middle of a statement is not disturbed: its connection would be left between question and answer.
"""

from __future__ import annotations

import functools
import logging
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from djq.errors import TimeLimitError
from djq.populate.failures import is_of_users

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import FrameType

    from djq.populate.options import PopulateOptions

logger = logging.getLogger("djq.make")

#: A make in the middle of a statement is looked at again after so long [s].
AGAIN_S = 0.05
#: The least that a timer takes; 0 would stop it [s].
LEAST_S = 1e-6

_DATABASE = ("djq.sql.", "sqlalchemy.", "pymysql.", "MySQLdb.")


def is_possible() -> bool:
    """Tell whether this thread can be interrupted so."""
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and hasattr(signal, "setitimer")


def soft_limit_s(options: PopulateOptions, *, is_killable: bool) -> float | None:
    """Return after how long a make is interrupted.

    Where nobody kills a process that takes too long, its hard limit is a soft one.
    """
    if options.soft_time_limit_s is None and not is_killable:
        return options.time_limit_s
    return options.soft_time_limit_s


@functools.cache
def say_impossible(table: str) -> None:
    """Say, once, that the time limits of a table are not kept here."""
    logger.warning(
        "time_limit_not_kept: %s has a time limit, and makes its keys in a thread here, which "
        "cannot be interrupted: use the pool prefork, processes=2, or the main thread",
        table,
    )


@contextmanager
def until(deadline: float | None, explain: Callable[[], str]) -> Generator[None]:
    """Raise `TimeLimitError` in the block once `time.monotonic()` is past the deadline."""
    if deadline is None or not is_possible():
        yield
        return
    is_over = False

    def ring(number: int, frame: FrameType | None) -> None:
        del number
        if is_over or _is_in_statement(frame):
            return
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise TimeLimitError(explain())

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, max(LEAST_S, deadline - time.monotonic()), AGAIN_S)
        try:
            yield
        finally:
            is_over = True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _is_in_statement(frame: FrameType | None) -> bool:
    """Tell whether the user's code waits for a statement."""
    while frame is not None and not is_of_users(frame):
        if f"{frame.f_globals.get('__name__', '')}.".startswith(_DATABASE):
            return True
        frame = frame.f_back
    return False

"""What ends this process from outside: no error of the key that is in hand."""

from __future__ import annotations

import _thread
import functools
import os
import signal
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

Ends: TypeAlias = tuple[type[BaseException], ...]

#: A signal that came where nothing can be raised comes again after so long [s].
AGAIN_S = 0.001


class Stopped(SystemExit):
    """A signal asked this process to end; what make raises itself is another `SystemExit`."""


@dataclass(frozen=True, slots=True)
class Host:
    """What a make should know of the process that it runs in."""

    #: Whether another process kills this one when a key takes too long.
    is_killable: bool = False
    #: What ends it; all else that a make raises is an error of its key.
    ends: Ends = (KeyboardInterrupt, SystemExit)


#: Where a user called `populate`, and may end it.
USERS = Host()
#: What makes keys for another process, behind `mark_signals`.
CHILD = Host(is_killable=True, ends=(Stopped,))


def _stop(number: int, frame: FrameType | None) -> None:
    """End this process as `sys.exit` does, so that keys in hand go back."""
    del frame
    raise Stopped(128 + number)


@dataclass(frozen=True, slots=True)
class _Marked:
    """The handler of a signal, which may end this process."""

    handle: Callable[[int, FrameType | None], object]

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if _runs(_before_fork, frame):
            _missed.append(number)
            return
        if _runs(_after_fork, frame):
            _send_again(number)
            return
        try:
            self.handle(number, frame)
        except SystemExit as error:
            raise Stopped(error.code) from None
        except KeyboardInterrupt:
            raise Stopped(128 + number) from None


def stop_on_sigterm() -> None:
    """Let SIGTERM end this process as `sys.exit` does, so that keys in hand go back."""
    _mark(signal.SIGTERM, _stop)


def mark_signals() -> None:
    """Let every end that a signal asks this process for be known as such."""
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        if callable(handler) and not isinstance(handler, _Marked):
            _mark(number, handler)


def own_forks() -> None:
    """Let all processes that this one forks end on SIGTERM, whoever set the handler of it.

    For workers whose own process runs makes: their handler, of Celery, would only note SIGTERM.
    """
    global _owns_forks  # noqa: PLW0603 - of this process, like the handlers
    _owns_forks = True
    _let_go_of_forked()


def _mark(number: int, handle: Callable[[int, FrameType | None], object]) -> None:
    _let_go_of_forked()
    signal.signal(number, _Marked(handle))


@functools.cache
def _let_go_of_forked() -> None:
    """Let processes that a make forks end on SIGTERM, as those of any other program do.

    They have no keys to give back. Python loses a signal that it is to handle in a process that
    has just been forked: `multiprocessing.Process.terminate` would end nothing, and `join` wait.
    """
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child
    )


#: The signals that were blocked before a fork; None: no end is marked.
_waiting = threading.local()
#: What came before they were.
_missed: list[int] = []
#: Whether all that this process forks belongs to a make.
_owns_forks = False


def _before_fork() -> None:
    ends = [n for n in (signal.SIGINT, signal.SIGTERM) if _is_end(n)]
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    _waiting.blocked = blocked if ends else None


def _after_fork() -> None:
    if _waiting.blocked is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, _waiting.blocked)
    while _missed:
        _send_again(_missed.pop())


def _after_fork_in_child() -> None:
    _missed.clear()
    if _is_end(signal.SIGTERM):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if _waiting.blocked is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, _waiting.blocked)


def _is_end(number: int) -> bool:
    """Tell whether a signal asks this process, and none that it forks, to give its keys back."""
    handler = signal.getsignal(number)
    return isinstance(handler, _Marked) or (_owns_forks and callable(handler))


def _runs(function: Callable[[], None], frame: FrameType | None) -> bool:
    """Tell whether a signal came inside of a function: what is raised around a fork is dropped."""
    while frame is not None:
        if frame.f_code is function.__code__:
            return True
        frame = frame.f_back
    return False


def _send_again(number: int) -> None:
    """Send this process a signal once more, when the fork is over."""

    def send() -> None:
        time.sleep(AGAIN_S)
        signal.pthread_kill(threading.main_thread().ident or 0, number)

    # Not by `threading`, whose locks the code may hold that the signal interrupted.
    _thread.start_new_thread(send, ())

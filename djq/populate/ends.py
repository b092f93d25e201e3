"""What ends this process from outside: no error of the key that is in hand."""

from __future__ import annotations

import functools
import os
import signal
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

Ends: TypeAlias = tuple[type[BaseException], ...]


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


def _mark(number: int, handle: Callable[[int, FrameType | None], object]) -> None:
    _let_go_of_forked()
    signal.signal(number, _Marked(handle))


@functools.cache
def _let_go_of_forked() -> None:
    """Let processes that a make forks end on SIGTERM, as those of any other program do.

    They have no keys to give back. Python loses a signal that it is to handle in a process that
    has just been forked: `multiprocessing.Process.terminate` would end nothing, and `join` wait.
    """
    waiting = threading.local()

    def before() -> None:
        is_handled = isinstance(signal.getsignal(signal.SIGTERM), _Marked)
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM] if is_handled else [])
        waiting.blocked = blocked if is_handled else None

    def in_parent() -> None:
        if waiting.blocked is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, waiting.blocked)

    def in_child() -> None:
        if waiting.blocked is not None:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, waiting.blocked)

    os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)

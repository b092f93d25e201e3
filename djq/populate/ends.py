"""What ends this process from outside: no error of the key that is in hand."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
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
    #: What this process forks inherits the handler, but has no keys to give back.
    pid: int = field(default_factory=os.getpid)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.pid != os.getpid():
            self._handle_forked(number, frame)
            return
        try:
            self.handle(number, frame)
        except SystemExit as error:
            raise Stopped(error.code) from None
        except KeyboardInterrupt:
            raise Stopped(128 + number) from None

    def _handle_forked(self, number: int, frame: FrameType | None) -> None:
        """Do what it would do without djq; an exception may be lost while Python forks."""
        if number == signal.SIGTERM or self.handle is _stop:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        else:
            self.handle(number, frame)


def stop_on(*numbers: signal.Signals) -> None:
    """Let these signals end this process as `sys.exit` does, so that keys in hand go back."""
    for number in numbers:
        signal.signal(number, _Marked(_stop))


def mark_signals() -> None:
    """Let every end that a signal asks this process for be known as such."""
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        is_ours = isinstance(handler, _Marked) and handler.pid == os.getpid()
        if callable(handler) and not is_ours:
            handle = handler.handle if isinstance(handler, _Marked) else handler
            signal.signal(number, _Marked(handle))

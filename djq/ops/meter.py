"""One line on a terminal that says how far a verb is, and vanishes when it is done."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self, TextIO

#: What is done before needs no line [s].
FIRST_S = 1.0
#: It is written again at most this often [s].
EVERY_S = 0.2
#: Back to the beginning of the line, and clear it (ECMA-48: CR, EL).
_CLEAR: Final = "\r\x1b[K"


class Meter:
    """Shows the last state that it was told, on stderr, if that is a terminal.

    Parameters
    ----------
    is_wanted
        False: show nothing anyway.
    clock
        Seconds, from any moment on.
    """

    def __init__(
        self,
        *,
        is_wanted: bool = True,
        file: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file: TextIO = sys.stderr if file is None else file
        self._clock = clock
        self._is_shown = False
        self._due = clock() + FIRST_S
        #: What a verb calls with each state; None: nobody looks.
        self.tell: Callable[[object], None] | None = None
        if is_wanted and self._file.isatty():
            self.tell = self._tell

    def __enter__(self) -> Self:
        """Begin; nothing is shown yet."""
        return self

    def __exit__(self, *raised: object) -> None:
        """Remove the line."""
        self.clear()

    def _tell(self, state: object) -> None:
        now = self._clock()
        if now < self._due:
            return
        self._due = now + EVERY_S
        # A line that is wrapped could not be cleared.
        width = shutil.get_terminal_size().columns - 1
        self._file.write(_CLEAR + str(state)[:width])
        self._file.flush()
        self._is_shown = True

    def clear(self) -> None:
        """Remove the line, before something else is written; the next state shows it again."""
        if self._is_shown:
            self._file.write(_CLEAR)
            self._file.flush()
            self._is_shown = False

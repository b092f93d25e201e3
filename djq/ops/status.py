"""How a verb ends, for scripts and CI."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """Exit status of the `djq` command."""

    DONE = 0
    #: Error rows exist, or something does not work.
    ERRORS = 1
    #: The command or a setting is wrong; nothing was changed.
    USAGE = 2
    #: Nothing failed, but keys are still due.
    WORK_REMAINS = 3
    #: Ctrl-C, as shells count it.
    INTERRUPTED = 130

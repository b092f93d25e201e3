"""Run a command that cannot outlive the process that asked for it, even when that is killed.

Run as a script, by its path, so that it costs one bare interpreter start::

    python -S -E leash.py PARENT SIGNAL COMMAND [ARGUMENT...]

On Linux the kernel sends SIGNAL to the command when PARENT (strictly: its thread that started this
script) ends, and nothing of the script remains. Elsewhere the script stays, and looks for itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

#: `PR_SET_PDEATHSIG` in <linux/prctl.h>; it survives exec.
SET_PARENT_DEATH_SIGNAL = 1
#: How often the parent is looked for where the kernel does not tell [s].
LOOK_S = 0.5


def main() -> None:
    """Become the command, or watch over it."""
    parent, number = int(sys.argv[1]), signal.Signals(int(sys.argv[2]))
    argv = sys.argv[3:]
    if sys.platform != "linux":
        sys.exit(_watch(argv, parent, number))
    ctypes.CDLL(None, use_errno=True).prctl(SET_PARENT_DEATH_SIGNAL, int(number), 0, 0, 0)
    if os.getppid() != parent:
        # It died before the kernel was asked to tell.
        sys.exit(1)
    os.execvp(argv[0], argv)  # noqa: S606 - the command is our caller's


def _watch(argv: list[str], parent: int, number: signal.Signals) -> int:
    child = subprocess.Popen(argv)  # noqa: S603 - the command is our caller's

    def forward(received: int, _: FrameType | None) -> None:
        child.send_signal(received)

    for forwarded in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(forwarded, forward)
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.wait(LOOK_S)
        if os.getppid() != parent:
            child.send_signal(number)
            return child.wait()


if __name__ == "__main__":
    main()

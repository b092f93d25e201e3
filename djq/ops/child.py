"""One program and its process of the moment: started on a leash, started again when it ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from djq.errors import FleetError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LEASH = Path(__file__).with_name("leash.py")
#: A child that ended is started again after this long [s], doubled each time …
BACKOFF_S = 0.1
#: … up to this long [s].
MAX_BACKOFF_S = 30.0
#: A child that ran this long is well [s]: its next backoff is the shortest again.
WELL_S = 30.0
#: A child that was never well is given up after this many ends.
MAX_ENDS = 8
#: Exit status of a command that was called wrongly: starting it again would not help.
EXIT_USAGE = 2


@dataclass(frozen=True, slots=True)
class Program:
    """A command to keep running."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    #: It has this long to end after SIGTERM before its group is killed [s].
    grace_s: float = 10.0
    #: What it gets when this process is gone without having stopped it.
    on_orphan: signal.Signals = signal.SIGKILL
    #: Whether those that need the program can start; None: as soon as it runs.
    is_ready: Callable[[], bool] | None = None


@dataclass(frozen=True, slots=True)
class Restart:
    """A program ended and will be started again."""

    program: str
    status: int
    after_s: float
    log: Path

    def __str__(self) -> str:
        """Say what happened in one line."""
        how = f"signal {-self.status}" if self.status < 0 else f"status {self.status}"
        return (
            f"{self.program} ended ({how}), starts again in {self.after_s:.1f} s; log: {self.log}"
        )


class Child:
    """One program and its process of the moment.

    The process ends with the thread that called `start`, in whatever way that ends.
    """

    def __init__(self, program: Program, log: Path) -> None:
        self.program = program
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._due_at: float | None = None
        self._n_ends = 0
        self._was_well = False

    @property
    def pid(self) -> int | None:
        """The process id; None when no process runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Start the process; its output is appended to the log."""
        argv = [sys.executable, "-S", "-E", str(LEASH), str(os.getpid())]
        argv += [str(int(self.program.on_orphan)), *self.program.argv]
        with self.log.open("ab") as out:
            # A session of its own: Ctrl-C in the terminal reaches only the supervisor.
            self._process = subprocess.Popen(  # noqa: S603 - the programs are djq's own
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=dict(self.program.env),
                start_new_session=True,
            )
        self._started_at = time.monotonic()
        self._due_at = None

    def look(self) -> Restart | None:
        """Notice an end, or start again when that is due.

        Raises
        ------
        FleetError
            The program cannot run; the message has the end of its log.
        """
        now = time.monotonic()
        if self._due_at is not None:
            if now >= self._due_at:
                self.start()
            return None
        if self._process is None or (status := self._process.poll()) is None:
            return None
        self._kill_group()
        is_well = now - self._started_at >= WELL_S
        self._was_well |= is_well
        self._n_ends = 1 if is_well else self._n_ends + 1
        if not self._was_well and (status == EXIT_USAGE or self._n_ends >= MAX_ENDS):
            message = f"{self.program.name} cannot run (exit status {status}):\n{tail(self.log)}"
            raise FleetError(message)
        after_s = min(BACKOFF_S * 2 ** (self._n_ends - 1), MAX_BACKOFF_S)
        self._due_at = now + after_s
        return Restart(self.program.name, status, after_s, self.log)

    def begin_stop(self) -> None:
        """Ask the process to end."""
        self._due_at = None
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def end_stop(self) -> None:
        """Kill what is left of the process and its group."""
        if self._process is not None:
            self._kill_group()
            self._process.wait()
            self._process = None

    def _kill_group(self) -> None:
        # macOS answers EPERM for a group of zombies.
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)


def tail(log: Path, n_lines: int = 20) -> str:
    """Return the end of a log, indented."""
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join(f"    {line}" for line in lines[-n_lines:])

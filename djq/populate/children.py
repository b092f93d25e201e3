"""A child of `populate(processes=N)` as its parent sees it: started, told, heard and ended.

Children are forked, or started anew where `multiprocessing` starts processes so; not by it, since
it refuses to within its own daemonic children.
"""

from __future__ import annotations

import json
import multiprocessing
import multiprocessing.spawn
import os
import pickle
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from djq.errors import UsageError
from djq.populate import child, slots
from djq.populate.display import leave_display

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from djq.populate.here import Call
    from djq.populate.reservations import Settlement


class Child:
    """A child process and what it works on."""

    def __init__(self, call: Call, slot: str, owner: str, others: list[Child]) -> None:
        self.slot = slot
        self.owner = owner
        self.settlement: Settlement | None = None
        self.is_ready = False
        ours, theirs = os.pipe(), os.pipe()
        self.to_child, self.from_child = ours[1], theirs[0]
        self._rest = b""
        ends = (ours[0], theirs[1])
        try:
            if _forks():
                self._popen, self.pid = None, self._fork(call, ends, others)
            else:
                self._popen = _spawn(call, slot, owner, ends)
                self.pid = self._popen.pid
        except BaseException:
            self._close_pipes()
            raise
        finally:
            for end in ends:
                os.close(end)

    def _fork(self, call: Call, ends: tuple[int, int], others: list[Child]) -> int:
        sys.stdout.flush()
        sys.stderr.flush()
        with _unsignalled():
            pid = os.fork()
        if pid:
            return pid
        # What belongs to the parent stays open on its side only: an end of a pipe that a sibling
        # holds would hide that the parent, or the child, has ended.
        status = 1
        try:
            leave_display()
            for fd in (self.to_child, self.from_child, *(fd for o in others for fd in o.pipes)):
                os.close(fd)
            child.serve(call.table, call.make_kwargs, ends, slots.Slot(self.owner, self.slot))
            status = 0
        finally:
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            # Nothing of the parent's is to be finalized here.
            os._exit(status)

    @property
    def pipes(self) -> tuple[int, int]:
        """The parent's ends."""
        return (self.to_child, self.from_child)

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to make."""
        return self.settlement is None

    def send(self, message: Mapping[str, Any]) -> None:
        """Tell it something; one that died is found out by its own pipe."""
        with suppress(BrokenPipeError):
            child.tell(self.to_child, message)

    def read(self) -> list[dict[str, Any]] | None:
        """Return what it says; None if it ended."""
        found = os.read(self.from_child, 1 << 20)
        if not found:
            return None
        *lines, self._rest = (self._rest + found).split(b"\n")
        return [json.loads(line) for line in lines]

    def end(self) -> None:
        """Ask it to end: the key in hand is rolled back."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)

    def join(self, until: float) -> None:
        """Wait for its end, and kill it when that takes too long."""
        while not self._has_ended():
            if time.monotonic() > until:
                with suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGKILL)
                until = float("inf")
            time.sleep(0.005)
        self._close_pipes()
        slots.forget(self.owner, self.slot)

    def _has_ended(self) -> bool:
        if self._popen is not None:
            return self._popen.poll() is not None
        try:
            return os.waitpid(self.pid, os.WNOHANG)[0] != 0
        except ChildProcessError:  # somebody waits for all children of this process
            return True

    def _close_pipes(self) -> None:
        for fd in self.pipes:
            with suppress(OSError):
                os.close(fd)


def _forks() -> bool:
    """Tell whether processes are forked here, as `multiprocessing` was told or does by itself."""
    method = multiprocessing.get_start_method(allow_none=True)
    return (method or multiprocessing.get_all_start_methods()[0]) == "fork"


@contextmanager
def _unsignalled() -> Generator[None]:
    """Let signals wait: an exception is lost that one raises in a function around `os.fork`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _spawn(call: Call, slot: str, owner: str, ends: tuple[int, int]) -> subprocess.Popen[bytes]:
    """Start a new interpreter, and have it import what this one has imported as its main module."""
    if child.is_starting:
        message = (
            "populate(processes=…) was called while a child process imported the script: put it "
            'below  if __name__ == "__main__":'
        )
        raise UsageError(message)
    table = call.table
    try:
        _check_importable(table)
        told = pickle.dumps((table, dict(call.make_kwargs)))
    except Exception as error:
        message = (
            "populate(processes=…) starts new interpreters here, which cannot import "
            f"{table.__module__}.{table.__qualname__} or take make_kwargs: {error}. Define the "
            "table at the top of a module"
        )
        raise UsageError(message) from error
    prepared = multiprocessing.spawn.get_preparation_data("djq")
    prepared.pop("authkey", None)
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)])
    script = "from djq.populate.child import main; main()"
    started = subprocess.Popen(  # noqa: S603 - this interpreter
        [sys.executable, "-c", script, *map(str, ends), owner, slot],
        stdin=subprocess.PIPE,
        pass_fds=ends,
        env=os.environ | {"PYTHONPATH": path},
    )
    if started.stdin is not None:
        with started.stdin as pipe, suppress(BrokenPipeError):
            pipe.write(pickle.dumps(prepared) + told)
    return started


def _check_importable(table: type) -> None:
    if table.__module__ == "__main__" and not hasattr(sys.modules["__main__"], "__file__"):
        message = "it is defined in an interactive session"
        raise pickle.PicklingError(message)

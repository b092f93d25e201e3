"""A heartbeat from a process of its own, for processes whose main thread runs users' code.

A `make` may hold the GIL for hours: no thread beside it would beat. The helper process ends with
the one that it beats for, and gives back what that one had in hand; while that one is stopped
(SIGSTOP), it does not beat for it, so that the lease of a frozen process ends as it must.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from djq.errors import FleetError, RedisUnavailableError
from djq.orchestrator.holding import Main
from djq.orchestrator.namespace import namespace_of
from djq.orchestrator.reservations import Reservations
from djq.orchestrator.server import Server
from djq.populate import slots
from djq.populate.slots import MAIN_SLOT

if TYPE_CHECKING:
    from djq.settings import Settings

logger = logging.getLogger("djq.pulse")

#: A helper starts within this time, even on a busy machine [s].
START_S = 60.0
#: The end of the process is noticed at the latest after this time [s], usually at once.
LOOK_S = 1.0
#: What the process says of itself, and that it ends in good order.
STOPPING, BYE = b"stopping\n", b"bye\n"


class Heart:
    """The helper process, as seen by the one that it beats for.

    Parameters
    ----------
    main
        What is said of this process with each heartbeat.
    """

    def __init__(self, settings: Settings, server: Server, main: Main) -> None:
        told = {
            "url": server.url,
            "namespace": namespace_of(settings),
            "lease_s": settings.lease_s,
            "heartbeat_s": settings.heartbeat_s,
            "main": asdict(main),
        }
        package = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
        # -P: a file of the user that is called redis.py is none of the helper's business. In a
        # session of its own it does not get the terminal's Ctrl-C.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "djq.orchestrator.pulse"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": path},
            start_new_session=True,
        )
        self._is_ready = False
        self._tell(json.dumps(told).encode() + b"\n")

    def wait_until_ready(self) -> None:
        """Wait until the helper beats: before that, this process must run no users' code.

        Raises
        ------
        FleetError
            It did not start.
        """
        if self._is_ready:
            return
        answers = self._process.stdout
        with selectors.DefaultSelector() as selector:
            if answers is not None:
                selector.register(answers, selectors.EVENT_READ)
            is_there = bool(selector.select(START_S))
        if answers is None or not is_there or not answers.readline():
            self.stop()
            message = (
                f"the helper process that renews reservations ({sys.executable} -m "
                f"{__name__}) did not start; its messages are on standard error. "
                "Without it a long make would lose its reservations"
            )
            raise FleetError(message)
        self._is_ready = True

    @property
    def is_running(self) -> bool:
        """Whether the helper has not ended."""
        return self._process.poll() is None

    def say_stopping(self) -> None:
        """Let other processes know that keys not begun shall go back."""
        self._tell(STOPPING)

    def stop(self) -> None:
        """End the helper in good order: it gives nothing back."""
        self._tell(BYE)
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        try:
            self._process.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _tell(self, line: bytes) -> None:
        pipe = self._process.stdin
        # A helper that was killed is found out by whoever waits for it.
        with suppress(OSError, ValueError):
            if pipe is not None:
                pipe.write(line)
                pipe.flush()


class Beating:
    """The helper's side."""

    def __init__(self, told: dict[str, Any], reservations: Reservations, parent: int) -> None:
        info = told["main"]
        self._main = Main(**info | {"tables": tuple(info["tables"])})
        self._reservations = reservations
        self._parent = parent
        self._heartbeat_s = float(told["heartbeat_s"])
        self._reap_s = float(told["lease_s"])

    def run(self, pipe: int) -> None:
        """Beat until the process at the other end of the pipe ends."""
        self._beat()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        next_beat, next_reap = time.monotonic() + self._heartbeat_s, 0.0
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while True:
                now = time.monotonic()
                if now >= next_beat:
                    self._beat()
                    next_beat = now + self._heartbeat_s
                if now >= next_reap:
                    self._reap()
                    next_reap = now + self._reap_s
                wait_s = max(0.0, min(next_beat - time.monotonic(), LOOK_S))
                if selector.select(wait_s) and self._hear(os.read(pipe, 65536)):
                    return
                # A child of the process may hold the pipe open beyond its end.
                if os.getppid() != self._parent:
                    self._give_back()
                    return

    def _hear(self, text: bytes) -> bool:
        """Do what is told; return whether that was all."""
        if not text:
            self._give_back()
            return True
        if STOPPING in text:
            self._main = replace(self._main, is_stopping=True)
            self._beat()
        return BYE in text

    def _beat(self) -> None:
        if is_stopped(self._parent):
            return
        try:
            self._reservations.holders.beat(self._main)
        except RedisUnavailableError as error:
            logger.warning("heartbeat_failed: %s", error)

    def _reap(self) -> None:
        # Without a scheduler nobody else does it.
        with suppress(RedisUnavailableError):
            self._reservations.holders.reap()

    def _give_back(self) -> None:
        """Free what a dead process had, at once, and count what it had in hand."""
        found = slots.in_hand(self._main.id, MAIN_SLOT)
        hand = {} if found is None else {MAIN_SLOT: found.key}
        slots.forget(self._main.id, MAIN_SLOT)
        try:
            self._reservations.holders.prune(self._main.id, [], is_lost=True, in_hand=hand)
            self._reservations.holders.leave(self._main.id)
        except RedisUnavailableError as error:
            logger.warning("prune_failed: %s", error)


def is_stopped(pid: int) -> bool:
    """Tell whether a process stands still by a signal or a debugger."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        if Path("/proc/self").exists():
            return False
        shown = subprocess.run(  # noqa: S603 - a number; macOS
            ["/bin/ps", "-o", "state=", "-p", str(pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        return shown.stdout.strip().startswith("T")
    # The name may hold spaces and parentheses.
    return text.rpartition(")")[2].split()[0] in {"T", "t"}


def main() -> None:
    """Beat for the parent process; what to say comes by standard input."""
    told: dict[str, Any] = json.loads(_read_line(0))
    parent = os.getppid()
    if parent != told["main"]["pid"]:
        return
    server = Server(told["url"], told["namespace"])
    Beating(told, Reservations(server, float(told["lease_s"])), parent).run(0)


def _read_line(pipe: int) -> bytes:
    """Read one line and not a byte more: the rest is waited for with a bound."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = os.read(pipe, 1)
        if not byte:
            raise SystemExit(0)
        line += byte
    return bytes(line)


if __name__ == "__main__":
    main()

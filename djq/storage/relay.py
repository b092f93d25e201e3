"""The relay of a process: another one, which asks buckets for it (`relaying.py`).

It is started when it is first needed, talks over sockets that have no address, and ends with the
process that it works for, however that ends.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from djq.storage.channels import Channel

#: Where the package lies, for the relay to import it.
_ROOT: Final = Path(__file__).parents[2]


class Relay:
    """The relay of this process, started when it is first needed."""

    #: Held while anything is opened, so that no fork comes between that and its note.
    lock: Final = threading.Lock()
    current: Relay | None = None

    def __init__(self) -> None:
        #: All connections, and those that nobody uses.
        self._open: set[Channel] = set()
        self._idle: list[Channel] = []
        path = os.pathsep.join([*filter(None, sys.path), str(_ROOT)])
        self._control, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", "from djq.storage.relaying import main; main()"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": path},
                # Ctrl-C is for those that it works for, which may yet have something to say.
                start_new_session=True,
            )
        except BaseException:
            self._control.close()
            raise
        finally:
            theirs.close()

    @classmethod
    def of_this_process(cls) -> Relay:
        """Return it; start it, if there is none."""
        with cls.lock:
            if cls.current is None:
                cls.current = cls()
            return cls.current

    def take(self) -> Channel:
        """Return a connection for one thread."""
        with suppress(IndexError):
            return self._idle.pop()
        with self.lock:
            ours, theirs = socket.socketpair()
            channel = Channel(ours)
            self._open.add(channel)
            try:
                socket.send_fds(self._control, [b"+"], [theirs.fileno()])
            except BaseException:
                self.drop(channel)
                raise
            finally:
                theirs.close()
        return channel

    def keep(self, channel: Channel) -> None:
        """Have the next request take this connection."""
        if self is Relay.current:
            self._idle.append(channel)
        else:
            self.drop(channel)

    def drop(self, channel: Channel) -> None:
        """End a connection, with whatever is under way in it."""
        channel.close()
        self._open.discard(channel)

    def retire(self) -> None:
        """End the process; the next request starts another one."""
        with self.lock:
            if Relay.current is self:
                Relay.current = None
            self._control.close()
            self._process.kill()
            self._process.wait()
            # Others may be in the hands of threads, which hear of it themselves.
            while self._idle:
                self.drop(self._idle.pop())

    def leave(self) -> None:
        """Let go of what belongs to the process that this one was forked from.

        As long as an end is open here, the relay would not hear that the other process ended.
        """
        self._control.close()
        for channel in self._open:
            channel.close()
        # It is no child of this process, which cannot wait for it.
        self._process.returncode = 0


def _hold() -> None:
    Relay.lock.acquire()


def _let_go() -> None:
    Relay.lock.release()


def _leave() -> None:
    if Relay.current is not None:
        Relay.current.leave()
        Relay.current = None
    Relay.lock.release()


def end() -> None:
    """End the relay of this process, if there is one; the next request starts another."""
    if Relay.current is not None:
        Relay.current.retire()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_leave)
atexit.register(end)

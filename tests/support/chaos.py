"""What is done to a running fleet: COMMITs held, processes frozen, connections killed."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import psutil
from pydantic import SecretStr

from tests.support.proxy import Proxy
from tests.support.servers import connect
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from djq.settings import Settings
    from tests.support.processes import Process
    from tests.support.proxy import Place, Trap

#: A worker has started and made its first key by then [s].
CAUGHT_S = 90.0


class CommitTrap(Protocol):
    """Holds the first COMMIT of a square, somewhere in a fleet of the pipeline of sums."""

    #: The module that workers load.
    module: str

    def set(self, place: Place) -> dict[str, object]:
        """Hold it there; return variables for the workers that start after this."""
        ...

    def caught(self, worker: Process) -> int:
        """Wait until it is held; return the pool process's id."""
        ...

    def let_go(self) -> None:
        """Let it go on."""
        ...

    def cut(self) -> None:
        """End its connection, if there is one."""
        ...


class ProxyTrap:
    """Holds a COMMIT on its way to a server, or the answer on its way back."""

    module = "tests.integration.pipelines.sums"

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._trap: Trap | None = None

    def set(self, place: Place) -> dict[str, object]:
        """Hold it there."""
        self._trap = self._proxy.trap("square", place)
        return {}

    def caught(self, worker: Process) -> int:
        """Wait until it is held; return the process at the other end."""
        trap = self._set()
        port = wait_until(lambda: trap.client_port, what="a COMMIT in the trap", timeout_s=CAUGHT_S)
        return next(child.pid for child in worker.children() if port in ports_of(child.pid))

    def let_go(self) -> None:
        """Pass on what is held."""
        self._set().let_go()

    def cut(self) -> None:
        """End both connections; what is held is swallowed."""
        self._set().cut()

    def _set(self) -> Trap:
        assert self._trap is not None
        return self._trap


class FileTrap:
    """Holds the process itself, where the database is a file: see pipelines/trapped.py."""

    module = "tests.integration.pipelines.trapped"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def set(self, place: Place) -> dict[str, object]:
        """Hold it there."""
        return {"TEST_TRAP": self._folder, "TEST_PLACE": place}

    def caught(self, worker: Process) -> int:
        """Wait until it is held."""
        caught = self._folder / "caught"
        worker.wait_until(caught.exists, what="a COMMIT in the trap", timeout_s=CAUGHT_S)
        return int(caught.read_text())

    def let_go(self) -> None:
        """Let the process go on."""
        (self._folder / "go").touch()

    def cut(self) -> None:
        """Do nothing: a file has no connection."""


@contextlib.contextmanager
def behind_proxy(settings: Settings) -> Iterator[tuple[Proxy, Settings]]:
    """Return a proxy in front of the database, and settings that go through it."""
    with Proxy(settings.resolved_database_url) as proxy:
        # In plain: what is encrypted cannot be read on its way.
        changes = {"database_url": SecretStr(proxy.url), "database_tls": False}
        yield proxy, settings.model_copy(update=changes)


@contextlib.contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Let processes stand still during the block."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def family(worker: Process) -> list[int]:
    """Return the ids of a worker and its pool."""
    return [worker.pid, *(child.pid for child in worker.children())]


def ports_of(pid: int) -> set[int]:
    """Return the local ports of a process's TCP connections; none if it is gone."""
    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return {c.laddr.port for c in psutil.Process(pid).net_connections("tcp") if c.raddr}
    return set()


def kill_connections(url: str, pids: Iterable[int]) -> int:
    """Have the server end all connections of some processes, as an operator; return how many."""
    ports = {port for pid in pids for port in ports_of(pid)}
    n_killed = 0
    with contextlib.closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW PROCESSLIST")
        for row in cursor.fetchall():
            if urlsplit(f"//{row[2]}").port in ports:
                with contextlib.suppress(Exception):  # it ended by itself meanwhile
                    cursor.execute(f"KILL {int(row[0])}")
                    n_killed += 1
    return n_killed

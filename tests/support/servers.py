"""Private database and Redis servers on free ports of 127.0.0.1, thrown away after the session."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pymysql
import redis

from tests.support.processes import Process, environment, session, tail
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOST = "127.0.0.1"
#: Servers live here too, outside the PATH of ordinary users.
SERVER_PATH = os.pathsep.join(
    ["/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/libexec", "/usr/local/libexec"]
)
REDIS_COMMANDS = ("redis-server", "valkey-server")
MARIADB_COMMANDS = ("mariadbd", "mysqld")
MARIADB_INSTALL_COMMANDS = ("mariadb-install-db", "mysql_install_db")
#: A server that has not answered by then never will [s].
START_S = 60.0


class MissingServerError(Exception):
    """A server is not installed on this machine."""


def find(commands: tuple[str, ...]) -> str:
    """Return the path of the first of `commands` that is installed.

    Raises
    ------
    MissingServerError
        None is.
    """
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), SERVER_PATH])
    for command in commands:
        if found := shutil.which(command, path=path):
            return found
    message = f"{commands[0]} is not installed; `make test` installs it from the system's packages"
    raise MissingServerError(message)


def free_port() -> int:
    """Return a port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class RedisServer:
    """A Redis (or Valkey) server.

    Parameters
    ----------
    folder
        An existing folder for its log and files.
    persistent
        Whether it keeps its data over a restart (append-only file, written through).
    """

    def __init__(self, folder: Path, *, persistent: bool = False) -> None:
        self.port = free_port()
        self._command = find(REDIS_COMMANDS)
        self._folder = folder
        self._persistence = (
            ["--appendonly", "yes", "--appendfsync", "always"]
            if persistent
            else ["--appendonly", "no"]
        )
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """The URL of its database 0."""
        return f"redis://{HOST}:{self.port}/0"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        return self._running().pid

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.is_running

    def start(self) -> None:
        """Start it, unless it runs, and wait until it answers."""
        if self.is_running:
            return
        log = self._folder / f"redis-{self.port}.log"
        self._process = process = Process(
            [
                self._command,
                *(
                    "--bind",
                    HOST,
                    "--port",
                    str(self.port),
                    "--dir",
                    self._folder,
                    "--daemonize",
                    "no",
                ),
                *("--save", "", *self._persistence, "--maxmemory-policy", "noeviction"),
            ],
            log=log,
            env=environment(),
            shared=True,
        )
        wait_until(
            lambda: _answers_redis(process, self.port),
            what=f"Redis on port {self.port}",
            timeout_s=START_S,
        )

    def stop(self) -> None:
        """Shut it down in good order."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._running().kill()

    def restart(self) -> None:
        """Stop and start it on the same port; what it held is gone, unless it is persistent."""
        self.stop()
        self.start()

    def flush(self) -> None:
        """Forget everything, as an operator's FLUSHALL does."""
        with redis.Redis(host=HOST, port=self.port) as client:
            client.flushall()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Hold the server still: connections stay open, nothing is answered."""
        process = self._running()
        process.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.signal(signal.SIGCONT)

    def _running(self) -> Process:
        if self._process is None:
            message = "the server was not started"
            raise RuntimeError(message)
        return self._process


def _answers_redis(process: Process, port: int) -> bool:
    _require_running(process)
    with contextlib.suppress(redis.ConnectionError), redis.Redis(host=HOST, port=port) as client:
        return bool(client.ping())
    return False


class MariaDBServer:
    """A MariaDB server with an empty data directory: user root, no password.

    A killed process loses no commit (the log is written at each one); nothing is synced, so a crash
    of the machine would.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._command = find(MARIADB_COMMANDS)
        self._install = find(MARIADB_INSTALL_COMMANDS)
        self._folder = folder
        self._data = folder / "mariadb"
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """The URL of the server, in the spelling of `DJQ_DATABASE_URL`."""
        return f"mysql://root@{HOST}:{self.port}/"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        return self._running().pid

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.is_running

    def start(self) -> None:
        """Start it, unless it runs, and wait until it answers."""
        if self.is_running:
            return
        if not self._data.exists():
            self._initialise()
        self._process = process = Process(
            [
                *(
                    self._command,
                    "--no-defaults",
                    f"--user={getpass.getuser()}",
                    f"--datadir={self._data}",
                ),
                *(
                    f"--bind-address={HOST}",
                    f"--port={self.port}",
                    f"--socket={self._folder / 'mariadb.sock'}",
                ),
                *(
                    f"--pid-file={self._folder / 'mariadb.pid'}",
                    "--skip-log-bin",
                    "--skip-name-resolve",
                ),
                *(
                    "--innodb-buffer-pool-size=64M",
                    "--innodb-log-file-size=32M",
                    "--max-connections=300",
                ),
                *("--innodb-flush-log-at-trx-commit=2", "--innodb-doublewrite=0"),
            ],
            log=self._folder / "mariadb.log",
            env=environment(),
            shared=True,
        )
        wait_until(
            lambda: self._answers(process), what=f"MariaDB on port {self.port}", timeout_s=START_S
        )

    def stop(self) -> None:
        """Shut it down in good order."""
        if self._process is not None:
            self._process.stop(timeout_s=START_S)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._running().kill()

    def restart(self) -> None:
        """Stop and start it on the same port and the same data."""
        self.stop()
        self.start()

    def _initialise(self) -> None:
        log = self._folder / "mariadb-install.log"
        with log.open("wb") as out:
            done = subprocess.run(
                [
                    *(
                        self._install,
                        "--no-defaults",
                        f"--user={getpass.getuser()}",
                        f"--datadir={self._data}",
                    ),
                    *("--auth-root-authentication-method=normal", "--skip-test-db"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=environment(),
                check=False,
            )
        if done.returncode:
            message = f"{self._install} failed ({done.returncode}):\n{tail(log)}"
            raise RuntimeError(message)

    def _answers(self, process: Process) -> bool:
        _require_running(process)
        with (
            contextlib.suppress(pymysql.err.OperationalError),
            contextlib.closing(connect(self.url)),
        ):
            return True
        return False

    def _running(self) -> Process:
        if self._process is None:
            message = "the server was not started"
            raise RuntimeError(message)
        return self._process


def _require_running(process: Process) -> None:
    if not process.is_running:
        message = f"{process!r} ended while it started:\n{tail(process.log)}"
        raise RuntimeError(message)


def connect(url: str) -> pymysql.connections.Connection[pymysql.cursors.Cursor]:
    """Open a plain driver connection to the server at a `mysql://` (or `mysql+pymysql://`) URL."""
    parts = urlsplit(url)
    return pymysql.connect(
        host=parts.hostname or HOST,
        port=parts.port or 3306,
        user=unquote(parts.username or "root"),
        password=unquote(parts.password or ""),
        autocommit=True,
        connect_timeout=5,
    )


def drop_databases(url: str, prefix: str) -> None:
    """Drop every database of the server whose name begins with `prefix`.

    A transaction left open on one of their tables is an error after a few seconds.
    """
    pattern = prefix.replace("_", r"\_") + "%"
    with contextlib.closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION lock_wait_timeout = 5")
        cursor.execute(
            "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE %s",
            (pattern,),
        )
        for (name,) in cursor.fetchall():
            cursor.execute(f"DROP DATABASE `{name}`")


def redis_server() -> RedisServer:
    """Start a Redis server in the session's folder."""
    server = RedisServer(session().folder)
    server.start()
    return server


def mariadb_server() -> MariaDBServer:
    """Start a MariaDB server in the session's folder."""
    server = MariaDBServer(session().folder)
    server.start()
    return server

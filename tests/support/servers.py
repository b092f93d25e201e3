"""Private database and Redis servers on free ports of 127.0.0.1, thrown away after the session."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import kombu
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
RABBIT_COMMANDS = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server")
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


class Server:
    """A server of the suite's own on a fixed port; a kind says how it is started and asked.

    Parameters
    ----------
    folder
        An existing folder for its own, with a short path, since there may be a socket in it.
    """

    #: Its name in messages and files.
    name: str

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder / f"{self.name}-{self.port}"
        self._folder.mkdir()
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        """The process id of the server that was started last."""
        return self._started().pid

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.is_running

    def start(self) -> None:
        """Start it, unless it runs, and wait until it answers."""
        if self.is_running:
            return
        log = self._folder / "log"
        self._process = process = Process(self._argv(), log=log, env=environment(), shared=True)

        def answers() -> bool:
            if not process.is_running:
                message = f"{process!r} ended while it started:\n{tail(log)}"
                raise RuntimeError(message)
            return self._answers()

        wait_until(answers, what=f"{self.name} on port {self.port}", timeout_s=START_S)

    def stop(self) -> None:
        """Shut it down in good order."""
        if self._process is not None:
            self._process.stop(timeout_s=START_S)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._started().kill()

    def restart(self) -> None:
        """Stop and start it on the same port."""
        self.stop()
        self.start()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Hold the server still: connections stay open, nothing is answered."""
        process = self._started()
        process.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.signal(signal.SIGCONT)

    def _argv(self) -> list[str]:
        """The command that starts it."""
        raise NotImplementedError

    def _answers(self) -> bool:
        """Whether it can be used."""
        raise NotImplementedError

    def _started(self) -> Process:
        if self._process is None:
            message = f"{self.name} was not started"
            raise RuntimeError(message)
        return self._process


class RedisServer(Server):
    """A Redis (or Valkey) server.

    Parameters
    ----------
    folder
        An existing folder for its own.
    persistent
        Whether it keeps its data when it ends (append-only file, written through).
    """

    name = "redis"

    def __init__(self, folder: Path, *, persistent: bool = False) -> None:
        super().__init__(folder)
        self._command = find(REDIS_COMMANDS)
        self._appendonly = "yes" if persistent else "no"

    @property
    def url(self) -> str:
        """The URL of its database 0."""
        return f"redis://{HOST}:{self.port}/0"

    def flush(self) -> None:
        """Forget everything, as an operator's FLUSHALL does."""
        with redis.Redis(host=HOST, port=self.port) as client:
            client.flushall()

    def _argv(self) -> list[str]:
        options = {
            "bind": HOST,
            "port": str(self.port),
            "dir": str(self._folder),
            "appendonly": self._appendonly,
            "appendfsync": "always",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        return [
            self._command,
            *(part for name, its in options.items() for part in (f"--{name}", its)),
        ]

    def _answers(self) -> bool:
        # Busy: it reads its file.
        errors = (redis.ConnectionError, redis.BusyLoadingError)
        with contextlib.suppress(*errors), redis.Redis(host=HOST, port=self.port) as client:
            return bool(client.ping())
        return False


class MariaDBServer(Server):
    """A MariaDB server with an empty data directory: user root, no password.

    A killed process loses no commit (the log is written at each one); nothing is synced, so a crash
    of the machine would.

    Parameters
    ----------
    folder
        An existing folder for its own.
    options
        Further options of the server, such as those of `tls_options`.
    """

    name = "mariadb"

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder)
        self._options = options
        self._command = find(MARIADB_COMMANDS)
        self._install = find(MARIADB_INSTALL_COMMANDS)
        self._data = self._folder / "data"

    @property
    def url(self) -> str:
        """The URL of the server, in the spelling of `DJQ_DATABASE_URL`."""
        return f"mysql://root@{HOST}:{self.port}/"

    def start(self) -> None:
        """Start it, unless it runs, and wait until it answers; the first time makes its data."""
        if not self._data.exists():
            self._initialise()
        super().start()

    def _argv(self) -> list[str]:
        return [
            *self._common(self._command),
            f"--bind-address={HOST}",
            f"--port={self.port}",
            f"--socket={self._folder / 'sock'}",
            f"--pid-file={self._folder / 'pid'}",
            "--skip-log-bin",
            "--skip-name-resolve",
            "--max-connections=300",
            "--innodb-buffer-pool-size=64M",
            "--innodb-log-file-size=32M",
            "--innodb-flush-log-at-trx-commit=2",
            "--innodb-doublewrite=0",
            "--debug-no-sync",
            *self._options,
        ]

    def _common(self, command: str) -> list[str]:
        # MariaDB refuses to run as root unless it is told to.
        user = ["--user=root"] if os.geteuid() == 0 else []
        # A server that starts removes the temporary tables that it finds, of others, too.
        own = [f"--datadir={self._data}", f"--tmpdir={self._folder}"]
        return [command, "--no-defaults", *user, *own]

    def _initialise(self) -> None:
        argv = [
            *self._common(self._install),
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]
        process = Process(argv, log=self._folder / "install.log", env=environment())
        if status := process.wait(START_S):
            message = f"{self._install} failed ({status}):\n{process.text()}"
            raise RuntimeError(message)
        process.stop()

    def _answers(self) -> bool:
        with (
            contextlib.suppress(pymysql.err.OperationalError),
            contextlib.closing(connect(self.url)),
        ):
            return True
        return False


class RabbitServer(Server):
    """A RabbitMQ server with an empty data directory: user guest, on this machine only.

    Parameters
    ----------
    folder
        An existing folder for its own.
    """

    name = "rabbit"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        # Not Debian's script on the PATH, which becomes another user and writes to the system.
        self._command = find(RABBIT_COMMANDS)
        self._epmd_command = find(("epmd",))
        self._epmd_port, self._dist_port = free_port(), free_port()
        self._epmd: Process | None = None

    @property
    def url(self) -> str:
        """The URL of its default virtual host."""
        return f"amqp://guest:guest@{HOST}:{self.port}//"

    def start(self) -> None:
        """Start it, unless it runs; Erlang's registry of names first, or it would stay for ever."""
        if self._epmd is None or not self._epmd.is_running:
            self._epmd = Process(
                [self._epmd_command, "-address", HOST, "-port", str(self._epmd_port)],
                log=self._folder / "epmd.log",
                env=environment(),
                shared=True,
            )
        super().start()

    def stop(self) -> None:
        """Shut both down."""
        super().stop()
        if self._epmd is not None:
            self._epmd.stop(timeout_s=START_S)

    def _argv(self) -> list[str]:
        (self._folder / "plugins").write_text("[].")
        settings = {
            "HOME": self._folder,
            "ERL_EPMD_ADDRESS": HOST,
            "ERL_EPMD_PORT": self._epmd_port,
            "RABBITMQ_NODENAME": f"djq{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": HOST,
            "RABBITMQ_NODE_PORT": self.port,
            "RABBITMQ_DIST_PORT": self._dist_port,
            "RABBITMQ_MNESIA_BASE": self._folder / "data",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_LOG_BASE": self._folder,
            "RABBITMQ_ENABLED_PLUGINS_FILE": self._folder / "plugins",
            "RABBITMQ_CONF_ENV_FILE": self._folder / "none.conf",
            "RABBITMQ_CONFIG_FILE": self._folder / "none",
            "RABBITMQ_PID_FILE": self._folder / "pid",
        }
        return ["env", *(f"{name}={value}" for name, value in settings.items()), self._command]

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), kombu.Connection(self.url, connect_timeout=2) as client:
            client.connect()
            return True
        return False


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
        # Schemas that refer to each other go in any order.
        cursor.execute("SET SESSION lock_wait_timeout = 5, foreign_key_checks = 0")
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


def rabbit_server() -> RabbitServer:
    """Start a RabbitMQ server in the session's folder."""
    server = RabbitServer(session().folder)
    server.start()
    return server


def mariadb_server() -> MariaDBServer:
    """Start a MariaDB server in the session's folder."""
    server = MariaDBServer(session().folder)
    server.start()
    return server


def mariadb_server_with(*options: str) -> MariaDBServer:
    """Start a MariaDB server with further options in the session's folder."""
    server = MariaDBServer(session().folder, *options)
    server.start()
    return server


def make_certificates(folder: Path) -> dict[str, Path]:
    """Make an authority, a server's certificate for 127.0.0.1 and another authority with openssl.

    Returns
    -------
    `ca`, `cert`, `key`, and `other_ca`, which signed nothing.
    """
    openssl = find(("openssl",))

    def run(*arguments: str | Path) -> None:
        subprocess.run([openssl, *arguments], check=True, capture_output=True, timeout=START_S)

    new = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30")
    paths = {name: folder / f"{name}.pem" for name in ("ca", "cert", "key", "other_ca")}
    for name in ("ca", "other_ca"):
        subject = f"/CN=djq tests {name}"
        run(*new, "-keyout", folder / f"{name}.key", "-out", paths[name], "-subj", subject)
    request, extension = folder / "request.pem", folder / "names.cnf"
    extension.write_text(f"subjectAltName=IP:{HOST}\n")
    run(
        *("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=server"),
        *("-keyout", paths["key"], "-out", request),
    )
    run(
        *("x509", "-req", "-in", request, "-days", "30", "-extfile", extension),
        *("-CA", paths["ca"], "-CAkey", folder / "ca.key", "-CAcreateserial"),
        *("-out", paths["cert"]),
    )
    return paths

"""One connection of the driver: open it, notice that it ended, close it."""

from __future__ import annotations

import ssl
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from djq.errors import AccessError, DatabaseError, UnreachableError
from djq.sql import tls
from djq.sql.errors import translated

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator


#: Strict about values, and portable: double quotes are text, as MySQL reads them. Aggregation is
#: checked by djq, which knows which attributes a key determines; servers differ in what they see.
#: A 0 is a 0, also where the server counts.
SQL_MODE = (
    "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_AUTO_VALUE_ON_ZERO"
)

#: A connection that was silent this long may have been ended by the server or a firewall [s].
IDLE_S = 30.0


@dataclass
class Session:
    """One connection of the driver, and what has it checked out."""

    raw: Any
    owner: Any
    used: float = field(default_factory=time.monotonic)

    def close(self) -> None:
        """Close it; what it had not committed is rolled back by the server."""
        with suppress(Exception):
            self.owner.detach()
        with suppress(Exception):
            self.raw.close()

    def is_alive(self) -> bool:
        """Tell whether the server still answers; only asked after some silence."""
        now = time.monotonic()
        if now - self.used > IDLE_S and not self.answers():
            return False
        self.used = now
        return True

    def answers(self) -> bool:
        """Ask the server whether the connection works."""
        try:
            if hasattr(self.raw, "ping"):
                self.raw.ping(reconnect=False)
        except Exception:  # noqa: BLE001 - whatever it is, another connection is needed
            return False
        return True


def create_engine(url: sa.URL, timeout_s: float, use_tls: bool | None) -> sa.Engine:
    """Return what opens connections to a database."""
    if is_sqlite(url):
        options = {"isolation_level": None, "timeout": timeout_s, "check_same_thread": False}
        return sa.create_engine(url, poolclass=NullPool, connect_args=options)
    url, trust = tls.split(url)
    driver = url.drivername
    url = url.set(drivername=driver if "+" in driver else "mysql+pymysql")
    seconds = max(int(timeout_s), 1)
    settings = (
        f"SET sql_mode='{SQL_MODE}', time_zone='+00:00', group_concat_max_len=1048576, "
        f"innodb_lock_wait_timeout={seconds}, lock_wait_timeout={seconds}"
    )
    engine = sa.create_engine(
        url.update_query_dict({"charset": "utf8mb4"}),
        poolclass=NullPool,
        paramstyle="format",
        connect_args={"connect_timeout": seconds, "init_command": settings},
    )
    tls.encrypt(engine, trust, wanted=use_tls)
    return engine


def shown(url: sa.URL) -> str:
    """Return an address as people write it: without password and the driver's options."""
    driver = url.set(drivername=url.get_backend_name())
    plain = driver.difference_update_query(["charset", *tls.OPTIONS])
    return plain.render_as_string(hide_password=True)


def is_sqlite(url: sa.URL) -> bool:
    """Tell whether a URL names an embedded database."""
    return url.get_backend_name() == "sqlite"


def open_session(engine: sa.Engine, *, commits: bool) -> Session:
    """Open a connection that commits each statement by itself, or none."""
    address = shown(engine.url)
    try:
        if is_sqlite(engine.url) and engine.url.database:
            Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
        with translated("cannot connect"):
            owner = engine.raw_connection()
            raw: Any = owner.driver_connection
            if is_sqlite(engine.url):
                _prepare_sqlite(raw)
            else:
                raw.autocommit(commits)
    except (DatabaseError, OSError, RuntimeError) as error:
        raise _unopened(address, error, is_file=is_sqlite(engine.url)) from error
    return Session(raw, owner)


def _unopened(address: str, error: Exception, *, is_file: bool) -> DatabaseError:
    """Return what to say where no connection could be opened."""
    if is_file:
        message = (
            f"cannot open the database at {address}: {error}. "
            "Check that DJQ_DATABASE_URL names a file that you may write"
        )
        return UnreachableError(message)
    if isinstance(error, RuntimeError):  # PyMySQL lacks what it would need to hide the password
        message = (
            f"the database at {address} takes a password only over an encrypted connection, which "
            "it does not offer or DJQ_DATABASE_TLS forbids. Let the server offer TLS, or "
            "pip install cryptography"
        )
        return AccessError(message)
    if isinstance(error, AccessError):
        message = (
            f"the database at {address} refused the login: {error}. "
            "Check the user and password in DJQ_DATABASE_URL"
        )
        return AccessError(message)
    if any(isinstance(cause, ssl.SSLError) for cause in _causes(error)):
        message = (
            f"the database at {address} could not be trusted: {error}. Check that ssl_ca in "
            "DJQ_DATABASE_URL is the authority of the server's certificate, and its host name"
        )
        return UnreachableError(message)
    message = (
        f"cannot reach the database at {address}: {error}. "
        "Check that the server runs and that DJQ_DATABASE_URL is right"
    )
    return UnreachableError(message)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        original: BaseException | None = getattr(error, "original_exception", None)
        error = original or error.__cause__ or error.__context__


def _prepare_sqlite(raw: Any) -> None:  # noqa: ANN401 - the driver's connection
    for pragma in (
        "foreign_keys=ON",
        "journal_mode=WAL",
        "synchronous=FULL",
        "case_sensitive_like=ON",
    ):
        raw.execute(f"PRAGMA {pragma}")


@contextmanager
def whole(cursor: Any) -> Generator[None]:  # noqa: ANN401 - the driver's cursor
    """Undo all statements of the block if one fails, and leave the transaction open."""
    cursor.execute("SAVEPOINT djq")
    try:
        yield
    except BaseException:
        with suppress(Exception):  # the server may have rolled back more than this
            cursor.execute("ROLLBACK TO SAVEPOINT djq")
        raise
    cursor.execute("RELEASE SAVEPOINT djq")


def abandon(cursor: Any) -> None:  # noqa: ANN401 - the driver's cursor
    """Let a streaming cursor end early: PyMySQL would read the rest of its rows first."""
    result: Any = getattr(cursor, "_result", None)
    if result is not None:
        result.unbuffered_active = False

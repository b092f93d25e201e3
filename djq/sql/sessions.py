"""One connection of the driver: open it, notice that it ended, close it."""

from __future__ import annotations

import ssl
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pymysql.cursors import SSCursor

from djq.errors import AccessError, DatabaseError, UnreachableError
from djq.sql import forks
from djq.sql.addresses import COLLATION, MYSQLCLIENT, is_sqlite, shown
from djq.sql.embedded import register
from djq.sql.errors import TLS_FAILED, number_of, translated
from djq.sql.wire import QuickConnection

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    import sqlalchemy as sa


#: A connection that was silent this long may have been ended by the server or a firewall [s].
IDLE_S = 30.0


@dataclass(eq=False)
class Session:
    """One connection of the driver, and what has it checked out; this one to a file of SQLite."""

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
            self._ping()
        except Exception:  # noqa: BLE001 - whatever it is, another connection is needed
            return False
        return True

    def _ping(self) -> None:
        """Ask for nothing: a file is always there."""

    def fileno(self) -> int:
        """Return the descriptor of the socket; a file has none of its own."""
        raise NotImplementedError

    def rows(self, text: str, parameters: Sequence[Any]) -> Sequence[tuple[Any, ...]]:
        """Return the rows of a query."""
        cursor = self.raw.cursor()
        cursor.execute(text, parameters)
        found: Sequence[tuple[Any, ...]] = cursor.fetchall()
        return found

    def columns(self, text: str, parameters: Sequence[Any]) -> list[Sequence[Any]]:
        """Return the rows of a query as columns; no columns where there are no rows."""
        return list(zip(*self.rows(text, parameters), strict=True))

    def change(self, text: str, parameters: Sequence[Any]) -> int:
        """Execute a statement without rows; return how many it changed."""
        cursor = self.raw.cursor()
        cursor.execute(text, parameters)
        return int(cursor.rowcount)

    def stream(self) -> Any:  # noqa: ANN401 - the driver's cursor
        """Return a cursor whose rows stay on the server until they are asked for."""
        return self.raw.cursor()

    def abandon(self, cursor: Any) -> None:  # noqa: ANN401 - the driver's cursor
        """Close it while a cursor of `stream` has rows to come, without reading these."""
        del cursor
        self.close()

    def literal(self, value: Any) -> str:  # noqa: ANN401 - what the driver accepts
        """Return a value as SQL; what is no text in it is escaped as by `surrogateescape`."""
        raise NotImplementedError

    def send(self, text: str) -> None:
        """Execute a statement that was built of `literal`s."""
        self.raw.cursor().execute(text)


class PyMySqlSession(Session):
    """One connection of PyMySQL."""

    def rows(self, text: str, parameters: Sequence[Any]) -> Sequence[tuple[Any, ...]]:
        """Return the rows of a query."""
        if not isinstance(self.raw, QuickConnection):
            return super().rows(text, parameters)
        return self.raw.ask(text, parameters).rows or ()

    def columns(self, text: str, parameters: Sequence[Any]) -> list[Sequence[Any]]:
        """Return the rows of a query as columns; no columns where there are no rows."""
        if not isinstance(self.raw, QuickConnection):
            return super().columns(text, parameters)
        return self.raw.ask(text, parameters).columns or []

    def change(self, text: str, parameters: Sequence[Any]) -> int:
        """Execute a statement without rows; return how many it changed."""
        if not isinstance(self.raw, QuickConnection):
            return super().change(text, parameters)
        return self.raw.ask(text, parameters).affected_rows or 0

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        found: int = self.raw._sock.fileno()  # noqa: SLF001 - there is no public way
        return found

    def _ping(self) -> None:
        self.raw.ping(reconnect=False)

    def stream(self) -> Any:  # noqa: ANN401 - the driver's cursor
        """Return a cursor whose rows stay on the server until they are asked for."""
        return self.raw.cursor(SSCursor)

    def abandon(self, cursor: Any) -> None:  # noqa: ANN401 - the driver's cursor
        """Close it; left to itself PyMySQL would read the rest of the rows first."""
        result: Any = getattr(cursor, "_result", None)
        if result is not None:
            result.unbuffered_active = False
        self.close()

    def literal(self, value: Any) -> str:  # noqa: ANN401 - what the driver accepts
        """Return a value as SQL."""
        found: str = self.raw.escape(value)
        return found


class MySqlClientSession(Session):
    """One connection of mysqlclient."""

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        found: int = self.raw.fileno()
        return found

    def _ping(self) -> None:
        self.raw.ping()

    def stream(self) -> Any:  # noqa: ANN401 - the driver's cursor
        """Return a cursor whose rows stay on the server until they are asked for."""
        return self.raw.cursor(sys.modules["MySQLdb.cursors"].SSCursor)

    def literal(self, value: Any) -> str:  # noqa: ANN401 - what the driver accepts
        """Return a value as SQL."""
        found: bytes = self.raw.literal(value)
        return found.decode("utf-8", "surrogateescape")

    def send(self, text: str) -> None:
        """Execute a statement that was built of `literal`s."""
        self.raw.cursor().execute(text.encode("utf-8", "surrogateescape"))


def open_session(engine: sa.Engine, *, commits: bool) -> Session:
    """Open a connection that commits each statement by itself, or none."""
    address = shown(engine.url)
    try:
        if is_sqlite(engine.url) and engine.url.database:
            Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
        with translated("cannot connect", is_open=False):
            owner = engine.raw_connection()
            raw: Any = owner.driver_connection
            if is_sqlite(engine.url):
                _prepare_sqlite(raw)
            else:
                raw.autocommit(commits)
                # Not among the settings of addresses.py: SQLAlchemy sets names after them.
                raw.cursor().execute(f"SET collation_connection = {COLLATION}")
    except (DatabaseError, OSError, RuntimeError) as error:
        raise _unopened(address, error, is_file=is_sqlite(engine.url)) from error
    return _session(engine, raw, owner)


def _session(engine: sa.Engine, raw: Any, owner: Any) -> Session:  # noqa: ANN401 - the driver's
    if is_sqlite(engine.url):
        return Session(raw, owner)
    kind = MySqlClientSession if engine.dialect.driver == MYSQLCLIENT else PyMySqlSession
    session = kind(raw, owner)
    forks.guard(session)
    return session


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
    if number_of(error.__cause__) == TLS_FAILED:
        message = (
            f"no encrypted connection to the database at {address}: {error}. Check that the server "
            "offers encryption, and that ssl_ca in DJQ_DATABASE_URL, where it is given, is the "
            "authority of the server's certificate and of its host name"
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
    register(raw)


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

"""Connections, transactions, safety across a fork and between threads.

Each thread has up to two connections of its own, opened when first needed. The *reader* commits
every statement by itself and sees what others committed. The *writer* is inside a transaction from
its first statement on, without a BEGIN of its own: a transaction costs one statement, its COMMIT.
SQLite has one connection in both roles; its transaction begins with the first write, so that a long
computation between reading and writing does not hold the file's lock.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import NullPool

from djq.errors import (
    AccessError,
    DatabaseError,
    LostConnectionError,
    UnreachableError,
    UsageError,
)
from djq.sql.dialects import Backend, Dialect
from djq.sql.errors import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from djq.definition.acceptance import Value

Returned = TypeVar("Returned")

#: Strict about values, and portable: double quotes are text, as MySQL reads them. Aggregation is
#: checked by djq, which knows which attributes a key determines; servers differ in what they see.
SQL_MODE = "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO"

#: Rows that a streaming read asks of the server at a time.
STREAM_ROWS = 1_000


#: Connections of the process that this one was forked from: kept, since even closing one here would
#: speak over the parent's socket.
_PARENTS: list[sa.Connection] = []


class _ThreadState(threading.local):
    """What one thread has open."""

    pid: int = 0
    reader: sa.Connection | None = None
    writer: sa.Connection | None = None
    depth: int = 0
    #: SQLite only: the write transaction has begun.
    has_begun: bool = False


class Database:
    """A database by its URL: reads, writes and transactions, each thread with its own connections.

    Safe to use after a fork: a child never touches its parent's sockets.
    """

    def __init__(self, url: str, *, timeout_s: float = 10.0) -> None:
        self.url = sa.make_url(url)
        self.timeout_s = timeout_s
        self._state = _ThreadState()
        self._lock = threading.Lock()
        self._engine, self.dialect = self._create_engine()
        #: Called with (statement text) for each statement sent; for tests and the curious.
        self.listeners: list[Callable[[str], None]] = []

    def __repr__(self) -> str:
        """Return the address without its password."""
        return f"Database({self.address!r})"

    @property
    def address(self) -> str:
        """The URL with its password masked."""
        return self.url.render_as_string(hide_password=True)

    # --- opening -------------------------------------------------------------------------------

    def _create_engine(self) -> tuple[sa.Engine, Dialect]:
        name = self.url.get_backend_name()
        if name == "sqlite":
            engine = sa.create_engine(
                self.url,
                poolclass=NullPool,
                connect_args={
                    "isolation_level": None,
                    "timeout": self.timeout_s,
                    "check_same_thread": False,
                },
            )
            event.listen(engine, "connect", _prepare_sqlite)
            return engine, Dialect("sqlite")
        url = (
            self.url.set(drivername="mysql+pymysql") if "+" not in self.url.drivername else self.url
        )
        seconds = max(int(self.timeout_s), 1)
        engine = sa.create_engine(
            url.update_query_dict({"charset": "utf8mb4"}),
            poolclass=NullPool,
            connect_args={
                "connect_timeout": seconds,
                "init_command": (
                    f"SET sql_mode='{SQL_MODE}', time_zone='+00:00', "
                    f"innodb_lock_wait_timeout={seconds}, group_concat_max_len=1048576"
                ),
            },
            isolation_level="REPEATABLE READ",
        )
        return engine, Dialect("mysql")

    def _connect(self) -> sa.Connection:
        if self.dialect.is_sqlite and self.url.database:
            folder = os.path.dirname(self.url.database)
            os.makedirs(folder or ".", exist_ok=True)
        try:
            with translated("cannot connect"):
                connection = self._engine.connect()
        except AccessError as error:
            message = (
                f"the database at {self.address} refused the login: {error}. "
                "Check the user and password in DJQ_DATABASE_URL"
            )
            raise AccessError(message) from error
        except DatabaseError as error:
            message = (
                f"cannot reach the database at {self.address}: {error}. "
                "Check that the server runs and that DJQ_DATABASE_URL is right"
            )
            raise UnreachableError(message) from error
        self._find_backend()
        return connection

    def _find_backend(self) -> None:
        """Tell MariaDB from MySQL once it is known: SQLAlchemy asks the server when it connects."""
        if not self.dialect.is_sqlite:
            is_mariadb = bool(getattr(self._engine.dialect, "is_mariadb", False))
            backend: Backend = "mariadb" if is_mariadb else "mysql"
            if backend != self.dialect.backend:
                self.dialect = Dialect(backend)

    def _own_state(self) -> _ThreadState:
        """Return this thread's state; after a fork a new one, the parent's sockets left alone."""
        state = self._state
        if state.pid != os.getpid():
            _PARENTS.extend(c for c in (state.reader, state.writer) if c is not None)
            state.pid, state.reader, state.writer = os.getpid(), None, None
            state.depth, state.has_begun = 0, False
        return state

    def _reader(self) -> sa.Connection:
        state = self._own_state()
        if state.reader is None:
            connection = self._connect()
            if not self.dialect.is_sqlite:
                connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            state.reader = connection
        return state.reader

    def _writer(self) -> sa.Connection:
        if self.dialect.is_sqlite:
            return self._reader()
        state = self._own_state()
        if state.writer is None:
            state.writer = self._connect()
        return state.writer

    def connect(self) -> Database:
        """Open a connection now, so that a wrong address is known at once."""
        self._reader()
        return self

    def close(self) -> None:
        """Close this thread's connections; an open transaction is rolled back."""
        state = self._own_state()
        for connection in (state.reader, state.writer):
            if connection is not None:
                with suppress(Exception):
                    connection.close()
        state.reader = state.writer = None
        state.depth, state.has_begun = 0, False

    # --- statements ----------------------------------------------------------------------------

    def read(self, statement: sa.Executable) -> list[sa.Row[Any]]:
        """Return all rows of a query; outside a transaction a lost connection is replaced once."""
        return self._run(lambda c: list(c.execute(statement).all()), "cannot read")

    def stream(self, statement: sa.Executable) -> Iterator[sa.Row[Any]]:
        """Iterate over the rows of a query without holding them all.

        The rows come over a connection of their own, so that the loop's body may ask and write.
        Inside a transaction they are read at once, since only its connection sees what it wrote.
        """
        if self.in_transaction:
            yield from self.read(statement)
            return
        connection = self._connect()
        try:
            with translated("cannot read"):
                options = {"stream_results": True, "max_row_buffer": STREAM_ROWS}
                result = connection.execution_options(**options).execute(statement)
                for rows in result.partitions(STREAM_ROWS):
                    yield from rows
        finally:
            connection.close()

    def text(self, statement: sa.Executable) -> str:
        """Return a statement's SQL in this database's dialect, values as placeholders."""
        return str(statement.compile(dialect=self._engine.dialect))  # type: ignore[attr-defined] # every statement has it

    def write(self, statement: sa.Executable, rows: Sequence[dict[str, Value]] = ()) -> int:
        """Execute a statement that changes rows, once for each of `rows`; return how many."""
        parameters = list(rows) or None

        def execute(connection: sa.Connection) -> int:
            self._begin_late()
            return int(connection.execute(statement, parameters).rowcount)

        return self._run(execute, "cannot write", is_write=True)

    def define(self, statement: sa.Executable) -> None:
        """Execute a statement of data definition; refused inside a transaction."""
        if self.in_transaction:
            message = (
                "tables cannot be declared, altered or dropped inside a transaction or a make: "
                "most databases would commit it silently. Declare them before"
            )
            raise UsageError(message)
        self._run(lambda c: c.execute(statement), "cannot define", is_write=True)

    def _run(
        self, execute: Callable[[sa.Connection], Returned], doing: str, *, is_write: bool = False
    ) -> Returned:
        is_inside = self.in_transaction
        try:
            with translated(doing):
                return execute(self._writer() if is_inside else self._reader())
        except LostConnectionError:
            self._drop_connection(is_inside=is_inside)
            if is_inside or is_write:
                raise
        with translated(doing):
            return execute(self._reader())

    def _drop_connection(self, *, is_inside: bool) -> None:
        state = self._own_state()
        connection = state.writer if is_inside and not self.dialect.is_sqlite else state.reader
        if connection is not None:
            _abandon(connection)
        if is_inside:
            state.writer = None
        else:
            state.reader = None

    # --- transactions --------------------------------------------------------------------------

    @property
    def in_transaction(self) -> bool:
        """Whether this thread is inside of `transaction()`."""
        return self._own_state().depth > 0

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Commit everything in the block together, or nothing if it raises; does not nest."""
        state = self._own_state()
        if state.depth:
            message = "a transaction is open already: transactions do not nest"
            raise UsageError(message)
        connection = self._writer()
        state.depth = 1
        try:
            yield
            with translated("cannot commit"):
                self._commit(connection)
        except BaseException:
            self._rollback(connection)
            raise
        finally:
            state.depth = 0

    def _begin_late(self) -> None:
        """Begin SQLite's transaction at its first write, waiting for the file's lock."""
        state = self._own_state()
        if self.dialect.is_sqlite and state.depth and not state.has_begun:
            self._reader().exec_driver_sql("BEGIN IMMEDIATE")
            state.has_begun = True

    def _commit(self, connection: sa.Connection) -> None:
        state = self._own_state()
        if not self.dialect.is_sqlite:
            connection.commit()
        elif state.has_begun:
            connection.exec_driver_sql("COMMIT")
            state.has_begun = False

    def _rollback(self, connection: sa.Connection) -> None:
        """Roll back; a connection that cannot is thrown away, which rolls back on the server."""
        state = self._own_state()
        try:
            if not self.dialect.is_sqlite:
                connection.rollback()
            elif state.has_begun:
                connection.exec_driver_sql("ROLLBACK")
        except Exception:  # noqa: BLE001 - whatever failed, the connection is of no more use
            _abandon(connection)
            state.writer = None
            if self.dialect.is_sqlite:
                state.reader = None
        finally:
            state.has_begun = False


def _prepare_sqlite(connection: Value, _: object) -> None:
    for pragma in (
        "foreign_keys=ON",
        "journal_mode=WAL",
        "synchronous=FULL",
        "case_sensitive_like=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _abandon(connection: sa.Connection) -> None:
    """Forget a connection without a word to the server, which may be gone or another process's."""
    with suppress(Exception):
        connection.invalidate()
    with suppress(Exception):
        connection.close()

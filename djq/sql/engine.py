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
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from pymysql.cursors import SSCursor

from djq.errors import (
    LostConnectionError,
    UsageError,
)
from djq.sql.catalog import Catalog
from djq.sql.dialects import Backend, Dialect
from djq.sql.errors import translated
from djq.sql.prepared import Prepared, prepare
from djq.sql.sessions import (
    Session,
    abandon,
    create_engine,
    is_large,
    is_sqlite,
    open_session,
    shown,
    whole,
)
from djq.sql.statements import Duplicates, Statements

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from djq.algebra.nodes import Node
    from djq.definition.acceptance import Value
    from djq.definition.spec import TableSpec

Returned = TypeVar("Returned")

#: Rows that a streaming read asks of the server at a time.
STREAM_ROWS = 1_000
#: Connections of the process that this one was forked from: kept, since even closing one here would
#: speak over the parent's socket.
_PARENTS: list[Session] = []


class _ThreadState(threading.local):
    """What one thread has open."""

    pid: int = 0
    reader: Session | None = None
    writer: Session | None = None
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
        self._engine = create_engine(self.url, timeout_s)
        self._statements: Statements | None = None
        #: What the server holds, as far as it was asked.
        self.catalog = Catalog(self)

    def __repr__(self) -> str:
        """Return the address without its password."""
        return f"Database({self.address!r})"

    @property
    def address(self) -> str:
        """The URL with its password masked."""
        return shown(self.url)

    @property
    def dialect(self) -> Dialect:
        """What this database does in its own way; known when a connection was made."""
        return self.statements.dialect

    @property
    def statements(self) -> Statements:
        """The statements of this database, built once each."""
        if self._statements is None:
            if not self._is_sqlite:
                self._reader()  # the server says whether it is MySQL or MariaDB
            self._statements = Statements(Dialect(self._backend()), self._engine.dialect)
        return self._statements

    def _backend(self) -> Backend:
        if self._is_sqlite:
            return "sqlite"
        return "mariadb" if getattr(self._engine.dialect, "is_mariadb", False) else "mysql"

    @property
    def _is_sqlite(self) -> bool:
        return is_sqlite(self.url)

    # --- opening -------------------------------------------------------------------------------

    def _connect(self, *, commits: bool) -> Session:
        return open_session(self._engine, commits=commits)

    def _own_state(self) -> _ThreadState:
        """Return this thread's state; after a fork a new one, the parent's sockets left alone."""
        state = self._state
        if state.pid != os.getpid():
            _PARENTS.extend(s for s in (state.reader, state.writer) if s is not None)
            state.pid, state.reader, state.writer = os.getpid(), None, None
            state.depth, state.has_begun = 0, False
        return state

    def _reader(self) -> Session:
        state = self._own_state()
        if state.reader is None:
            state.reader = self._connect(commits=True)
        elif not state.depth and not state.reader.is_alive():
            state.reader.close()
            state.reader = self._connect(commits=True)
        return state.reader

    def _writer(self) -> Session:
        if self._is_sqlite:
            return self._reader()
        state = self._own_state()
        if state.writer is None:
            state.writer = self._connect(commits=False)
        elif not state.depth and not state.writer.is_alive():
            state.writer.close()
            state.writer = self._connect(commits=False)
        return state.writer

    def connect(self) -> Database:
        """Open a connection now, so that a wrong address is known at once."""
        self._reader()
        return self

    def close(self) -> None:
        """Close this thread's connections; an open transaction is rolled back."""
        state = self._own_state()
        for session in (state.reader, state.writer):
            if session is not None:
                session.close()
        state.reader = state.writer = None
        state.depth, state.has_begun = 0, False

    # --- queries -------------------------------------------------------------------------------

    def fetch(self, node: Node) -> list[tuple[Any, ...]]:
        """Return all rows of a query, columns in heading order."""
        return self._fetch(*self.statements.ask("select", node))

    def count(self, node: Node) -> int:
        """Return how many rows a query has."""
        return int(self._fetch(*self.statements.ask("count", node))[0][0])

    def exists(self, node: Node) -> bool:
        """Tell whether a query has any row."""
        return bool(self._fetch(*self.statements.ask("exists", node)))

    def stream(self, node: Node) -> Iterator[tuple[Any, ...]]:
        """Iterate over the rows of a query without holding them all.

        The rows come over a connection of their own, so that the loop's body may ask and write.
        Inside a transaction they are read at once, since only its connection sees what it wrote.
        """
        if self.in_transaction:
            yield from self.fetch(node)
            return
        prepared, values = self.statements.ask("select", node)
        session = self._connect(commits=True)
        cursor: Any = session.raw.cursor() if self._is_sqlite else session.raw.cursor(SSCursor)
        try:
            with translated("cannot read"):
                cursor.execute(prepared.text, prepared.bind(values))
                while rows := cursor.fetchmany(STREAM_ROWS):
                    yield from prepared.convert(rows)
        finally:
            abandon(cursor)
            session.close()

    def sql(self, node: Node) -> str:
        """Return a query's SQL, its values as placeholders."""
        return self.statements.ask("select", node)[0].text

    def read(self, statement: sa.ClauseElement) -> list[tuple[Any, ...]]:
        """Return all rows of a statement that is asked once, such as one of the catalog."""
        return self._fetch(prepare(statement, self._engine.dialect), ())

    def _fetch(self, prepared: Prepared, values: Sequence[Value]) -> list[tuple[Any, ...]]:
        parameters = prepared.bind(values)

        def execute(session: Session) -> Sequence[tuple[Any, ...]]:
            cursor = session.raw.cursor()
            cursor.execute(prepared.text, parameters)
            rows: Sequence[tuple[Any, ...]] = cursor.fetchall()
            return rows

        return prepared.convert(self._run(execute, "cannot read"))

    # --- changes -------------------------------------------------------------------------------

    def insert(
        self,
        spec: TableSpec,
        rows: Sequence[dict[str, Value]],
        *,
        duplicates: Duplicates = "refuse",
    ) -> None:
        """Insert rows that have all columns of a table, hidden ones too; all of them or none."""
        prepared = self.statements.insert(spec, duplicates)
        parameters = [prepared.bind(row) for row in rows]
        is_split = self.in_transaction and (self._is_sqlite or is_large(parameters))

        def execute(session: Session) -> None:
            cursor = session.raw.cursor()
            if len(parameters) == 1:
                cursor.execute(prepared.text, parameters[0])
                return
            with whole(cursor) if is_split else nullcontext():
                cursor.executemany(prepared.text, parameters)

        self._change(execute, is_many=len(parameters) > 1)

    def delete(self, node: Node) -> int:
        """Delete the rows of a restricted table; return how many."""
        prepared, values = self.statements.ask("delete", node)
        parameters = prepared.bind(values)

        def execute(session: Session) -> int:
            cursor = session.raw.cursor()
            cursor.execute(prepared.text, parameters)
            return int(cursor.rowcount)

        return self._change(execute)

    def define(self, statement: sa.ClauseElement) -> None:
        """Execute a statement of data definition; refused inside a transaction."""
        if self.in_transaction:
            message = (
                "tables cannot be declared, altered or dropped inside a transaction or a make: "
                "most databases would commit it silently. Declare them before"
            )
            raise UsageError(message)
        text = prepare(statement, self._engine.dialect).text
        self._change(lambda session: session.raw.cursor().execute(text, ()))
        self.catalog.forget()

    def _change(self, execute: Callable[[Session], Returned], *, is_many: bool = False) -> Returned:
        """Run a statement that writes; many rows are one transaction even where none is open."""
        if is_many and not self.in_transaction:
            with self.transaction():
                return self._change(execute)

        def begun(session: Session) -> Returned:
            self._begin_late(session)
            return execute(session)

        return self._run(begun, "cannot write", is_write=True)

    def _run(
        self, execute: Callable[[Session], Returned], doing: str, *, is_write: bool = False
    ) -> Returned:
        is_inside = self.in_transaction
        try:
            with translated(doing):
                return execute(self._writer() if is_inside else self._reader())
        except LostConnectionError as error:
            self._drop_connection(is_inside=is_inside)
            if is_inside:
                message = f"{error}; the transaction ended, and nothing of it was committed"
                raise LostConnectionError(message) from error
            if is_write:
                message = f"{error}; whether it was written is not known: look, and try again"
                raise LostConnectionError(message) from error
        with translated(doing):
            return execute(self._reader())

    def _drop_connection(self, *, is_inside: bool) -> None:
        state = self._own_state()
        session = state.writer if is_inside and not self._is_sqlite else state.reader
        if session is not None:
            session.close()
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
        session = self._writer()
        state.depth = 1
        try:
            yield
            with translated("cannot commit"):
                self._commit(session)
        except BaseException:
            self._rollback(session)
            raise
        finally:
            state.depth = 0

    def _begin_late(self, session: Session) -> None:
        """Begin SQLite's transaction at its first write, waiting for the file's lock."""
        state = self._own_state()
        if self._is_sqlite and state.depth and not state.has_begun:
            session.raw.execute("BEGIN IMMEDIATE")
            state.has_begun = True

    def _commit(self, session: Session) -> None:
        state = self._own_state()
        if not self._is_sqlite or state.has_begun:
            session.raw.commit()
            state.has_begun = False

    def _rollback(self, session: Session) -> None:
        """Roll back; a connection that cannot is thrown away, which rolls back on the server."""
        state = self._own_state()
        try:
            if not self._is_sqlite or state.has_begun:
                session.raw.rollback()
        except Exception:  # noqa: BLE001 - whatever failed, the connection is of no more use
            session.close()
            state.writer = None
            if self._is_sqlite:
                state.reader = None
        finally:
            state.has_begun = False

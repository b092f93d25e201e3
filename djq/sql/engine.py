"""A database by its URL: queries and changes, each thread with its own connections."""

from __future__ import annotations

import datetime as dt
import getpass
import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sa

from djq.errors import UsageError
from djq.sql.bulk import insert_on_sqlite, insert_texts
from djq.sql.catalog import Catalog
from djq.sql.dialects import Backend, Dialect
from djq.sql.errors import translated
from djq.sql.packets import check_packet, is_large
from djq.sql.prepared import Prepared, prepare
from djq.sql.privileges import needing
from djq.sql.raw import Rows
from djq.sql.reducing import Reducer
from djq.sql.sessions import Session, whole
from djq.sql.snapshot import Snapshot
from djq.sql.statements import Duplicates, Statements
from djq.sql.transactions import Transactions

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from djq.algebra.nodes import Node
    from djq.definition.acceptance import Value
    from djq.definition.constraints import TableName
    from djq.definition.spec import TableSpec
    from djq.sql.tries import Returned

Row: TypeAlias = dict[str, Any]

#: Rows that a streaming read asks of the server at a time.
STREAM_ROWS = 1_000


class Database(Transactions):
    """A database by its URL: reads, writes and transactions, each thread with its own connections.

    Safe to use after a fork: a child never touches its parent's sockets.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 10.0,
        tls: bool | None = None,
        functions: tuple[str, ...] = (),
    ) -> None:
        super().__init__(url, timeout_s=timeout_s, tls=tls)
        self._functions = functions
        self._statements: Statements | None = None
        #: What the server holds, as far as it was asked.
        self.catalog: Catalog = Catalog(self)

    def __repr__(self) -> str:
        """Return the address without its password."""
        return f"Database({self.address!r})"

    @property
    def dialect(self) -> Dialect:
        """What this database does in its own way; known when a connection was made."""
        return self.statements.dialect

    @property
    def statements(self) -> Statements:
        """The statements of this database, built once each."""
        if self._statements is None:
            if not self.is_sqlite:
                self._reader()  # the server says whether it is MySQL or MariaDB
            dialect = Dialect(self._backend(), self._functions)
            self._statements = Statements(dialect, self._engine.dialect)
        return self._statements

    def _backend(self) -> Backend:
        if self.is_sqlite:
            return "sqlite"
        return "mariadb" if getattr(self._engine.dialect, "is_mariadb", False) else "mysql"

    def connect(self) -> Database:
        """Open a connection now, so that a wrong address is known at once."""
        self._reader()
        return self

    # --- queries -------------------------------------------------------------------------------

    def fetch(self, node: Node) -> list[tuple[Any, ...]]:
        """Return all rows of a query, columns in heading order."""
        with needing(self, "SELECT", node):
            return self._fetch(*self.statements.ask("select", node))

    def fetch_columns(self, node: Node) -> list[Sequence[Any]]:
        """Return all rows of a query as columns, in heading order."""
        with needing(self, "SELECT", node):
            prepared, values = self.statements.ask("select", node)
            parameters = prepared.bind(values)
            columns = self._run(lambda s: s.columns(prepared.text, parameters), "cannot read")
        return prepared.convert_columns(columns, len(node.heading))

    def count(self, node: Node) -> int:
        """Return how many rows a query has."""
        with needing(self, "SELECT", node):
            return int(self._fetch(*self.statements.ask("count", node))[0][0])

    def counts(self, nodes: Sequence[Node]) -> list[int]:
        """Return how many rows each of several queries has, by one statement."""
        statement = Reducer(self.dialect).counts(nodes)
        return [int(n) for n in self.read(statement)[0]] if nodes else []

    def exists(self, node: Node) -> bool:
        """Tell whether a query has any row."""
        with needing(self, "SELECT", node):
            return bool(self._fetch(*self.statements.ask("exists", node)))

    def is_committed(self, node: Node) -> bool:
        """Tell whether others see any row of a query: asked over a connection of its own."""
        prepared, values = self.statements.ask("exists", node)
        session = self._connect(commits=True)
        try:
            with needing(self, "SELECT", node), translated("cannot read"):
                return bool(session.rows(prepared.text, prepared.bind(values)))
        finally:
            session.close()

    def stream(self, node: Node) -> Generator[tuple[Any, ...]]:
        """Iterate over the rows of a query without holding them all.

        The rows come over a connection of their own, so that the loop's body may ask and write; it
        is kept for the next loop, unless this one breaks off.
        Inside a transaction they are read at once, since only its connection sees what it wrote.
        """
        if self.in_transaction:
            yield from self.fetch(node)
            return
        prepared, values = self.statements.ask("select", node)
        state = self._own_state()
        is_read = False
        with needing(self, "SELECT", node):
            session, cursor = self._stream(prepared.text, prepared.bind(values))
            try:
                with translated("cannot read"):
                    while rows := cursor.fetchmany(STREAM_ROWS):
                        yield from prepared.convert(rows)
                    cursor.close()
                is_read = state is self._own_state()  # and not of a thread or child that read on
            finally:
                if is_read:
                    self._spare(session)
                else:
                    session.abandon(cursor)

    def snapshot(self) -> Snapshot:
        """Return all tables as they are at the moment when the block begins: `with …:`."""
        return Snapshot(self, self._connect(commits=True))

    def sql(self, node: Node) -> str:
        """Return a query's SQL, its values as placeholders."""
        return self.statements.ask("select", node)[0].text

    def read(self, statement: sa.ClauseElement) -> list[tuple[Any, ...]]:
        """Return all rows of a statement that is asked once, such as one of the catalog."""
        return self._fetch(prepare(statement, self._engine.dialect), ())

    def _fetch(self, prepared: Prepared, values: Sequence[Value]) -> list[tuple[Any, ...]]:
        parameters = prepared.bind(values)
        return prepared.convert(
            self._run(lambda session: session.rows(prepared.text, parameters), "cannot read")
        )

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
        parameters = prepared.bind(rows[0]) if len(rows) == 1 else ()
        if len(rows) != 1 or (not self.is_sqlite and is_large(parameters)):
            names = list(rows[0]) if rows else ()
            columns = {n: [row[n] for row in rows] for n in names}
            self.insert_columns(spec, columns, duplicates=duplicates)
            return
        with needing(self, _wanted(duplicates), spec.name):
            self._change(lambda session: session.change(prepared.text, parameters))

    def insert_columns(
        self,
        spec: TableSpec,
        columns: Mapping[str, Sequence[Value]],
        *,
        duplicates: Duplicates = "refuse",
        is_undone: bool = False,
    ) -> None:
        """Insert many rows, given as all columns of a table; all of them or none.

        `is_undone` says that the caller undoes its transaction if this fails.
        """
        if not columns:
            return
        prepared = self.statements.insert(spec, duplicates)
        bound = prepared.bind_columns(columns)
        needs_undoing = self.in_transaction and not is_undone

        def execute(session: Session) -> None:
            cursor = session.raw.cursor()
            if self.is_sqlite:
                with whole(cursor) if needs_undoing else nullcontext():
                    insert_on_sqlite(cursor, prepared.text, bound)
                return
            texts = insert_texts(prepared.text, bound, session.literal)
            check_packet(session, spec, columns, max(map(len, texts)))
            with whole(cursor) if needs_undoing and len(texts) > 1 else nullcontext():
                for text in texts:
                    session.send(text)

        with needing(self, _wanted(duplicates), spec.name):
            self._change(execute, is_many=True)

    def insert_from(self, spec: TableSpec, node: Node, *, duplicates: Duplicates = "refuse") -> int:
        """Insert the rows of a query, on the server; return how many it counts as written."""
        prepared, values = self.statements.insert_from(spec, node, duplicates)
        parameters = prepared.bind(values)
        with needing(self, _wanted(duplicates), spec.name):
            return self._change(lambda session: session.change(prepared.text, parameters))

    def update(self, spec: TableSpec, key: Row, changes: Row) -> bool:
        """Change columns of the row with this key; tell whether there is one."""
        prepared = self.statements.update(spec, tuple(changes))
        new = {f"NEW_{n}": v for n, v in changes.items()}
        parameters = prepared.bind(new | {f"KEY_{n}": v for n, v in key.items()})

        def execute(session: Session) -> int:
            if is_large(parameters) and not self.is_sqlite:
                columns = {name: (value,) for name, value in changes.items()}
                size = sum(len(session.literal(value)) for value in parameters)
                check_packet(session, spec, columns, size)
            return session.change(prepared.text, parameters)

        with needing(self, "SELECT, UPDATE", spec.name):
            return self._change(execute) > 0

    def update_where(self, node: Node, changes: Row) -> int:
        """Change columns of the rows of a restricted table; return how many."""
        prepared = prepare(Reducer(self.dialect).update(node, changes), self._engine.dialect)
        with needing(self, "SELECT, UPDATE", node):
            return self._change(lambda session: session.change(prepared.text, prepared.bind(())))

    def delete(self, node: Node) -> int:
        """Delete the rows of a restricted table; return how many."""
        prepared, values = self.statements.ask("delete", node)
        parameters = prepared.bind(values)

        with needing(self, "SELECT, DELETE", node):
            return self._change(lambda session: session.change(prepared.text, parameters))

    def change(self, statement: sa.ClauseElement) -> int:
        """Execute a statement that is asked once, such as one on notes about tables."""
        prepared = prepare(statement, self._engine.dialect)
        return self._change(lambda session: session.change(prepared.text, prepared.bind(())))

    def hold(self) -> None:
        """Let nobody else write to SQLite's file between what the transaction reads and writes."""
        self._change(lambda _: None)

    def define(self, statement: sa.ClauseElement) -> None:
        """Execute a statement of data definition; refused inside a transaction."""
        text = prepare(statement, self._engine.dialect).text
        self.define_by(lambda session: session.raw.cursor().execute(text, ()), statement)

    def define_by(
        self, execute: Callable[[Session], object], what: sa.ClauseElement | TableName
    ) -> None:
        """Change tables over this thread's connection; refused inside a transaction."""
        if self.in_transaction:
            message = (
                "tables cannot be declared, altered or dropped inside a transaction or a make: "
                "most databases would commit it silently. Declare them before"
            )
            raise UsageError(message)
        with needing(self, "CREATE, ALTER, DROP, INDEX, REFERENCES", what):
            self._change(execute)
        self.catalog.forget()

    def query(self, text: str, args: Sequence[Value] = (), *, as_dict: bool = False) -> Rows:
        """Send a statement as it is, without any check; see `Connection.query`."""

        def execute(session: Session) -> Rows:
            self._begin_late(session)
            cursor = session.raw.cursor()
            if args:
                cursor.execute(text, tuple(args))
            else:
                cursor.execute(text)
            return Rows(cursor, as_dict=as_dict)

        with needing(self, "what it needs", None), self._watched(text):
            found = self._run(execute, "cannot execute", is_write=True)
        if found.description is None:  # it may have been data definition
            self.catalog.forget()
        return found

    # --- the server ----------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Whether this thread has a connection and the server answers on it."""
        state = self._own_state()
        session = state.levels[-1].session if state.levels else state.reader or state.writer
        return session is not None and session.answers()

    def ping(self) -> None:
        """Ask the server for an answer, on another connection if this one was lost."""
        self.read(sa.select(sa.literal(1)))

    @property
    def user(self) -> str:
        """The user that the server sees; SQLite: that of the operating system."""
        if self.is_sqlite:
            return f"{getpass.getuser()}@localhost"
        return str(self.read(sa.text("SELECT user()"))[0][0])

    def clock(self) -> dt.datetime:
        """Return the time of the database, UTC and naive: one clock for all processes."""
        if self.is_sqlite:
            return dt.datetime.now(dt.UTC).replace(tzinfo=None)
        found: dt.datetime = self.read(sa.text("SELECT utc_timestamp(6)"))[0][0]
        return found

    @property
    def connection_id(self) -> int:
        """The server's number for this thread's connection; SQLite: the process's."""
        if self.is_sqlite:
            return os.getpid()
        session = self._writer() if self.in_transaction else self._reader()
        return int(session.raw.thread_id())

    def _change(self, execute: Callable[[Session], Returned], *, is_many: bool = False) -> Returned:
        """Run a statement that writes; many rows are one transaction even where none is open."""
        if is_many and not self.in_transaction:
            return self.atomically(lambda: self._change(execute))

        def begun(session: Session) -> Returned:
            self._begin_late(session)
            return execute(session)

        return self._run(begun, "cannot write", is_write=True)


def _wanted(duplicates: Duplicates) -> str:
    """Return the privileges that an insert needs."""
    return "INSERT" if duplicates == "refuse" else "INSERT, UPDATE"

"""The connections that each thread has open to one database.

Each thread has up to two connections of its own, opened when first needed. The *reader* commits
every statement by itself and sees what others committed. The *writer* is inside a transaction from
its first statement on, without a BEGIN of its own: a transaction costs one statement, its COMMIT.
A loop over rows has another one, which is kept for the next loop. SQLite has one connection in both
roles; its transaction begins with the first write, so that a long computation between reading and
writing does not hold the file's lock.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sa

from djq.errors import LostConnectionError
from djq.sql.addresses import create_engine, is_sqlite, shown
from djq.sql.errors import translated
from djq.sql.forks import Generation
from djq.sql.quoting import quote_more
from djq.sql.sessions import Session, open_session
from djq.sql.wire import quicken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from djq.errors import DatabaseError

#: Connections of the process that this one was forked from: kept, since even closing one here would
#: speak over the parent's socket.
_PARENTS: list[Session] = []


class Aftermath(Protocol):
    """What follows a commit; it must not raise, since nothing can be undone any more."""

    def joined(self, later: Any) -> Aftermath:  # noqa: ANN401 - another one of its own class
        """Return what follows both; it may be changed in place."""
        ...

    def follow(self) -> None:
        """Do it."""
        ...


@dataclass(eq=False)
class Level:
    """An open transaction, or a savepoint inside of one."""

    session: Session
    #: None: the transaction itself, or on SQLite a level that began before any write.
    savepoint: str | None = None
    #: Begun by `start_transaction`, not by a block.
    is_manual: bool = False
    #: What follows if all of it is committed.
    aftermath: Aftermath | None = None
    #: What is called if it is undone.
    undos: list[Callable[[], None]] = field(default_factory=list["Callable[[], None]"])

    def wait_for_commit(self, aftermath: Aftermath) -> None:
        """Have something follow, behind what is to follow already."""
        mine = self.aftermath
        self.aftermath = aftermath if mine is None else mine.joined(aftermath)


@dataclass
class State:
    """What one thread has open."""

    reader: Session | None = None
    writer: Session | None = None
    #: A connection whose stream of rows came to its end, for the next one.
    spare: Session | None = None
    levels: list[Level] = field(default_factory=list[Level])
    #: Why the server ended the transaction whose blocks are still open.
    ended_by: DatabaseError | None = None
    #: SQLite only: the write transaction has begun.
    has_begun: bool = False

    @property
    def sessions(self) -> list[Session]:
        """All connections."""
        return [s for s in (self.reader, self.writer, self.spare) if s is not None]


class _Threads(threading.local):
    generation: int = 0
    state: State | None = None


class Connections:
    """A database by its URL, each thread with its own connections.

    Safe to use after a fork: a child never touches its parent's sockets.
    """

    def __init__(self, url: str, *, timeout_s: float = 10.0, tls: bool | None = None) -> None:
        self.url: sa.URL = sa.make_url(url)
        self.timeout_s = timeout_s
        self._threads = _Threads()
        self._engine = create_engine(self.url, timeout_s, tls)
        quote_more(self._engine.dialect)
        quicken(self._engine)

    @property
    def address(self) -> str:
        """The URL with its password masked."""
        return shown(self.url)

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a file."""
        return is_sqlite(self.url)

    # --- opening -------------------------------------------------------------------------------

    def _connect(self, *, commits: bool) -> Session:
        session = open_session(self._engine, commits=commits)
        quote_more(self._engine.dialect)
        return session

    def _own_state(self) -> State:
        """Return this thread's state; after a fork a new one, the parent's sockets left alone."""
        own = self._threads
        state = own.state
        if state is None or own.generation != Generation.number:
            if state is not None:
                _PARENTS.extend(state.sessions)
            own.generation = Generation.number
            state = own.state = State()
        return state

    def _reader(self) -> Session:
        state = self._own_state()
        if state.reader is None:
            state.reader = self._connect(commits=True)
        elif not state.levels and not state.reader.is_alive():
            state.reader.close()
            state.reader = self._connect(commits=True)
        return state.reader

    def _writer(self) -> Session:
        if self.is_sqlite:
            return self._reader()
        state = self._own_state()
        if state.writer is None:
            state.writer = self._connect(commits=False)
        elif not state.levels and not state.writer.is_alive():
            state.writer.close()
            state.writer = self._connect(commits=False)
        return state.writer

    def _stream(self, text: str, parameters: Sequence[Any]) -> tuple[Session, Any]:
        """Ask on a connection for these rows alone; return it, and the cursor that has them."""
        state = self._own_state()
        spare, state.spare = state.spare, None
        session = spare or self._connect(commits=True)
        cursor = session.stream()
        try:
            with translated("cannot read"):
                cursor.execute(text, parameters)
        except BaseException as error:
            session.abandon(cursor)
            if isinstance(error, LostConnectionError) and spare is not None:
                return self._stream(text, parameters)  # it was lost while nobody used it
            raise
        return session, cursor

    def _spare(self, session: Session) -> None:
        """Keep the connection of a stream that is over for this thread's next one."""
        state = self._own_state()
        if state.spare is not None:
            state.spare.close()
        state.spare = session

    @property
    def is_open(self) -> bool:
        """Whether this thread has a connection, as far as is known without asking the server."""
        state = self._own_state()
        return state.reader is not None or state.writer is not None

    def close(self) -> None:
        """Close this thread's connections; an open transaction is rolled back."""
        for session in self._own_state().sessions:
            session.close()
        self._threads.state = None

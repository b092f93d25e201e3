"""Connections of each thread, transactions on them, and what is tried again.

Each thread has up to two connections of its own, opened when first needed. The *reader* commits
every statement by itself and sees what others committed. The *writer* is inside a transaction from
its first statement on, without a BEGIN of its own: a transaction costs one statement, its COMMIT.
SQLite has one connection in both roles; its transaction begins with the first write, so that a long
computation between reading and writing does not hold the file's lock.

A transaction inside of another one is a savepoint. What the server rolled back by itself, as after
a deadlock, stays rolled back: the open blocks refuse every further statement and their COMMIT.
"""

from __future__ import annotations

import itertools
import os
import random
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import sqlalchemy as sa

from djq.errors import (
    ContentionError,
    DatabaseError,
    LostConnectionError,
    TransientDatabaseError,
    UsageError,
)
from djq.sql.errors import ends_transaction, translated
from djq.sql.sessions import Session, create_engine, is_sqlite, open_session, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

Returned = TypeVar("Returned")

#: How often djq tries its own work when others hold the locks.
MAX_TRIES = 5
#: Bound of the wait before the second try, doubled for each further one [s]; and its limit [s].
BACKOFF_S, MAX_BACKOFF_S = 0.05, 2.0
#: Connections of the process that this one was forked from: kept, since even closing one here would
#: speak over the parent's socket.
_PARENTS: list[Session] = []
#: Names of savepoints: none is used twice.
_NUMBERS = itertools.count(1)


@dataclass(eq=False)
class _Level:
    """An open transaction, or a savepoint inside of one."""

    session: Session
    #: None: the transaction itself, or on SQLite a level that began before any write.
    savepoint: str | None = None
    #: Begun by `start_transaction`, not by a block.
    is_manual: bool = False


@dataclass
class _State:
    """What one thread has open."""

    reader: Session | None = None
    writer: Session | None = None
    levels: list[_Level] = field(default_factory=list[_Level])
    #: Why the server ended the transaction whose blocks are still open.
    ended_by: DatabaseError | None = None
    #: SQLite only: the write transaction has begun.
    has_begun: bool = False


class _ThreadState(threading.local):
    pid: int = 0
    state: _State | None = None


class Transactions:
    """A database by its URL: connections of each thread, transactions, and tries.

    Safe to use after a fork: a child never touches its parent's sockets.
    """

    def __init__(self, url: str, *, timeout_s: float = 10.0, tls: bool | None = None) -> None:
        self.url = sa.make_url(url)
        self.timeout_s = timeout_s
        self._threads = _ThreadState()
        self._engine = create_engine(self.url, timeout_s, tls)

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
        return open_session(self._engine, commits=commits)

    def _own_state(self) -> _State:
        """Return this thread's state; after a fork a new one, the parent's sockets left alone."""
        own = self._threads
        if own.state is None or own.pid != os.getpid():
            if own.state is not None:
                _PARENTS.extend(s for s in (own.state.reader, own.state.writer) if s is not None)
            own.pid, own.state = os.getpid(), _State()
        return own.state

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

    @property
    def is_open(self) -> bool:
        """Whether this thread has a connection, as far as is known without asking the server."""
        state = self._own_state()
        return state.reader is not None or state.writer is not None

    def close(self) -> None:
        """Close this thread's connections; an open transaction is rolled back."""
        state = self._own_state()
        for session in (state.reader, state.writer):
            if session is not None:
                session.close()
        self._threads.state = None

    # --- statements ----------------------------------------------------------------------------

    def _run(
        self, execute: Callable[[Session], Returned], doing: str, *, is_write: bool = False
    ) -> Returned:
        if self.in_transaction:
            return self._run_inside(execute, doing)
        return _insist(lambda: self._run_alone(execute, doing, is_write=is_write), MAX_TRIES)

    def _run_alone(
        self, execute: Callable[[Session], Returned], doing: str, *, is_write: bool
    ) -> Returned:
        try:
            with translated(doing):
                return execute(self._reader())
        except LostConnectionError as error:
            self._drop_reader()
            if is_write:
                message = f"{error}; whether it was written is not known: look, and try again"
                raise LostConnectionError(message) from error
        with translated(doing):
            return execute(self._reader())

    def _drop_reader(self) -> None:
        state = self._own_state()
        if state.reader is not None:
            state.reader.close()
        state.reader = None

    def _run_inside(self, execute: Callable[[Session], Returned], doing: str) -> Returned:
        state = self._own_state()
        self._refuse_if_ended(state)
        session = state.levels[-1].session
        try:
            with translated(doing):
                return execute(session)
        except LostConnectionError as error:
            message = f"{error}; the transaction ended, and nothing of it was committed"
            state.ended_by = LostConnectionError(message)
            raise state.ended_by from error
        except ContentionError as error:
            raise self._contention(state, error) from error
        except DatabaseError as error:
            if state.has_begun and not session.raw.in_transaction:  # such as a full disk
                state.ended_by = error
            raise

    def _contention(self, state: _State, error: ContentionError) -> ContentionError:
        if ends_transaction(error):
            message = (
                f"{error}; the database rolled back the whole transaction, so that another one "
                "can go on. Run all of it again from its start"
            )
            state.ended_by = ContentionError(message)
            return state.ended_by
        message = (
            f"{error}; another transaction has held the lock for {self.timeout_s:g} s. Only this "
            "statement was undone and the transaction is still open: run the statement again, "
            "or leave the block, which undoes the rest, and run all of it later"
        )
        return ContentionError(message)

    @staticmethod
    def _refuse_if_ended(state: _State) -> None:
        if state.ended_by is None:
            return
        message = (
            "this transaction was ended by the database, and nothing of it is kept; leave its "
            f"block. The reason was: {state.ended_by}"
        )
        raise type(state.ended_by)(message) from state.ended_by

    # --- transactions --------------------------------------------------------------------------

    @property
    def in_transaction(self) -> bool:
        """Whether this thread has a transaction open."""
        return bool(self._own_state().levels)

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Commit everything in the block together, or nothing if it raises.

        Inside of another transaction it is a savepoint: if it raises, what the block did is undone,
        and the outer block may catch the exception and go on.
        """
        level = self._begin()
        try:
            yield
            self._finish(level)
        except BaseException:
            self._undo(level)
            raise

    def atomically(self, function: Callable[[], Returned], *, tries: int = MAX_TRIES) -> Returned:
        """Call a function in a transaction, again if others held the locks.

        The function must be fit to be called again: its statements are rolled back before. In a
        transaction that is open already it is called once, and undone alone if it raises.
        """
        is_committing = False

        def attempt() -> Returned:
            nonlocal is_committing
            is_committing = False
            with self.transaction():
                found = function()
                is_committing = True
                return found

        def is_undone(error: TransientDatabaseError) -> bool:
            return isinstance(error, ContentionError) or not is_committing

        return attempt() if self.in_transaction else _insist(attempt, tries, is_undone)

    def start_transaction(self) -> None:
        """Begin a transaction that `commit_transaction` or `cancel_transaction` ends."""
        if self.in_transaction:
            message = (
                "a transaction is open already: end it first, "
                "or nest with `with connection.transaction:`"
            )
            raise UsageError(message)
        self._begin().is_manual = True

    def commit_transaction(self) -> None:
        """Commit what `start_transaction` began; if that fails, all of it is rolled back."""
        level = self._manual("commit_transaction")
        try:
            self._finish(level)
        except BaseException:
            self._undo(level)
            raise

    def cancel_transaction(self) -> None:
        """Roll back what `start_transaction` began."""
        self._undo(self._manual("cancel_transaction"))

    def _manual(self, asked: str) -> _Level:
        levels = self._own_state().levels
        if not levels or not levels[-1].is_manual:
            why = "a `with` block ends its own" if levels else "none is open"
            message = f"{asked} ends a transaction that start_transaction began: {why}"
            raise UsageError(message)
        return levels[-1]

    def _begin(self) -> _Level:
        state = self._own_state()
        level = _Level(self._writer())
        if state.levels and (state.has_begun or not self.is_sqlite):
            name = f"djq_{next(_NUMBERS)}"
            self._run_inside(_send(f"SAVEPOINT {name}"), "cannot begin a nested transaction")
            level.savepoint = name
        state.levels.append(level)
        return level

    def _begin_late(self, session: Session) -> None:
        """Begin SQLite's transaction at its first write, waiting for the file's lock."""
        state = self._own_state()
        if self.is_sqlite and state.levels and not state.has_begun:
            session.raw.execute("BEGIN IMMEDIATE")
            state.has_begun = True

    def _finish(self, level: _Level) -> None:
        """Commit the transaction, or release the savepoint."""
        state = self._own_state()
        if level not in state.levels:
            message = (
                "the connection was closed inside of the transaction, or the process forked in it; "
                "nothing of it was committed"
            )
            raise LostConnectionError(message)
        self._refuse_if_ended(state)
        if level.savepoint is not None:
            self._run_inside(_send(f"RELEASE SAVEPOINT {level.savepoint}"), "cannot go on")
        elif len(state.levels) == 1:
            self._commit(state, level.session)
        state.levels.remove(level)

    def _commit(self, state: _State, session: Session) -> None:
        if self.is_sqlite and not state.has_begun:
            return
        try:
            with translated("cannot commit"):
                session.raw.commit()
        except LostConnectionError as error:
            message = f"{error}; whether it was committed is not known: look, and try again"
            state.ended_by = LostConnectionError(message)
            raise state.ended_by from error
        state.has_begun = False

    def _undo(self, level: _Level) -> None:
        """Roll back to where the level began; forget it and those inside of it."""
        state = self._own_state()
        if level not in state.levels:
            return
        del state.levels[state.levels.index(level) :]
        if level.savepoint is None and (not state.levels or state.has_begun):
            # On SQLite, an inner level without a savepoint: nothing was written before it.
            self._roll_back(state, level.session)
        elif level.savepoint is not None and state.ended_by is None:
            back = _send(f"ROLLBACK TO SAVEPOINT {level.savepoint}")
            try:
                self._run_inside(back, "cannot undo a nested transaction")
            except DatabaseError as error:  # such as DDL that committed silently
                state.ended_by = state.ended_by or error
        if not state.levels:
            state.ended_by = None

    def _roll_back(self, state: _State, session: Session) -> None:
        """Roll back; a connection that cannot is thrown away, which rolls back on the server."""
        try:
            if isinstance(state.ended_by, LostConnectionError):
                raise state.ended_by  # noqa: TRY301 - the connection is of no use
            if not self.is_sqlite or state.has_begun:
                session.raw.rollback()
        except Exception:  # noqa: BLE001 - whatever failed, the connection is of no more use
            session.close()
            state.writer = None
            if self.is_sqlite:
                state.reader = None
        finally:
            state.has_begun = False


def _send(text: str) -> Callable[[Session], None]:
    """Return what sends a statement without values or rows."""

    def execute(session: Session) -> None:
        session.raw.cursor().execute(text)

    return execute


def _is_contention(error: TransientDatabaseError) -> bool:
    return isinstance(error, ContentionError)


def _insist(
    function: Callable[[], Returned],
    tries: int,
    may_repeat: Callable[[TransientDatabaseError], bool] = _is_contention,
) -> Returned:
    """Call a function again while others hold the locks it needs."""
    for attempt in range(1, tries):
        try:
            return function()
        except (ContentionError, LostConnectionError) as error:
            if not may_repeat(error):
                raise
            # The whole wait is drawn by lot, so that those who collided do not meet again.
            bound = min(BACKOFF_S * 2 ** (attempt - 1), MAX_BACKOFF_S)
            time.sleep(random.uniform(0, bound))  # noqa: S311
    try:
        return function()
    except ContentionError as error:
        message = f"{error}. Tried {tries} times; look which transaction holds the lock"
        raise ContentionError(message) from error

"""Transactions, what is undone with them, and what is tried again.

A transaction inside of another one is a savepoint. What the server rolled back by itself, as after
a deadlock, stays rolled back: the open blocks refuse every further statement and their COMMIT.
"""

from __future__ import annotations

import itertools
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

from djq.errors import (
    ContentionError,
    DatabaseError,
    LostConnectionError,
    TransactionEndedError,
    TransientDatabaseError,
    UsageError,
)
from djq.sql.connections import Connections, Level, State
from djq.sql.errors import ends_transaction, translated
from djq.sql.raw import first_words
from djq.sql.refusing import shown
from djq.sql.tries import MAX_TRIES, Returned, insist

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from djq.sql.connections import Aftermath
    from djq.sql.sessions import Session

#: Of what a server says with each answer (SERVER_STATUS_IN_TRANS, SERVER_STATUS_AUTOCOMMIT).
_IN_TRANSACTION, _COMMITS = 1, 2
#: What becomes of what a transaction wrote before a statement that ends it; else it is committed.
_FATES = {"ROLLBACK": "is undone", "CALL": "is committed or undone"}
#: Names of savepoints: none is used twice.
_NUMBERS = itertools.count(1)


class Ends(Protocol):
    """Ends a level."""

    def __call__(self, level: Level, error: BaseException | None = None) -> None:
        """Commit it, or roll it back after an error."""
        ...


class Block:
    """`with database.transaction():`; each key has one, and `contextlib`'s takes longer."""

    __slots__ = ("_begin", "_end", "_level")

    def __init__(self, begin: Callable[[], Level], end: Ends) -> None:
        self._begin, self._end = begin, end

    def __enter__(self) -> None:
        """Begin."""
        self._level = self._begin()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Commit, or roll back if the block raised."""
        self._end(self._level, error)


class Transactions(Connections):
    """Statements in and out of transactions; tried again where that is safe."""

    # --- statements ----------------------------------------------------------------------------

    def _run(
        self, execute: Callable[[Session], Returned], doing: str, *, is_write: bool = False
    ) -> Returned:
        if self._own_state().levels:
            return self._run_inside(execute, doing)
        return insist(lambda: self._run_alone(execute, doing, is_write=is_write), MAX_TRIES)

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

    def _contention(self, state: State, error: ContentionError) -> ContentionError:
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
    def _refuse_if_ended(state: State) -> None:
        if state.ended_by is None:
            return
        if isinstance(state.ended_by, TransactionEndedError):
            raise TransactionEndedError(str(state.ended_by)) from state.ended_by
        message = (
            "this transaction was ended by the database, and nothing of it is kept; leave its "
            f"block. The reason was: {state.ended_by}"
        )
        raise type(state.ended_by)(message) from state.ended_by

    @contextmanager
    def _watched(self, text: str) -> Generator[None]:
        """Notice that a statement which is sent as it is ended the transaction.

        Raises
        ------
        TransactionEndedError
            It did. The open blocks refuse all that follows.
        """
        was_open = bool(self._status() & _IN_TRANSACTION)
        try:
            yield
        except DatabaseError as error:
            if was_open:
                with suppress(DatabaseError):  # an error does not tell where the server is
                    self._run(_send("DO 0"), "cannot ask")
                self._refuse_end(text, error, was_open=True)
            raise
        self._refuse_end(text, None, was_open=was_open)

    def _status(self) -> int:
        """Return what the server said of the open transaction; mysqlclient does not tell."""
        levels = self._own_state().levels
        return (getattr(levels[-1].session.raw, "server_status", 0) or 0) if levels else 0

    def _refuse_end(self, text: str, error: DatabaseError | None, *, was_open: bool) -> None:
        state, status = self._own_state(), self._status()
        if not state.levels or state.ended_by is not None:
            return
        is_ended = (was_open and not status & _IN_TRANSACTION) or bool(status & _COMMITS)
        if self.is_sqlite:
            is_ended = state.has_begun and not state.levels[-1].session.raw.in_transaction
        if not is_ended:
            return
        word, _ = first_words(text)
        fate = _FATES.get(word, "is committed")
        message = (
            f"{shown(text)} ended the transaction that it was sent in: what was written before it "
            f"{fate}, and the rest of its block is not done. Send it before or after, and nest "
            "with `with connection.transaction:` what may be undone alone"
        )
        state.ended_by = TransactionEndedError(message)
        raise state.ended_by from error

    # --- transactions --------------------------------------------------------------------------

    @property
    def in_transaction(self) -> bool:
        """Whether this thread has a transaction open."""
        return bool(self._own_state().levels)

    def on_undo(self, forget: Callable[[], None]) -> None:
        """Have something called if a nested transaction, and what is done in it now, is undone."""
        levels = self._own_state().levels
        if len(levels) > 1:
            levels[-1].undos.append(forget)

    def after_commit(self, aftermath: Aftermath) -> None:
        """Have something follow what this thread has written, once it is committed.

        Outside of a transaction that is now. In one, it joins what waits already; a savepoint that
        is undone takes its part along.
        """
        levels = self._own_state().levels
        if levels:
            levels[-1].wait_for_commit(aftermath)
        else:
            aftermath.follow()

    def transaction(self) -> Block:
        """Commit everything in the block together, or nothing if it raises.

        Inside of another transaction it is a savepoint: if it raises, what the block did is undone,
        and the outer block may catch the exception and go on.
        """
        return Block(self._begin, self._end)

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

        return attempt() if self.in_transaction else insist(attempt, tries, is_undone)

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
        self._end(self._manual("commit_transaction"))

    def cancel_transaction(self) -> None:
        """Roll back what `start_transaction` began."""
        self._undo(self._manual("cancel_transaction"))

    def _manual(self, asked: str) -> Level:
        levels = self._own_state().levels
        if not levels or not levels[-1].is_manual:
            why = "a `with` block ends its own" if levels else "none is open"
            message = f"{asked} ends a transaction that start_transaction began: {why}"
            raise UsageError(message)
        return levels[-1]

    def _begin(self) -> Level:
        state = self._own_state()
        level = Level(self._writer())
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

    def _end(self, level: Level, error: BaseException | None = None) -> None:
        """Finish the level; undo it if that fails, or after an error.

        Raises
        ------
        TransactionEndedError
            It cannot be undone, whatever the error was. What is no error, as `SystemExit`, goes on
            with this one as its cause.
        """
        if error is not None:
            ended_by = self._own_state().ended_by
            self._undo(level)
            is_told = isinstance(error, TransactionEndedError)
            if isinstance(ended_by, TransactionEndedError) and not is_told:
                if isinstance(error, Exception):
                    raise TransactionEndedError(str(ended_by)) from error
                error.__cause__ = ended_by
            return
        try:
            self._finish(level)
        except BaseException:
            self._undo(level)
            raise

    def _finish(self, level: Level) -> None:
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
        if len(state.levels) > 1:
            state.levels[-1].undos += level.undos
        if level.aftermath is not None:
            self.after_commit(level.aftermath)

    def _commit(self, state: State, session: Session) -> None:
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

    def _undo(self, level: Level) -> None:
        """Roll back to where the level began; forget it and those inside of it."""
        state = self._own_state()
        if level not in state.levels:
            return
        undone = state.levels[state.levels.index(level) :]
        del state.levels[-len(undone) :]
        for forget in (f for each in undone for f in each.undos):
            forget()
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

    def _roll_back(self, state: State, session: Session) -> None:
        """Roll back; a connection that cannot is thrown away, which rolls back on the server."""
        try:
            is_odd = isinstance(state.ended_by, TransactionEndedError) and not self.is_sqlite
            if state.ended_by and (is_odd or isinstance(state.ended_by, LostConnectionError)):
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

"""`Connection`: a database and the stores beside it, opened from `Settings`."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from djq.settings import Settings, load
from djq.sql.engine import Database
from djq.storage.open import open_store

if TYPE_CHECKING:
    from collections.abc import Generator

    from djq.storage.content import ContentStore


class Connection:
    """Everything that tables need to reach their rows and objects."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings if settings is not None else load()
        self.database = Database(
            self.settings.resolved_database_url, timeout_s=self.settings.database_timeout_s
        )
        self._stores: dict[str, ContentStore] = {}

    def __repr__(self) -> str:
        """Return the address without its password."""
        return f"Connection({self.database.address!r})"

    def store(self, name: str) -> ContentStore:
        """Return the store `name`, opened when first asked for."""
        if name not in self._stores:
            self._stores[name] = open_store(name, self.settings.store(name))
        return self._stores[name]

    @property
    def in_transaction(self) -> bool:
        """Whether this thread has a transaction open."""
        return self.database.in_transaction

    @property
    def transaction(self) -> _Transaction:
        """A context that commits all of it together, or nothing: `with conn.transaction:`."""
        return _Transaction(self.database)

    def start_transaction(self) -> None:
        """Begin a transaction that `commit_transaction` or `cancel_transaction` ends."""
        self.database.start_transaction()

    def commit_transaction(self) -> None:
        """Commit what `start_transaction` began; if that fails, all of it is rolled back."""
        self.database.commit_transaction()

    def cancel_transaction(self) -> None:
        """Roll back what `start_transaction` began."""
        self.database.cancel_transaction()

    def close(self) -> None:
        """Close this thread's connections."""
        self.database.close()


class _Transaction:
    """`with connection.transaction:`, as DataJoint spells it."""

    def __init__(self, database: Database) -> None:
        self._context = database.transaction()

    def __enter__(self) -> None:
        self._context.__enter__()

    def __exit__(self, *raised: object) -> bool | None:
        return self._context.__exit__(*raised)  # type: ignore[arg-type] # the interpreter's own triple


class _Default:
    """The connection that tables use when none is given; opened on first use, never at import."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._lock = threading.Lock()

    def get(self, *, reset: bool = False) -> Connection:
        with self._lock:
            if self._connection is None or reset:
                if self._connection is not None:
                    self._connection.close()
                self._connection = Connection()
            return self._connection

    def set(self, connection: Connection | None) -> Connection | None:
        with self._lock:
            before, self._connection = self._connection, connection
            return before


_default = _Default()


def conn(*, reset: bool = False) -> Connection:
    """Return the default connection, opened from the settings when first asked for.

    With `reset`, the settings are read again.
    """
    return _default.get(reset=reset)


@contextmanager
def using(connection: Connection) -> Generator[Connection]:
    """Make `connection` the default within the block."""
    before = _default.set(connection)
    try:
        yield connection
    finally:
        _default.set(before)

"""`Connection`: a database and the stores beside it, opened from `Settings`."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlencode

from djq.errors import ConfigError, UsageError
from djq.settings import Settings
from djq.sql.engine import Database
from djq.storage.open import FOLDER_THREADS, open_store
from djq.storage.transfers import Transfers
from djq.tables.announcing import Announcer
from djq.tables.configuration import config
from djq.tables.making import refuse_ending

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from typing import Self

    from djq.definition.acceptance import Value
    from djq.settings import StoreSettings
    from djq.sql.catalog import Catalog
    from djq.sql.raw import Rows
    from djq.sql.transactions import Block
    from djq.storage.content import ContentStore

UseTls: TypeAlias = bool | Mapping[str, str | bool] | None


class Connection:
    """Everything that tables need to reach their rows and objects.

    Parameters
    ----------
    host_or_settings
        Host (`db.lab`, `db.lab:3307`) or URL of the database, or all settings as one value, which
        `dj.config` does not change any more. None: what `dj.config` says.
    user, password, port
        None: what the URL or `dj.config` says.
    use_tls
        True: encrypted, or refused; False: never; None: as the settings say, which is: if the
        server offers it. A mapping with `ca` (and `cert`, `key`, `check_hostname`) also verifies
        the server.

    Notes
    -----
    It is opened when first used, by each thread and each process for itself; `with` closes it.
    """

    def __init__(
        self,
        host_or_settings: str | Settings | None = None,
        user: str | None = None,
        password: str | None = None,
        port: int | None = None,
        use_tls: UseTls = None,
    ) -> None:
        self._is_fixed = isinstance(host_or_settings, Settings)
        if isinstance(host_or_settings, Settings):
            self._settings = host_or_settings
            if (user, password, port, use_tls) != (None, None, None, None):
                message = "a Settings value says it all: give user, password, port or use_tls in it"
                raise UsageError(message)
        else:
            self._settings = _settings(host_or_settings, user, password, port, use_tls)
        self.database: Database = Database(
            self._settings.resolved_database_url,
            timeout_s=self._settings.database_timeout_s,
            tls=self._settings.database_tls,
            functions=self._settings.functions,
        )
        #: Tells the fleet what is inserted here.
        self.announcer: Announcer = Announcer(lambda: self.settings)
        self._stores: dict[str, tuple[StoreSettings, ContentStore]] = {}

    def __repr__(self) -> str:
        """Return the address without its password."""
        return f"Connection({self.database.address!r})"

    def __enter__(self) -> Self:
        """Close it at the end of the block."""
        return self

    def __exit__(self, *raised: object) -> None:
        """Close this thread's connections; an open transaction is rolled back."""
        self.close()

    @property
    def settings(self) -> Settings:
        """The settings it was opened with, and what `dj.config` changed since."""
        return self._settings if self._is_fixed else config.live(self._settings)

    @property
    def catalog(self) -> Catalog:
        """What the server holds: schemas, tables, columns, foreign keys."""
        return self.database.catalog

    def store(self, name: str) -> ContentStore:
        """Return the store `name`, opened when first asked for."""
        settings = self.settings.store(name)
        opened = self._stores.get(name)
        if opened is None or opened[0] != settings:
            opened = self._stores[name] = settings, open_store(name, settings)
        return opened[1]

    def transfers(self, *stores: str) -> Transfers:
        """Return how many objects of these stores, or files of rows, are moved at once."""
        n_threads = self.settings.store_threads
        own = (self.store(name).n_threads for name in stores)
        return Transfers(n_threads or max(own, default=FOLDER_THREADS))

    # --- the server ----------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Whether this thread has a connection and the server answers on it."""
        return self.database.is_connected

    def ping(self) -> None:
        """Ask the server for an answer; outside of a transaction a lost connection is replaced."""
        self.database.ping()

    def get_user(self) -> str:
        """Return the user that the server sees, as `user@host`."""
        return self.database.user

    @property
    def connection_id(self) -> int:
        """The server's number for this thread's connection; SQLite: the process's."""
        return self.database.connection_id

    def query(self, text: str, args: Sequence[Value] = (), *, as_dict: bool = False) -> Rows:
        """Send SQL as it is: the one door without checks.

        Nothing in it is read, translated or verified: names, types, lineage and safe mode are
        yours. Values belong in `args`, as `%s` (on SQLite `?`) in the text. It takes part in the
        transaction that is open; outside of one it commits by itself and is sent only once.
        Inside a make, what ends the transaction or commits silently is refused.

        Parameters
        ----------
        text
            One statement, in the words of the server.
        args
            Values for its placeholders.
        as_dict
            Return mappings by column instead of tuples.

        Raises
        ------
        TransactionEndedError
            It ended the transaction that is open, which therefore cannot be undone.
        """
        refuse_ending(text)
        return self.database.query(text, args, as_dict=as_dict)

    # --- transactions --------------------------------------------------------------------------

    @property
    def in_transaction(self) -> bool:
        """Whether this thread has a transaction open."""
        return self.database.in_transaction

    @property
    def transaction(self) -> Block:
        """A context that commits all of it together, or nothing: `with conn.transaction:`."""
        return self.database.transaction()

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
        """Close this thread's connections, and the one that announces what all threads insert."""
        self.announcer.close()
        self.database.close()


class _Default:
    """The connection that tables use when none is given; opened on first use, never at import."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._lock = threading.Lock()

    @property
    def is_there(self) -> bool:
        return self._connection is not None

    def get(
        self, make: Callable[[], Connection] = Connection, *, reset: bool = False
    ) -> Connection:
        with self._lock:
            if self._connection is None or reset:
                made = make()
                if self._connection is not None:
                    self._connection.close()
                self._connection = made
            return self._connection

    def set(self, connection: Connection | None) -> Connection | None:
        with self._lock:
            before, self._connection = self._connection, connection
            return before


_default = _Default()
config.watch(lambda: _default.is_there)


def conn(
    host: str | None = None,
    user: str | None = None,
    password: str | None = None,
    *,
    reset: bool = False,
    use_tls: UseTls = None,
) -> Connection:
    """Return the default connection, made when first asked for.

    Parameters
    ----------
    host, user, password, use_tls
        As for `Connection`; None: what `dj.config` says.
    reset
        Close the default connection and make another one, from the settings as they are now.

    Raises
    ------
    UsageError
        The default connection is there and leads elsewhere.
    """

    def make() -> Connection:
        return Connection(host, user, password, use_tls=use_tls)

    if not reset and _default.is_there and (host, user, password, use_tls) != (None,) * 4:
        _check_same(_default.get(), make())
    return _default.get(make, reset=reset)


def _check_same(present: Connection, wanted: Connection) -> None:
    if present.database.url == wanted.database.url:
        return
    message = (
        f"the default connection to {present.database.address} is there already, and "
        f"{wanted.database.address} differs in user, password or place: reset=True replaces it, "
        "and dj.Connection(…) makes another one beside it"
    )
    raise UsageError(message)


def _settings(
    host: str | None, user: str | None, password: str | None, port: int | None, use_tls: UseTls
) -> Settings:
    """Return the settings of a new connection: the given ones over those of `dj.config`."""
    own: dict[str, Any] = {"user": user, "password": password, "port": port}
    own["database_tls"] = use_tls if isinstance(use_tls, bool) else None
    if host is not None and "://" in host:
        own["database_url"] = host
    else:
        own["host"] = host
    settings = config.settings(**own)
    if not isinstance(use_tls, Mapping):
        return settings
    unknown = sorted(use_tls.keys() - {"ca", "cert", "key", "check_hostname"})
    if unknown:
        message = f'use_tls: unknown "{unknown[0]}"; it takes ca, cert, key and check_hostname'
        raise ConfigError(message)
    options = urlencode({f"ssl_{name}": str(value) for name, value in use_tls.items()})
    url = settings.resolved_database_url
    return config.settings(
        database_url=f"{url}{'&' if '?' in url else '?'}{options}", database_tls=True
    )


@contextmanager
def using(connection: Connection) -> Generator[Connection]:
    """Make `connection` the default within the block."""
    before = _default.set(connection)
    try:
        yield connection
    finally:
        _default.set(before)

"""Rows that were inserted are announced to the fleet: at once, by the way, and never for sure.

A scheduler that hears of new keys searches what they made due, and need not wait for its next pass.
Where the settings name no Redis, nothing is loaded and nothing is sent. What is announced waits for
its commit; then a thread sends it, so that nobody waits for Redis, and takes along what comes
meanwhile: a loop of `insert1` pays no round trips. It ends as soon as there is nothing to send.
"""

from __future__ import annotations

import logging
import os
import pkgutil
import threading
import time
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

from djq.tables.making import current_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from djq.definition.acceptance import Value
    from djq.definition.spec import TableSpec
    from djq.settings import Settings
    from djq.tables.connection import Connection

logger = logging.getLogger("djq.announcing")

#: The third thing that is found by its name: this layer does not know Redis.
OPEN = "djq.orchestrator.announce:open_channel"
#: Keys of one table that are announced one by one; of more it is only said that there are some.
MAX_KEYS = 1_000
#: What comes within this time is sent together [s]; while more comes, twice as much each time: a
#: process that makes or inserts many rows shall not be busy with telling of them.
TOGETHER_S, MAX_TOGETHER_S = 0.005, 0.1
#: After a failure nothing is announced for this long [s].
SILENCE_S = 30.0
#: Without a Redis, it is looked for again after this long [s]: `djq up` may have started one.
UNSET_S = 5.0
#: A connection that is closed waits this long for what is being sent [s].
CLOSE_S = 0.5

#: Server name of a table -> its new keys, each the values of the primary key; None: too many.
News: TypeAlias = "Mapping[str, Sequence[tuple[Value, ...]] | None]"


class Channel(Protocol):
    """Where announcements go."""

    def send(self, news: News) -> None:
        """Announce new keys; waits briefly, and raises if nobody answers."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class Announcer:
    """Tells the fleet which keys one connection inserted.

    Parameters
    ----------
    settings
        Returns the settings as they are now.
    """

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._silent_until = 0.0
        self._forget()

    def _forget(self) -> None:
        """Begin anew, as in a child process: thread and socket are the parent's."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._pending: dict[str, list[tuple[Value, ...]] | None] = {}
        self._thread: threading.Thread | None = None
        self._channel: Channel | None = None
        #: The thread closes the channel at its end.
        self._is_closing = False

    @property
    def is_on(self) -> bool:
        """Whether keys shall be announced: there is a Redis, and it did not fail just now."""
        now = time.monotonic()
        if now < self._silent_until:
            return False
        if self._channel is None and not self._settings().names_redis:
            self._silent_until = now + UNSET_S
            return False
        return True

    def tell(self, news: News) -> None:
        """Announce keys soon; returns at once and never raises."""
        if self._pid != os.getpid():
            self._forget()
        with self._lock:
            merge(self._pending, news)
            if self._thread is None:
                self._thread = threading.Thread(target=self._send_all, name="djq-announce")
                try:
                    self._thread.start()
                except RuntimeError:  # no more threads, or the interpreter ends
                    self._thread = None

    def close(self, wait_s: float = CLOSE_S) -> None:
        """Wait so long for what is being sent, and close the channel; `tell` opens another.

        Who still sends then closes it behind that.
        """
        if self._pid != os.getpid():
            self._forget()
        thread = self._thread
        if thread is not None:
            thread.join(wait_s)
        with self._lock:
            self._is_closing = self._thread is not None
            channel = None if self._is_closing else self._let_go()
        if channel is not None:
            channel.close()

    def _let_go(self) -> Channel | None:
        """Return the channel, which nobody uses from now on; with the lock."""
        channel, self._channel, self._is_closing = self._channel, None, False
        return channel

    def _send_all(self) -> None:
        wait_s = TOGETHER_S
        while True:
            with self._lock:
                news, self._pending = self._pending, {}
                if not news:
                    self._thread = None
                    channel = self._let_go() if self._is_closing else None
                    break
            try:
                self._open().send(news)
            except Exception as error:  # noqa: BLE001 - whatever it is, the rows are committed
                logger.info("announcement_failed: %s", error)
                self._silent_until = time.monotonic() + SILENCE_S
            time.sleep(wait_s)
            wait_s = min(MAX_TOGETHER_S, 2 * wait_s)
        if channel is not None:
            channel.close()

    def _open(self) -> Channel:
        if self._channel is None:
            open_channel = cast("Callable[[Settings], Channel]", pkgutil.resolve_name(OPEN))
            self._channel = open_channel(self._settings())
        return self._channel


class Inserted:
    """Keys that wait for their commit."""

    def __init__(self, announcer: Announcer, news: News) -> None:
        self._announcer = announcer
        self._news = {table: None if keys is None else [*keys] for table, keys in news.items()}

    def joined(self, later: Inserted) -> Inserted:
        """Return these and others."""
        merge(self._news, later._news)
        return self

    def follow(self) -> None:
        """Announce them: they are committed."""
        self._announcer.tell(self._news)


def merge(mine: dict[str, list[tuple[Value, ...]] | None], others: News) -> None:
    """Add keys to others; more than `MAX_KEYS` of a table are forgotten."""
    for table, new in others.items():
        keys = mine.setdefault(table, [])
        if keys is None or new is None or len(keys) + len(new) > MAX_KEYS:
            mine[table] = None
        else:
            keys.extend(new)


def announce(
    connection: Connection, spec: TableSpec, columns: Mapping[str, Sequence[Value]] | None
) -> None:
    """Announce rows that were inserted, once they are committed.

    Not those that a make inserts into its own tables if whoever called it announces them.

    Parameters
    ----------
    columns
        The rows; None: which ones is not known.
    """
    call = current_of(spec.master or spec.name)
    if call is not None and call.is_announced:
        return
    keys: list[tuple[Value, ...]] | None = None
    if columns is not None:
        own = [columns[name] for name in spec.heading.primary_key]
        if own and len(own[0]) <= MAX_KEYS and not any(None in column for column in own):
            keys = list(zip(*own, strict=True))
    news = {str(spec.name): keys}
    connection.database.after_commit(Inserted(connection.announcer, news))

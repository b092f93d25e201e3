"""What clients inserted, onto the stream that schedulers hear: found by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from djq.orchestrator.events import Inserted, encode_inserted
from djq.orchestrator.namespace import namespace_of
from djq.orchestrator.server import Server, resolve_url
from djq.populate.keys import key_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from djq.definition.acceptance import Value
    from djq.settings import Settings
    from djq.tables.announcing import News

#: Bound of one answer and of one connection attempt [s]: what comes later than this is not missed.
TIMEOUT_S = 0.1


class Channel:
    """The stream of one installation, for a client."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def send(self, news: News) -> None:
        """Announce new keys, in one round trip.

        Raises
        ------
        RedisUnavailableError
            Redis did not answer in time.
        """
        self._server.add_entries(
            "events",
            [
                encode_inserted(Inserted(table, None if keys is None else _ids(keys)))
                for table, keys in news.items()
            ],
        )

    def close(self) -> None:
        """Close the connection."""
        self._server.close()


def _ids(keys: Sequence[tuple[Value, ...]]) -> tuple[str, ...]:
    return tuple(key_ids(list(zip(*keys, strict=True))))


def open_channel(settings: Settings) -> Channel:
    """Return the stream of the installation that the settings name; nothing is connected yet.

    Raises
    ------
    RedisUnavailableError
        None is configured.
    DatabaseError
        No namespace is set, and the database, which would say one, does not answer.
    """
    return Channel(Server(resolve_url(settings), namespace_of(settings), timeout_s=TIMEOUT_S))

"""The stream of announcements: what became of keys, in the order in which it was said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from djq.orchestrator import events

if TYPE_CHECKING:
    from djq.orchestrator.server import Server

#: Entries taken in one read.
READ_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Stream:
    """The announcements of one installation.

    Every method is one round trip, and raises `RedisUnavailableError` when Redis does not answer.
    """

    server: Server

    def position(self) -> str:
        """Return the present end, to read from here on."""
        return self.server.last_id("events")

    def read(
        self, after: str, *, wait_s: float
    ) -> tuple[str, list[events.Announcement | events.Inserted]]:
        """Wait for announcements after a position; return the position after them, and them."""
        entries = self.server.read_stream("events", after, wait_s=wait_s, limit=READ_LIMIT)
        decoded = (events.decode(fields["e"]) for _, fields in entries)
        return (entries[-1][0] if entries else after), [
            event for event in decoded if event is not None
        ]

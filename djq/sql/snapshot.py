"""All tables as they are at one moment, read in flat memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from djq.sql.errors import translated
from djq.sql.privileges import needing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from djq.algebra.nodes import Node
    from djq.sql.engine import Database
    from djq.sql.sessions import Session

#: Rows that are asked of the server at a time.
_ROWS = 1_000
#: Where the server's own default is to see what others commit meanwhile.
_BEGIN = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
)
#: SQLite's snapshot begins with the first read.
_BEGIN_SQLITE = ("BEGIN", "SELECT count(*) FROM sqlite_master")


class Snapshot:
    """What the tables held at one moment, over a connection of its own; writers go on meanwhile.

    Made by `Database.snapshot`. A table that is altered after that moment cannot be read any more:
    that is a DatabaseError.
    """

    def __init__(self, database: Database, session: Session) -> None:
        self._database = database
        self._session = session

    def __enter__(self) -> Self:
        """Fix the moment."""
        with translated("cannot begin a snapshot"):
            for text in _BEGIN_SQLITE if self._database.is_sqlite else _BEGIN:
                cursor = self._session.raw.cursor()
                cursor.execute(text)
                cursor.close()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let it go."""
        self._session.close()

    def stream(self, node: Node) -> Iterator[tuple[Any, ...]]:
        """Iterate over the rows of a query; to its end, before the next one."""
        prepared, values = self._database.statements.ask("select", node)
        with needing(self._database, "SELECT", node), translated("cannot read"):
            cursor = self._session.stream()
            cursor.execute(prepared.text, prepared.bind(values))
            while rows := cursor.fetchmany(_ROWS):
                yield from prepared.convert(rows)
            cursor.close()

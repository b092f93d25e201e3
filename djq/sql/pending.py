"""Transactions that are open on the server, whosever they are."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from djq.errors import AccessError

if TYPE_CHECKING:
    from djq.sql.engine import Database

#: The server notes the beginnings in its own time zone.
_OLDEST = (
    "SELECT max(timestampdiff(SECOND, trx_started,"
    " convert_tz(utc_timestamp(), '+00:00', 'SYSTEM'))) FROM information_schema.innodb_trx"
)


def oldest_transaction(database: Database) -> timedelta | None:
    """Return how long the oldest open transaction has been open.

    None where that is not known: on SQLite, and without the privilege PROCESS.
    """
    if database.is_sqlite:
        return None
    try:
        found = database.read(sa.text(_OLDEST))[0][0]
    except AccessError:
        return None
    return timedelta(seconds=max(0, int(found or 0)))

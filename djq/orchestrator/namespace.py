"""The name under which the processes of one database meet in Redis."""

from __future__ import annotations

import pkgutil
from functools import lru_cache
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from djq.settings import Settings


def namespace_of(settings: Settings) -> str:
    """Return `DJQ_NAMESPACE`; where it is not set, a name made from what the database is.

    The database says what it is, so that workers that reach it as `localhost`, `127.0.0.1` or
    `mysql` meet. It is asked once in the life of a process.

    Raises
    ------
    DatabaseError
        The database does not answer.
    """
    if settings.namespace is not None:
        return settings.namespace
    return _identity(
        settings.resolved_database_url, settings.database_timeout_s, settings.database_tls
    )


@lru_cache(maxsize=64)
def _identity(url: str, timeout_s: float, tls: bool | None) -> str:
    # By name: the helper that beats for a process is told its namespace, and shall neither wait for
    # a SQL library nor keep one in memory.
    ask = cast("Callable[..., str]", pkgutil.resolve_name("djq.sql.identity:ask_identity"))
    return ask(url, timeout_s=timeout_s, tls=tls)

"""Whether this process may be forked: the threads of a bucket's client are not there afterwards."""

from __future__ import annotations

import os
from typing import Final

from djq.errors import StorageError


class _Client:
    """Which process used the client first."""

    def __init__(self) -> None:
        self.pid: int | None = None


_client: Final = _Client()


def note_client() -> None:
    """Note that this process uses the client, and refuse what would wait for ever.

    Raises
    ------
    StorageError
        It was used before a fork.
    """
    if _client.pid is None:
        _client.pid = os.getpid()
    if _client.pid != os.getpid():
        message = (
            "this process was forked from one that had used a bucket, which its client does "
            'not survive: start it by "spawn", or use the store only after the fork'
        )
        raise StorageError(message)


def survives_fork() -> bool:
    """Tell whether a process that is forked now can use buckets."""
    return _client.pid is None

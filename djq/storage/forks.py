"""Where a bucket's client may be used: its threads do not survive a fork."""

from __future__ import annotations

import os


class Generation:
    """How many forks lie between this process and its first ancestor that loaded this module."""

    number = 0


class _Owner:
    """The process that used the client first; None: no process of this line has."""

    generation: int | None = None


def has_client() -> bool:
    """Tell whether this process may use the client; it is the one that uses it from then on.

    In a process that was forked from that one, calls would wait for its threads for ever.
    """
    if _Owner.generation is None:
        _Owner.generation = Generation.number
    return _Owner.generation == Generation.number


def _count() -> None:
    Generation.number += 1


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_count)

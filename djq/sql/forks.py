"""What keeps a child of a fork from speaking over its parent's sockets.

Python closes what nobody refers to: mysqlclient says goodbye to the server then, and SQLAlchemy
rolls back, and the parent's connection would end. In a child, the connections of all threads of its
parent therefore lead nowhere, before anything can close them.
"""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from djq.sql.sessions import Session

#: Connections that are open, of all threads.
_OPEN: weakref.WeakSet[Session] = weakref.WeakSet()
#: While the process forks, and ever after in the child: the parent's connections.
_HELD: list[list[Session]] = []
_LOCK = threading.Lock()


class Generation:
    """How many forks lie between this process and its first ancestor that loaded this module."""

    number = 0


def guard(session: Session) -> None:
    """Let this connection end in no child."""
    with _LOCK:
        _OPEN.add(session)


def _hold() -> None:
    """Keep the connections of threads that do not exist in the child."""
    _LOCK.acquire()
    _HELD.append(list(_OPEN))


def _let_go() -> None:
    _HELD.pop()
    _LOCK.release()


def _cut() -> None:
    Generation.number += 1
    nowhere = os.open(os.devnull, os.O_RDWR)
    for session in _HELD[-1]:
        with suppress(Exception):  # closed already
            os.dup2(nowhere, session.fileno(), inheritable=False)
    os.close(nowhere)
    _OPEN.clear()
    _LOCK.release()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_cut)

"""What went wrong in a function of Python's: SQLite says no more than that something did."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from djq.definition.acceptance import Value

#: Longer arguments are cut in messages [characters].
_MAX_SHOWN = 60


class _Last(threading.local):
    words: str | None = None


_LAST = _Last()


def last_failure() -> str | None:
    """Return what went wrong last in this thread, once."""
    words, _LAST.words = _LAST.words, None
    return words


def remembering(name: str, compute: Callable[..., Value]) -> Callable[..., Value]:
    """Return a function whose errors `last_failure` tells, with its arguments."""

    def call(*arguments: Value) -> Value:
        try:
            return compute(*arguments)
        except Exception as error:
            shown = ", ".join(_shown(a) for a in arguments)
            _LAST.words = f"{name}({shown}): {error}"
            # An OverflowError is one that SQLite would take for a text that is too long.
            raise ArithmeticError(*error.args) from error

    return call


def _shown(value: Value) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"

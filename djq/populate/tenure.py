"""How long a process goes on with a chunk: while it is its own, and not too late."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: A chunk that takes so many times longer than it should gives the rest back, to others.
PATIENCE = 5.0
#: An answer to "is this chunk still ours?" is good for so long [s]: asking for every key would
#: cost a quick one a fifth of its time (0.25 ms of 1.2 ms), and what the answer cannot promise -
#: that it is still true at the COMMIT - the table's unique key does.
FRESH_S = 0.5


class Tenure:
    """The time that a process has for a chunk that it just reserved.

    Parameters
    ----------
    ask
        Tells of a key, by its id, whether it is still ours.
    chunk_s
        How long a chunk should take [s].
    """

    def __init__(self, ask: Callable[[str], bool], chunk_s: float) -> None:
        self._ask = ask
        self._asked = time.monotonic()
        self._deadline = self._asked + PATIENCE * chunk_s

    @property
    def is_late(self) -> bool:
        """Whether the rest should go back, to others."""
        return time.monotonic() > self._deadline

    def holds(self, key: str) -> bool:
        """Tell whether a key is still ours, as far as was heard just now."""
        # The keys of a chunk are taken from a holder together, so the answer for one is for all.
        now = time.monotonic()
        if now - self._asked < FRESH_S:
            return True
        is_held = self._ask(key)
        if is_held:
            self._asked = now
        return is_held

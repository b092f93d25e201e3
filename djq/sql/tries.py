"""What is tried again when others hold the locks: with waits drawn by lot."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, TypeVar

from djq.errors import ContentionError, LostConnectionError, TransientDatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable

Returned = TypeVar("Returned")

#: How often djq tries its own work when others hold the locks.
MAX_TRIES = 5
#: Bound of the wait before the second try, doubled for each further one [s]; and its limit [s].
BACKOFF_S, MAX_BACKOFF_S = 0.05, 2.0


def _is_contention(error: TransientDatabaseError) -> bool:
    return isinstance(error, ContentionError)


def insist(
    function: Callable[[], Returned],
    tries: int,
    may_repeat: Callable[[TransientDatabaseError], bool] = _is_contention,
) -> Returned:
    """Call a function again while others hold the locks it needs."""
    for attempt in range(1, tries):
        try:
            return function()
        except (ContentionError, LostConnectionError) as error:
            if not may_repeat(error):
                raise
            # The whole wait is drawn by lot, so that those who collided do not meet again.
            bound = min(BACKOFF_S * 2 ** (attempt - 1), MAX_BACKOFF_S)
            time.sleep(random.uniform(0, bound))  # noqa: S311
    try:
        return function()
    except ContentionError as error:
        message = f"{error}. Tried {tries} times; look which transaction holds the lock"
        raise ContentionError(message) from error

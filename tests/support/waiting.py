"""Wait on a condition with a deadline; the only place of the suite that sleeps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

#: Between two looks at the condition [s].
PAUSE_S = 0.01


def wait_until(
    condition: Callable[[], T], *, what: str = "the condition", timeout_s: float = 10.0
) -> T:
    """Return the first true value of `condition`.

    Raises
    ------
    AssertionError
        The deadline passed; the message says `what` was waited for and the last value seen.
    """
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            message = f"waited {timeout_s:g} s for {what}; last value: {value!r}"
            raise AssertionError(message)
        time.sleep(PAUSE_S)
    return value
